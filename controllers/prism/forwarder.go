package prism

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// forwarder stands between the SDKs and the network, on loopback. The SDKs have known faults: they turn verification
// off, wait for ever, retry without bound, ignore contexts, take HTML for a file and panic, follow redirects with the
// password. Here they speak plain HTTP to ourselves, with a token for a password, and get only what [gate] let pass.
type forwarder struct {
	gate   *gate
	server *http.Server
	port   int
	// workers is complete before the first request.
	workers []*worker
}

// call is what an SDK is being used for. Its requests end with done; why one failed is kept for the caller, since the
// SDK would lose it.
type call struct {
	done    <-chan struct{}
	mu      sync.Mutex
	failure *Error
}

func (c *call) fail(e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = e
}

func (c *call) failed() *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// pass is a worker's way through the forwarder.
type pass struct {
	token string
	call  atomic.Pointer[call]
}

func newPass() (*pass, error) {
	token := make([]byte, 32)
	if _, err := rand.Read(token); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	return &pass{token: fmt.Sprintf("%x", token)}, nil
}

// headerTimeout is ample on loopback.
const headerTimeout = 10 * time.Second

func newForwarder(g *gate) (*forwarder, net.Listener, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // It binds loopback at once.
	if err != nil {
		return nil, nil, fmt.Errorf("listen on loopback: %w", err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, nil, fmt.Errorf("listen on loopback: %s is no TCP address", listener.Addr())
	}
	f := &forwarder{gate: g, port: address.Port}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: headerTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	return f, listener, nil
}

// maxQuestion is ample for what we ask.
const maxQuestion = 1 << 20

// ServeHTTP hands a request of an SDK on, and answers in JSON whatever happens.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := f.admit(r)
	if c == nil {
		reply(w, http.StatusForbidden, nil, nil)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	if err != nil {
		reply(w, http.StatusBadRequest, nil, nil)
		return
	}
	ctx, cancel := withDone(r.Context(), c.done)
	defer cancel()
	a, failure := f.gate.exchange(ctx, questionOf(r, body))
	if failure != nil {
		c.fail(failure)
		reply(w, http.StatusBadGateway, nil, nil)
		return
	}
	reply(w, a.status, a.header, a.body)
}

// admit finds the call that a request belongs to. Nobody but our own SDKs knows a token; other processes on this
// machine get nothing.
func (f *forwarder) admit(r *http.Request) *call {
	_, token, _ := r.BasicAuth()
	for _, w := range f.workers {
		if subtle.ConstantTimeCompare([]byte(token), []byte(w.pass.token)) == 1 && strings.HasPrefix(r.URL.Path, "/api/") {
			return w.pass.call.Load()
		}
	}
	return nil
}

// passed are the headers of an SDK that Prism Central needs.
var passed = []string{"Accept", "Content-Type", "If-Match", "Ntnx-Request-Id"}

func questionOf(r *http.Request, body []byte) question {
	q := question{
		method: r.Method, target: r.URL.EscapedPath(), header: http.Header{}, body: body,
		harmless: r.Method == http.MethodGet,
	}
	if r.URL.RawQuery != "" {
		q.target += "?" + r.URL.RawQuery
	}
	for _, name := range passed {
		if values := r.Header.Values(name); len(values) > 0 {
			q.header[name] = values
		}
	}
	return q
}

// reply answers an SDK. The type is always the one that it can take.
func reply(w http.ResponseWriter, status int, header http.Header, body []byte) {
	if body == nil {
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	if etag := header.Get("Etag"); etag != "" {
		w.Header().Set("Etag", etag)
	}
	w.WriteHeader(status)
	// A client that went away needs no answer.
	_, _ = w.Write(body)
}
