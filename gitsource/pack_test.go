package gitsource

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// packEntry is an object as it stands in a pack: for a delta its instructions
// and the distance back to its base.
type packEntry struct {
	typ      plumbing.ObjectType
	data     []byte
	declared int // Size in the header; that of data if 0
	base     plumbing.Hash
}

// writePack encodes entries; every delta by offset refers to the entry before
// it.
func writePack(entries ...packEntry) []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	_ = binary.Write(&b, binary.BigEndian, []uint32{2, uint32(len(entries))})
	last := 0
	for _, e := range entries {
		at := b.Len()
		size := len(e.data)
		if e.declared > 0 {
			size = e.declared
		}
		c := byte(e.typ)<<4 | byte(size&0xf)
		for size >>= 4; size > 0; size >>= 7 {
			b.WriteByte(c | 0x80)
			c = byte(size & 0x7f)
		}
		b.WriteByte(c)
		switch e.typ {
		case plumbing.OFSDeltaObject:
			b.Write(backwards(int64(at - last)))
		case plumbing.REFDeltaObject:
			b.Write(e.base[:])
		default:
		}
		z := zlib.NewWriter(&b)
		_, _ = z.Write(e.data)
		_ = z.Close()
		last = at
	}
	sum := sha1.Sum(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

// backwards is Git's encoding of a distance.
func backwards(n int64) []byte {
	out := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		out = append([]byte{byte(n&0x7f) | 0x80}, out...)
	}
	return out
}

func varint(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// repeat is a delta that copies a base of n bytes k times.
func repeat(n, k int) []byte {
	delta := append(varint(n), varint(n*k)...)
	for range k {
		delta = append(delta, 0x80|0x10|0x20|0x40, byte(n), byte(n>>8), byte(n>>16))
	}
	return delta
}

func TestPackDeltas(t *testing.T) {
	base := []byte("0123456789")
	hash := plumbing.ComputeHash(plumbing.BlobObject, base)
	doubled := plumbing.ComputeHash(plumbing.BlobObject, bytes.Repeat(base, 2))
	fourfold := plumbing.ComputeHash(plumbing.BlobObject, bytes.Repeat(base, 4))
	cases := map[string][]byte{
		"ByOffset": writePack(packEntry{typ: plumbing.BlobObject, data: base},
			packEntry{typ: plumbing.OFSDeltaObject, data: repeat(10, 2)}, packEntry{typ: plumbing.OFSDeltaObject, data: repeat(20, 2)}),
		"ByHashBaseLast": writePack(packEntry{typ: plumbing.REFDeltaObject, data: repeat(20, 2), base: doubled},
			packEntry{typ: plumbing.REFDeltaObject, data: repeat(10, 2), base: hash}, packEntry{typ: plumbing.BlobObject, data: base}),
	}
	for name, pack := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := readPack(bytes.NewReader(pack), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := s.get(plumbing.BlobObject, fourfold); !ok || len(got) != 40 {
				t.Errorf("the delta of a delta is missing; the store holds %d objects", len(s.objects))
			}
		})
	}
}

func TestPackBombs(t *testing.T) {
	const million = 1 << 20
	blob := packEntry{typ: plumbing.BlobObject, data: make([]byte, million)}
	bomb := []packEntry{blob}
	for size := million; size < 1<<40; size *= 8 {
		bomb = append(bomb, packEntry{typ: plumbing.OFSDeltaObject, data: append(varint(size), varint(size*8)...)})
	}
	limits := DefaultLimits()
	limits.MaxObjectBytes = 4 << 20
	cases := map[string]struct {
		pack []byte
		want error
	}{
		"ManyZeros":      {writePack(blob, blob, blob, blob, blob), ErrLimit},
		"DeclaredSize":   {writePack(packEntry{typ: plumbing.BlobObject, data: []byte("x"), declared: 1 << 40}), ErrLimit},
		"LongerThanSaid": {writePack(packEntry{typ: plumbing.BlobObject, data: make([]byte, 2*million), declared: 10}), ErrUnreachable},
		"ShorterThan":    {writePack(packEntry{typ: plumbing.BlobObject, data: []byte("x"), declared: 10}), ErrUnreachable},
		"Deltas":         {writePack(bomb...), ErrLimit},
		"DeltaOfNothing": {writePack(packEntry{typ: plumbing.REFDeltaObject, data: repeat(10, 2)}), ErrUnreachable},
		"EmptyDelta":     {writePack(blob, packEntry{typ: plumbing.OFSDeltaObject}), ErrUnreachable},
		"Truncated":      {writePack(blob)[:50], ErrUnreachable},
		"NoPack":         {[]byte("<html>"), ErrUnreachable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := readPack(bytes.NewReader(tc.pack), limits); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzPack asserts that no pack, however broken, is inflated past its limits or
// stored under a hash that is not its own.
func FuzzPack(f *testing.F) {
	base := []byte("0123456789")
	f.Add(writePack(packEntry{typ: plumbing.BlobObject, data: base}, packEntry{typ: plumbing.OFSDeltaObject, data: repeat(10, 2)}))
	f.Add(writePack(packEntry{typ: plumbing.REFDeltaObject, data: repeat(10, 9), base: plumbing.ComputeHash(plumbing.BlobObject, base)},
		packEntry{typ: plumbing.BlobObject, data: base}))
	f.Add(writePack(packEntry{typ: plumbing.TreeObject, data: []byte("40000 a\x00xxxxxxxxxxxxxxxxxxxx")}))
	f.Fuzz(func(t *testing.T, pack []byte) {
		limits := DefaultLimits()
		limits.MaxObjectBytes, limits.MaxObjects = 1<<16, 100
		s, err := readPack(bytes.NewReader(pack), limits)
		if err != nil {
			if kindOf(err) == nil && !errors.Is(err, errNoSuchWant) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		total := 0
		for hash, o := range s.objects {
			total += len(o.data)
			if plumbing.ComputeHash(o.typ, o.data) != hash {
				t.Fatalf("%s is stored under another hash", hash)
			}
			s.tree(hash)
			s.commit(hash)
		}
		if total > 1<<16 {
			t.Fatalf("%d bytes are stored", total)
		}
	})
}
