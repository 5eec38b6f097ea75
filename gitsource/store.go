package gitsource

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// rawObject is one Git object, inflated. Its data is never written again.
type rawObject struct {
	typ  plumbing.ObjectType
	data []byte
}

// store holds the objects of one fetch. It is read-only once filled, and so
// safe for concurrent use.
type store struct {
	objects map[plumbing.Hash]rawObject
}

func newStore() *store { return &store{objects: map[plumbing.Hash]rawObject{}} }

// add puts an object in, and returns its hash.
func (s *store) add(typ plumbing.ObjectType, data []byte) plumbing.Hash {
	hash := plumbing.ComputeHash(typ, data)
	s.objects[hash] = rawObject{typ, data}
	return hash
}

// get returns an object of the given type.
func (s *store) get(typ plumbing.ObjectType, hash plumbing.Hash) ([]byte, bool) {
	o, ok := s.objects[hash]
	return o.data, ok && o.typ == typ
}

func (s *store) encoded(typ plumbing.ObjectType, hash plumbing.Hash) (plumbing.EncodedObject, bool) {
	data, ok := s.get(typ, hash)
	if !ok {
		return nil, false
	}
	obj := &plumbing.MemoryObject{}
	obj.SetType(typ)
	_, _ = obj.Write(data) // Into memory.
	return obj, true
}

func (s *store) commit(hash plumbing.Hash) (*object.Commit, bool) {
	obj, ok := s.encoded(plumbing.CommitObject, hash)
	if !ok {
		return nil, false
	}
	c := &object.Commit{}
	return c, c.Decode(obj) == nil
}

// tree decodes a tree. Its entries are as the server sent them: names are yet
// to be judged.
func (s *store) tree(hash plumbing.Hash) ([]object.TreeEntry, bool) {
	obj, ok := s.encoded(plumbing.TreeObject, hash)
	if !ok {
		return nil, false
	}
	t := &object.Tree{}
	if t.Decode(obj) != nil {
		return nil, false
	}
	return t.Entries, true
}

// addTree writes a tree as Git does; the entries are in Git's order.
func (s *store) addTree(entries []entry) plumbing.Hash {
	var b bytes.Buffer
	for _, e := range entries {
		_, _ = fmt.Fprintf(&b, "%o %s\x00%s", uint32(e.mode), e.name, e.hash[:]) // Into memory.
	}
	return s.add(plumbing.TreeObject, b.Bytes())
}

// sortEntries puts entries into Git's order: a directory as if its name ended
// in a slash.
func sortEntries(entries []entry) {
	key := func(e entry) string {
		if e.mode == filemode.Dir {
			return e.name + "/"
		}
		return e.name
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(key(a), key(b)) })
}

// only returns a store with one commit and its files, so that history fetched
// on the way to it can be released.
func (s *store) only(commit plumbing.Hash) *store {
	small := newStore()
	c, ok := s.commit(commit)
	if !ok {
		return small
	}
	small.objects[commit] = s.objects[commit]
	small.take(c.TreeHash, s)
	return small
}

// take copies a tree and all below it from the first of the stores that has
// each object.
func (s *store) take(tree plumbing.Hash, from ...*store) {
	todo := []plumbing.Hash{tree}
	for len(todo) > 0 {
		hash := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, seen := s.objects[hash]; seen {
			continue
		}
		for _, f := range from {
			if obj, ok := f.objects[hash]; ok {
				s.objects[hash] = obj
				break
			}
		}
		entries, _ := s.tree(hash) // None for what is no tree.
		for _, e := range entries {
			if e.Mode != filemode.Submodule {
				todo = append(todo, e.Hash)
			}
		}
	}
}
