package gitsource

import (
	"bytes"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// defaultPatterns is what Flux leaves out of every artifact: Git's own files,
// CI configuration, pictures and archives.
func defaultPatterns() []gitignore.Pattern {
	return slices.Concat(sourceignore.VCSPatterns(nil), sourceignore.DefaultPatterns(nil))
}

// patterns returns the parent's patterns and those of the directory's own
// .sourceignore, which are the stronger ones.
func (f *files) patterns(dir string, parent []gitignore.Pattern, entries map[string]entry) ([]gitignore.Pattern, error) {
	e, ok := entries[sourceignore.IgnoreFile]
	if !ok {
		return parent, nil
	}
	name := join(dir, sourceignore.IgnoreFile)
	if e.mode != filemode.Regular && e.mode != filemode.Executable && e.mode != filemode.Deprecated {
		return nil, &FileError{name, ErrRefused, "must be a regular file"}
	}
	data, ok := f.store.get(plumbing.BlobObject, e.hash)
	if !ok {
		return nil, &FileError{name, ErrRefused, "its contents are missing from the repository"}
	}
	if len(data) > maxIgnoreBytes {
		return nil, limitAt(name, "is %d bytes, the limit for an ignore file is %d", len(data), maxIgnoreBytes)
	}
	return slices.Concat(parent, sourceignore.ReadPatterns(bytes.NewReader(data), split(dir))), nil
}

// split returns the elements of a path, none for the root.
func split(name string) []string {
	if name == "." {
		return nil
	}
	return strings.Split(name, "/")
}

// join puts an element below a directory.
func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}
