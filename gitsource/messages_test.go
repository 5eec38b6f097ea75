package gitsource

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
)

func TestMessages(t *testing.T) {
	s, wire := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	w.run("-C", w.bare, "config", "uploadpack.allowFilter", "true")
	var hashes []string
	for _, m := range []string{"one", "two", "three\n\nRefract-Approve: sha256:abc", "four"} {
		w.write("a.yaml", m)
		hashes = append(hashes, w.push(m))
	}
	r := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"})
	head := mustSnapshot(t, r, branchMain).Revision
	wire.since()

	cases := map[string]struct {
		since string
		limit int
		want  []string
		packs int
	}{
		"Nothing":       {since: hashes[3], limit: 50},
		"OneIsHeld":     {since: "main@sha1:" + hashes[2], limit: 50, want: []string{"four\n"}},
		"Several":       {since: "sha1:" + hashes[0], limit: 50, want: []string{"four\n", "three\n\nRefract-Approve: sha256:abc\n", "two\n"}, packs: 1},
		"All":           {limit: 50, want: []string{"four\n", "three\n\nRefract-Approve: sha256:abc\n", "two\n", "one\n"}, packs: 1},
		"AtMost":        {limit: 2, want: []string{"four\n", "three\n\nRefract-Approve: sha256:abc\n"}, packs: 1},
		"TooFarBack":    {since: hashes[0], limit: 2, want: []string{"four\n"}, packs: 1},
		"PushedOver":    {since: strings.Repeat("7", 40), limit: 50, want: []string{"four\n"}, packs: 1},
		"NoneWanted":    {limit: 0},
		"OneOfEndless":  {limit: 1, want: []string{"four\n"}},
		"ExactlyAtEdge": {since: hashes[1], limit: 2, want: []string{"four\n", "three\n\nRefract-Approve: sha256:abc\n"}, packs: 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			commits, err := r.Messages(t.Context(), head, tc.since, tc.limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range commits {
				got = append(got, c.Message)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			_, packs := wire.since()
			if len(packs) != tc.packs {
				t.Errorf("%d packs, want %d", len(packs), tc.packs)
			}
			for _, p := range packs {
				if !strings.Contains(p, "filter tree:0") || !strings.Contains(p, "deepen ") {
					t.Errorf("history was fetched with its files or without bound:\n%s", p)
				}
			}
		})
	}
}

// Commits of two branches come in the order of their time, and history that a
// shallow store lacks is told from history that ends.
func TestMessagesAcrossBranches(t *testing.T) {
	s := &store{objects: map[plumbing.Hash]rawObject{}}
	tree := plant(s, map[string]any{"a.yaml": "a"})
	commit := func(message string, at int, parents ...plumbing.Hash) plumbing.Hash {
		text := fmt.Sprintf("tree %s\n", tree)
		for _, p := range parents {
			text += fmt.Sprintf("parent %s\n", p)
		}
		who := fmt.Sprintf("Test <test@example.com> %d +0000", at)
		return s.add(plumbing.CommitObject, fmt.Appendf(nil, "%sauthor %s\ncommitter %s\n\n%s", text, who, who, message))
	}
	root := commit("root", 1)
	a1, b1 := commit("a1", 2, root), commit("b1", 3, root)
	a2, b2 := commit("a2", 5, a1), commit("b2", 4, b1)
	merge := commit("merge", 6, a2, b2)

	cases := map[string]struct {
		since   plumbing.Hash
		limit   int
		without plumbing.Hash
		want    []string
		partial bool
	}{
		"All":       {limit: 50, want: []string{"merge", "a2", "b2", "b1", "a1", "root"}},
		"SinceSide": {since: b1, limit: 50, want: []string{"merge", "a2", "b2", "a1"}},
		"Limited":   {limit: 2, want: []string{"merge", "a2"}},
		"CutOff":    {limit: 50, without: b1, partial: true},
		"CutBelow":  {limit: 3, without: root, want: []string{"merge", "a2", "b2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			held := &store{objects: maps.Clone(s.objects)}
			delete(held.objects, tc.without)
			commits, complete := (&history{head: merge, since: tc.since, limit: tc.limit}).walk(held)
			if complete == tc.partial {
				t.Fatalf("complete = %v", complete)
			}
			var got []string
			for _, c := range commits {
				got = append(got, c.Message)
			}
			if !tc.partial && !slices.Equal(got, tc.want) {
				t.Errorf("messages %v, want %v", got, tc.want)
			}
		})
	}
}

func TestMessagesOfMergesLeaveOutWhatWasThere(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	w.commit("a.yaml", "base")
	w.run("checkout", "-q", "-b", "side")
	w.write("b.yaml", "side")
	w.run("add", "-A")
	w.run("commit", "-q", "-m", "on the side")
	w.run("checkout", "-q", "main")
	since := w.commit("a.yaml", "since")
	w.run("merge", "-q", "--no-ff", "-m", "merge", "side")
	w.run("push", "-q", "origin", "main")
	head := Revision{Ref: "main", Hash: w.run("rev-parse", "HEAD")}

	commits, err := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"}).Messages(t.Context(), head, since, 50)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range commits {
		got = append(got, strings.TrimSpace(c.Message))
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"merge", "on the side"}, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestMessagesOfAMirrorWithoutAllHistory(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	since := w.commit("a.yaml", "one")
	w.commit("a.yaml", "two")
	w.commit("a.yaml", "three")
	w.run("clone", "-q", "--bare", "--depth", "2", "file://"+w.bare, filepath.Join(s.Root(), "mirror.git"))
	r := open(t, Options{URL: s.HTTPAddress() + "/mirror.git"})
	head := mustSnapshot(t, r, branchMain).Revision
	commits, err := r.Messages(t.Context(), head, since, 50)
	if err != nil || len(commits) != 2 {
		t.Errorf("Messages = %v, %v; want the two that the mirror has", commits, err)
	}
}

func TestMessagesOfACommitThatIsNoTipAnyMore(t *testing.T) {
	s, _ := httpServer(t, nil)
	w := newWork(t, s.Root(), "fleet.git")
	since := w.commit("a.yaml", "one")
	w.commit("a.yaml", "two")
	head := w.commit("a.yaml", "three")
	w.commit("a.yaml", "four")
	commits, err := open(t, Options{URL: s.HTTPAddress() + "/fleet.git"}).Messages(t.Context(), Revision{Hash: head}, since, 50)
	if err != nil || len(commits) != 2 || commits[0].Hash != head {
		t.Errorf("Messages = %v, %v; want two from %s on", commits, err, head)
	}
}
