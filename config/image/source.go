package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is the commit that an image is made from.
type source struct {
	dir      string
	version  string
	revision string    // the commit; ends in -dirty if files differ from it
	date     time.Time // of the commit, or SOURCE_DATE_EPOCH: the only time in the image
}

const dirty = "-dirty"

// What the linker takes, and what a tag can nearly hold.
var wellFormedVersion = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,119}$`)

// readSource asks Git. Whatever version is asked for, files that no commit holds show in it.
func readSource(ctx context.Context, o options) (source, error) {
	git := func(args ...string) (string, error) {
		return output(ctx, o.source, nil, "git", args...)
	}
	revision, err := git("rev-parse", "HEAD")
	if err != nil {
		return source{}, fmt.Errorf("an image is made from a Git checkout: %w", err)
	}
	described, err := git("describe", "--tags", "--always")
	if err != nil {
		return source{}, err
	}
	changes, err := git("status", "--porcelain")
	if err != nil {
		return source{}, err
	}
	committed, err := git("show", "--no-patch", "--format=%ct", "HEAD")
	if err != nil {
		return source{}, err
	}
	from := source{dir: o.source, version: strings.TrimSuffix(cmp.Or(o.version, described), dirty), revision: revision}
	if changes != "" {
		from.version += dirty
		from.revision += dirty
	}
	if !wellFormedVersion.MatchString(from.version) {
		return source{}, fmt.Errorf("version %q: use letters, digits, dots, dashes, underscores and plus", from.version)
	}
	from.date, err = epoch(cmp.Or(os.Getenv("SOURCE_DATE_EPOCH"), committed))
	return from, err
}

func epoch(seconds string) (time.Time, error) {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH must be seconds since 1970: %w", err)
	}
	return time.Unix(n, 0).UTC(), nil
}

// tag is the version as a registry takes it.
func (s source) tag() string { return strings.ReplaceAll(s.version, "+", "-") }

// output runs a command in dir and returns what it printed, without the last line's end.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // git and go, with arguments of ours
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("%s %s: %w", name, args[0], errors.Join(err, errors.New(said)))
	}
	return strings.TrimRight(stdout.String(), "\n"), nil
}
