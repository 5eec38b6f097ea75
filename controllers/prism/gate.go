package prism

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// gate is the only place that requests leave from: with TLS, the account's credentials, a deadline, a cap on the size
// of the answer, and a second try where Prism Central asks for one.
type gate struct {
	// base is the URL of Prism Central without a path; name is how messages call it.
	base, name string
	username   string
	password   string
	own        []string // what no message may repeat, whatever others have put into the shared Secrets since
	session    session
	client     *http.Client
	options    Options
	sent       atomic.Int64
	closed     chan struct{}
}

// question is a request to Prism Central.
type question struct {
	method string
	// target is the escaped path with the query.
	target string
	header http.Header
	body   []byte
	// harmless: it changes nothing, so it may be sent again.
	harmless bool
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

const (
	// maxTries of one request.
	maxTries = 3
	// maxWait is the longest Retry-After that is waited for.
	maxWait = 10 * time.Second
	// firstWait is the wait when Prism Central does not say how long; it doubles.
	firstWait = 500 * time.Millisecond
)

// exchange asks until there is an answer that is JSON and no error, or a reason why not. A caller that goes away cuts
// it at any time.
func (g *gate) exchange(ctx context.Context, q question) (answer, *Error) {
	for try := 1; ; try++ {
		a, failure := g.attempt(ctx, q)
		if failure == nil || try == maxTries || !g.mayRepeat(q, a.status) {
			return a, failure
		}
		wait, fits := g.retryAfter(a.header, try)
		if !fits {
			return a, failure
		}
		if err := g.pause(ctx, wait); err != nil {
			return answer{}, g.transportError(ctx, err)
		}
	}
}

func (g *gate) mayRepeat(q question, status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && q.harmless
}

// retryAfter is how long to wait before the next try; false when that is longer than we wait.
func (g *gate) retryAfter(h http.Header, try int) (time.Duration, bool) {
	asked := h.Get("Retry-After")
	wait := firstWait << (try - 1)
	if seconds, err := strconv.Atoi(asked); err == nil {
		if seconds > int(maxWait/time.Second) {
			return 0, false
		}
		wait = time.Duration(max(seconds, 0)) * time.Second
	} else if at, err := http.ParseTime(asked); err == nil {
		wait = max(at.Sub(g.options.Clock()), 0)
	}
	return wait, wait <= maxWait
}

// pause waits; it ends early when the caller or the door does.
func (g *gate) pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-g.closed:
		return errClosed
	}
}

// attempt asks once: with the session if there is one, and when that has expired, with the password.
func (g *gate) attempt(ctx context.Context, q question) (answer, *Error) {
	limited, cancel := context.WithTimeout(ctx, g.options.Timeout)
	defer cancel()
	cookies := g.session.header()
	a, err := g.send(limited, q, cookies)
	switch {
	case err != nil || cookies == "":
	case a.status == http.StatusUnauthorized:
		g.session.refused(cookies)
		a, err = g.send(limited, q, "")
	default:
		g.session.accepted()
	}
	if err != nil {
		return answer{}, g.transportError(ctx, err)
	}
	return a, g.judge(q, a)
}

// send is one request on the wire.
func (g *gate) send(ctx context.Context, q question, cookies string) (answer, error) {
	ctx, cancel := withDone(ctx, g.closed)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, g.base+q.target, bytes.NewReader(q.body))
	if err != nil {
		return answer{}, err
	}
	maps.Copy(r.Header, q.header)
	r.Header.Set("User-Agent", "refract")
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	} else {
		r.SetBasicAuth(g.username, g.password)
	}
	g.sent.Add(1)
	began := g.options.Clock()
	a, err := g.receive(r)
	took, route := g.options.Clock().Sub(began), routeOf(q)
	if g.options.Observe != nil {
		g.options.Observe(route, a.status, took)
	}
	g.options.Log.V(2).Info("asked Prism Central", "address", g.name, "route", route, "status", a.status, "took", took)
	return a, err
}

// receive reads a whole answer; its status is 0 when it did not come whole.
func (g *gate) receive(r *http.Request) (answer, error) {
	response, err := g.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	given := response.Cookies()
	g.options.Secrets.session(given)
	body, err := io.ReadAll(io.LimitReader(response.Body, g.options.MaxBytes+1))
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode < http.StatusMultipleChoices {
		g.session.keep(given)
	}
	return answer{status: response.StatusCode, header: response.Header, body: body}, nil
}

// isObject says whether a body is a JSON object.
func isObject(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(body)
}
