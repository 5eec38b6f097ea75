package gitsource

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// readPack inflates a pack into a store. go-git's own parser inflates whatever
// a pack declares; here every object is paid for before it is inflated, so a
// pack of a few KiB cannot fill the memory.
func readPack(r io.Reader, limits Limits) (*store, error) {
	p := &packReader{
		scanner:  packfile.NewScanner(bufio.NewReader(r)),
		limits:   limits,
		budget:   limits.MaxObjectBytes,
		store:    newStore(),
		onOffset: map[int64][]packDelta{},
		onHash:   map[plumbing.Hash][]packDelta{},
	}
	if err := p.read(); err != nil {
		return nil, packError(err)
	}
	if err := p.resolve(); err != nil {
		return nil, packError(err)
	}
	return p.store, nil
}

// packError gives what went wrong on the way a kind.
func packError(err error) error {
	if kindOf(err) == nil && refusesWant(err.Error()) { // Said inside the pack's stream.
		return errNoSuchWant
	}
	return remoteSaid(err)
}

// packDelta is an object told as changes to another one.
type packDelta struct {
	offset int64
	data   []byte
}

type packReader struct {
	scanner  *packfile.Scanner
	limits   Limits
	budget   int64
	store    *store
	onOffset map[int64][]packDelta // Deltas by the offset of their base
	onHash   map[plumbing.Hash][]packDelta
	pending  int
	todo     []placed
}

// placed is a whole object whose deltas can now be applied.
type placed struct {
	offset int64
	hash   plumbing.Hash
}

func (p *packReader) spend(n int64) error {
	if n < 0 || n > p.budget {
		return fail(ErrLimit, "the repository's files at that commit, inflated, pass the limit of %d bytes", p.limits.MaxObjectBytes)
	}
	p.budget -= n
	return nil
}

func (p *packReader) read() error {
	_, count, err := p.scanner.Header()
	if errors.Is(err, packfile.ErrEmptyPackfile) {
		return nil
	}
	if err != nil {
		return err
	}
	if int64(count) > int64(p.limits.MaxObjects) {
		return fail(ErrLimit, "the repository has %d objects, the limit is %d", count, p.limits.MaxObjects)
	}
	for range count {
		if err = p.next(); err != nil {
			return err
		}
	}
	_, err = p.scanner.Checksum()
	return err
}

func (p *packReader) next() error {
	h, err := p.scanner.NextObjectHeader()
	if err != nil {
		return err
	}
	if err := p.spend(h.Length); err != nil {
		return err
	}
	var buf bytes.Buffer
	buf.Grow(int(min(h.Length, 1<<20)))
	if _, _, err := p.scanner.NextObject(&buf); err != nil {
		return err
	}
	if int64(buf.Len()) != h.Length {
		return errors.New("an object is shorter than declared")
	}
	data := slices.Clip(buf.Bytes())
	if h.Length > 1<<20 {
		data = bytes.Clone(data) // Growing left up to twice the room.
	}
	switch h.Type {
	case plumbing.OFSDeltaObject:
		p.pending++
		p.onOffset[h.OffsetReference] = append(p.onOffset[h.OffsetReference], packDelta{h.Offset, data})
	case plumbing.REFDeltaObject:
		p.pending++
		p.onHash[h.Reference] = append(p.onHash[h.Reference], packDelta{h.Offset, data})
	default:
		p.place(h.Offset, rawObject{h.Type, data})
	}
	return nil
}

func (p *packReader) place(offset int64, o rawObject) {
	p.todo = append(p.todo, placed{offset, p.store.add(o.typ, o.data)})
}

// resolve applies deltas to their bases, and those to theirs, without
// recursion: chains may be long.
func (p *packReader) resolve() error {
	for len(p.todo) > 0 {
		at := p.todo[len(p.todo)-1]
		p.todo = p.todo[:len(p.todo)-1]
		deltas := append(p.onOffset[at.offset], p.onHash[at.hash]...)
		delete(p.onOffset, at.offset)
		delete(p.onHash, at.hash)
		base := p.store.objects[at.hash]
		for _, d := range deltas {
			if err := p.apply(base, d); err != nil {
				return err
			}
		}
	}
	if p.pending > 0 {
		return errors.New("the pack refers to objects that it does not hold")
	}
	return nil
}

func (p *packReader) apply(base rawObject, d packDelta) error {
	size, err := deltaTarget(d.data)
	if err != nil {
		return err
	}
	if err = p.spend(size); err != nil {
		return err
	}
	data, err := packfile.PatchDelta(base.data, d.data)
	if err != nil {
		return err
	}
	p.budget += int64(len(d.data))
	p.pending--
	p.place(d.offset, rawObject{base.typ, data})
	return nil
}

// deltaTarget reads the size that a delta says its result has, the second of
// the two numbers that it begins with.
func deltaTarget(delta []byte) (int64, error) {
	var size int64
	for range 2 {
		size = 0
		for shift := 0; ; shift += 7 {
			if len(delta) == 0 || shift > 56 {
				return 0, errors.New("a delta has no sizes")
			}
			b := delta[0]
			delta = delta[1:]
			size |= int64(b&0x7f) << shift
			if b&0x80 == 0 {
				break
			}
		}
	}
	return size, nil
}
