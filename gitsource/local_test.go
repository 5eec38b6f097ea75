package gitsource

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLocalRevisionsAreGits(t *testing.T) {
	w := newWork(t, t.TempDir(), "fleet.git")
	first := w.commit("a.yaml", "one")
	w.run("tag", "v1")
	w.run("tag", "-a", "v1-annotated", "-m", "first")
	w.run("tag", "-a", "of-a-tag", "-m", "nested", "v1-annotated")
	w.commit("a.yaml", "two")
	w.run("checkout", "-q", "-b", "team/blue", first)
	w.write("b.yaml", "b")
	w.push("on blue")
	w.run("checkout", "-q", "main")
	w.run("merge", "-q", "--no-ff", "-m", "merge", "team/blue")
	w.run("push", "-q", "origin", "main")
	w.run("branch", "-q", "deadbeef", first) // Also the look of a hash
	w.run("tag", "both", first)
	w.run("branch", "-q", "both") // Git prefers the tag
	w.run("pack-refs", "--all")
	w.run("branch", "-q", "loose", "HEAD~1")
	w.run("gc", "-q") // Objects in a pack, too
	head := w.commit("a.yaml", "three")
	w.run("update-ref", "refs/pull/7/head", first)

	tree := filepath.Join(t.TempDir(), "linked")
	w.run("worktree", "add", "-q", "--detach", tree, "HEAD~1")
	sub := filepath.Join(tree, "below", "it")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	w.run("clone", "-q", w.bare, clone)

	revs := []string{
		"HEAD", "@", "main", "refs/heads/main", "heads/main", "v1", "tags/v1", "v1-annotated", "of-a-tag", "team/blue",
		"origin/main", "remotes/origin/main", "deadbeef", "both", "loose", "refs/pull/7/head", "pull/7/head",
		head, head[:7], head[:8], strings.ToUpper(head[:9]), first[:11], "HEAD~", "HEAD~2", "HEAD~1^2", "HEAD^", "HEAD^^", "main~1^1", "HEAD^0",
		"v1-annotated^{}", "v1-annotated^{commit}", "@~1", "HEAD~1^2~1",
		"nothing", "main~99", "HEAD^2", "v1^2", "--all", "main:a.yaml", "", "a..b", "HEAD:", "0000000", "config", "index", "origin/none",
	}
	for where, dir := range map[string]string{"Clone": clone, "Worktree": tree, "BelowWorktree": sub, "Working": w.dir, "Bare": w.bare} {
		local, err := OpenLocal(dir)
		if err != nil {
			t.Fatal(where, err)
		}
		for _, rev := range revs {
			t.Run(where+"/"+rev, func(t *testing.T) {
				want := w.try("-C", dir, "rev-parse", "--verify", "-q", "--end-of-options", rev+"^{commit}")
				got, err := local.Resolve(rev)
				if got.Hash != want || (want == "") != errors.Is(err, ErrRefNotFound) {
					t.Fatalf("Resolve(%q) = %v, %v; in Git %q", rev, got, err, want)
				}
				if want == "" {
					return
				}
				if again, parseErr := ParseRevision(got.String()); parseErr != nil || again != got {
					t.Errorf("the revision %q reads back as %v, %v", got, again, parseErr)
				}
				snap, err := local.Snapshot(t.Context(), rev)
				if err != nil {
					t.Fatal(err)
				}
				if hash, err := snap.Tree("."); err != nil || hash != w.try("-C", dir, "rev-parse", want+"^{tree}") {
					t.Errorf("the tree of %q is %s, %v", rev, hash, err)
				}
			})
		}
	}
}

