package gitsource

import (
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// suffixed splits a revision into what it begins with and the last step from
// there.
var suffixed = regexp.MustCompile(`^(.+?)((?:~[0-9]*|\^[0-9]*|\^\{(?:commit)?\})+)$`)

var steps = regexp.MustCompile(`~[0-9]*|\^\{(?:commit)?\}|\^[0-9]*`)

// maxSteps bounds N of ~N and ^N.
const maxSteps = 1_000_000

// The names that a short one may stand for, in Git's order of preference.
var refRules = []string{"%", "refs/%", "refs/tags/%", "refs/heads/%", "refs/remotes/%", "refs/remotes/%/HEAD"}

// commit finds what a revision names, and the short name of the branch or tag
// that it is, if it is one.
func (l *Local) commit(rev string) (*object.Commit, string, error) {
	start, walk := rev, []string(nil)
	if m := suffixed.FindStringSubmatch(rev); m != nil {
		start, walk = m[1], steps.FindAllString(m[2], -1)
	}
	if start == "@" {
		start = "HEAD"
	}
	hash, ref, err := l.start(start)
	if err != nil {
		return nil, "", err
	}
	c, err := l.peel(rev, hash)
	for _, step := range walk {
		if err != nil {
			return nil, "", err
		}
		ref = ""
		c, err = l.step(rev, c, step)
	}
	return c, ref, err
}

// start finds the object that a revision begins with.
func (l *Local) start(name string) (plumbing.Hash, string, error) {
	if isHash(name) {
		return plumbing.NewHash(name), "", nil
	}
	if validRefName(name) {
		for _, rule := range refRules {
			full := plumbing.ReferenceName(strings.Replace(rule, "%", name, 1))
			if rule == "%" && !strings.HasPrefix(name, "refs/") && strings.ToUpper(name) != name {
				continue // HEAD and its like; no other file of .git is a ref.
			}
			found, err := l.repo.Reference(full, true)
			if err != nil {
				continue
			}
			if rule == "%" || rule == "refs/%" {
				return found.Hash(), "", nil
			}
			return found.Hash(), name, nil
		}
	}
	return l.abbreviated(name)
}

var hexDigits = regexp.MustCompile(`^[0-9a-fA-F]{4,39}$`)

// hashPrefixer is implemented by go-git's storage of a repository on disk.
type hashPrefixer interface {
	HashesWithPrefix(prefix []byte) ([]plumbing.Hash, error)
}

// abbreviated finds the one commit, or tag of a commit, whose hash begins so.
func (l *Local) abbreviated(name string) (plumbing.Hash, string, error) {
	storage, ok := l.repo.Storer.(hashPrefixer)
	if !ok || !hexDigits.MatchString(name) {
		return plumbing.ZeroHash, "", unknownRevision(name)
	}
	name = strings.ToLower(name)
	prefix, err := hex.DecodeString(name[:len(name)&^1])
	if err != nil {
		return plumbing.ZeroHash, "", unknownRevision(name)
	}
	all, err := storage.HashesWithPrefix(prefix)
	if err != nil {
		return plumbing.ZeroHash, "", fail(ErrRefused, "looking for %s: %s", clean(name), clean(err.Error()))
	}
	commits := map[plumbing.Hash]bool{} // An object may be stored more than once.
	for _, h := range all {
		if !strings.HasPrefix(h.String(), name) {
			continue
		}
		if _, err := l.peel(name, h); err == nil {
			commits[h] = true
		}
	}
	switch len(commits) {
	case 0:
		return plumbing.ZeroHash, "", unknownRevision(name)
	case 1:
		for h := range commits {
			return h, "", nil
		}
	}
	return plumbing.ZeroHash, "", fail(ErrRefNotFound, "revision %q is the beginning of %d commits; write more of the hash", clean(name), len(commits))
}

func unknownRevision(rev string) error {
	return fail(ErrRefNotFound, "revision %q is not in this clone; check its name with git log, or run git fetch", clean(rev))
}

// peel follows annotated tags to their commit.
func (l *Local) peel(rev string, hash plumbing.Hash) (*object.Commit, error) {
	for range maxLinkHops {
		tag, err := l.repo.TagObject(hash)
		if err != nil {
			break
		}
		hash = tag.Target
	}
	c, err := l.repo.CommitObject(hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, unknownRevision(rev)
	}
	if err != nil {
		return nil, fail(ErrRefused, "revision %q cannot be read: %s", clean(rev), clean(err.Error()))
	}
	return c, nil
}

// step goes to a parent: ~N follows first parents, ^N takes the N-th.
func (l *Local) step(rev string, c *object.Commit, step string) (*object.Commit, error) {
	n := 1
	if digits := strings.TrimLeft(step, "~^"); digits != "" && digits[0] != '{' {
		var err error
		if n, err = strconv.Atoi(digits); err != nil || n > maxSteps {
			return nil, unknownRevision(rev)
		}
	} else if digits != "" {
		return c, nil
	}
	if step[0] == '^' {
		if n == 0 {
			return c, nil
		}
		return l.parent(rev, c, n)
	}
	for range n {
		var err error
		if c, err = l.parent(rev, c, 1); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (l *Local) parent(rev string, c *object.Commit, n int) (*object.Commit, error) {
	if n > len(c.ParentHashes) {
		return nil, fail(ErrRefNotFound, "revision %q: commit %s has no parent %d", clean(rev), c.Hash, n)
	}
	p, err := l.repo.CommitObject(c.ParentHashes[n-1])
	if err != nil {
		return nil, fail(ErrRefNotFound, "revision %q: the history of this clone is cut off at %s; run git fetch --unshallow", clean(rev), c.Hash)
	}
	return p, nil
}
