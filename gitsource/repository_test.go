package gitsource

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/pkg/gittestserver"
)

func TestUnchangedRemoteCostsOneListing(t *testing.T) {
	s, wire := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	first := w.commit("a.yaml", "one")
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})

	snap := mustSnapshot(t, r, branchMain)
	wantContent(t, snap, "one")
	if got, want := snap.Revision.String(), "main@sha1:"+first; got != want {
		t.Errorf("revision %q, want %q", got, want)
	}
	if listings, packs := wire.since(); listings != 1 || len(packs) != 1 {
		t.Errorf("the first snapshot cost %d listings and %d packs, want 1 and 1", listings, len(packs))
	}

	for range 3 {
		mustSnapshot(t, r, branchMain)
	}
	if listings, packs := wire.since(); listings != 3 || len(packs) != 0 {
		t.Errorf("three unchanged snapshots cost %d listings and %d packs, want 3 and 0", listings, len(packs))
	}

	rev, err := r.Resolve(t.Context(), branchMain)
	if err != nil || rev != snap.Revision {
		t.Errorf("Resolve = %v, %v", rev, err)
	}
	if listings, packs := wire.since(); listings != 1 || len(packs) != 0 {
		t.Errorf("Resolve cost %d listings and %d packs, want 1 and 0", listings, len(packs))
	}

	mustSnapshot(t, r, Ref{Commit: first})
	if rev, err := r.Resolve(t.Context(), Ref{Commit: strings.ToUpper(first)}); err != nil || rev.Hash != first {
		t.Errorf("Resolve of the held commit = %v, %v", rev, err)
	}
	if listings, packs := wire.since(); listings+len(packs) != 0 {
		t.Errorf("the held commit cost %d listings and %d packs, want none", listings, len(packs))
	}
}

func TestChangeFetchesOneRefAtDepthOne(t *testing.T) {
	s, wire := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	old := w.commit("a.yaml", "one")
	w.run("push", "-q", "origin", "HEAD:refs/heads/other")
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
	before := mustSnapshot(t, r, branchMain)
	wire.since()

	head := w.commit("a.yaml", "two")
	after := mustSnapshot(t, r, branchMain)
	wantContent(t, after, "two")
	wantContent(t, before, "one") // A snapshot stays what it was.

	listings, packs := wire.since()
	if listings != 1 || len(packs) != 1 {
		t.Fatalf("the change cost %d listings and %d packs, want 1 and 1", listings, len(packs))
	}
	if n := strings.Count(packs[0], "want "); n != 1 || !strings.Contains(packs[0], "want "+head) {
		t.Errorf("wanted %d objects, want only %s:\n%s", n, head, packs[0])
	}
	if !strings.Contains(packs[0], "deepen 1\n") {
		t.Errorf("the fetch was not of depth 1:\n%s", packs[0])
	}
	if strings.Contains(packs[0], old) {
		t.Errorf("the fetch names the former commit:\n%s", packs[0])
	}
}

