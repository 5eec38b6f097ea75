package fleet

import (
	"container/list"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

// hasher is implemented by a file system that knows what its files hold without reading them. Links are followed.
type hasher interface {
	Hash(name string) (string, error)
}

// Cache keeps decoded files and built layers between calls of Decode, so that a commit costs what it touches. It is
// safe for concurrent use and may serve several Fleets.
type Cache struct {
	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List // of *entry, the most recently used first
	size    int
	most    int
}

type entry struct {
	key   string
	value any
	size  int
}

// entrySize is what an entry costs beside its contents, roughly.
const entrySize = 2 << 10

// NewCache returns a cache that keeps about bytes of files and layers; the least recently used go first.
func NewCache(bytes int) *Cache {
	return &Cache{entries: map[string]*list.Element{}, recent: list.New(), most: bytes}
}

func get[T any](c *Cache, key string) (T, bool) {
	var none T
	if c == nil || key == "" {
		return none, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return none, false
	}
	c.recent.MoveToFront(e)
	held, ok := e.Value.(*entry)
	if !ok {
		return none, false
	}
	value, ok := held.value.(T)
	return value, ok
}

func put(c *Cache, key string, value any, size int) {
	size += entrySize
	if c == nil || key == "" || size > c.most {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		c.remove(e)
	}
	c.entries[key] = c.recent.PushFront(&entry{key: key, value: value, size: size})
	c.size += size
	for c.size > c.most {
		c.remove(c.recent.Back())
	}
}

func (c *Cache) remove(e *list.Element) {
	if held, ok := c.recent.Remove(e).(*entry); ok {
		delete(c.entries, held.key)
		c.size -= held.size
	}
}

// recorder notes what a build looks at, so that its result can be used again while all of that is unchanged.
type recorder struct {
	fs.FS
	names map[string]bool
}

// Open implements fs.FS.
func (r *recorder) Open(name string) (fs.File, error) {
	r.names[name] = true
	return r.FS.Open(name)
}

// Stat implements fs.StatFS.
func (r *recorder) Stat(name string) (fs.FileInfo, error) {
	r.names[name] = true
	return fs.Stat(r.FS, name)
}

// linkRecorder is a recorder over a file system that shows its links.
type linkRecorder struct {
	*recorder
	links fs.ReadLinkFS
}

// Lstat implements fs.ReadLinkFS.
func (r linkRecorder) Lstat(name string) (fs.FileInfo, error) {
	r.names[name] = true
	return r.links.Lstat(name)
}

// ReadLink implements fs.ReadLinkFS.
func (r linkRecorder) ReadLink(name string) (string, error) {
	r.names[name] = true
	return r.links.ReadLink(name)
}

// record returns a view of files that notes what is looked at.
func record(files fs.FS) (fs.FS, *recorder) {
	r := &recorder{FS: files, names: map[string]bool{}}
	if links, ok := files.(fs.ReadLinkFS); ok {
		return linkRecorder{r, links}, r
	}
	return r, r
}

// seen is what a build looked at, with what was there. ok is false when that cannot be told.
func (r *recorder) seen() (names []string, states []string, ok bool) {
	names = slices.Sorted(maps.Keys(r.names))
	states = make([]string, len(names))
	for i, name := range names {
		if states[i], ok = state(r.FS, name); !ok {
			return nil, nil, false
		}
	}
	return names, states, true
}

// state says what is at name: nothing, a directory, or a file or link with its contents. Of a directory only that it is
// one: what is looked at inside has a state of its own.
func state(files fs.FS, name string) (string, bool) {
	info, err := lstat(files, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "none", true
	case err != nil:
		return "", false
	case info.IsDir():
		return "directory", true
	case info.Mode()&fs.ModeSymlink != 0:
		links, ok := files.(fs.ReadLinkFS)
		if !ok {
			return "", false
		}
		target, broken := links.ReadLink(name)
		return "link " + target, broken == nil
	}
	h, ok := files.(hasher)
	if !ok {
		return "", false
	}
	hash, err := h.Hash(name)
	return "file " + hash, err == nil
}

func lstat(files fs.FS, name string) (fs.FileInfo, error) {
	if links, ok := files.(fs.ReadLinkFS); ok {
		return links.Lstat(name)
	}
	return fs.Stat(files, name)
}
