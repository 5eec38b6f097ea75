// Package rig holds what whole-path tests and the demo share: a Git server to push to, the operator, and small fleets.
package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/gittestserver"
)

// Git is a Git server over smart HTTP with one repository, and a clone to push from.
type Git struct {
	// Server serves the repository; stop and start it to have Git away. Nil when somebody else serves it.
	Server *gittestserver.GitServer
	// Username and Password that the server asks for.
	Username, Password string

	clone, bare string
	joined      string // address of a repository that somebody else serves
}

// NewGit starts a server with an empty repository whose branch is main. dir holds its files.
func NewGit(ctx context.Context, dir string) (*Git, error) {
	g := &Git{Username: "refract", Password: "git-password", clone: filepath.Join(dir, "clone")}
	root := filepath.Join(dir, "server")
	g.bare = filepath.Join(root, "fleet.git")
	if err := os.MkdirAll(g.bare, 0o750); err != nil {
		return nil, err
	}
	g.Server = gittestserver.NewGitServer(root).Auth(g.Username, g.Password)
	if err := g.Server.StartHTTP(); err != nil {
		return nil, fmt.Errorf("starting the Git server: %w", err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", g.bare},
		{"init", "--quiet", "--initial-branch=main", g.clone},
		{"-C", g.clone, "remote", "add", "origin", g.bare},
	} {
		if err := g.run(ctx, args...); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Close stops the server.
func (g *Git) Close() {
	if g.Server != nil {
		g.Server.StopHTTP()
	}
}

// URL of the repository, without credentials.
func (g *Git) URL() string {
	if g.Server == nil {
		return g.joined
	}
	return g.Server.HTTPAddress() + "/fleet.git"
}

// Clone is the directory of the clone that Push commits from.
func (g *Git) Clone() string { return g.clone }

// Push writes files (path to content; "" removes the file), commits and pushes them to main, and returns the commit.
func (g *Git) Push(ctx context.Context, message string, files map[string]string) (string, error) {
	if g.Server == nil {
		return g.PushTo(ctx, "main", "", message, files)
	}
	if err := g.write(files); err != nil {
		return "", err
	}
	return g.Commit(ctx, message)
}

func (g *Git) write(files map[string]string) error {
	for path, content := range files {
		name := filepath.Join(g.clone, filepath.FromSlash(path))
		if content == "" {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Commit commits and pushes whatever the clone holds, also nothing, and returns the commit.
func (g *Git) Commit(ctx context.Context, message string) (string, error) {
	return g.commitTo(ctx, "HEAD:main", message)
}

func (g *Git) commitTo(ctx context.Context, refspec, message string) (string, error) {
	for _, args := range [][]string{
		{"-C", g.clone, "add", "--all"},
		{"-C", g.clone, "-c", "user.name=Platform", "-c", "user.email=platform@example.com", "commit", "--quiet", "--allow-empty", "-m", message},
		{"-C", g.clone, "push", "--quiet", "origin", refspec},
	} {
		if err := g.run(ctx, args...); err != nil {
			return "", err
		}
	}
	out, err := exec.CommandContext(ctx, "git", "-C", g.clone, "rev-parse", "HEAD").Output() //nolint:gosec // our own directory
	return strings.TrimSpace(string(out)), err
}

// Point has a branch of the repository stand for a commit that was pushed, as a push to it would.
func (g *Git) Point(ctx context.Context, branch, commit string) error {
	return g.run(ctx, "-C", g.bare, "update-ref", "refs/heads/"+branch, commit)
}

func (g *Git) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // the arguments are those of this file
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