func TestRefs(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	first := w.commit("a.yaml", "one")
	w.run("tag", "v1")
	w.run("tag", "-a", "v1-annotated", "-m", "first")
	w.run("tag", "file", w.run("rev-parse", "HEAD:a.yaml"))
	second := w.commit("a.yaml", "two")
	w.run("push", "-q", "origin", "HEAD:refs/heads/team/blue")

	cases := map[string]struct {
		ref      Ref
		revision string
		content  string
		err      error
		says     string
	}{
		"Branch":        {ref: branchMain, revision: "main@sha1:" + second, content: "two"},
		"NestedBranch":  {ref: Ref{Branch: "team/blue"}, revision: "team/blue@sha1:" + second, content: "two"},
		"Tag":           {ref: Ref{Tag: "v1"}, revision: "v1@sha1:" + first, content: "one"},
		"AnnotatedTag":  {ref: Ref{Tag: "v1-annotated"}, revision: "v1-annotated@sha1:" + first, content: "one"},
		"TipCommit":     {ref: Ref{Commit: second}, revision: "sha1:" + second, content: "two"},
		"TaggedCommit":  {ref: Ref{Commit: first}, revision: "sha1:" + first, content: "one"},
		"Typo":          {ref: Ref{Branch: "mian"}, err: ErrRefNotFound, says: `did you mean "main"?`},
		"FarOff":        {ref: Ref{Branch: "production"}, err: ErrRefNotFound, says: `default branch is "main"`},
		"TagAsBranch":   {ref: Ref{Branch: "v1"}, err: ErrRefNotFound, says: `there is a tag "v1"`},
		"NoSuchCommit":  {ref: Ref{Commit: strings.Repeat("7", 40)}, err: ErrRefNotFound, says: "no branch or tag"},
		"TagOfAFile":    {ref: Ref{Tag: "file"}, err: ErrRefNotFound, says: "does not lead to a commit"},
		"NothingSet":    {err: ErrRefused, says: "exactly one"},
		"TwoSet":        {ref: Ref{Branch: "main", Tag: "v1"}, err: ErrRefused, says: "exactly one"},
		"ShortCommit":   {ref: Ref{Commit: first[:12]}, err: ErrRefused, says: "40 hexadecimal"},
		"NoRefName":     {ref: Ref{Branch: "a..b"}, err: ErrRefused, says: "not a name"},
		"OptionAsName":  {ref: Ref{Branch: "--upload-pack=x"}, err: ErrRefused, says: "not a name"},
		"ControlInName": {ref: Ref{Tag: "a\nb"}, err: ErrRefused, says: "not a name"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, url := range []string{s.HTTPAddress() + "/fleet.git", "file://" + w.bare} {
				r := open(t, Options{URL: url, AllowFileURLs: true})
				snap, err := r.Snapshot(t.Context(), tc.ref)
				wantErr(t, err, tc.err, tc.says)
				if tc.err != nil {
					continue
				}
				if got := snap.Revision.String(); got != tc.revision {
					t.Errorf("revision %q, want %q", got, tc.revision)
				}
				wantContent(t, snap, tc.content)
				if rev, err := r.Resolve(t.Context(), tc.ref); err != nil || rev != snap.Revision {
					t.Errorf("Resolve = %v, %v; want %v", rev, err, snap.Revision)
				}
			}
		})
	}
}

func wantErr(t *testing.T, err, kind error, says string) {
	t.Helper()
	switch {
	case kind == nil && err != nil:
		t.Fatalf("unexpected error: %v", err)
	case kind == nil:
	case !errors.Is(err, kind):
		t.Fatalf("error %v, want kind %q", err, kind)
	case !strings.Contains(err.Error(), says):
		t.Errorf("error %q does not say %q", err, says)
	}
}

func TestBareCommit(t *testing.T) {
	cases := map[string]struct {
		refused bool
		packs   int
		reason  string
	}{
		"Refused":  {refused: true, packs: 2, reason: "refused once, then found a little deeper on the branches"},
		"Accepted": {packs: 1, reason: "asked for it and nothing else"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, wire := httpServer(t, nil)
			w := newWork(t, s.Root(), "fleet.git")
			w.commit("a.yaml", "zero")
			wanted := w.commit("a.yaml", "one")
			w.commit("a.yaml", "two")
			if tc.refused {
				wire.refuse = wanted
			}
			r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
			wantContent(t, mustSnapshot(t, r, Ref{Commit: wanted}), "one")
			if _, packs := wire.since(); len(packs) != tc.packs {
				t.Errorf("%d packs, want %d: %s", len(packs), tc.packs, tc.reason)
			}
			mustSnapshot(t, r, Ref{Commit: wanted})
			if listings, packs := wire.since(); listings+len(packs) != 0 {
				t.Errorf("the second snapshot of a commit cost requests")
			}
		})
	}
}

func TestBareCommitDeepInHistory(t *testing.T) {
	s, wire := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	wanted := w.commit("a.yaml", "old")
	w.write("a.yaml", "new")
	for range maxCommitDepth + 5 {
		w.run("commit", "-q", "--allow-empty", "-m", "more")
	}
	w.push("last")
	wire.refuse = wanted
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
	wantContent(t, mustSnapshot(t, r, Ref{Commit: wanted}), "old")
	if _, packs := wire.since(); len(packs) != 3 || strings.Contains(packs[2], "deepen") {
		t.Errorf("want one refused, one shallow fetch and one of everything, got %d", len(packs))
	}
	if n := len(r.held.store.objects); n != 3 {
		t.Errorf("%d objects are held, want the commit, its tree and its file", n)
	}
}

