package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

// checkout shows a directory of this machine the way the operator sees a revision: rooted where the Git repository is,
// so that ../layers can be followed inside it; nothing leads out of it; what .sourceignore hides is not there.
type checkout struct {
	root *os.Root
	// files of the whole repository, or of PATH alone outside of a repository.
	files fs.FS
	// dir is PATH in files.
	dir string
}

// openCheckout finds the repository around a path.
func openCheckout(name string) (checkout, error) {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return checkout{}, fmt.Errorf("PATH %s: %w", name, err)
	}
	// The person who runs the command may name a link; links in the files lead nowhere outside.
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return checkout{}, missing(name, err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return checkout{}, missing(name, err)
	}
	if !info.IsDir() {
		return checkout{}, fmt.Errorf("PATH %s is a file; name the directory with the fleet's files", name)
	}
	top := repositoryOf(resolved)
	dir, err := filepath.Rel(top, resolved)
	if err != nil {
		return checkout{}, fmt.Errorf("PATH %s: %w", name, err)
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		return checkout{}, fmt.Errorf("PATH %s: %w", name, err)
	}
	return checkout{root: root, files: &visible{FS: root.FS(), patterns: map[string][]gitignore.Pattern{}}, dir: filepath.ToSlash(dir)}, nil
}

func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("PATH %s does not exist; name the directory with the fleet's files", name)
	}
	return fmt.Errorf("PATH %s: %w", name, err)
}

// repositoryOf is the nearest directory from dir upwards that holds .git; dir itself when none does.
func repositoryOf(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if filepath.Dir(at) == at {
			return dir
		}
	}
}

func (c checkout) close() { _ = c.root.Close() }

// visible hides what the operator leaves out of a revision: Git's own files, CI configuration, pictures and archives,
// and what the repository's .sourceignore files name.
type visible struct {
	fs.FS

	mu       sync.Mutex
	patterns map[string][]gitignore.Pattern // by directory, with those of the directories above
}

var (
	_ fs.ReadDirFS  = (*visible)(nil)
	_ fs.StatFS     = (*visible)(nil)
	_ fs.ReadLinkFS = (*visible)(nil)
)

// Open implements fs.FS.
func (v *visible) Open(name string) (fs.File, error) {
	if err := v.check("open", name); err != nil {
		return nil, err
	}
	return v.FS.Open(name)
}

// Stat implements fs.StatFS.
func (v *visible) Stat(name string) (fs.FileInfo, error) {
	if err := v.check("stat", name); err != nil {
		return nil, err
	}
	return fs.Stat(v.FS, name)
}

// Lstat implements fs.ReadLinkFS.
func (v *visible) Lstat(name string) (fs.FileInfo, error) {
	if err := v.check("lstat", name); err != nil {
		return nil, err
	}
	return fs.Lstat(v.FS, name)
}

// ReadLink implements fs.ReadLinkFS.
func (v *visible) ReadLink(name string) (string, error) {
	if err := v.check("readlink", name); err != nil {
		return "", err
	}
	return fs.ReadLink(v.FS, name)
}

// ReadDir implements fs.ReadDirFS.
func (v *visible) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := v.check("readdir", name); err != nil {
		return nil, err
	}
	all, err := fs.ReadDir(v.FS, name)
	if err != nil {
		return nil, err
	}
	patterns, err := v.below(name)
	if err != nil {
		return nil, err
	}
	matcher := gitignore.NewMatcher(patterns)
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool {
		return matcher.Match(append(split(name), e.Name()), e.IsDir())
	}), nil
}

// check fails for what is hidden, or lies in a directory that is.
func (v *visible) check(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	elements := split(name)
	for i := range elements {
		parent := path.Join(elements[:i]...)
		if parent == "" {
			parent = "."
		}
		patterns, err := v.below(parent)
		if err != nil {
			return err
		}
		at := path.Join(elements[:i+1]...)
		info, err := fs.Lstat(v.FS, at)
		if err != nil {
			return err
		}
		if gitignore.NewMatcher(patterns).Match(elements[:i+1], info.IsDir()) {
			return &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%w: ignored (see .sourceignore)", fs.ErrNotExist)}
		}
	}
	return nil
}

// below returns the patterns that hold in a directory.
func (v *visible) below(dir string) ([]gitignore.Pattern, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.read(dir)
}

func (v *visible) read(dir string) ([]gitignore.Pattern, error) {
	if have, ok := v.patterns[dir]; ok {
		return have, nil
	}
	inherited := slices.Concat(sourceignore.VCSPatterns(nil), sourceignore.DefaultPatterns(nil))
	if dir != "." {
		above, err := v.read(path.Dir(dir))
		if err != nil {
			return nil, err
		}
		inherited = above
	}
	own, err := v.FS.Open(path.Join(dir, sourceignore.IgnoreFile))
	switch {
	case err == nil:
		defer func() { _ = own.Close() }()
		const limit = 1 << 20
		inherited = slices.Concat(inherited, sourceignore.ReadPatterns(io.LimitReader(own, limit), split(dir)))
	case !errors.Is(err, fs.ErrNotExist):
		// Also a link that leads out, or dir being one: nothing below can be trusted to be there.
		return nil, err
	}
	v.patterns[dir] = inherited
	return inherited, nil
}

func split(name string) []string {
	if name == "." {
		return nil
	}
	return strings.Split(name, "/")
}
