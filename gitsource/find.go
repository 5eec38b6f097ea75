package gitsource

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// openClone opens the repository around a directory and returns the top of its
// working tree, "" for a bare one.
func openClone(dir string) (repo *git.Repository, top string, err error) {
	top, dot := dir, ""
	for ; ; top = filepath.Dir(top) {
		if dot, err = gitDir(top); err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		if filepath.Dir(top) == top {
			top, dot = "", dir // A bare one has no .git to find.
			break
		}
	}
	if _, err = os.Stat(filepath.Join(dot, "HEAD")); err != nil {
		return nil, "", git.ErrRepositoryNotExists
	}
	files := osfs.New(dot)
	// That of a linked worktree.
	if common, readErr := os.ReadFile(filepath.Join(dot, "commondir")); readErr == nil { //nolint:gosec // the user's own clone
		files = dotgit.NewRepositoryFilesystem(files, osfs.New(relativeTo(dot, string(common))))
	}
	repo, err = git.Open(cloneStorage{filesystem.NewStorage(files, cache.NewObjectLRUDefault())}, nil)
	return repo, top, err
}

// gitDir is where the Git directory of a working tree lies.
func gitDir(top string) (string, error) {
	dot := filepath.Join(top, ".git")
	info, err := os.Stat(dot)
	if err != nil || info.IsDir() {
		return dot, err
	}
	text, err := os.ReadFile(dot) //nolint:gosec // the user's own clone
	if err != nil {
		return "", err
	}
	to, ok := strings.CutPrefix(string(text), "gitdir:")
	if !ok {
		return "", git.ErrRepositoryNotExists
	}
	return relativeTo(top, to), nil
}

func relativeTo(dir, path string) string {
	path = strings.TrimSpace(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// cloneStorage reads clones that go-git refuses by the name of an extension.
type cloneStorage struct{ *filesystem.Storage }

// Config leaves out an extension that only moves settings of working trees, which
// sparse checkouts set and which nothing here reads.
func (s cloneStorage) Config() (*config.Config, error) {
	c, err := s.Storage.Config()
	if err == nil && c.Raw != nil && c.Raw.HasSection("extensions") {
		c.Raw.Section("extensions").RemoveOption("worktreeConfig")
	}
	return c, err
}
