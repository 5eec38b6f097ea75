package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// Options say which repository to read and how.
type Options struct {
	// URL is https://host/path, ssh://[user@]host[:port]/path or
	// [user@]host:path. Credentials in it are refused.
	URL string
	// Path is the directory, relative to the root, below which everything is
	// checked up front; the root if empty. Snapshot.Files is the whole
	// repository all the same, since files may refer to others outside.
	Path string
	// Auth is used until SetAuth replaces it.
	Auth Auth
	// Limits that are zero take their value from DefaultLimits.
	Limits Limits
	// Timeout bounds each call; DefaultTimeout if zero.
	Timeout time.Duration
	// AllowFileURLs admits file:// URLs, which read this machine's files.
	AllowFileURLs bool
	// AllowInsecure admits http:// URLs to loopback addresses, for tests and
	// demos.
	AllowInsecure bool
	// Observe is told of every exchange with the server; may be nil.
	Observe Observer
}

// Source reads revisions of one repository.
type Source interface {
	// Snapshot returns the files that ref stands for now.
	Snapshot(ctx context.Context, ref Ref) (Snapshot, error)
}

// Snapshot is the files of one revision. It stays valid, and holds its memory,
// for as long as it is referred to.
type Snapshot struct {
	Revision Revision
	// Committed is when the commit was made, as it says itself.
	Committed time.Time
	// Files is the repository's root without what .sourceignore hides, nor
	// what Flux hides by default (.git*, CI configuration, pictures,
	// archives). A file below a hidden directory cannot be shown again, as
	// in Git. It implements Hasher, fs.ReadDirFS, fs.ReadFileFS, fs.StatFS
	// and fs.ReadLinkFS, and is safe for concurrent use. Links are listed as
	// links and followed when opened; submodules, LFS pointers and links
	// that leave the repository are ErrRefused when opened.
	Files fs.FS
	// Into is set for what Merge made, where no commit stands for the files:
	// Revision merged into this one.
	Into Revision
}

// String names the snapshot for messages: its revision, and for a merge both.
func (s Snapshot) String() string {
	if s.Into == (Revision{}) {
		return s.Revision.String()
	}
	return "merge of " + s.Revision.String() + " into " + s.Into.String()
}

// Tree returns the hash that Git gives the directory at dir of the snapshot,
// 40 hexadecimal digits: the root for "." and "". Two revisions with the same
// hash hold the same below it, file for file, whatever .sourceignore hides; of
// what lies elsewhere it says nothing. Links are not followed, as in Git. A dir
// that is missing is fs.ErrNotExist, a file or a link ErrRefused.
func (s Snapshot) Tree(dir string) (string, error) {
	f, err := s.own()
	if err != nil {
		return "", err
	}
	dir, err = CleanPath(dir)
	if err != nil {
		return "", err
	}
	at := entry{mode: filemode.Dir, hash: f.root}
	for _, name := range split(dir) {
		if at, err = f.rawChild(at, name); err != nil {
			return "", pathError("tree", dir, err)
		}
	}
	if at.mode != filemode.Dir {
		return "", pathError("tree", dir, fail(ErrRefused, "is no directory"))
	}
	return at.hash.String(), nil
}

// Check reports all at once what is refused or too much below the path that the
// Repository reads; see Problems. Repository.Snapshot and Merge have done so,
// Repository.Snapshots has not.
func (s Snapshot) Check(ctx context.Context) error {
	f, err := s.own()
	if err != nil {
		return err
	}
	if err := f.check(ctx, f.below); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}

// own returns the files if they come from this package.
func (s Snapshot) own() (*files, error) {
	if f, ok := s.Files.(*files); ok {
		return f, nil
	}
	return nil, fail(ErrRefused, "the snapshot %q was not read from Git", s)
}

// Repository reads one repository and remembers the last snapshot. It is safe
// for concurrent use; calls that fetch wait for each other.
type Repository struct {
	opts Options
	at   address
	path string
	turn chan struct{} // Held by whoever talks to the server or uses held

	mu   sync.Mutex // Guards what SetAuth replaces
	auth Auth
	conn opener

	held *held
}

var _ Source = (*Repository)(nil)

// held is the last outcome: a snapshot, or why that commit has none, so that a
// broken revision is not fetched again and again.
type held struct {
	conn   opener // Whose credentials fetched it
	commit plumbing.Hash
	made   time.Time
	store  *store
	files  *files
	err    error
}

// Open checks options and credentials and connects to nothing. It fails with
// ErrRefused for the URL or path, and with ErrAuth, ErrHostKey or ErrTLS for
// credentials that cannot work.
func Open(o Options) (*Repository, error) {
	at, err := parseAddress(o)
	if err != nil {
		return nil, err
	}
	p, err := CleanPath(o.Path)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	o.Limits = o.Limits.withDefaults()
	r := &Repository{opts: o, at: at, path: p, turn: make(chan struct{}, 1)}
	r.opts.Auth = Auth{}
	if r.conn, err = r.opener(o.Auth); err != nil {
		return nil, r.explain(o.Auth, err)
	}
	r.auth = o.Auth
	return r, nil
}

func (r *Repository) opener(a Auth) (opener, error) {
	conn, err := r.plainOpener(a)
	if err != nil || r.opts.Observe == nil {
		return conn, err
	}
	return &observed{opener: conn, observe: r.opts.Observe}, nil
}

