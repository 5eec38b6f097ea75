package gitea

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"code.gitea.io/sdk/gitea"

	"github.com/refract-dev/refract/test/rig"
)

// Repository of a Gitea.
type Repository struct {
	// Owner and Name.
	Owner, Name string

	server *Server
}

// Repository makes an empty repository of a person's own.
func (p *Person) Repository(name string) (*Repository, error) {
	if _, _, err := p.API.CreateRepo(gitea.CreateRepoOption{Name: name, Private: true, DefaultBranch: "main"}); err != nil {
		return nil, fmt.Errorf("making repository %s: %w", name, err)
	}
	return &Repository{Owner: p.Name, Name: name, server: p.server}, nil
}

// OrgRepository makes an empty repository of an organization.
func (s *Server) OrgRepository(org, name string) (*Repository, error) {
	if _, _, err := s.Admin.API.CreateOrgRepo(org, gitea.CreateRepoOption{Name: name, Private: true, DefaultBranch: "main"}); err != nil {
		return nil, fmt.Errorf("making repository %s/%s: %w", org, name, err)
	}
	return &Repository{Owner: org, Name: name, server: s}, nil
}

// String is owner/name.
func (r *Repository) String() string { return r.Owner + "/" + r.Name }

// URL to clone from, without credentials.
func (r *Repository) URL() string { return r.server.URL() + "/" + r.String() + ".git" }

// URLBy is where to clone from by another door.
func (r *Repository) URLBy(d *Door) string { return d.URL() + "/" + r.String() + ".git" }

// Clone makes a clone in dir that pushes over HTTP as somebody.
func (r *Repository) Clone(ctx context.Context, dir string, as *Person) (*rig.Git, error) {
	return rig.JoinGit(ctx, dir, r.URL(), url.UserPassword(as.Name, as.Token))
}

// Allow lets a person read or write the repository.
func (r *Repository) Allow(p *Person, access gitea.AccessMode) error {
	_, err := r.server.Admin.API.AddCollaborator(r.Owner, r.Name, p.Name, gitea.AddCollaboratorOption{Permission: &access})
	if err != nil {
		return fmt.Errorf("letting %s into %s: %w", p.Name, r, err)
	}
	return nil
}

// Protect demands a number of approvals before a merge into a branch. Gitea counts only those of people who may write.
func (r *Repository) Protect(branch string, approvals int64) error {
	_, _, err := r.server.Admin.API.CreateBranchProtection(r.Owner, r.Name, gitea.CreateBranchProtectionOption{
		RuleName: branch, EnablePush: true, RequiredApprovals: approvals,
	})
	return err
}

// Fork makes a fork of a person's own.
func (r *Repository) Fork(as *Person) (*Repository, error) {
	if _, _, err := as.API.CreateFork(r.Owner, r.Name, gitea.CreateForkOption{}); err != nil {
		return nil, fmt.Errorf("forking %s: %w", r, err)
	}
	return &Repository{Owner: as.Name, Name: r.Name, server: r.server}, nil
}

func (r *Repository) remove() error {
	_, err := r.server.Admin.API.DeleteRepo(r.Owner, r.Name)
	return err
}

// Hook has Gitea call a URL at pushes and whatever becomes of pull requests, signed with a token; kind is the type of
// content, json or form.
func (r *Repository) Hook(url, token, kind string) (*gitea.Hook, error) {
	hook, _, err := r.server.Admin.API.CreateRepoHook(r.Owner, r.Name, gitea.CreateHookOption{
		Type: gitea.HookTypeGitea, Active: true, BranchFilter: "*",
		Config: map[string]string{"url": url, "content_type": kind, "secret": token},
		Events: []string{"push", "pull_request", "pull_request_review", "pull_request_sync"},
	})
	if err != nil {
		return nil, fmt.Errorf("making a webhook of %s: %w", r, err)
	}
	return hook, nil
}

// Try has Gitea call a webhook with the last commit of main, as its button for that does.
func (r *Repository) Try(ctx context.Context, hook *gitea.Hook) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/api/v1/repos/%s/hooks/%d/tests", r.server.URL(), r, hook.ID), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "token "+r.server.Admin.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("trying a webhook: %s", res.Status)
	}
	return errors.Join(err, res.Body.Close())
}

