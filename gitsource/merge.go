package gitsource

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Merge merges theirs into ours, file by file, as Git would if it neither merged
// within a file nor followed renames: what only one side changed since base is
// taken from it, what both changed alike is fine. Base is the commit that both
// come from.
//
// Conflicts are the paths, sorted, that both sides changed differently, or that
// one changed and the other removed; then there is no merged snapshot. A path of
// which both sides changed different lines is a conflict too, though Git might
// merge it: nothing here guesses what a file should be.
//
// The merged snapshot has the Revision of theirs and Into that of ours, and is
// checked like one that was fetched, with the limits of ours. Its Tree gives the
// hashes that Git gives the merge.
func Merge(base, ours, theirs Snapshot) (merged Snapshot, conflicts []string, err error) {
	m := &merger{made: newStore()}
	var roots sides
	for i, s := range [...]Snapshot{base, ours, theirs} {
		f, ownErr := s.own()
		if ownErr != nil {
			return Snapshot{}, nil, ownErr
		}
		m.from[i] = f.store
		roots[i] = entry{mode: filemode.Dir, hash: f.root}
	}
	f, _ := ours.own() // Looked at just now.
	m.limits = f.limits
	root, err := m.directory(".", roots)
	if err != nil {
		return Snapshot{}, nil, fmt.Errorf("merging %s into %s: %w", theirs.Revision, ours.Revision, err)
	}
	if len(m.conflicts) > 0 {
		slices.Sort(m.conflicts)
		return Snapshot{}, slices.Compact(m.conflicts), nil
	}
	if root.mode == 0 { // Git has no empty directory, but an empty tree.
		root.hash = m.made.addTree(nil)
	}
	merged = Snapshot{Revision: theirs.Revision, Into: ours.Revision, Committed: theirs.Committed}
	kept := newStore()
	kept.take(root.hash, append(m.from[:], m.made)...)
	files := newFiles(kept, root.hash, f.limits, f.below)
	if err := files.checkUntil(func() error { return nil }, f.below); err != nil {
		return Snapshot{}, nil, fmt.Errorf("%s: %w", merged, err)
	}
	merged.Files = files
	return merged, nil, nil
}

// sides are what base, ours and theirs have at one path; an entry without a mode
// is nothing.
type sides [3]entry

// only keeps directories, or all but these.
func (s sides) only(dirs bool) sides {
	for i := range s {
		if (s[i].mode == filemode.Dir) != dirs {
			s[i] = entry{}
		}
	}
	return s
}

// trivial is the result where at least two sides agree, compared by key.
func trivial[T any, K comparable](base, ours, theirs T, key func(T) K) (T, bool) {
	switch {
	case key(ours) == key(theirs), key(base) == key(theirs):
		return ours, true
	case key(base) == key(ours):
		return theirs, true
	}
	return base, false
}

// content tells entries at one path apart.
func content(e entry) entry { return entry{mode: e.mode, hash: e.hash} }

type merger struct {
	from      [3]*store
	made      *store
	limits    Limits
	seen      int
	conflicts []string
}

// at merges one path. Files and directories are merged apart; if both are left
// over, one side made a directory of what the other holds on to as a file.
func (m *merger) at(name string, s sides) (entry, error) {
	if m.seen++; m.seen > m.limits.MaxObjects {
		return entry{}, limitAt(name, "is one path too many to merge, the limit is %d", m.limits.MaxObjects)
	}
	if len(name) > m.limits.MaxPathBytes {
		return entry{}, limitAt(name[:min(len(name), 100)]+"…", "the path is %d bytes, the limit is %d", len(name), m.limits.MaxPathBytes)
	}
	if e, ok := trivial(s[0], s[1], s[2], content); ok {
		return e, nil
	}
	file := m.file(name, s.only(false))
	dir, err := m.directory(name, s.only(true))
	switch {
	case err != nil:
		return entry{}, err
	case file.mode != 0 && dir.mode != 0:
		m.conflict(name)
	case dir.mode != 0:
		return dir, nil
	}
	return file, nil
}

func (m *merger) conflict(name string) { m.conflicts = append(m.conflicts, clean(name)) }

// file merges what is no directory.
func (m *merger) file(name string, s sides) entry {
	if e, ok := trivial(s[0], s[1], s[2], content); ok {
		return e
	}
	// One side made it executable and the other changed what it does.
	mode, agreed := trivial(s[0].mode, s[1].mode, s[2].mode, func(m filemode.FileMode) filemode.FileMode { return m })
	hash, same := trivial(s[0].hash, s[1].hash, s[2].hash, func(h plumbing.Hash) plumbing.Hash { return h })
	if agreed && same && !slices.ContainsFunc(s[:], func(e entry) bool { return !e.mode.IsRegular() && e.mode != filemode.Executable }) {
		return entry{name: s[0].name, mode: mode, hash: hash}
	}
	m.conflict(name)
	return s[1]
}

// directory merges directories; the result is nothing where nothing is left.
func (m *merger) directory(name string, s sides) (entry, error) {
	if e, ok := trivial(s[0], s[1], s[2], content); ok {
		return e, nil
	}
	var trees [3]map[string]entry
	names := map[string]bool{}
	for i := range s {
		var err error
		if trees[i], err = m.entries(name, i, s[i]); err != nil {
			return entry{}, err
		}
		for n := range trees[i] {
			names[n] = true
		}
	}
	var merged []entry
	for _, n := range slices.Sorted(maps.Keys(names)) {
		e, err := m.at(join(name, n), sides{trees[0][n], trees[1][n], trees[2][n]})
		if err != nil {
			return entry{}, err
		}
		if e.mode != 0 {
			e.name = n
			merged = append(merged, e)
		}
	}
	if len(merged) == 0 {
		return entry{}, nil
	}
	sortEntries(merged)
	return entry{name: path.Base(name), mode: filemode.Dir, hash: m.made.addTree(merged)}, nil
}

// entries reads one side's directory, which is empty if it has none.
func (m *merger) entries(name string, side int, e entry) (map[string]entry, error) {
	if e.mode == 0 {
		return nil, nil
	}
	tree, ok := m.from[side].tree(e.hash)
	if !ok {
		return nil, &FileError{name, ErrRefused, "the directory is damaged or missing from the repository"}
	}
	entries := make(map[string]entry, len(tree))
	for _, t := range tree {
		if _, twice := entries[t.Name]; twice {
			return nil, &FileError{name, ErrRefused, fmt.Sprintf("holds the name %q twice", clean(t.Name))}
		}
		entries[t.Name] = entry{t.Name, t.Mode, t.Hash}
	}
	return entries, nil
}
