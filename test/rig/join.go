package rig

import (
	"context"
	"net/url"
	"path/filepath"
)

// JoinGit makes a clone, below dir, of a repository that somebody else serves over HTTP; it may still be empty.
func JoinGit(ctx context.Context, dir, address string, as *url.Userinfo) (*Git, error) {
	remote, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	remote.User = as
	g := &Git{Username: as.Username(), clone: filepath.Join(dir, "clone"), joined: address}
	g.Password, _ = as.Password()
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main", g.clone},
		{"-C", g.clone, "remote", "add", "origin", remote.String()},
	} {
		if err := g.run(ctx, args...); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// PushTo writes files as Push does, commits them to a branch and pushes it, whatever it was before. The commit's parent is
// from, a branch or commit of the repository; "" is the branch itself, as it is there now.
func (g *Git) PushTo(ctx context.Context, branch, from, message string, files map[string]string) (string, error) {
	if from == "" {
		from = branch
	}
	return g.PushRef(ctx, "refs/heads/"+branch, from, message, files)
}

// PushRef is PushTo with any ref.
func (g *Git) PushRef(ctx context.Context, ref, from, message string, files map[string]string) (string, error) {
	if err := g.run(ctx, "-C", g.clone, "fetch", "--quiet", "--prune", "origin"); err != nil {
		return "", err
	}
	for _, parent := range []string{"refs/remotes/origin/" + from, from} {
		if g.run(ctx, "-C", g.clone, "rev-parse", "--verify", "--quiet", parent+"^{commit}") != nil {
			continue // not this one; in an empty repository there is none
		}
		if err := g.run(ctx, "-C", g.clone, "checkout", "--quiet", "--force", "--detach", parent); err != nil {
			return "", err
		}
		break
	}
	if err := g.write(files); err != nil {
		return "", err
	}
	return g.commitTo(ctx, "+HEAD:"+ref, message)
}
