package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// check walks everything below a path once and reports all that is refused or
// too much, so that a person mends it in one go. What .sourceignore hides is
// not looked at; what lies elsewhere in the repository is judged when opened. A
// path that does not exist has nothing to report: that is the caller's to say.
func (f *files) check(ctx context.Context, dir string) error { return f.checkUntil(ctx.Err, dir) }

// checkUntil checks until stopped returns an error.
func (f *files) checkUntil(stopped func() error, dir string) error {
	n, err := f.lookup(dir, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c := &checker{files: f, stopped: stopped, count: -1} // The path itself does not lie below it.
	if err := c.walk(n); err != nil {
		c.problems = append(c.problems, err)
	}
	if c.dropped > 0 {
		c.problems = append(c.problems, fmt.Errorf("and %d more files: %w", c.dropped, ErrRefused))
	}
	return errors.Join(c.problems...)
}

type checker struct {
	*files
	stopped  func() error
	count    int
	bytes    int64
	problems []error
	dropped  int
}

func (c *checker) report(err error) {
	if len(c.problems) >= maxProblems {
		c.dropped++
		return
	}
	c.problems = append(c.problems, err)
}

// walk returns an error where going on would defeat the limits.
func (c *checker) walk(n node) error {
	if err := c.stopped(); err != nil {
		return err
	}
	if c.count++; c.count > c.limits.MaxFiles {
		return limitAt(n.path, "is one too many: the limit is %d files and directories below the path", c.limits.MaxFiles)
	}
	if len(n.path) > c.limits.MaxPathBytes {
		c.report(limitAt(n.path[:100]+"…", "the path is %d bytes, the limit is %d", len(n.path), c.limits.MaxPathBytes))
		return nil
	}
	if depth := len(split(n.path)); depth > c.limits.MaxDepth {
		c.report(limitAt(n.path, "lies %d levels deep, the limit is %d", depth, c.limits.MaxDepth))
		return nil
	}
	if n.mode == filemode.Dir {
		return c.walkDir(n)
	}
	return c.file(n)
}

func (c *checker) walkDir(n node) error {
	d, err := c.dir(n.path, n.hash)
	if err != nil {
		c.report(err)
		return nil
	}
	for _, name := range d.bad {
		c.report(&FileError{n.path, ErrRefused, fmt.Sprintf("holds the name %q, which is double or no proper file name", clean(name))})
	}
	for _, name := range d.names {
		if err := c.walk(node{d.entries[name], join(n.path, name)}); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) file(n node) error {
	if n.mode == filemode.Symlink {
		target, err := c.lookup(n.path, true)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // A broken link is the mistake of whoever opens it.
		}
		if err != nil {
			c.report(err)
			return nil
		}
		if target.mode == filemode.Dir {
			return nil
		}
		n = target
	}
	data, err := c.blob(n)
	if err != nil {
		c.report(err)
		return nil
	}
	if c.bytes += int64(len(data)); c.bytes > c.limits.MaxTotalBytes {
		return limitAt(n.path, "brings the files below the path past the limit of %d bytes together", c.limits.MaxTotalBytes)
	}
	return nil
}
