package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Local reads committed revisions of a repository of this machine, without a
// server and without touching its working tree. It is for work by hand, and not
// safe for concurrent use.
type Local struct {
	repo   *git.Repository
	path   string
	limits Limits
}

// OpenLocal opens the repository around a directory: a clone, a linked worktree,
// or a bare repository. What is read is checked below that directory, with
// DefaultLimits. Where there is no repository it fails with ErrNotFound.
func OpenLocal(dir string) (*Local, error) {
	resolved, err := filepath.Abs(dir)
	if err == nil {
		resolved, err = filepath.EvalSymlinks(resolved)
	}
	if err != nil {
		return nil, fail(ErrNotFound, "%s: %s", clean(dir), clean(err.Error()))
	}
	repo, top, err := openClone(resolved)
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, fail(ErrNotFound, "%s is in no Git repository; go into a clone, or name a directory of one", clean(dir))
	}
	if err != nil {
		return nil, fail(ErrRefused, "the Git repository around %s cannot be read: %s", clean(dir), clean(err.Error()))
	}
	l := &Local{repo: repo, path: ".", limits: DefaultLimits()}
	if top != "" {
		inside, err := filepath.Rel(top, resolved)
		if err != nil {
			return nil, fail(ErrNotFound, "%s: %s", clean(dir), clean(err.Error()))
		}
		l.path = filepath.ToSlash(inside)
	}
	return l, nil
}

// Path is the directory that OpenLocal was given, slash-separated from the
// repository's root; "." for the root and for a bare repository.
func (l *Local) Path() string { return l.path }

// Resolve returns the commit that rev names: HEAD, a branch, a tag, a branch of a
// remote, any full ref, a hash or its unambiguous beginning of four digits or
// more, each with any of ~N, ^N and ^{commit} behind it. Revision.Ref is set if
// rev is no more than the name of a branch or tag. Others are ErrRefNotFound.
func (l *Local) Resolve(rev string) (Revision, error) {
	c, ref, err := l.commit(rev)
	if err != nil {
		return Revision{}, err
	}
	return Revision{Ref: ref, Hash: c.Hash.String()}, nil
}

// Commit returns the commit that rev names.
func (l *Local) Commit(rev string) (Commit, error) {
	c, _, err := l.commit(rev)
	if err != nil {
		return Commit{}, err
	}
	return commitOf(c), nil
}

// MergeBase returns the commit that a and b both come from, as git merge-base;
// of several, which come of merging back and forth, the newest. It fails with
// ErrRefNotFound for histories without one, and where a shallow clone ends
// before it.
func (l *Local) MergeBase(a, b string) (Revision, error) {
	one, _, err := l.commit(a)
	if err != nil {
		return Revision{}, err
	}
	other, _, err := l.commit(b)
	if err != nil {
		return Revision{}, err
	}
	bases, err := one.MergeBase(other)
	if err == nil && len(bases) == 0 {
		if shallow, listErr := l.repo.Storer.Shallow(); listErr == nil && len(shallow) > 0 {
			err = plumbing.ErrObjectNotFound
		}
	}
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return Revision{}, fail(ErrRefNotFound, "no common commit of %s and %s in this clone, whose history is cut off; run git fetch --unshallow", clean(a), clean(b))
	case err != nil:
		return Revision{}, fail(ErrRefused, "merge base of %s and %s: %s", clean(a), clean(b), clean(err.Error()))
	case len(bases) == 0:
		return Revision{}, fail(ErrRefNotFound, "%s and %s have no commit in common", clean(a), clean(b))
	}
	newest := bases[0]
	for _, c := range bases[1:] {
		if c.Committer.When.After(newest.Committer.When) {
			newest = c
		}
	}
	return Revision{Hash: newest.Hash.String()}, nil
}

// Snapshot returns the files of the commit that rev names; see Resolve. Refused
// files and passed limits are reported all at once; see Problems.
func (l *Local) Snapshot(ctx context.Context, rev string) (Snapshot, error) {
	c, ref, err := l.commit(rev)
	if err != nil {
		return Snapshot{}, err
	}
	snap := Snapshot{Revision: Revision{Ref: ref, Hash: c.Hash.String()}, Committed: c.Committer.When}
	st, err := l.load(ctx, c)
	if err != nil {
		return snap, fmt.Errorf("%s: %w", clean(rev), err)
	}
	snap.Files = newFiles(st, c.TreeHash, l.limits, l.path)
	if err := snap.Check(ctx); err != nil {
		return Snapshot{Revision: snap.Revision, Committed: snap.Committed}, err
	}
	return snap, nil
}

// load reads a commit and its files, as many as a fetch would bring.
func (l *Local) load(ctx context.Context, c *object.Commit) (*store, error) {
	st, budget := newStore(), l.limits.MaxObjectBytes
	todo := []plumbing.Hash{c.TreeHash}
	for len(todo) > 0 {
		hash := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, seen := st.objects[hash]; seen {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(st.objects) >= l.limits.MaxObjects {
			return nil, fail(ErrLimit, "the repository has more than %d objects at that commit, which is the limit", l.limits.MaxObjects)
		}
		o, err := l.object(hash, budget)
		if err != nil {
			return nil, err
		}
		budget -= int64(len(o.data))
		st.objects[hash] = o
		entries, _ := st.tree(hash) // None for a file.
		for _, e := range entries {
			if e.Mode != filemode.Submodule {
				todo = append(todo, e.Hash)
			}
		}
	}
	return st, nil
}

func (l *Local) object(hash plumbing.Hash, budget int64) (rawObject, error) {
	obj, err := l.repo.Storer.EncodedObject(plumbing.AnyObject, hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return rawObject{}, fail(ErrRefused, "object %s is missing from this clone, which may be a partial one; run git fsck, or clone anew without --filter", hash)
	}
	if err != nil {
		return rawObject{}, fail(ErrRefused, "object %s cannot be read: %s", hash, clean(err.Error()))
	}
	if obj.Size() > budget {
		return rawObject{}, fail(ErrLimit, "the repository's files at that commit, inflated, pass the limit of %d bytes", l.limits.MaxObjectBytes)
	}
	r, err := obj.Reader()
	if err != nil {
		return rawObject{}, fail(ErrRefused, "object %s cannot be read: %s", hash, clean(err.Error()))
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(newLimitReader(r, budget+1, "the repository"))
	if err != nil {
		return rawObject{}, fail(ErrRefused, "object %s cannot be read: %s", hash, clean(err.Error()))
	}
	return rawObject{obj.Type(), data}, nil
}
