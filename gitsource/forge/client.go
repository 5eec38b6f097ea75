package forge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxPages of one list that are read, and pageSize of each.
	maxPages = 30
	pageSize = 100
	// maxAnswer is how long an answer may be: 16 MiB.
	maxAnswer = 16 << 20
	// maxRedirects around the host itself, as after a repository was renamed.
	maxRedirects = 3
	// restDefault is how long a host is left alone that does not say for how long, restMost at most.
	restDefault, restMost = time.Minute, time.Hour
)

// guard is the one way to a host. It sends nothing to anybody else, leaves the host alone when that asks for it, bounds
// what is read, and makes errors of all answers that are none.
type guard struct {
	host    *url.URL
	inner   http.RoundTripper
	app     bool
	now     func() time.Time
	observe Observer

	unchanged unchanged

	mu    sync.Mutex
	until time.Time
}

// newGuard builds its own transport from nothing: the TLS settings of http.DefaultTransport belong to whoever changed
// them last.
func newGuard(o Options, host *url.URL) (*guard, error) {
	pool, err := o.Auth.pool()
	if err != nil {
		return nil, err
	}
	return &guard{host: host, app: o.Auth.isApp(), now: o.Now, observe: o.Observe, inner: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		TLSHandshakeTimeout:   o.Timeout,
		ResponseHeaderTimeout: o.Timeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   2,
		ForceAttemptHTTP2:     true,
	}}, nil
}

// client over rt, which ends in the guard.
func (g *guard) client(rt http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{Transport: rt, Timeout: timeout, CheckRedirect: g.checkRedirect}
}

// checkRedirect follows a repository that was renamed on its host, and only when reading: Go would turn a write into a
// reading.
func (g *guard) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case !g.ours(req.URL):
		return fail(ErrRefused, "the host redirects to another host, and that is not followed. If it has moved, put its new address here; a browser shows it")
	case via[0].Method != http.MethodGet:
		return fail(ErrRefused, "the host redirects what is to be written; if the repository was renamed, put its new name here")
	case len(via) > maxRedirects:
		return fail(ErrRefused, "the host redirects in a circle; check the address")
	}
	return nil
}

func (g *guard) ours(u *url.URL) bool { return u.Scheme == g.host.Scheme && u.Host == g.host.Host }

// RoundTrip sends one request. Credentials are in its header by now.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if !g.ours(req.URL) {
		return nil, fail(ErrRefused, "a request to %s instead of %s is not sent", clean(req.URL.Host), g.host.Host)
	}
	if until := g.resting(); !until.IsZero() {
		return nil, &RateLimited{Until: until}
	}
	done := func(error) {}
	if g.observe != nil {
		done = g.observe(req.Method)
	}
	res, err := g.send(req)
	done(err)
	return res, err
}

func (g *guard) send(req *http.Request) (*http.Response, error) {
	asked, before := g.unchanged.condition(req)
	res, err := g.inner.RoundTrip(asked)
	if err != nil {
		return nil, g.noAnswer(req.Context(), err)
	}
	if before != nil && res.StatusCode == http.StatusNotModified {
		before.again(res)
	}
	if res.StatusCode >= 400 {
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // What was read of it will do.
		return nil, g.refusal(res, body)
	}
	if err := g.isJSON(res); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	if res.Header.Get("X-RateLimit-Remaining") == "0" {
		g.rest(res.Header) // This answer is still good.
	}
	res.Body = &bounded{ReadCloser: res.Body, left: maxAnswer}
	g.unchanged.keep(req, res)
	return res, nil
}

// isJSON refuses the pages of proxies and sign-in forms. An answer without content has no type.
func (g *guard) isJSON(res *http.Response) error {
	t := res.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(t)
	if t == "" || res.StatusCode >= 300 || (err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))) {
		return nil
	}
	if !slices.Contains([]string{"text/html", "text/plain", "application/xml", "text/xml", "application/octet-stream"}, kind) {
		kind = "another one"
	}
	return fail(ErrUnreachable, "the host answers, but not as an API (Content-Type: %s); check the address, and what stands between here and there", kind)
}

// refusal judges an answer of 400 and more.
func (g *guard) refusal(res *http.Response, body []byte) error {
	words := message(body)
	if limited(res, words) {
		return &RateLimited{Until: g.rest(res.Header)}
	}
	said := known(words)
	code := res.StatusCode
	switch {
	case code == http.StatusUnauthorized && g.app:
		return fail(ErrAuth, "credentials refused (401%s); check githubAppID and githubAppPrivateKey in the Secret, and the clock", said)
	case code == http.StatusUnauthorized:
		return fail(ErrAuth, "credentials refused (401%s); check token in the Secret: it may have expired", said)
	case code == http.StatusForbidden:
		return fail(ErrAuth, "access forbidden (403%s); check what the credentials in the Secret may do", said)
	case code == http.StatusNotFound || code == http.StatusGone:
		return fail(ErrNotFound, "no such thing (%d%s), or the credentials may not see it", code, said)
	case code >= 500 || code == http.StatusRequestTimeout:
		return fail(ErrUnreachable, "the host answers with status %d%s", code, said)
	}
	return fail(ErrRefused, "the host refuses the request (%d%s)", code, said)
}

