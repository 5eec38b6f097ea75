package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// threeWay is one merge. A file's content may begin with a mode: "x " for
// executable, "l " for a link.
type threeWay struct {
	reason             string
	base, ours, theirs map[string]string
	want               map[string]string // What some files hold after the merge
	conflicts          []string
	unlike             bool // Git merges it: told apart because we do not look into files
}

// with returns a tree with some paths changed; those that become "" are gone.
func with(tree map[string]string, changes ...string) map[string]string {
	out := maps.Clone(tree)
	for i := 0; i < len(changes); i += 2 {
		if out[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(out, changes[i])
		}
	}
	return out
}

func TestMergeIsGits(t *testing.T) {
	base := map[string]string{"a.yaml": "a", "fleet/one.yaml": "1\n2\n3\n4\n5\n6\n7\n8\n", "fleet/two.yaml": "two", "fleet/deep/er/c.yaml": "c", "run.sh": "run"}
	cases := map[string]threeWay{
		"Nothing":         {base: base, ours: base, theirs: base, reason: "no side changed"},
		"FastForward":     {base: base, ours: base, theirs: with(base, "a.yaml", "b"), want: map[string]string{"a.yaml": "b"}},
		"Behind":          {base: base, ours: with(base, "a.yaml", "b"), theirs: base, want: map[string]string{"a.yaml": "b"}},
		"DifferentFiles":  {base: base, ours: with(base, "fleet/two.yaml", "2"), theirs: with(base, "fleet/deep/er/c.yaml", "C", "fleet/new/d.yaml", "d"), want: map[string]string{"fleet/two.yaml": "2", "fleet/new/d.yaml": "d"}},
		"SameChange":      {base: base, ours: with(base, "a.yaml", "b"), theirs: with(base, "a.yaml", "b", "z.yaml", "z")},
		"SameRemoval":     {base: base, ours: with(base, "fleet/two.yaml", "", "y.yaml", "y"), theirs: with(base, "fleet/two.yaml", "")},
		"LastOfDirectory": {base: base, ours: with(base, "fleet/deep/er/c.yaml", ""), theirs: with(base, "a.yaml", "b"), reason: "Git has no empty directories"},
		"Everything":      {base: map[string]string{"a": "a", "b/c": "c"}, ours: map[string]string{"b/c": "c"}, theirs: map[string]string{"a": "a"}, reason: "the empty tree"},
		"ModeAndContent":  {base: base, ours: with(base, "run.sh", "x run"), theirs: with(base, "run.sh", "walk"), want: map[string]string{"run.sh": "walk"}},
		"FileForDir":      {base: base, ours: with(base, "fleet/deep/er/c.yaml", "", "fleet/deep", "file"), theirs: with(base, "a.yaml", "b")},
		"DirForFile":      {base: base, ours: with(base, "a.yaml", "", "a.yaml/x", "x"), theirs: with(base, "run.sh", "r")},

		"BothChanged":      {base: base, ours: with(base, "a.yaml", "b"), theirs: with(base, "a.yaml", "c"), conflicts: []string{"a.yaml"}},
		"BothAdded":        {base: base, ours: with(base, "n.yaml", "b"), theirs: with(base, "n.yaml", "c"), conflicts: []string{"n.yaml"}},
		"ChangedAndGone":   {base: base, ours: with(base, "a.yaml", "b"), theirs: with(base, "a.yaml", ""), conflicts: []string{"a.yaml"}},
		"GoneAndChanged":   {base: base, ours: with(base, "fleet/deep/er/c.yaml", ""), theirs: with(base, "fleet/deep/er/c.yaml", "C"), conflicts: []string{"fleet/deep/er/c.yaml"}},
		"Several":          {base: base, ours: with(base, "a.yaml", "b", "run.sh", "r"), theirs: with(base, "run.sh", "s", "a.yaml", "c"), conflicts: []string{"a.yaml", "run.sh"}},
		"FileAgainstDir":   {base: base, ours: with(base, "n", "file"), theirs: with(base, "n/x", "x"), conflicts: []string{"n"}},
		"LinkAgainstFile":  {base: base, ours: with(base, "a.yaml", "l run.sh"), theirs: with(base, "a.yaml", "b"), conflicts: []string{"a.yaml"}},
		"ModesOfNewFiles":  {base: base, ours: with(base, "n.sh", "x n"), theirs: with(base, "n.sh", "n"), conflicts: []string{"n.sh"}},
		"DifferentLines":   {base: base, ours: with(base, "fleet/one.yaml", "one\n2\n3\n4\n5\n6\n7\n8\n"), theirs: with(base, "fleet/one.yaml", "1\n2\n3\n4\n5\n6\n7\neight\n"), conflicts: []string{"fleet/one.yaml"}, unlike: true},
		"RenamedAndEdited": {base: base, ours: with(base, "fleet/one.yaml", "", "fleet/uno.yaml", base["fleet/one.yaml"]), theirs: with(base, "fleet/one.yaml", base["fleet/one.yaml"]+"9\n"), conflicts: []string{"fleet/one.yaml"}, unlike: true},
	}
	names := slices.Sorted(maps.Keys(cases))
	var all []threeWay
	for _, name := range names {
		all = append(all, cases[name])
	}
	repo := newMergeRepo(t, all)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			tc := cases[name]
			merged, conflicts := repo.merge(t, i)
			if diff := cmp.Diff(tc.conflicts, conflicts); diff != "" {
				t.Fatalf("%s: conflicts (-want +got):\n%s", tc.reason, diff)
			}
			tree, clean := repo.gitMerges(t, i)
			if clean == tc.unlike == (len(conflicts) == 0) {
				t.Fatalf("%s: Git merges it: %v, conflicts here: %q", tc.reason, clean, conflicts)
			}
			if len(conflicts) > 0 {
				return
			}
			repo.wantTrees(t, merged, tree)
			for name, want := range tc.want {
				if got, err := fs.ReadFile(merged.Files, name); err != nil || string(got) != want {
					t.Errorf("%s: %s = %q, %v; want %q", tc.reason, name, got, err, want)
				}
			}
			if want := fmt.Sprintf("merge of theirs%d@sha1:%s into ours%d@sha1:%s", i, merged.Revision.Hash, i, merged.Into.Hash); merged.String() != want {
				t.Errorf("the merge calls itself %q, want %q", merged, want)
			}
		})
	}
}