func TestSetAuthProvesNewCredentials(t *testing.T) {
	s, wire := httpServer(t, func(s *gittestserver.GitServer) { s.Auth("bob", "first") })
	commit := newWork(t, s.Root(), "fleet.git").commit("a.yaml", "one")
	good := Auth{Username: "bob", Password: "first"}
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git", Auth: good})
	ref := Ref{Commit: commit}
	mustSnapshot(t, r, ref)
	wire.since()

	if err := r.SetAuth(good); err != nil {
		t.Fatal(err)
	}
	mustSnapshot(t, r, ref)
	if listings, packs := wire.since(); listings+len(packs) != 0 {
		t.Error("equal credentials dropped the snapshot")
	}
	if err := r.SetAuth(Auth{Username: "bob", Password: "second"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Snapshot(t.Context(), ref); !errors.Is(err, ErrAuth) {
		t.Errorf("the snapshot was served on credentials that are refused: %v", err)
	}
	if err := r.SetAuth(Auth{Identity: []byte("x"), KnownHosts: []byte("y")}); !errors.Is(err, ErrAuth) {
		t.Errorf("an SSH identity for https: %v", err)
	}
	if err := r.SetAuth(good); err != nil {
		t.Fatal(err)
	}
	mustSnapshot(t, r, ref)
}

func TestDeadlineAndCancellation(t *testing.T) {
	release := make(chan struct{})
	mute := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(mute.Close)
	t.Cleanup(func() { close(release) })

	r := open(t, Options{URL: mute.URL + "/fleet.git", Timeout: 50 * time.Millisecond})
	_, err := r.Snapshot(t.Context(), branchMain)
	wantErr(t, err, ErrUnreachable, "time allowed")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no deadline", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = r.Snapshot(ctx, branchMain); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("a cancelled call: %v", err)
	}
}

func TestParallelSnapshots(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	w.commit("fleet/a.yaml", "one")
	w.run("tag", "v1")
	w.commit("fleet/a.yaml", "two")
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
	var wg sync.WaitGroup
	for i := range 8 {
		ref, want := branchMain, "two"
		if i%2 == 0 {
			ref, want = Ref{Tag: "v1"}, "one"
		}
		wg.Go(func() {
			snap, err := r.Snapshot(t.Context(), ref)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := fs.ReadFile(snap.Files, "fleet/a.yaml")
			if err != nil || string(got) != want {
				t.Errorf("%v: %q, %v", ref, got, err)
			}
			_ = r.SetAuth(Auth{})
		})
	}
	wg.Wait()
}

func TestRefusedRevisionIsNotFetchedAgain(t *testing.T) {
	s, wire := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	w.write("fleet/big.yaml", strings.Repeat("x", 2000))
	w.push("big")
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git", Path: "./fleet", Limits: Limits{MaxFileBytes: 1000}})
	for range 2 {
		snap, err := r.Snapshot(t.Context(), branchMain)
		wantErr(t, err, ErrLimit, "fleet/big.yaml: is 2000 bytes, the limit for one file is 1000")
		if snap.Revision.Ref != "main" || !strings.Contains(err.Error(), snap.Revision.String()) {
			t.Errorf("the revision is missing: %+v, %v", snap, err)
		}
	}
	if listings, packs := wire.since(); listings != 2 || len(packs) != 1 {
		t.Errorf("%d listings and %d packs, want 2 and 1", listings, len(packs))
	}
	w.write("fleet/big.yaml", "small")
	w.push("small")
	mustSnapshot(t, r, branchMain)
}

func TestFetchLimits(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	w.write("zeros", strings.Repeat("0", 1<<20)) // Deflates to a thousandth.
	w.push("bomb")
	cases := map[string]struct {
		limits Limits
		says   string
	}{
		"Transfer": {Limits{MaxPackBytes: 200}, "the transfer passes the limit of 200 bytes"},
		"Inflated": {Limits{MaxObjectBytes: 1 << 19}, "inflated, pass the limit of 524288 bytes"},
		"Objects":  {Limits{MaxObjects: 2}, "has 3 objects, the limit is 2"},
		"Refs":     {Limits{MaxRefBytes: 64}, "the list of refs passes the limit of 64 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, Options{URL: s.HTTPAddress() + "/fleet.git", Limits: tc.limits}).Snapshot(t.Context(), branchMain)
			wantErr(t, err, ErrLimit, tc.says)
		})
	}
}