// Open opens a pull request onto main; head is a branch, or owner:branch of a fork. It waits until Gitea, which learns of
// pushed branches in the background, knows of it.
func (r *Repository) Open(ctx context.Context, as *Person, title, head string) (number int, err error) {
	err = eventually(ctx, func() error {
		p, _, openErr := as.API.CreatePullRequest(r.Owner, r.Name, gitea.CreatePullRequestOption{Title: title, Head: head, Base: "main"})
		if openErr == nil {
			number = int(p.Index)
		}
		return openErr
	})
	if err != nil {
		return 0, fmt.Errorf("opening pull request %q: %w", title, err)
	}
	return number, nil
}

// Merge merges a pull request and returns the commit that is then on the base branch. It waits until Gitea, which finds
// out in the background whether it can be merged, does so.
func (r *Repository) Merge(ctx context.Context, as *Person, number int, style gitea.MergeStyle) (commit string, err error) {
	err = eventually(ctx, func() error {
		done, res, mergeErr := as.API.MergePullRequest(r.Owner, r.Name, int64(number), gitea.MergePullRequestOption{Style: style})
		if mergeErr == nil && !done {
			mergeErr = errors.New(res.Status)
		}
		return mergeErr
	})
	if err != nil {
		return "", fmt.Errorf("merging #%d: %w", number, err)
	}
	p, _, err := as.API.GetPullRequest(r.Owner, r.Name, int64(number))
	if err != nil {
		return "", err
	}
	if !p.HasMerged || p.MergedCommitID == nil {
		return "", fmt.Errorf("#%d is not merged: %s", number, p.State)
	}
	return *p.MergedCommitID, nil
}

// background bounds what Gitea does by itself on a busy machine.
const background = time.Minute

// eventually waits until try succeeds.
func eventually(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, background)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// Review says something of a pull request's head: approves it, or asks for changes.
func (r *Repository) Review(as *Person, number int, state gitea.ReviewStateType, words string) (*gitea.PullReview, error) {
	p, _, err := as.API.GetPullRequest(r.Owner, r.Name, int64(number))
	if err != nil {
		return nil, err
	}
	review, _, err := as.API.CreatePullReview(r.Owner, r.Name, int64(number), gitea.CreatePullReviewOptions{State: state, Body: words, CommitID: p.Head.Sha})
	if err != nil {
		return nil, fmt.Errorf("%s reviewing #%d: %w", as.Name, number, err)
	}
	return review, nil
}

// Comments of a pull request by one person, oldest first.
func (r *Repository) Comments(number int, by string) ([]*gitea.Comment, error) {
	all, err := every(func(o gitea.ListOptions) ([]*gitea.Comment, *gitea.Response, error) {
		return r.server.Admin.API.ListIssueComments(r.Owner, r.Name, int64(number), gitea.ListIssueCommentOptions{ListOptions: o})
	})
	return slices.DeleteFunc(all, func(c *gitea.Comment) bool { return c.Poster == nil || c.Poster.UserName != by }), err
}

// Statuses of a commit whose context begins so, newest first.
func (r *Repository) Statuses(commit, context string) ([]*gitea.Status, error) {
	all, err := every(func(o gitea.ListOptions) ([]*gitea.Status, *gitea.Response, error) {
		return r.server.Admin.API.ListStatuses(r.Owner, r.Name, commit, gitea.ListStatusesOption{ListOptions: o})
	})
	all = slices.DeleteFunc(all, func(s *gitea.Status) bool { return !strings.HasPrefix(s.Context, context) })
	slices.SortFunc(all, func(a, b *gitea.Status) int { return cmp.Compare(b.ID, a.ID) })
	return all, err
}

// every reads all pages of a list.
func every[T any](read func(gitea.ListOptions) ([]*T, *gitea.Response, error)) ([]*T, error) {
	var all []*T
	for page := 1; ; page++ {
		some, res, err := read(gitea.ListOptions{Page: page})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		total, err := strconv.Atoi(res.Header.Get("X-Total-Count"))
		if err != nil {
			return nil, fmt.Errorf("a list without its length: %w", err)
		}
		if len(all) >= total || len(some) == 0 {
			return all, nil
		}
	}
}