// message is what the host says in its JSON. It is never repeated: it may hold anything, also credentials of long ago.
func message(body []byte) string {
	var answer struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.Message
}

// phrases that hosts use and that tell people what to do; of all others the status code is enough.
var phrases = []string{
	"Bad credentials", "A JSON web token could not be decoded", "Resource not accessible by integration",
	"Resource not accessible by personal access token", "token does not have at least one of required scope(s)",
	"Must be a team member", "Must be an organization member", "Must have push access", "Repository was archived",
	"issue is locked", "SAML enforcement", "IP allow list", "Validation Failed",
}

// known are the words of ours that the host's words hold, fit to stand after a status code.
func known(words string) string {
	for _, phrase := range phrases {
		if strings.Contains(strings.ToLower(words), strings.ToLower(phrase)) {
			return ", " + phrase
		}
	}
	return ""
}

// limited tells a limit of requests from a missing right: GitHub answers 403 to both.
func limited(res *http.Response, said string) bool {
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return res.Header.Get("X-RateLimit-Remaining") == "0" || res.Header.Get("Retry-After") != "" ||
			strings.Contains(strings.ToLower(said), "rate limit")
	case http.StatusServiceUnavailable:
		return res.Header.Get("Retry-After") != ""
	}
	return false
}

// rest leaves the host alone for as long as its answer asks for, and returns until when.
func (g *guard) rest(h http.Header) time.Time {
	now := g.now()
	until := now.Add(restDefault)
	if after, err := strconv.Atoi(h.Get("Retry-After")); err == nil && after >= 0 {
		until = now.Add(time.Duration(min(after, int(restMost/time.Second))) * time.Second)
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		until = at
	} else if at, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && h.Get("X-RateLimit-Remaining") == "0" {
		until = time.Unix(at, 0)
	}
	if most := now.Add(restMost); until.After(most) {
		until = most
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.until) {
		g.until = until
	}
	return g.until
}

// resting says until when the host is left alone; zero: it is not.
func (g *guard) resting() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now().Before(g.until) {
		return g.until
	}
	return time.Time{}
}

// noAnswer classifies a request that got no answer.
func (g *guard) noAnswer(ctx context.Context, err error) error {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		network net.Error
	)
	switch {
	case errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled):
		return err // Our caller's own doing.
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fail(ErrUnreachable, "no complete answer in the time allowed; check the network path to the host")
	case errors.As(err, &unknown):
		return fail(ErrUnreachable, "the host's certificate is signed by an unknown authority; put the authority's certificate into the Secret as ca.crt")
	case errors.As(err, &host):
		return fail(ErrUnreachable, "the certificate is for another host than %s; take a name that it is for as the address", g.host.Hostname())
	case errors.As(err, &verify):
		return fail(ErrUnreachable, "the host's certificate was not accepted: it may have expired, or this machine's clock is wrong")
	case errors.As(err, &record), bytes.Contains([]byte(err.Error()), []byte("HTTP response to HTTPS client")):
		return fail(ErrUnreachable, "the host does not speak TLS on this port; check the address")
	}
	// Anything else may hold what the host sent, also credentials of before.
	if wire := new(net.OpError); errors.As(err, &wire) {
		return fail(ErrUnreachable, "%s", clean(wire.Error())) // in the words of this machine
	}
	return fail(ErrUnreachable, "the host's answer cannot be read: the connection ended early, or the host does not speak HTTP; check the address")
}

// bounded ends an answer that is longer than any of use.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, fail(ErrLimit, "the host's answer is longer than %d MiB", maxAnswer>>20)
	}
	return n, err
}

// explain gives an error its place: what was being done, on which repository. Errors of the client libraries hold ours,
// or are about answers that they cannot read.
func explain(ctx context.Context, doing, where string, err error) error {
	if err == nil {
		return nil
	}
	if limit, ok := errors.AsType[*RateLimited](err); ok {
		return limit
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return &failure{kind: f.kind, msg: doing + " of " + where + ": " + f.msg}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	var network net.Error
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &network) && network.Timeout()) {
		return fail(ErrUnreachable, "%s of %s: no complete answer in the time allowed; check the network path to the host", doing, where)
	}
	// Not quoted: it may hold anything that the host sent.
	return fail(ErrUnreachable, "%s of %s: the host's answer cannot be read; check the address, and whether the host is of this provider", doing, where)
}
