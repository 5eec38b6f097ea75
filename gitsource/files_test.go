package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/google/go-cmp/cmp"
)

// The kinds of entries that a test tree may hold besides files.
type (
	symlink   string
	submodule struct{}
	rawTree   []entry // Entries as they are, however bad
	program   string
)

// plant puts a tree into a store and returns its hash. Keys are single names or
// paths; a value is a string for a file, or one of the kinds above.
func plant(s *store, tree map[string]any) plumbing.Hash {
	direct, below := map[string]any{}, map[string]map[string]any{}
	for name, v := range tree {
		head, rest, nested := strings.Cut(name, "/")
		if !nested {
			direct[name] = v
			continue
		}
		if below[head] == nil {
			below[head] = map[string]any{}
		}
		below[head][rest] = v
	}
	var entries []entry
	for name, v := range direct {
		switch v := v.(type) {
		case string:
			entries = append(entries, entry{name, filemode.Regular, s.add(plumbing.BlobObject, []byte(v))})
		case program:
			entries = append(entries, entry{name, filemode.Executable, s.add(plumbing.BlobObject, []byte(v))})
		case symlink:
			entries = append(entries, entry{name, filemode.Symlink, s.add(plumbing.BlobObject, []byte(v))})
		case submodule:
			entries = append(entries, entry{name, filemode.Submodule, plumbing.NewHash(strings.Repeat("5", 40))})
		case rawTree:
			entries = append(entries, entry{name, filemode.Dir, s.addTree(v)})
		}
	}
	for name, sub := range below {
		entries = append(entries, entry{name, filemode.Dir, plant(s, sub)})
	}
	sortEntries(entries)
	return s.addTree(entries)
}

func newTestFiles(tree map[string]any, limits Limits) *files {
	s := newStore()
	return newFiles(s, plant(s, tree), limits.withDefaults(), ".")
}

const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"

func TestFilesAreAnFS(t *testing.T) {
	f := newTestFiles(map[string]any{
		"README.md": "hello", "fleet/a.yaml": "a", "fleet/b/c.yaml": "c", "fleet/run.sh": program("#!/bin/sh"),
		"fleet/link.yaml": symlink("b/c.yaml"), "fleet/dir": symlink("b"), "fleet/b/up": symlink("../a.yaml"), "empty.yaml": "",
	}, Limits{})
	if err := fstest.TestFS(f, "README.md", "fleet/a.yaml", "fleet/b/c.yaml", "fleet/link.yaml", "fleet/dir", "empty.yaml"); err != nil {
		t.Error(err)
	}
	if err := f.check(t.Context(), "."); err != nil {
		t.Error(err)
	}
}

func TestFilesThroughLinks(t *testing.T) {
	f := newTestFiles(map[string]any{
		"base/deep/a.yaml": "a",
		"fleet/to-file":    symlink("../base/deep/a.yaml"),
		"fleet/to-dir":     symlink("../base/deep/"),
		"fleet/to-link":    symlink("./to-dir"),
		"fleet/physical":   symlink("to-dir/../top.yaml"), // Of base, where the link leads, not of fleet.
		"fleet/root":       symlink(".."),
		"fleet/broken":     symlink("nothing"),
		"base/top.yaml":    "top",
		"run":              program("x"),
	}, Limits{})
	for name, want := range map[string]string{
		"fleet/to-file": "a", "fleet/to-dir/a.yaml": "a", "fleet/to-link/a.yaml": "a",
		"fleet/physical": "top", "fleet/root/base/top.yaml": "top", "fleet/root/fleet/root/base/top.yaml": "top",
	} {
		if got, err := fs.ReadFile(f, name); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"fleet/broken", "fleet/nope", "run/x", "fleet/to-file/x"} {
		if _, err := f.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want not to exist", name, err)
		}
	}
	for _, name := range []string{"../x", "/etc/passwd", "fleet/../run", "", "fleet//to-file"} {
		if _, err := f.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v, want invalid", name, err)
		}
	}
	info, err := f.Lstat("fleet/to-dir")
	if err != nil || info.Mode().Type() != fs.ModeSymlink || !info.ModTime().IsZero() {
		t.Errorf("Lstat = %v, %v", info, err)
	}
	if target, readErr := f.ReadLink("fleet/to-dir"); readErr != nil || target != "../base/deep/" {
		t.Errorf("ReadLink = %q, %v", target, readErr)
	}
	if _, err = f.ReadLink("run"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("ReadLink of a file: %v", err)
	}
	if info, err = f.Stat("fleet/to-dir"); err != nil || !info.IsDir() || info.Name() != "to-dir" {
		t.Errorf("Stat = %v, %v", info, err)
	}
	if err := f.check(t.Context(), "."); err != nil {
		t.Errorf("harmless links are refused: %v", err)
	}
}