// try is run for what may fail, with nothing then.
func (w *work) try(args ...string) string {
	w.t.Helper()
	out, err := w.command(args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func TestLocalMergeBaseIsGits(t *testing.T) {
	w := newWork(t, t.TempDir(), "fleet.git")
	w.commit("a.yaml", "one")
	w.commit("a.yaml", "two")
	w.run("checkout", "-q", "-b", "topic")
	w.commit("b.yaml", "b")
	w.run("checkout", "-q", "main")
	w.commit("a.yaml", "three")
	w.run("checkout", "-q", "--orphan", "alone")
	w.commit("c.yaml", "c")
	w.run("checkout", "-q", "main")
	local, err := OpenLocal(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"Forked": {"main", "topic"}, "Turned": {"topic", "main"}, "Behind": {"main~1", "main"}, "Same": {"main", "main"}, "Unrelated": {"main", "alone"},
	} {
		t.Run(name, func(t *testing.T) {
			want := w.try("merge-base", pair[0], pair[1])
			got, baseErr := local.MergeBase(pair[0], pair[1])
			if got.Hash != want || (want == "") != errors.Is(baseErr, ErrRefNotFound) {
				t.Errorf("MergeBase%q = %v, %v; in Git %q", pair, got, baseErr, want)
			}
		})
	}

	shallow := filepath.Join(t.TempDir(), "shallow")
	w.run("clone", "-q", "--depth", "1", "--no-single-branch", "file://"+w.bare, shallow)
	if local, err = OpenLocal(shallow); err != nil {
		t.Fatal(err)
	}
	if _, err = local.Snapshot(t.Context(), "origin/topic"); err != nil {
		t.Errorf("a shallow clone has its tips: %v", err)
	}
	_, err = local.MergeBase("main", "origin/topic")
	wantErr(t, err, ErrRefNotFound, "--unshallow")
	_, err = local.Resolve("main~1")
	wantErr(t, err, ErrRefNotFound, "--unshallow")
}

func TestLocalReadsWhatIsCommitted(t *testing.T) {
	w := newWork(t, t.TempDir(), "fleet.git")
	w.write("fleet/a.yaml", "a")
	w.write("other/big.yaml", pointer)
	w.write(".sourceignore", "/fleet/notes\n")
	w.write("fleet/notes/n.yaml", "n")
	w.run("add", "-A")
	w.run("-c", "user.name=Ada", "commit", "-q", "--author", "Grace <grace@example.com>", "-m", "Add a fleet\n\nbecause")
	w.write("fleet/a.yaml", "not committed")

	local, err := OpenLocal(filepath.Join(w.dir, "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	if local.Path() != "fleet" {
		t.Errorf("the path is %q", local.Path())
	}
	snap, err := local.Snapshot(t.Context(), "HEAD")
	if err != nil {
		t.Fatal("what lies outside of the directory is judged when it is read:", err)
	}
	for _, dir := range []string{".", "fleet", "fleet/notes"} {
		if hash, treeErr := snap.Tree(dir); treeErr != nil || hash != w.run("rev-parse", "HEAD:"+strings.TrimPrefix(dir, ".")) {
			t.Errorf("the tree of %s is %s, %v", dir, hash, treeErr)
		}
	}
	c, err := local.Commit("HEAD")
	if err != nil || c.Author != "Grace" || c.Subject() != "Add a fleet" || c.Authored.IsZero() {
		t.Errorf("the commit is %+v, %v", c, err)
	}

	if local, err = OpenLocal(w.dir); err != nil {
		t.Fatal(err)
	}
	_, err = local.Snapshot(t.Context(), "HEAD")
	wantErr(t, err, ErrRefused, "LFS pointer")
	if problems := Problems(err); len(problems) != 1 || problems[0].Path != "other/big.yaml" {
		t.Errorf("problems %v", problems)
	}

	_, err = OpenLocal(t.TempDir())
	wantErr(t, err, ErrNotFound, "no Git repository")
	_, err = OpenLocal(filepath.Join(w.dir, "nothing"))
	wantErr(t, err, ErrNotFound, "nothing")
}

// A sparse checkout lacks files in its working tree, and not in its commits.
func TestLocalReadsSparseAndPartialClones(t *testing.T) {
	w := newWork(t, t.TempDir(), "fleet.git")
	w.write("other/b.yaml", "b")
	w.commit("fleet/a.yaml", "a")
	w.run("-C", w.bare, "config", "uploadpack.allowFilter", "true")
	sparse := filepath.Join(t.TempDir(), "sparse")
	w.run("clone", "-q", "--filter=blob:limit=1m", "file://"+w.bare, sparse)
	w.run("-C", sparse, "sparse-checkout", "set", "fleet")
	if !strings.Contains(strings.ToLower(w.run("-C", sparse, "config", "--list")), "extensions.worktreeconfig") {
		t.Skip("this Git marks sparse checkouts in another way")
	}
	local, err := OpenLocal(filepath.Join(sparse, "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	snap, err := local.Snapshot(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = snap.Files.Open("other/b.yaml"); err != nil || local.Path() != "fleet" {
		t.Errorf("path %q, %v", local.Path(), err)
	}
}

func TestLocalSaysWhatAPartialCloneLacks(t *testing.T) {
	w := newWork(t, t.TempDir(), "fleet.git")
	w.commit("a.yaml", "one")
	blob := w.run("rev-parse", "HEAD:a.yaml")
	if err := os.Remove(filepath.Join(w.dir, ".git", "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	local, err := OpenLocal(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = local.Snapshot(t.Context(), "main")
	wantErr(t, err, ErrRefused, "partial")
}