func (r *Repository) plainOpener(a Auth) (opener, error) {
	if err := a.fits(r.at.scheme); err != nil {
		return nil, err
	}
	switch r.at.scheme {
	case "ssh":
		return newSSHOpener(r.at, a, r.opts.Limits)
	case "file":
		return &fileOpener{dir: r.at.path, limits: r.opts.Limits}, nil
	}
	return newHTTPOpener(r.at, a, r.opts.Limits)
}

// SetAuth replaces the credentials; call it with what the Secret holds now.
// Equal credentials change nothing. Others close idle connections and drop the
// snapshot held, so that the next call proves them. On an error the former
// credentials stay.
func (r *Repository) SetAuth(a Auth) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.auth.equal(a) {
		return nil
	}
	conn, err := r.opener(a)
	if err != nil {
		return r.explain(a, err)
	}
	r.conn.close()
	r.auth, r.conn = a, conn
	return nil
}

// Resolve asks which commit ref stands for, by one ref listing and nothing
// else. A commit that the held snapshot has costs no request; for any other it
// says only that the server answers.
func (r *Repository) Resolve(ctx context.Context, ref Ref) (Revision, error) {
	var rev Revision
	err := r.do(ctx, ref, func(ctx context.Context, conn opener) error {
		if r.has(conn, ref) {
			rev = Revision{Hash: strings.ToLower(ref.Commit)}
			return nil
		}
		s, refs, err := connect(ctx, conn)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		t, err := find(refs, ref)
		rev = t.revision
		return err
	})
	return rev, err
}

// Snapshot implements Source. If the commit is the one held, it costs one ref
// listing, and for a commit ref nothing. Otherwise it fetches that one commit
// without its history, and releases the snapshot held before. Refused files and
// passed limits are reported all at once; see Problems.
func (r *Repository) Snapshot(ctx context.Context, ref Ref) (Snapshot, error) {
	var snap Snapshot
	err := r.do(ctx, ref, func(ctx context.Context, conn opener) error {
		rev, err := r.update(ctx, conn, ref)
		if err == nil {
			snap, err = r.held.snapshot(rev)
		}
		return err
	})
	return snap, err
}

// update brings what is held to where ref points.
func (r *Repository) update(ctx context.Context, conn opener, ref Ref) (Revision, error) {
	if r.has(conn, ref) {
		return Revision{Hash: strings.ToLower(ref.Commit)}, nil
	}
	s, refs, err := connect(ctx, conn)
	if err != nil {
		return Revision{}, err
	}
	defer func() { _ = s.Close() }()
	t, err := find(refs, ref)
	if err != nil {
		return Revision{}, err
	}
	if r.held == nil || r.held.conn != conn || r.held.commit != t.commit {
		r.held = nil // Released before the next is fetched: only one is in memory.
		r.held, err = r.load(ctx, conn, s, refs, t)
	}
	return t.revision, err
}

// load fetches and checks one commit. An error is one that another try may
// mend; what only another commit can mend is held.
func (r *Repository) load(ctx context.Context, conn opener, s session, refs *packp.AdvRefs, t target) (*held, error) {
	h := &held{conn: conn, commit: t.commit}
	st, err := r.fetch(ctx, conn, s, refs, request{target: t, depth: 1, enough: func(*store) bool { return true }})
	if errors.Is(err, ErrLimit) && t.ref.Commit == "" { // A bare commit's fetch depends on the branches too.
		h.err = err
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	c, _ := st.commit(t.commit) // fetch has seen it.
	h.made = c.Committer.When
	f := newFiles(st, c.TreeHash, r.opts.Limits, r.path)
	h.err = f.check(ctx, r.path)
	if ctx.Err() != nil {
		return nil, ctx.Err() // The list of problems may be half of it.
	}
	if h.err == nil {
		h.store, h.files = st, f
	}
	return h, nil
}

func (h *held) snapshot(rev Revision) (Snapshot, error) {
	if h.err != nil {
		return Snapshot{Revision: rev}, fmt.Errorf("%s: %w", rev, h.err)
	}
	return Snapshot{Revision: rev, Committed: h.made, Files: h.files}, nil
}

// has says whether ref is a commit that is held already.
func (r *Repository) has(conn opener, ref Ref) bool {
	return ref.Commit != "" && r.held != nil && r.held.conn == conn && r.held.commit == plumbing.NewHash(ref.Commit)
}

// do runs one call: in turn, in time, and with errors that name the repository
// and hold no secret.
func (r *Repository) do(ctx context.Context, ref Ref, call func(context.Context, opener) error) error {
	if err := ref.Validate(); err != nil {
		return r.explain(Auth{}, err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return r.explain(Auth{}, ended(ctx))
	}
	r.mu.Lock()
	conn, auth := r.conn, r.auth
	r.mu.Unlock()
	err := call(ctx, conn)
	if err != nil && ctx.Err() != nil && (errors.Is(err, ErrUnreachable) || kindOf(err) == nil) {
		err = ended(ctx) // Not what the connection said when it was closed.
	}
	return r.explain(auth, err)
}

// explain puts the repository before an error and takes secrets out of it.
func (r *Repository) explain(a Auth, err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); a.redact(text) != text {
		kind := kindOf(err)
		if kind == nil {
			kind = ErrUnreachable
		}
		err = &failure{kind: kind, msg: a.redact(text)}
	}
	return fmt.Errorf("git repository %s: %w", r.at, err)
}
