package gitsource

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// fileOpener reads a repository of this machine, by an upload-pack in this
// process. It sends all history: for tests, demos and work by hand.
type fileOpener struct {
	dir    string
	limits Limits
}

func (o *fileOpener) close() {}

func (o *fileOpener) open(context.Context) (session, error) {
	dir := o.dir
	if info, err := os.Stat(filepath.Join(dir, ".git")); err == nil && info.IsDir() {
		dir = filepath.Join(dir, ".git")
	}
	if _, err := fs.Stat(os.DirFS(dir), "objects"); err != nil {
		return nil, fail(ErrNotFound, "no Git repository in that directory")
	}
	ep := &transport.Endpoint{Protocol: "file", Path: dir}
	store := filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRUDefault())
	s, err := server.NewServer(server.MapLoader{ep.String(): store}).NewUploadPackSession(ep, nil)
	if err != nil {
		return nil, fail(ErrNotFound, "reading the repository: %s", clean(err.Error()))
	}
	return &fileSession{UploadPackSession: s, store: store, limits: o.limits}, nil
}

type fileSession struct {
	transport.UploadPackSession
	store  storer.EncodedObjectStorer
	limits Limits
}

func (s *fileSession) refs(ctx context.Context) (*packp.AdvRefs, error) {
	refs, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, fail(ErrUnreachable, "reading the refs: %s", clean(err.Error()))
	}
	for name, hash := range refs.References {
		if commit, ok := s.peel(hash); ok { // Git's own servers send this along.
			refs.Peeled[name] = commit
		}
	}
	return refs, nil
}

// peel follows an annotated tag to its commit.
func (s *fileSession) peel(hash plumbing.Hash) (plumbing.Hash, bool) {
	tag, err := object.GetTag(s.store, hash)
	if err != nil {
		return plumbing.ZeroHash, false
	}
	commit, err := tag.Commit()
	if err != nil {
		return plumbing.ZeroHash, false
	}
	return commit.Hash, true
}

func (s *fileSession) pack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	res, err := s.UploadPack(ctx, req)
	if err != nil {
		return nil, errNoSuchWant
	}
	return struct {
		io.Reader
		io.Closer
	}{newLimitReader(res, s.limits.MaxPackBytes, "the transfer"), res}, nil
}
