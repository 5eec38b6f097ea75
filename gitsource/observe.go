package gitsource

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// Operation is one thing that is asked of a Git server.
type Operation string

// The operations.
const (
	// ListRefs connects and lists the refs.
	ListRefs Operation = "list"
	// FetchPack transfers one pack.
	FetchPack Operation = "fetch"
)

// Observer is told when an operation begins, and calls back what it returns
// when the operation ends: with the bytes of the pack that were received, 0 for
// a listing, and how it failed. It is called from several goroutines.
type Observer func(Operation) (done func(received int64, err error))

// observed tells an Observer what goes through an opener.
type observed struct {
	opener
	observe Observer
}

func (o *observed) open(ctx context.Context) (session, error) {
	done := o.observe(ListRefs)
	s, err := o.opener.open(ctx)
	if err != nil {
		done(0, err)
		return nil, err
	}
	return &observedSession{session: s, observe: o.observe, listed: done}, nil
}

type observedSession struct {
	session
	observe Observer
	listed  func(int64, error)
}

func (s *observedSession) refs(ctx context.Context) (*packp.AdvRefs, error) {
	refs, err := s.session.refs(ctx)
	s.listed(0, err)
	return refs, err
}

func (s *observedSession) pack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	done := s.observe(FetchPack)
	pack, err := s.session.pack(ctx, req)
	if err != nil {
		done(0, err)
		return nil, err
	}
	return &observedPack{ReadCloser: pack, done: done}, nil
}

// observedPack counts what is read until it is closed.
type observedPack struct {
	io.ReadCloser
	read int64
	err  error
	once sync.Once
	done func(int64, error)
}

func (p *observedPack) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}

func (p *observedPack) Close() error {
	err := p.ReadCloser.Close()
	p.once.Do(func() { p.done(p.read, p.err) })
	return err
}
