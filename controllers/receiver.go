package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/gitsource/forge"
)

const (
	// hooksPath is where calls are taken: /hooks/NAMESPACE/FLEET.
	hooksPath = "/hooks/"
	// maxCall is how long the body of a call may be: 1 MiB.
	maxCall = 1 << 20
	// maxCalls are taken at once; each may hold maxCall of memory for as long as its caller needs to send it.
	maxCalls = 64
	// callTimeout is how long a caller may take to send the header of its call, and then the body.
	callTimeout = 5 * time.Second
)

// receiver takes the calls of Git servers. A call is answered before anything comes of it: all that an answer needs is in
// memory, under no lock that a reconcile holds for longer than it takes to write a word. What is woken looks for itself;
// nothing in a call is believed but that there is news.
//
// Every replica takes calls. The one that acts wakes its controllers; any other leaves word on the Fleet, as flux reconcile
// does, since the one that acts watches it.
type receiver struct {
	address string
	tokens  *tokens
	elected <-chan struct{}
	// push has a Fleet's repository looked at, review its pull requests; either never blocks, and review may be nil.
	push, review func(client.ObjectKey)
	// relay tells the replica that acts; it never blocks either.
	relay func(client.ObjectKey)
	count func(result string)
	log   logr.Logger

	slots chan struct{}
	// patience is how long a caller may take to send the body.
	patience time.Duration
}

// Results of calls, as counted.
const (
	callAccepted  = "accepted"
	callIgnored   = "ignored"
	callReplayed  = "replayed"
	callUnsigned  = "unsigned"
	callUnknown   = "unknown"
	callOversized = "oversized"
	callMethod    = "method"
	callPath      = "path"
	callBroken    = "broken"
	callBusy      = "busy"
)

// callAnswers say no more than the caller has to know. Whether there is a Fleet of that name is nobody's business who does not
// know its token.
var callAnswers = map[string]struct {
	code int
	text string
}{
	callAccepted:  {http.StatusAccepted, "accepted"},
	callIgnored:   {http.StatusAccepted, "accepted; nothing to do"},
	callReplayed:  {http.StatusConflict, "this call was taken before"},
	callUnsigned:  {http.StatusUnauthorized, "not signed with the token of a Fleet that takes calls here"},
	callUnknown:   {http.StatusUnauthorized, "not signed with the token of a Fleet that takes calls here"},
	callOversized: {http.StatusRequestEntityTooLarge, "at most 1 MiB"},
	callMethod:    {http.StatusMethodNotAllowed, "only POST"},
	callPath:      {http.StatusNotFound, "not found"},
	callBroken:    {http.StatusBadRequest, "the body did not arrive whole"},
	callBusy:      {http.StatusServiceUnavailable, "too many calls at once; call again"},
}

// NeedLeaderElection has every replica take calls, since a Service leads to any of them.
func (*receiver) NeedLeaderElection() bool { return false }

// Start serves until ctx ends.
func (r *receiver) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.address)
	if err != nil {
		return fmt.Errorf("--webhook-address: %w", err)
	}
	server := &http.Server{
		Handler: r, ReadHeaderTimeout: callTimeout, ReadTimeout: 2 * callTimeout, WriteTimeout: 3 * callTimeout,
		IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
	}
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		_ = server.Shutdown(end) // What is being answered is; the rest is called again or found by looking.
	}()
	r.log.Info("taking calls of Git servers", "address", listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("taking calls of Git servers: %w", err)
	}
	return nil
}

// ServeHTTP answers one call.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	result := r.take(w, req)
	r.count(result)
	answer := callAnswers[result]
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	switch result {
	case callMethod:
		header.Set("Allow", http.MethodPost)
	case callBusy:
		header.Set("Retry-After", "5")
	}
	if answer.code >= http.StatusBadRequest {
		header.Set("Connection", "close") // what it may still be sending is not waited for
	}
	w.WriteHeader(answer.code)
	_, _ = io.WriteString(w, answer.text+"\n") // A caller that has gone misses nothing.
}

// take judges one call and wakes who is to look.
func (r *receiver) take(w http.ResponseWriter, req *http.Request) string {
	key, ok := fleetAt(req.URL.Path)
	switch {
	case !ok:
		return callPath
	case req.Method != http.MethodPost:
		return callMethod
	case !forge.Signs(req.Header):
		return callUnsigned // before it takes a place, and before a byte of its body is read
	case req.ContentLength > maxCall:
		return callOversized
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return callBusy
	}
	late := time.AfterFunc(r.patience, func() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // Where that cannot be set the server's own holds.
	})
	defer late.Stop()
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxCall))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return callOversized
	}
	if err != nil {
		return callBroken
	}
	caller, known := r.tokens.of(key)
	if !known {
		// As much work as for a Fleet that there is, so that the time tells nothing either.
		_, _ = forge.ParseHook(req.Header, body, []byte(key.String()))
		return callUnknown
	}
	return r.judge(key, caller, req.Header, body)
}

func (r *receiver) judge(key client.ObjectKey, c *caller, h http.Header, body []byte) string {
	terms := c.terms.Load()
	hook, err := forge.ParseHook(h, body, terms.token)
	if err != nil {
		r.log.V(1).Info("refused a call that is not signed with the Fleet's token", "fleet", key)
		return callUnsigned
	}
	if hook.Kind == forge.HookPing || hook.Kind == forge.HookOther {
		return callIgnored
	}
	if !c.first(hook.Sum) {
		r.log.Info("refused a call that was taken before", "fleet", key, "delivery", hook.ID)
		return callReplayed
	}
	if hook.Kind == forge.HookPush && hook.Ref != "" && hook.Ref != terms.ref {
		return callIgnored
	}
	r.log.V(1).Info("taken a call", "fleet", key, "kind", hook.Kind, "delivery", hook.ID)
	r.wake(key, c, hook.Kind)
	return callAccepted
}

// wake never blocks. A push may make plans of pull requests stale, so it wakes both.
func (r *receiver) wake(key client.ObjectKey, c *caller, kind forge.HookKind) {
	select {
	case <-r.elected:
	default:
		r.relay(key)
		return
	}
	if kind == forge.HookPush {
		c.calls.Add(1)
		r.push(key)
	}
	if r.review != nil {
		r.review(key)
	}
}

// fleetAt is the Fleet that a path names.
func fleetAt(path string) (client.ObjectKey, bool) {
	rest, ok := strings.CutPrefix(path, hooksPath)
	namespace, name, both := strings.Cut(rest, "/")
	if !ok || !both || namespace == "" || name == "" || strings.Contains(name, "/") || len(rest) > 512 {
		return client.ObjectKey{}, false
	}
	return client.ObjectKey{Namespace: namespace, Name: name}, true
}
