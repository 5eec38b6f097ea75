package gitsource

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/pkg/gittestserver"
)

// seen is what an Observer was told of one operation.
type seen struct {
	op       Operation
	received int64
	err      error
}

// TestObserver shows that every exchange is told of once, with its outcome and size, and a snapshot when it was made.
func TestObserver(t *testing.T) {
	server, _ := httpServer(t, func(s *gittestserver.GitServer) { s.Auth("bob", "password") })
	w := newWork(t, server.Root(), "fleet.git")
	w.commit("a.yaml", "one")
	var (
		mu   sync.Mutex
		told []seen
	)
	observe := func(op Operation) func(int64, error) {
		return func(received int64, err error) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, seen{op, received, err})
		}
	}
	r := open(t, Options{URL: server.HTTPAddress() + "/fleet.git", Auth: Auth{Username: "bob", Password: "password"}, Observe: observe})
	for range 2 { // The second finds nothing new.
		snap, err := r.Snapshot(t.Context(), branchMain)
		if err != nil {
			t.Fatal(err)
		}
		if made, err := time.Parse(time.RFC3339, w.run("log", "-1", "--format=%cI")); err != nil || !snap.Committed.Equal(made) {
			t.Errorf("committed %s, want %s (%v)", snap.Committed, made, err)
		}
	}
	if err := r.SetAuth(Auth{Username: "bob", Password: "wrong"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Snapshot(t.Context(), branchMain); !errors.Is(err, ErrAuth) {
		t.Fatalf("with a wrong password: %v", err)
	}
	want := []seen{{op: ListRefs}, {op: FetchPack, received: 100}, {op: ListRefs}, {op: ListRefs, err: ErrAuth}}
	if len(told) != len(want) {
		t.Fatalf("told of %+v", told)
	}
	for i, w := range want {
		if have := told[i]; have.op != w.op || have.received < w.received || !errors.Is(have.err, w.err) {
			t.Errorf("operation %d is %+v, want %+v with at least as many bytes", i, have, w)
		}
	}
}
