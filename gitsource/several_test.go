package gitsource

import (
	"strings"
	"testing"
)

func TestSeveralRevisionsCostOneFetch(t *testing.T) {
	s, wire := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	w.write("same.yaml", strings.Repeat("the same in all\n", 100))
	base := w.commit("a.yaml", "one")
	w.run("checkout", "-q", "-b", "topic")
	head := w.commit("a.yaml", "two")
	w.run("push", "-q", "origin", "HEAD:refs/pull/7/head", ":refs/heads/topic")
	w.run("checkout", "-q", "main")
	tip := w.commit("b.yaml", "b")
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
	held := mustSnapshot(t, r, branchMain)
	wire.since()

	refs := []Ref{{Commit: base}, branchMain, {Name: "refs/pull/7/head"}}
	snaps, err := r.Snapshots(t.Context(), refs...)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"sha1:" + base, "main@sha1:" + tip, "refs/pull/7/head@sha1:" + head} {
		if got := snaps[i].Revision.String(); got != want {
			t.Errorf("revision %d is %q, want %q", i, got, want)
		}
		tree, treeErr := snaps[i].Tree(".")
		if want := w.run("rev-parse", snaps[i].Revision.Hash+"^{tree}"); treeErr != nil || tree != want {
			t.Errorf("the tree of %s is %s, %v; in Git %s", snaps[i], tree, treeErr, want)
		}
	}
	wantContent(t, snaps[2], "two")
	listings, packs := wire.since()
	if listings != 1 || len(packs) != 1 {
		t.Fatalf("three revisions cost %d listings and %d packs, want 1 and 1", listings, len(packs))
	}
	if n := strings.Count(packs[0], "want "); n != 3 || !strings.Contains(packs[0], "deepen 1\n") {
		t.Errorf("the fetch wants %d commits, want 3 of depth 1:\n%s", n, packs[0])
	}

	merged, conflicts, err := Merge(snaps[0], snaps[1], snaps[2])
	if err != nil || len(conflicts) > 0 {
		t.Fatal(conflicts, err)
	}
	w.run("merge", "-q", "--no-ff", "-m", "merge", head)
	if got, err := merged.Tree(""); err != nil || got != w.run("rev-parse", "HEAD^{tree}") {
		t.Errorf("the merge is %s, %v; in Git %s", got, err, w.run("rev-parse", "HEAD^{tree}"))
	}

	again := mustSnapshot(t, r, branchMain)
	if listings, packs := wire.since(); listings != 1 || len(packs) != 0 || again.Files != held.Files {
		t.Errorf("the snapshot that was held is fetched again: %d listings, %d packs", listings, len(packs))
	}
}

// A server that hands out no commit by its hash gives the others all the same,
// and that one by a way round.
func TestSeveralRevisionsOneByOne(t *testing.T) {
	s, wire := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	base := w.commit("a.yaml", "one")
	w.commit("a.yaml", "two")
	wire.refuse = base
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
	snaps, err := r.Snapshots(t.Context(), Ref{Commit: base}, branchMain)
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, snaps[0], "one")
	wantContent(t, snaps[1], "two")
}

// Each fits into the limits, all together do not.
func TestSeveralRevisionsPastTheLimit(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	base := w.commit("a.yaml", strings.Repeat("1", 3000))
	w.commit("a.yaml", strings.Repeat("2", 3000))
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git", Limits: Limits{MaxObjectBytes: 5000}})
	snaps, err := r.Snapshots(t.Context(), Ref{Commit: base}, branchMain)
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, snaps[0], strings.Repeat("1", 3000))
	wantContent(t, snaps[1], strings.Repeat("2", 3000))
}

func TestSeveralRevisionsAreNotChecked(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	base := w.commit("big.yaml", pointer)
	w.write("a.yaml", "a")
	w.run("rm", "-q", "-f", "big.yaml")
	w.push("mend")
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
	snaps, err := r.Snapshots(t.Context(), Ref{Commit: base}, branchMain)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, snaps[0].Check(t.Context()), ErrRefused, "LFS pointer")
	if err := snaps[1].Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := Merge(snaps[0], snaps[0], snaps[1]); err != nil {
		t.Errorf("what a pull request mends holds it back: %v", err)
	}

	for name, ref := range map[string]Ref{"Closed": {Name: "refs/pull/8/head"}, "ShortName": {Name: "pull/7/head"}, "NoName": {Name: "refs/a..b"}, "Two": {Name: "refs/pull/7/head", Branch: "main"}} {
		t.Run(name, func(t *testing.T) {
			want := ErrRefused
			if name == "Closed" {
				want = ErrRefNotFound
			}
			_, err := r.Snapshots(t.Context(), branchMain, ref)
			wantErr(t, err, want, "")
		})
	}
}