func TestReadFileGivesACopy(t *testing.T) {
	f := newTestFiles(map[string]any{"a": "abc"}, Limits{})
	data, err := f.ReadFile("a")
	if err != nil {
		t.Fatal(err)
	}
	data[0] = 'X'
	if again, _ := f.ReadFile("a"); string(again) != "abc" {
		t.Errorf("a caller's write reached the store: %q", again)
	}
}

func TestHash(t *testing.T) {
	f := newTestFiles(map[string]any{"a": "same", "b/c": "same", "l": symlink("a"), "s": submodule{}}, Limits{})
	hash := func(name string) string {
		h, err := f.Hash(name)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if hash("a") != hash("b/c") || hash("a") != hash("l") {
		t.Error("equal contents have different hashes")
	}
	if got, want := hash("."), f.root.String(); got != want {
		t.Errorf("root = %s, want %s", got, want)
	}
	if hash("b") == hash(".") {
		t.Error("two trees have one hash")
	}
	if got, want := hash("a"), plumbing.ComputeHash(plumbing.BlobObject, []byte("same")).String(); got != want {
		t.Errorf("blob = %s, want %s", got, want)
	}
	if _, err := f.Hash("nope"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a hash of nothing: %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	long := strings.Repeat("d/", 40) + "a.yaml"
	blob := plumbing.ComputeHash(plumbing.BlobObject, []byte("x"))
	cases := map[string]struct {
		tree   map[string]any
		limits Limits
		path   string
		kind   error
		want   []string // Problems, as "path: beginning of the message"
		reason string
	}{
		"Submodule":      {tree: map[string]any{"fleet/sub": submodule{}}, kind: ErrRefused, want: []string{"fleet/sub: is a submodule"}},
		"LFS":            {tree: map[string]any{"fleet/a.yaml": pointer}, kind: ErrRefused, want: []string{"fleet/a.yaml: is a Git LFS pointer"}},
		"AbsoluteLink":   {tree: map[string]any{"fleet/l": symlink("/etc/passwd")}, kind: ErrRefused, want: []string{`fleet/l: is a link to "/etc/passwd", which is absolute`}},
		"EscapingLink":   {tree: map[string]any{"fleet/l": symlink("../../etc/passwd")}, kind: ErrRefused, want: []string{`fleet/l: is a link to "../../etc/passwd", which leads out`}},
		"EscapeAndBack":  {tree: map[string]any{"fleet/l": symlink("../../repo/fleet/a")}, kind: ErrRefused, want: []string{`fleet/l: is a link to "../../repo/fleet/a", which leads out`}},
		"EscapeByLink":   {tree: map[string]any{"fleet/up": symlink(".."), "fleet/l": symlink("up/../x")}, kind: ErrRefused, want: []string{`fleet/l: is a link to "up/../x"`}, reason: "up leads to the root, and .. from there leads out"},
		"LoopingLink":    {tree: map[string]any{"fleet/a": symlink("b"), "fleet/b": symlink("a")}, kind: ErrRefused, want: []string{"fleet/", "fleet/"}},
		"SelfLink":       {tree: map[string]any{"fleet/a": symlink("a")}, kind: ErrRefused, want: []string{`fleet/a: is a link to "a", which leads in a circle`}},
		"EmptyLink":      {tree: map[string]any{"fleet/a": symlink("")}, kind: ErrRefused, want: []string{"fleet/a: is a link"}},
		"LinkToLFS":      {tree: map[string]any{"big": pointer, "fleet/l": symlink("../big")}, kind: ErrRefused, want: []string{"big: is a Git LFS pointer"}},
		"LinkIntoModule": {tree: map[string]any{"sub": submodule{}, "fleet/l": symlink("../sub/a")}, kind: ErrRefused, want: []string{"sub: is a submodule"}},
		"AllAtOnce":      {tree: map[string]any{"fleet/a": submodule{}, "fleet/b": pointer, "fleet/c/d": symlink("/")}, kind: ErrRefused, want: []string{"fleet/a: ", "fleet/b: ", "fleet/c/d: "}},
		"BigFile":        {tree: map[string]any{"fleet/a": "12345"}, limits: Limits{MaxFileBytes: 4}, kind: ErrLimit, want: []string{"fleet/a: is 5 bytes, the limit for one file is 4"}},
		"BigTogether":    {tree: map[string]any{"fleet/a": "12345", "fleet/b": "12345"}, limits: Limits{MaxTotalBytes: 9}, kind: ErrLimit, want: []string{"fleet/b: brings the files below the path past the limit of 9 bytes"}},
		"TooMany":        {tree: map[string]any{"fleet/a": "", "fleet/b": "", "fleet/c": ""}, limits: Limits{MaxFiles: 2}, kind: ErrLimit, want: []string{"fleet/c: is one too many: the limit is 2"}},
		"TooDeep":        {tree: map[string]any{"fleet/" + long: ""}, kind: ErrLimit, want: []string{"fleet/" + strings.Repeat("d/", 31) + "d: lies 33 levels deep, the limit is 32"}},
		"LongPath":       {tree: map[string]any{"fleet/" + strings.Repeat("n", 1020): ""}, kind: ErrLimit, want: []string{"fleet/nnn"}},
		"DotDotName":     {tree: map[string]any{"fleet/x": rawTree{{"..", filemode.Regular, blob}}}, kind: ErrRefused, want: []string{`fleet/x: holds the name ".."`}},
		"SlashInName":    {tree: map[string]any{"fleet/x": rawTree{{"a/b", filemode.Regular, blob}}}, kind: ErrRefused, want: []string{`fleet/x: holds the name "a/b"`}},
		"NoUTF8Name":     {tree: map[string]any{"fleet/x": rawTree{{"\xff", filemode.Regular, blob}}}, kind: ErrRefused, want: []string{`fleet/x: holds the name "?"`}},
		"DoubleName":     {tree: map[string]any{"fleet/x": rawTree{{"a", filemode.Submodule, blob}, {"a", filemode.Submodule, blob}}}, kind: ErrRefused, want: []string{`fleet/x: holds the name "a"`, "fleet/x/a: is a submodule"}},
		"MissingBlob":    {tree: map[string]any{"fleet/x": rawTree{{"a", filemode.Regular, blob}}}, kind: ErrRefused, want: []string{"fleet/x/a: its contents are missing"}},
		"IgnoreIsALink":  {tree: map[string]any{"fleet/.sourceignore": symlink("../x"), "x": "*"}, kind: ErrRefused, want: []string{"fleet/.sourceignore: must be a regular file"}},
		"IgnoreTooBig":   {tree: map[string]any{"fleet/.sourceignore": strings.Repeat("#", maxIgnoreBytes+1)}, kind: ErrLimit, want: []string{"fleet/.sourceignore: is 65537 bytes"}},
		"PathIsALinkOut": {tree: map[string]any{"fleet": symlink("../x")}, kind: ErrRefused, want: []string{"fleet: is a link"}},

		"OutsideThePath": {tree: map[string]any{"fleet/a": "", "sub": submodule{}, "big": pointer, "l": symlink("/etc")}},
		"Ignored":        {tree: map[string]any{"fleet/a": "", "fleet/sub": submodule{}, "fleet/big": pointer, ".sourceignore": "/fleet/sub\nbig\n"}},
		"PathMissing":    {tree: map[string]any{"other/a": ""}, reason: "what a missing path means is the caller's to say"},
		"WholeRoot":      {path: ".", tree: map[string]any{"sub": submodule{}}, kind: ErrRefused, want: []string{"sub: is a submodule"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.path == "" {
				tc.path = "fleet"
			}
			err := newTestFiles(tc.tree, tc.limits).check(t.Context(), tc.path)
			if tc.kind == nil {
				if err != nil {
					t.Fatalf("unexpected: %v (%s)", err, tc.reason)
				}
				return
			}
			if !errors.Is(err, tc.kind) {
				t.Fatalf("error %v, want kind %q", err, tc.kind)
			}
			got := Problems(fmt.Errorf("wrapped: %w", err))
			if len(got) != len(tc.want) {
				t.Fatalf("%d problems, want %d: %v %s", len(got), len(tc.want), err, tc.reason)
			}
			for i, p := range got {
				if !strings.HasPrefix(p.Error(), tc.want[i]) {
					t.Errorf("problem %q does not begin %q", p, tc.want[i])
				}
			}
		})
	}
}

func TestCheckReportsSomeAndCountsAll(t *testing.T) {
	tree := map[string]any{}
	for i := range maxProblems + 7 {
		tree[fmt.Sprintf("s%02d", i)] = submodule{}
	}
	err := newTestFiles(tree, Limits{}).check(t.Context(), ".")
	if n := len(Problems(err)); n != maxProblems || !strings.Contains(err.Error(), "and 7 more files") {
		t.Errorf("%d problems: %v", n, err)
	}
}

// One tree of a few objects may stand for a billion paths.
func TestTreeBomb(t *testing.T) {
	s := newStore()
	hash := plant(s, map[string]any{"a": ""})
	for range 20 {
		var level []entry
		for i := range 10 {
			level = append(level, entry{fmt.Sprint(i), filemode.Dir, hash})
		}
		hash = s.addTree(level)
	}
	f := newFiles(s, hash, Limits{}.withDefaults(), ".")
	if err := f.check(t.Context(), "."); !errors.Is(err, ErrLimit) {
		t.Errorf("a tree bomb: %v", err)
	}
	err := fs.WalkDir(f, ".", func(_ string, _ fs.DirEntry, err error) error { return err })
	if !errors.Is(err, ErrLimit) {
		t.Errorf("walking a tree bomb: %v", err)
	}
}

func TestRefusedWhenOpened(t *testing.T) {
	f := newTestFiles(map[string]any{"sub": submodule{}, "big": pointer, "l": symlink("/etc"), "fat": "12345"}, Limits{MaxFileBytes: 200})
	f.limits.MaxFileBytes = 4
	for name, kind := range map[string]error{"sub": ErrRefused, "sub/a": ErrRefused, "l": ErrRefused, "l/passwd": ErrRefused, "fat": ErrLimit} {
		if _, err := f.Open(name); !errors.Is(err, kind) || len(Problems(err)) != 1 {
			t.Errorf("%s: %v, want %q", name, err, kind)
		}
	}
	f.limits.MaxFileBytes = 200
	if _, err := f.ReadFile("big"); !errors.Is(err, ErrRefused) {
		t.Errorf("an LFS pointer: %v", err)
	}
}

func TestSourceIgnore(t *testing.T) {
	f := newTestFiles(map[string]any{
		".sourceignore":       "# Not ours\n/docs/\n*.tmp\n!keep.tmp\n/only/*\n!/only/this\n",
		"docs/a.md":           "",
		"x.tmp":               "",
		"keep.tmp":            "",
		"only/this/a":         "",
		"only/that/a":         "",
		"fleet/docs/a":        "",
		"fleet/.sourceignore": "!*.tmp\nlocal\n",
		"fleet/y.tmp":         "",
		"fleet/local":         "",
		"local":               "",
		".gitmodules":         "",
		".github/w.yaml":      "",
		"logo.png":            "",
	}, Limits{})
	var got []string
	err := fs.WalkDir(f, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".sourceignore", "fleet/.sourceignore", "fleet/docs/a", "fleet/y.tmp", "keep.tmp", "local", "only/this/a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("visible files (-want +got):\n%s", diff)
	}
	if _, err := f.Open("docs/a.md"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a hidden file opens: %v", err)
	}
}

// FuzzFiles asserts that no path and no link reaches anything but the files of
// the snapshot, and that the answer is always the same.
func FuzzFiles(f *testing.F) {
	f.Add("fleet/l", "../base/a.yaml", "x")
	f.Add("fleet/l/a.yaml", "../base", "..")
	f.Add("fleet/l", "../../etc/passwd", "l")
	f.Add("fleet/l", "/etc/passwd", "./../x")
	f.Add("fleet/l", "m", "l")
	f.Add("fleet/m/fleet/l", "m/../..", "..")
	f.Add("../fleet/l", "", "a\x00b")
	f.Add("base/./a.yaml", "..\\..", "//")
	f.Fuzz(func(t *testing.T, name, first, second string) {
		tree := map[string]any{
			"base/a.yaml": "inside", "base/b/c": "inside", "fleet/own": "inside",
			"fleet/l": symlink(first), "fleet/m": symlink(second),
		}
		files := newTestFiles(tree, Limits{})
		data, err := files.ReadFile(name)
		again, errAgain := newTestFiles(tree, Limits{}).ReadFile(name)
		if !bytes.Equal(data, again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("two answers: %q, %v and %q, %v", data, err, again, errAgain)
		}
		if err == nil && string(data) != "inside" {
			t.Fatalf("%q reached %q", name, data)
		}
		if err == nil && !fs.ValidPath(name) {
			t.Fatalf("%q is no path, yet opens", name)
		}
		// A link that leaves by its own text is refused up front.
		leaves := path.IsAbs(first) || strings.HasPrefix(path.Join("fleet", first), "..")
		plain := !strings.Contains(first, "l") && !strings.Contains(first, "m") // By no other link.
		if leaves && plain && first != "" {
			if err := files.check(t.Context(), "."); !errors.Is(err, ErrRefused) && !walksThroughNothing(files, first) {
				t.Fatalf("a link to %q passes: %v", first, err)
			}
		}
	})
}

// walksThroughNothing says whether a target names a missing directory before it
// would leave; such a link is broken, and leads nowhere.
func walksThroughNothing(f *files, target string) bool {
	_, err := f.lookup("fleet/l", true)
	return errors.Is(err, fs.ErrNotExist) && target != ""
}
