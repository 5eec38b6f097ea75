package gitsource

import (
	"context"
	"errors"
	"slices"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// Snapshots returns the files of several revisions, in the order of refs, by
// one ref listing and one fetch of depth 1 for all that they differ in. Where the
// server or the limits do not allow it all at once, revisions are fetched one by
// one. What Snapshot remembers stays as it is; nothing is remembered here.
//
// The snapshots are not checked, since what one of them has wrong may be what
// the next one mends: see Snapshot.Check, and Merge, which checks its result.
func (r *Repository) Snapshots(ctx context.Context, refs ...Ref) ([]Snapshot, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	for _, ref := range refs {
		if err := ref.Validate(); err != nil {
			return nil, r.explain(Auth{}, err)
		}
	}
	var snaps []Snapshot
	err := r.do(ctx, refs[0], func(ctx context.Context, conn opener) error {
		var err error
		snaps, err = r.several(ctx, conn, refs)
		return err
	})
	if err != nil {
		return nil, err
	}
	return snaps, nil
}

func (r *Repository) several(ctx context.Context, conn opener, refs []Ref) ([]Snapshot, error) {
	s, listed, err := connect(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	targets := make([]target, len(refs))
	for i, ref := range refs {
		if targets[i], err = find(listed, ref); err != nil {
			return nil, err
		}
	}
	together, err := r.fetchTogether(ctx, s, listed, targets)
	if err != nil {
		return nil, err
	}
	snaps := make([]Snapshot, len(targets))
	for i, t := range targets {
		st := together
		if _, ok := st.commit(t.commit); !ok {
			if st, err = r.fetchAlone(ctx, conn, t); err != nil {
				return nil, err
			}
		}
		snaps[i] = r.snapshotOf(st, t)
	}
	return snaps, nil
}

// fetchTogether returns what came of asking for all targets at once, which may
// be nothing.
func (r *Repository) fetchTogether(ctx context.Context, s session, listed *packp.AdvRefs, targets []target) (*store, error) {
	a := attempt{depth: 1}
	for _, t := range targets {
		if !slices.Contains(a.wants, t.want) {
			a.wants = append(a.wants, t.want)
		}
	}
	pack, err := s.pack(ctx, packRequest(listed, a, false))
	if err == nil {
		defer func() { _ = pack.Close() }()
		var st *store
		if st, err = readPack(pack, r.opts.Limits); err == nil {
			return st, nil
		}
	}
	if errors.Is(err, errNoSuchWant) || errors.Is(err, ErrLimit) {
		return newStore(), nil
	}
	return nil, err
}

func (r *Repository) fetchAlone(ctx context.Context, conn opener, t target) (*store, error) {
	s, listed, err := connect(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return r.fetch(ctx, conn, s, listed, request{target: t, depth: 1, enough: func(*store) bool { return true }})
}

// snapshotOf has its own store: one snapshot kept keeps no other in memory.
func (r *Repository) snapshotOf(st *store, t target) Snapshot {
	c, _ := st.commit(t.commit) // Whoever fetched it has seen it.
	return Snapshot{
		Revision: t.revision, Committed: c.Committer.When,
		Files: newFiles(st.only(t.commit), c.TreeHash, r.opts.Limits, r.path),
	}
}
