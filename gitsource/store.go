package gitsource

import (
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

// only returns a store with one commit and its files, so that history fetched
// on the way to it can be released.
func (s *store) only(commit plumbing.Hash) *store {
	small := &store{objects: map[plumbing.Hash]rawObject{}}
	c, ok := s.commit(commit)
	if !ok {
		return small
	}
	small.objects[commit] = s.objects[commit]
	todo := []plumbing.Hash{c.TreeHash}
	for len(todo) > 0 {
		hash := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		obj, ok := s.objects[hash]
		if _, seen := small.objects[hash]; seen || !ok {
			continue
		}
		small.objects[hash] = obj
		if obj.typ != plumbing.TreeObject {
			continue
		}
		entries, _ := s.tree(hash)
		for _, e := range entries {
			if e.Mode != filemode.Submodule {
				todo = append(todo, e.Hash)
			}
		}
	}
	return small
}
