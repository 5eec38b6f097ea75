package gitsource

import (
	"container/heap"
	"context"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Commit is one commit and what its author wrote about it.
type Commit struct {
	// Hash is the SHA-1 in hexadecimal.
	Hash string
	// Message is the whole message with its trailers, as it is in Git.
	Message string
	// Author is the name of who wrote it, as it says itself.
	Author string
	// Authored is when it was written, as it says itself.
	Authored time.Time
}

// Subject is the first line of the message, as one short line.
func (c Commit) Subject() string {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return clean(subject)
}

func commitOf(c *object.Commit) Commit {
	return Commit{Hash: c.Hash.String(), Message: c.Message, Author: clean(c.Author.Name), Authored: c.Author.When}
}

// Messages returns the commits that are reachable from head but not from since,
// newest first, at most limit of them. Since is a hash or a Revision's string,
// or "" for no lower end. If since is not found among the last limit commits,
// as after a forced push, head is returned alone: what else is new cannot be
// told from what was read before. A head whose only parent is since costs no
// request if it is the snapshot held; otherwise history is fetched, only now
// and only as deep as needed.
func (r *Repository) Messages(ctx context.Context, head Revision, since string, limit int) ([]Commit, error) {
	from, err := ParseRevision(since)
	if err != nil {
		return nil, r.explain(Auth{}, err)
	}
	h := &history{head: plumbing.NewHash(head.Hash), since: plumbing.NewHash(from.Hash), limit: limit}
	var commits []Commit
	err = r.do(ctx, Ref{Commit: head.Hash}, func(ctx context.Context, conn opener) error {
		if limit <= 0 || h.head == h.since {
			return nil
		}
		st, histErr := r.history(ctx, conn, h)
		if histErr == nil {
			commits, _ = h.walk(st)
			if !h.met {
				commits = commits[:min(len(commits), 1)]
			}
		}
		return histErr
	})
	return commits, err
}

// history returns a store that holds all that h looks for.
func (r *Repository) history(ctx context.Context, conn opener, h *history) (*store, error) {
	if r.held != nil && r.held.conn == conn && r.held.store != nil && h.complete(r.held.store) {
		return r.held.store, nil
	}
	s, refs, err := connect(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	t, err := find(refs, Ref{Commit: h.head.String()})
	if err != nil {
		return nil, err
	}
	return r.fetch(ctx, conn, s, refs, request{target: t, depth: h.limit + 1, history: true, enough: h.complete})
}

// history is a walk from head down to since.
type history struct {
	head, since plumbing.Hash
	limit       int
	met         bool // the last walk came to since, or had no lower end
}

func (h *history) complete(st *store) bool {
	_, ok := h.walk(st)
	return ok
}

// walk returns the commits and whether the store held all that it looked for.
func (h *history) walk(st *store) (commits []Commit, complete bool) {
	seen := h.before(st)
	h.met = h.since == plumbing.ZeroHash
	queue := &newestFirst{}
	push := func(hash plumbing.Hash) bool {
		h.met = h.met || hash == h.since
		if seen[hash] {
			return true
		}
		seen[hash] = true
		c, ok := st.commit(hash)
		if ok {
			heap.Push(queue, c)
		}
		return ok
	}
	if !push(h.head) {
		return nil, false
	}
	for queue.Len() > 0 && len(commits) < h.limit {
		c, _ := heap.Pop(queue).(*object.Commit)
		commits = append(commits, commitOf(c))
		for _, parent := range c.ParentHashes {
			// What lies past the limit is not needed.
			if !push(parent) && len(commits) < h.limit {
				return commits, false
			}
		}
	}
	return commits, true
}

// before is since and what the store holds of its ancestors.
func (h *history) before(st *store) map[plumbing.Hash]bool {
	seen := map[plumbing.Hash]bool{}
	if h.since == plumbing.ZeroHash {
		return seen
	}
	todo := []plumbing.Hash{h.since}
	for len(todo) > 0 {
		hash := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[hash] {
			continue
		}
		seen[hash] = true
		if c, ok := st.commit(hash); ok {
			todo = append(todo, c.ParentHashes...)
		}
	}
	return seen
}

// newestFirst orders commits by the committer's time, then by hash.
type newestFirst []*object.Commit

func (q newestFirst) Len() int      { return len(q) }
func (q newestFirst) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q newestFirst) Less(i, j int) bool {
	a, b := q[i].Committer.When, q[j].Committer.When
	if a.Equal(b) {
		return q[i].Hash.String() < q[j].Hash.String()
	}
	return a.After(b)
}

func (q *newestFirst) Push(x any) {
	if c, ok := x.(*object.Commit); ok {
		*q = append(*q, c)
	}
}

func (q *newestFirst) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