// TestRandomMergesAreGits compares merges of trees that are changed at random.
// A file has one line, so that Git cannot merge within it, and no two paths have
// the same, so that it sees no renames.
func TestRandomMergesAreGits(t *testing.T) {
	const seed = 20261122
	dice := rand.New(rand.NewPCG(seed, 1)) // The same cases each time.
	var all []threeWay
	for range 150 {
		base := map[string]string{}
		for range 4 + dice.IntN(12) {
			mutate(dice, base)
		}
		ours, theirs := maps.Clone(base), maps.Clone(base)
		for range 1 + dice.IntN(5) {
			mutate(dice, ours)
		}
		for range 1 + dice.IntN(5) {
			mutate(dice, theirs)
		}
		all = append(all, threeWay{base: base, ours: ours, theirs: theirs})
	}
	repo, merges := newMergeRepo(t, all), 0
	for i, tc := range all {
		merged, conflicts := repo.merge(t, i)
		tree, clean := repo.gitMerges(t, i)
		if clean != (len(conflicts) == 0) {
			t.Errorf("case %d: Git merges it: %v, conflicts here: %q\nbase %q\nours %q\ntheirs %q", i, clean, conflicts, tc.base, tc.ours, tc.theirs)
			continue
		}
		if clean {
			merges++
			repo.wantTrees(t, merged, tree)
		}
	}
	if merges < len(all)/4 || merges > len(all)*9/10 {
		t.Errorf("%d of %d cases merge: the cases have become one-sided", merges, len(all))
	}
}

