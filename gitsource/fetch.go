package gitsource

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// target is what a ref stands for.
type target struct {
	ref      Ref
	revision Revision
	commit   plumbing.Hash
	want     plumbing.Hash // What to ask for: for an annotated tag the tag
}

// connect opens a conversation and lists the refs.
func connect(ctx context.Context, conn opener) (session, *packp.AdvRefs, error) {
	s, err := conn.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	refs, err := s.refs(ctx)
	if err != nil {
		_ = s.Close()
		return nil, nil, err
	}
	return s, refs, nil
}

// find looks a ref up in a listing.
func find(refs *packp.AdvRefs, ref Ref) (target, error) {
	if ref.Commit != "" {
		hash := plumbing.NewHash(ref.Commit)
		return target{ref: ref, revision: Revision{Hash: hash.String()}, commit: hash, want: wantFor(refs, hash)}, nil
	}
	name := ref.fullName()
	want, ok := refs.References[name]
	if !ok {
		return target{}, missing(refs, ref)
	}
	commit := want
	if peeled, ok := refs.Peeled[name]; ok {
		commit = peeled
	}
	return target{ref: ref, revision: Revision{Ref: ref.short(), Hash: commit.String()}, commit: commit, want: want}, nil
}

// wantFor returns the listed hash that leads to a commit, or the commit itself:
// servers hand out what they list, and an annotated tag is listed by its own.
func wantFor(refs *packp.AdvRefs, commit plumbing.Hash) plumbing.Hash {
	for name, peeled := range refs.Peeled {
		if tag, ok := refs.References[name]; ok && peeled == commit && !isTip(refs, commit) {
			return tag
		}
	}
	return commit
}

func isTip(refs *packp.AdvRefs, hash plumbing.Hash) bool {
	if refs.Head != nil && *refs.Head == hash {
		return true
	}
	for _, h := range refs.References {
		if h == hash {
			return true
		}
	}
	return false
}

// missing explains an unknown ref and names those it may have meant.
func missing(refs *packp.AdvRefs, ref Ref) error {
	if len(refs.References) == 0 {
		return fail(ErrRefNotFound, "%s not found: the repository has no commits; push one", ref)
	}
	if ref.Name != "" { // Its neighbours are others' pull requests.
		return fail(ErrRefNotFound, "%s not found; it may be closed or deleted", ref)
	}
	if alt := (Ref{Tag: ref.Branch, Branch: ref.Tag}); refs.References[alt.fullName()] != plumbing.ZeroHash {
		return fail(ErrRefNotFound, "%s not found, but there is a %s", ref, alt)
	}
	prefix := strings.TrimSuffix(ref.fullName(), ref.Branch+ref.Tag)
	var near []string
	for name := range refs.References {
		short, ok := strings.CutPrefix(name, prefix)
		if ok && len(short) <= 100 && distance(short, ref.Branch+ref.Tag) <= 2 {
			near = append(near, `"`+clean(short)+`"`)
		}
	}
	slices.Sort(near)
	if len(near) > 0 {
		return fail(ErrRefNotFound, "%s not found; did you mean %s?", ref, strings.Join(near[:min(3, len(near))], " or "))
	}
	if head := defaultBranch(refs); head != "" {
		return fail(ErrRefNotFound, "%s not found; the repository's default branch is %q", ref, clean(head))
	}
	return fail(ErrRefNotFound, "%s not found", ref)
}

func defaultBranch(refs *packp.AdvRefs) string {
	for _, v := range refs.Capabilities.Get(capability.SymRef) {
		if name, ok := strings.CutPrefix(v, "HEAD:refs/heads/"); ok {
			return name
		}
	}
	return ""
}

// distance is the Levenshtein distance, compared letter by letter.
func distance(a, b string) int {
	if len(b) > 100 {
		return len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(b)]
}

// request says what to fetch.
type request struct {
	target
	depth   int
	history bool              // Only commits are needed
	enough  func(*store) bool // Whether what came reaches far enough
}

// attempt is one way to ask for a commit.
type attempt struct {
	wants []plumbing.Hash
	depth int // 0 for everything
}

// fetch gets a commit: as a listed tip or by its bare hash, and where the
// server refuses that by the branches' history, deeper at each try. The first
// attempt uses the conversation s; a conversation bears only one.
func (r *Repository) fetch(ctx context.Context, conn opener, s session, refs *packp.AdvRefs, q request) (*store, error) {
	all, refused := attempts(refs, q), false
	for i, a := range all {
		if i > 0 {
			next, _, err := connect(ctx, conn)
			if err != nil {
				return nil, err
			}
			defer func() { _ = next.Close() }()
			s = next
		}
		if i == len(all)-1 { // A server whose own history is cut off has no more.
			q.enough = func(*store) bool { return true }
		}
		st, err := r.fetchOnce(ctx, s, refs, a, q)
		if refused = errors.Is(err, errNoSuchWant); refused {
			continue
		}
		if st != nil || err != nil {
			return st, err
		}
	}
	switch {
	case q.ref.Commit == "" && refused:
		return nil, fail(ErrUnreachable, "%s moved while it was being fetched", q.ref)
	case q.ref.Commit == "":
		return nil, fail(ErrRefNotFound, "%s does not lead to a commit", q.ref)
	}
	return nil, fail(ErrRefNotFound, "%s is on no branch or tag of the repository; if it was pushed over, choose another", q.ref)
}

// attempts lists the ways in order. A bare commit is asked for even where the
// server does not announce that it hands those out: Git over HTTP does so.
func attempts(refs *packp.AdvRefs, q request) []attempt {
	all := []attempt{{[]plumbing.Hash{q.want}, q.depth}}
	if isTip(refs, q.want) {
		return all
	}
	var tips []plumbing.Hash
	for name, hash := range refs.References {
		if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			tips = append(tips, hash)
		}
	}
	if len(tips) == 0 {
		return all
	}
	return append(all, attempt{tips, q.depth + maxCommitDepth}, attempt{tips, 0})
}

// fetchOnce makes one attempt. It returns no store if what came does not hold
// the commit or not enough of its history, and errNoSuchWant if nothing came.
func (r *Repository) fetchOnce(ctx context.Context, s session, refs *packp.AdvRefs, a attempt, q request) (*store, error) {
	pack, err := s.pack(ctx, packRequest(refs, a, q.history))
	if err != nil {
		return nil, err
	}
	defer func() { _ = pack.Close() }()
	st, err := readPack(pack, r.opts.Limits)
	if err != nil {
		return nil, err
	}
	if _, ok := st.commit(q.commit); !ok || !q.enough(st) {
		return nil, nil
	}
	if !q.history {
		st = st.only(q.commit)
	}
	return st, nil
}

// packRequest asks for as little as the server knows how to send.
func packRequest(refs *packp.AdvRefs, a attempt, history bool) *packp.UploadPackRequest {
	req := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	req.Wants = slices.Clone(a.wants)
	set := func(c capability.Capability) bool {
		return refs.Capabilities.Supports(c) && req.Capabilities.Set(c) == nil
	}
	set(capability.NoProgress)
	if a.depth > 0 && set(capability.Shallow) {
		req.Depth = packp.DepthCommits(a.depth)
	}
	if history && set(capability.Filter) {
		req.Filter = packp.FilterTreeDepth(0)
	}
	return req
}
