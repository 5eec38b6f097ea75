package gitsource

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fluxcd/pkg/sourceignore/gitignore"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Hasher is implemented by Snapshot.Files. Callers cache by what it returns.
type Hasher interface {
	// Hash returns the SHA-1, in hexadecimal, of the blob or tree at name;
	// "." is the whole repository. Links are followed. A tree's hash also
	// covers files that .sourceignore hides.
	Hash(name string) (string, error)
}

// files is the file system of one commit. Like os.DirFS it shows links as
// links and follows them when they are opened; unlike it, nothing leads out.
type files struct {
	store  *store
	root   plumbing.Hash
	limits Limits
	below  string // What is checked up front

	mu   sync.Mutex
	dirs map[string]*directory
}

var (
	_ fs.ReadDirFS  = (*files)(nil)
	_ fs.ReadFileFS = (*files)(nil)
	_ fs.StatFS     = (*files)(nil)
	_ fs.ReadLinkFS = (*files)(nil)
	_ Hasher        = (*files)(nil)
)

func newFiles(s *store, root plumbing.Hash, limits Limits, below string) *files {
	return &files{store: s, root: root, limits: limits, below: below, dirs: map[string]*directory{}}
}

// entry is one name in a directory.
type entry struct {
	name string
	mode filemode.FileMode
	hash plumbing.Hash
}

// directory is a decoded tree at one path, without what is ignored.
type directory struct {
	entries  map[string]entry
	names    []string // Sorted
	bad      []string // Names that no path may have
	patterns []gitignore.Pattern
}

// node is what a path leads to. Its path holds no links.
type node struct {
	entry
	path string
}

// dir returns the directory at a path without links; hash is its tree.
func (f *files) dir(name string, hash plumbing.Hash) (*directory, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d, ok := f.dirs[name]; ok {
		return d, nil
	}
	if len(f.dirs) > 2*f.limits.MaxFiles { // One tree may stand at any number of paths.
		return nil, limitAt(name, "is one directory too many, the limit is %d", 2*f.limits.MaxFiles)
	}
	inherited := defaultPatterns()
	if name != "." {
		parent, ok := f.dirs[path.Dir(name)] // Every walk comes from above.
		if !ok {
			return nil, fs.ErrNotExist
		}
		inherited = parent.patterns
	}
	d, err := f.readDirectory(name, hash, inherited)
	if err != nil {
		return nil, err
	}
	f.dirs[name] = d
	return d, nil
}

func (f *files) readDirectory(name string, hash plumbing.Hash, inherited []gitignore.Pattern) (*directory, error) {
	tree, ok := f.store.tree(hash)
	if !ok {
		return nil, &FileError{name, ErrRefused, "the directory is damaged or missing from the repository"}
	}
	d := &directory{entries: make(map[string]entry, len(tree))}
	for _, e := range tree {
		_, twice := d.entries[e.Name]
		if twice || !validName(e.Name) {
			d.bad = append(d.bad, e.Name)
			continue
		}
		d.entries[e.Name] = entry{e.Name, e.Mode, e.Hash}
	}
	patterns, err := f.patterns(name, inherited, d.entries)
	if err != nil {
		return nil, err
	}
	d.patterns = patterns
	matcher := gitignore.NewMatcher(patterns)
	for n, e := range d.entries {
		isDir := e.mode == filemode.Dir || e.mode == filemode.Submodule
		if matcher.Match(append(split(name), n), isDir) {
			delete(d.entries, n)
			continue
		}
		d.names = append(d.names, n)
	}
	slices.Sort(d.names)
	return d, nil
}

// validName refuses names that mean something else to whoever builds paths.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00") && utf8.ValidString(name)
}

// lookup walks to a path, element by element, through links. The last element
// is followed too if follow is set.
func (f *files) lookup(name string, follow bool) (node, error) {
	at := []node{{entry: entry{name: ".", mode: filemode.Dir, hash: f.root}, path: "."}}
	rest, hops := link{target: name}.steps(), 0
	for len(rest) > 0 {
		step := rest[0]
		rest = rest[1:]
		if step.element == ".." { // From a link: fs.ValidPath lets none through.
			if at = at[:len(at)-1]; len(at) == 0 {
				return node{}, step.of.refuse("leads out of the repository")
			}
			continue
		}
		next, err := f.child(at[len(at)-1], step.element)
		if err != nil {
			return node{}, err
		}
		if next.mode != filemode.Symlink || (len(rest) == 0 && !follow) {
			at = append(at, next)
			continue
		}
		hops++
		l, err := f.link(next, hops)
		if err != nil {
			return node{}, err
		}
		rest = append(l.steps(), rest...)
	}
	return at[len(at)-1], nil
}

// link is a symbolic link and where it points.
type link struct {
	path, target string
}

func (l link) refuse(why string) error {
	return &FileError{l.path, ErrRefused, fmt.Sprintf("is a link to %q, which %s; remove the link or make it relative to a file of this repository", clean(l.target), why)}
}

// step is one element of a path and the link that it was read from.
type step struct {
	element string
	of      link
}

func (l link) steps() []step {
	var steps []step
	for e := range strings.SplitSeq(l.target, "/") {
		if e != "" && e != "." {
			steps = append(steps, step{e, l})
		}
	}
	return steps
}

// link reads a link, the hops-th on the way. Absolute ones are refused: they
// mean a machine.
func (f *files) link(n node, hops int) (link, error) {
	data, ok := f.store.get(plumbing.BlobObject, n.hash)
	l := link{path: n.path, target: string(data)}
	switch {
	case hops > maxLinkHops:
		return l, l.refuse("leads in a circle")
	case !ok || len(data) == 0 || len(data) > f.limits.MaxPathBytes:
		l.target = l.target[:min(len(l.target), 100)]
		return l, l.refuse("is empty or too long")
	case strings.HasPrefix(l.target, "/") || strings.ContainsAny(l.target, "\\\x00"):
		return l, l.refuse("is absolute")
	}
	return l, nil
}

// child returns an entry of a directory.
func (f *files) child(parent node, name string) (node, error) {
	if parent.mode == filemode.Submodule {
		return node{}, refuseSubmodule(parent.path)
	}
	if parent.mode != filemode.Dir {
		return node{}, fs.ErrNotExist
	}
	d, err := f.dir(parent.path, parent.hash)
	if err != nil {
		return node{}, err
	}
	e, ok := d.entries[name]
	if !ok {
		return node{}, fs.ErrNotExist
	}
	return node{entry: e, path: join(parent.path, name)}, nil
}

// rawChild returns an entry of a directory as Git has it, hidden or not.
func (f *files) rawChild(parent entry, name string) (entry, error) {
	if parent.mode != filemode.Dir {
		return entry{}, fs.ErrNotExist
	}
	tree, ok := f.store.tree(parent.hash)
	if !ok {
		return entry{}, fail(ErrRefused, "a directory is damaged or missing from the repository")
	}
	for _, e := range tree {
		if e.Name == name {
			return entry{e.Name, e.Mode, e.Hash}, nil
		}
	}
	return entry{}, fs.ErrNotExist
}