// mutate changes, adds, removes or replaces one path.
func mutate(dice *rand.Rand, tree map[string]string) {
	var elements []string
	for range 1 + dice.IntN(3) {
		elements = append(elements, string(rune('a'+dice.IntN(4))))
	}
	name := strings.Join(elements, "/")
	remove(tree, name)
	for i := 1; i < len(elements); i++ {
		delete(tree, strings.Join(elements[:i], "/"))
	}
	switch dice.IntN(6) {
	case 0: // Only removed
	case 1:
		tree[name] = fmt.Sprintf("x %s %d", name, dice.IntN(3))
	case 2:
		tree[name] = fmt.Sprintf("l nowhere-%s-%d", strings.Join(elements, "-"), dice.IntN(3))
	default:
		tree[name] = fmt.Sprintf("%s %d", name, dice.IntN(3))
	}
}

func remove(tree map[string]string, name string) {
	maps.DeleteFunc(tree, func(n, _ string) bool { return n == name || strings.HasPrefix(n, name+"/") })
}

// mergeRepo holds each case as three branches.
type mergeRepo struct {
	*work
	local *Local
}

func newMergeRepo(t *testing.T, cases []threeWay) *mergeRepo {
	t.Helper()
	w := newWork(t, t.TempDir(), "merges.git")
	var stream bytes.Buffer
	for i, c := range cases {
		branch(&stream, "base", i, c.base)
		branch(&stream, "ours", i, c.ours)
		branch(&stream, "theirs", i, c.theirs)
	}
	cmd := exec.CommandContext(t.Context(), "git", "-C", w.bare, "fast-import", "--quiet")
	cmd.Stdin = &stream
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	local, err := OpenLocal(w.bare)
	if err != nil {
		t.Fatal(err)
	}
	return &mergeRepo{work: w, local: local}
}

// branch writes a commit of a tree, on top of that of base unless it is base.
func branch(b *bytes.Buffer, name string, i int, tree map[string]string) {
	fmt.Fprintf(b, "commit refs/heads/%s%d\ncommitter Test <test@example.com> %d +0000\ndata 4\ntest\n", name, i, 1700000000+i)
	if name != "base" {
		fmt.Fprintf(b, "from refs/heads/base%d\n", i)
	}
	b.WriteString("deleteall\n")
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		mode, content := "100644", tree[path]
		if rest, ok := strings.CutPrefix(content, "x "); ok {
			mode, content = "100755", rest
		}
		if rest, ok := strings.CutPrefix(content, "l "); ok {
			mode, content = "120000", rest
		}
		fmt.Fprintf(b, "M %s inline %s\ndata %d\n%s\n", mode, path, len(content), content)
	}
}

func (r *mergeRepo) merge(t *testing.T, i int) (Snapshot, []string) {
	t.Helper()
	var s [3]Snapshot
	for j, name := range []string{"base", "ours", "theirs"} {
		var err error
		if s[j], err = r.local.Snapshot(t.Context(), fmt.Sprint(name, i)); err != nil {
			t.Fatal(err)
		}
	}
	merged, conflicts, err := Merge(s[0], s[1], s[2])
	if err != nil {
		t.Fatal(err)
	}
	return merged, conflicts
}

// gitMerges has Git merge a case and returns the tree, if it merges cleanly.
func (r *mergeRepo) gitMerges(t *testing.T, i int) (tree string, clean bool) {
	t.Helper()
	args := []string{"-C", r.bare, "merge-tree", "--write-tree", fmt.Sprint("ours", i), fmt.Sprint("theirs", i)}
	out, err := exec.CommandContext(t.Context(), "git", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", false
	}
	if err != nil {
		t.Fatalf("git merge-tree: %v", err)
	}
	return strings.TrimSpace(string(out)), true
}

// wantTrees compares every directory's hash with that of a tree of Git's.
func (r *mergeRepo) wantTrees(t *testing.T, got Snapshot, tree string) {
	t.Helper()
	if hash, err := got.Tree("."); err != nil || hash != tree {
		t.Errorf("%s: the root is %s, %v; in Git %s", got, hash, err, tree)
	}
	listed := r.run("-C", r.bare, "ls-tree", "-r", "-d", "--format=%(objectname) %(path)", tree)
	for line := range strings.SplitSeq(listed, "\n") {
		if want, dir, ok := strings.Cut(line, " "); ok {
			if hash, err := got.Tree(dir); err != nil || hash != want {
				t.Errorf("%s: %s is %s, %v; in Git %s", got, dir, hash, err, want)
			}
		}
	}
}

