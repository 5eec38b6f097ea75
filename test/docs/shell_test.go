package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell is one reader's terminal: directory and variables last from block to block.
type shell struct {
	dir string // holds the state
	env []string
}

// The state is saved whatever the exit code, so that a page may go on after a command that is meant to fail.
const frame = `cd "$(cat "$DOCS_STATE/cwd")"
. "$DOCS_STATE/env"
trap 'export -p >"$DOCS_STATE/env"; pwd >"$DOCS_STATE/cwd"' EXIT
`

// newShell opens a terminal in a directory with variables, each NAME=value.
func newShell(t *testing.T, cwd string, env ...string) *shell {
	t.Helper()
	s := &shell{dir: t.TempDir()}
	s.env = append(os.Environ(), append(env, "DOCS_STATE="+s.dir)...)
	for name, text := range map[string]string{"cwd": cwd + "\n", "env": ""} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// run runs commands and gives what they print on both outputs, and the exit code.
func (s *shell) run(ctx context.Context, commands string) (string, int, error) {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", frame+commands)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return string(out), failed.ExitCode(), nil
	}
	return string(out), 0, err
}

// cwd is the directory that the reader is in.
func (s *shell) cwd() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "cwd"))
	return strings.TrimSpace(string(text)), err
}

// patience bounds how long a block may take on a busy machine, pause lies between two runs of one that is repeated.
const (
	patience = 5 * time.Minute
	pause    = 500 * time.Millisecond
)

// follow does what the marked blocks of a page say, from top to bottom, and stops at the first that fails.
func (s *shell) follow(t *testing.T, all []block) {
	t.Helper()
	for i, b := range all {
		var err error
		switch b.mark {
		case "file":
			err = s.write(b)
		case "run":
			shown := ""
			if i+1 < len(all) && all[i+1].mark == "output" {
				shown = all[i+1].text
			}
			err = s.try(t, b, shown)
		}
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
}

// try runs a block once, or until it prints what is shown.
func (s *shell) try(t *testing.T, b block, shown string) error {
	t.Helper()
	code, err := b.exit()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	for {
		out, got, err := s.run(ctx, b.text)
		switch {
		case err != nil:
		case got != code:
			err = fmt.Errorf("exit code %d, want %d\n%s\nprints\n%s", got, code, b.text, out)
		case shown != "" && !matches(shown, out):
			err = fmt.Errorf("%s\nprints\n%s\nand the page shows\n%s", b.text, out, shown)
		}
		if err == nil {
			t.Logf("%s in %s: %s\n%s", b, time.Since(start).Round(100*time.Millisecond), b.first(), out)
			return nil
		}
		if !b.repeat() || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// write writes a block into the file that its mark names.
func (s *shell) write(b block) error {
	dir, err := s.cwd()
	if err != nil {
		return err
	}
	name := filepath.Join(dir, filepath.FromSlash(b.args))
	if err = os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(b.text), 0o600)
}

func TestShell(t *testing.T) {
	s := newShell(t, t.TempDir(), "GREETING=hello")
	s.follow(t, []block{
		{mark: "file", args: "sub/name", text: "world\n"},
		{mark: "run", text: "cd sub\nexport WHO=\"$(cat name)\"\n"},
		{mark: "run", args: "exit=3", text: "echo \"$GREETING $WHO\"; exit 3\n"},
		{mark: "output", text: "hello …\n"},
		{mark: "run", args: "repeat", text: "echo x >>seen; cat seen\n"},
		{mark: "output", text: "x\n…\nx\n"},
	})
	if out, code, err := s.run(t.Context(), "false | true; echo never"); err != nil || code != 1 || out != "" {
		t.Errorf("a failure in a pipe is overlooked: %q, %d, %v", out, code, err)
	}
}