func TestTreeOfWhatIsNoDirectory(t *testing.T) {
	snap := Snapshot{Files: newTestFiles(map[string]any{"fleet/a.yaml": "a", "fleet/l": symlink("../base"), "base/b.yaml": "b", ".github/c": "c"}, Limits{})}
	for name, tc := range map[string]struct {
		dir string
		err error
	}{
		"File": {"fleet/a.yaml", ErrRefused}, "Link": {"fleet/l", ErrRefused}, "Missing": {"fleet/x", fs.ErrNotExist},
		"BelowFile": {"fleet/a.yaml/x", fs.ErrNotExist}, "BelowLink": {"fleet/l/b.yaml", fs.ErrNotExist},
		"Outside": {"../x", ErrRefused}, "Hidden": {".github", nil}, "Slash": {"./fleet/", nil}, "Root": {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			hash, err := snap.Tree(tc.dir)
			if !errors.Is(err, tc.err) || (err == nil) != isHash(hash) {
				t.Errorf("Tree(%q) = %q, %v; want %v", tc.dir, hash, err, tc.err)
			}
		})
	}
	if _, err := (Snapshot{}).Tree("."); !errors.Is(err, ErrRefused) {
		t.Errorf("a snapshot from elsewhere has a tree: %v", err)
	}
}

// TestMergedSnapshotIsChecked asserts that what is refused of a fetched revision
// is refused of a merged one: here the parts are fine and the whole is not.
func TestMergedSnapshotIsChecked(t *testing.T) {
	base := map[string]any{"a.yaml": "a", "dir/b.yaml": "b"}
	plus := func(name string, v any) map[string]any {
		tree := maps.Clone(base)
		tree[name] = v
		return tree
	}
	cases := map[string]struct {
		ours, theirs map[string]any
		limits       Limits
		kind         error
		says         string
		hidden       string
	}{
		"TooMany":  {ours: plus("c.yaml", "c"), theirs: plus("d.yaml", "d"), limits: Limits{MaxFiles: 4}, kind: ErrLimit, says: "one too many"},
		"TooMuch":  {ours: plus("c.yaml", "ccc"), theirs: plus("d.yaml", "ddd"), limits: Limits{MaxTotalBytes: 6}, kind: ErrLimit, says: "6 bytes together"},
		"Pointer":  {ours: base, theirs: plus("big.yaml", pointer), kind: ErrRefused, says: "big.yaml: is a Git LFS pointer"},
		"LeadsOut": {ours: base, theirs: plus("l", symlink("../etc")), kind: ErrRefused, says: "leads out"},
		"Ignored":  {ours: plus(".sourceignore", "/big.yaml\n"), theirs: plus("big.yaml", pointer), hidden: "big.yaml"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			merged, conflicts, err := Merge(
				Snapshot{Files: newTestFiles(base, tc.limits)},
				Snapshot{Files: newTestFiles(tc.ours, tc.limits)},
				Snapshot{Files: newTestFiles(tc.theirs, tc.limits)})
			wantErr(t, err, tc.kind, tc.says)
			if len(conflicts) > 0 {
				t.Errorf("conflicts %q", conflicts)
			}
			if tc.kind == nil {
				if _, err := fs.Stat(merged.Files, tc.hidden); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is not hidden: %v", tc.hidden, err)
				}
			} else if merged.Files != nil {
				t.Error("a refused merge has files")
			}
		})
	}
}

// TestMergeIsBounded asserts that a repository made to be walked for ever is not.
func TestMergeIsBounded(t *testing.T) {
	bomb := func(leaf string) Snapshot {
		s := newStore()
		hash := plant(s, map[string]any{"leaf": leaf})
		for range 40 {
			hash = s.addTree([]entry{{"a", 0o40000, hash}, {"b", 0o40000, hash}})
		}
		return Snapshot{Files: newFiles(s, hash, Limits{MaxObjects: 5000}.withDefaults(), ".")}
	}
	_, _, err := Merge(bomb("1"), bomb("2"), bomb("3"))
	wantErr(t, err, ErrLimit, "too many to merge")
}
