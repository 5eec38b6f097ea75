package forge

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v88/github"
)

// gitHub is a repository on github.com or GitHub Enterprise.
type gitHub struct {
	repository
	client *github.Client
	// app signs in as the App itself instead of its installation; nil with a token.
	app *github.Client

	mu  sync.Mutex
	own string // login of our own user
}

func openGitHub(o Options, host *url.URL, r repository) (Forge, error) {
	api := gitHubAPI(host)
	g, err := newGuard(o, api)
	if err != nil {
		return nil, err
	}
	base := api.String()
	options := []github.ClientOptionsFunc{
		github.WithURLs(&base, &base), github.WithUserAgent("refract"),
		github.WithDisableRateLimitCheck(), // The guard does that, for the App's tokens too.
	}
	h := &gitHub{repository: r}
	if !o.Auth.isApp() {
		if o.Auth.Token == "" {
			return nil, fail(ErrAuth, "neither a token nor a GitHub App")
		}
		h.client, err = github.NewClient(append(options, github.WithHTTPClient(g.client(g, o.Timeout)), github.WithAuthToken(o.Auth.Token))...)
		return h, err
	}
	app, err := ghinstallation.NewAppsTransport(g, o.Auth.AppID, o.Auth.PrivateKey)
	if err != nil {
		return nil, fail(ErrAuth, "githubAppPrivateKey in the Secret is no RSA key in PEM; make a new one on the page of the App")
	}
	app.BaseURL = strings.TrimSuffix(base, "/")
	installation := ghinstallation.NewFromAppsTransport(app, o.Auth.InstallationID)
	installation.Client = g.client(g, o.Timeout)
	if h.client, err = github.NewClient(append(options, github.WithHTTPClient(g.client(installation, o.Timeout)))...); err != nil {
		return nil, err
	}
	// The transports share no state: an installation's writes to the one that it was made from.
	if app, err = ghinstallation.NewAppsTransport(g, o.Auth.AppID, o.Auth.PrivateKey); err != nil {
		return nil, fail(ErrAuth, "githubAppPrivateKey in the Secret is no RSA key in PEM; make a new one on the page of the App")
	}
	h.app, err = github.NewClient(append(options, github.WithHTTPClient(g.client(app, o.Timeout)))...)
	return h, err
}

// gitHubAPI is where the API of a GitHub is: beside github.com and the hosts of ghe.com, below any other.
func gitHubAPI(host *url.URL) *url.URL {
	api := *host
	name := strings.ToLower(host.Hostname())
	switch {
	case name == "github.com" || name == "www.github.com":
		api.Host, api.Path = "api.github.com", "/"
	case strings.HasSuffix(name, ".ghe.com"):
		api.Host, api.Path = "api."+name, "/"
	default:
		api.Path = strings.TrimSuffix(host.Path, "/") + "/api/v3/"
	}
	return &api
}

func (h *gitHub) explain(ctx context.Context, doing string, err error) error {
	return explain(ctx, doing, h.String(), err)
}

func (h *gitHub) Pulls(ctx context.Context, branch string) ([]Pull, error) {
	var out []Pull
	err := pages("open pull requests", func(page int) (bool, error) {
		found, res, err := h.client.PullRequests.List(ctx, h.owner, h.name, &github.PullRequestListOptions{
			State: "open", Base: branch, Sort: "created", Direction: "asc", ListOptions: github.ListOptions{Page: page, PerPage: pageSize},
		})
		if err != nil {
			return true, err
		}
		for _, p := range found {
			if p.GetBase().GetRef() == branch {
				out = append(out, gitHubPull(p))
			}
		}
		return res.NextPage == 0, nil
	})
	return out, h.explain(ctx, "listing pull requests", err)
}

func (h *gitHub) Pull(ctx context.Context, number int) (Pull, error) {
	found, _, err := h.client.PullRequests.Get(ctx, h.owner, h.name, number)
	if err != nil {
		return Pull{}, h.explain(ctx, "reading a pull request", err)
	}
	p := gitHubPull(found)
	base := p.Base
	if p.Closed {
		base = found.GetBase().GetSHA() // Where the branch was: by now it holds what was merged.
	}
	// One commit is enough: all of them have the same merge base.
	compared, _, err := h.client.Repositories.CompareCommits(ctx, h.owner, h.name, base, p.Head, &github.ListOptions{Page: 1, PerPage: 1})
	if err != nil && (!p.Closed || !errors.Is(err, ErrNotFound)) { // What was merged long ago may be gone.
		return Pull{}, h.explain(ctx, "comparing a pull request with its base", err)
	}
	p.MergeBase = compared.GetMergeBaseCommit().GetSHA()
	return p, nil
}

func gitHubPull(p *github.PullRequest) Pull {
	out := Pull{
		Number: p.GetNumber(), Title: p.GetTitle(), URL: p.GetHTMLURL(), Author: p.GetUser().GetLogin(),
		Head: p.GetHead().GetSHA(), HeadBranch: p.GetHead().GetRef(), Base: p.GetBase().GetRef(),
		Ref: pullRef(p.GetNumber()), Draft: p.GetDraft(), Merged: p.GetMerged() || !p.GetMergedAt().IsZero(),
		Closed: p.GetState() == "closed", Updated: p.GetUpdatedAt().Time,
		// A fork that is gone counts as one.
		Fork: p.GetHead().GetRepo().GetID() == 0 || p.GetHead().GetRepo().GetID() != p.GetBase().GetRepo().GetID(),
	}
	if out.Merged {
		out.MergeCommit = p.GetMergeCommitSHA() // Before the merge it is that of a trial.
	}
	return out
}

func (h *gitHub) Approvals(ctx context.Context, number int, teams []string) ([]Approval, error) {
	var all []verdict
	err := pages("reviews", func(page int) (bool, error) {
		found, res, err := h.client.PullRequests.ListReviews(ctx, h.owner, h.name, number, &github.ListOptions{Page: page, PerPage: pageSize})
		if err != nil {
			return true, err
		}
		for _, r := range found {
			// A comment or a review not yet sent says nothing about what was said before.
			if state := r.GetState(); slices.Contains([]string{"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}, state) && r.GetUser().GetLogin() != "" {
				all = append(all, verdict{id: r.GetID(), user: r.GetUser().GetLogin(), commit: r.GetCommitID(), approves: state == "APPROVED", at: r.GetSubmittedAt().Time})
			}
		}
		return res.NextPage == 0, nil
	})
	out := standing(all)
	if err == nil {
		err = enroll(out, teams, func(org, team, user string) (bool, error) { return h.member(ctx, org, team, user) })
	}
	if err != nil {
		return nil, h.explain(ctx, "reading approvals", err)
	}
	return out, nil
}

// member tells who is not in a team from a team that cannot be seen: both are answered with 404.
func (h *gitHub) member(ctx context.Context, org, team, user string) (bool, error) {
	m, _, err := h.client.Teams.GetTeamMembershipBySlug(ctx, org, team, user)
	if err == nil {
		return m.GetState() == "active", nil
	}
	if !errors.Is(err, ErrNotFound) {
		return false, err
	}
	if _, _, err = h.client.Teams.GetTeamBySlug(ctx, org, team); errors.Is(err, ErrNotFound) {
		return false, fail(ErrNotFound, "team %s/%s does not exist, or the credentials may not see it: a token needs read:org, an App the permission Members: read of the organization", clean(org), clean(team))
	}
	return false, err
}

func (h *gitHub) Comment(ctx context.Context, number int, marker, body string) error {
	err := commenter{
		find: func(head string) (*comment, error) { return h.findComment(ctx, number, head) },
		create: func(text string) error {
			_, _, err := h.client.Issues.CreateComment(ctx, h.owner, h.name, number, &github.IssueComment{Body: &text})
			return err
		},
		edit: func(id int64, text string) error {
			_, _, err := h.client.Issues.EditComment(ctx, h.owner, h.name, id, &github.IssueComment{Body: &text})
			return err
		},
	}.upsert(marker, body)
	return h.explain(ctx, "writing the comment", err)
}

func (h *gitHub) findComment(ctx context.Context, number int, head string) (*comment, error) {
	own, err := h.login(ctx)
	if err != nil {
		return nil, err
	}
	var found *comment
	err = pages("comments", func(page int) (bool, error) {
		all, res, listErr := h.client.Issues.ListComments(ctx, h.owner, h.name, number, &github.IssueListCommentsOptions{ListOptions: github.ListOptions{Page: page, PerPage: pageSize}})
		if listErr != nil {
			return true, listErr
		}
		for _, c := range all {
			if strings.EqualFold(c.GetUser().GetLogin(), own) && begins(c.GetBody(), head) {
				found = &comment{id: c.GetID(), body: c.GetBody()}
				return true, nil
			}
		}
		return res.NextPage == 0, nil
	})
	return found, err
}

// login of our own user: a token's, or the one that GitHub makes for an App.
func (h *gitHub) login(ctx context.Context) (string, error) {
	h.mu.Lock()
	own := h.own
	h.mu.Unlock()
	if own != "" {
		return own, nil
	}
	if h.app != nil {
		app, _, err := h.app.Apps.Get(ctx, "")
		if err != nil {
			return "", err
		}
		own = app.GetSlug() + "[bot]"
	} else {
		user, _, err := h.client.Users.Get(ctx, "")
		if err != nil {
			return "", err
		}
		own = user.GetLogin()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.own = own
	return own, nil
}

func (h *gitHub) SetStatus(ctx context.Context, commit string, s Status) error {
	s = sendable(s)
	same, err := h.hasStatus(ctx, commit, s)
	if err == nil && !same {
		state := string(s.State)
		wanted := github.RepoStatus{State: &state, Context: &s.Context, Description: &s.Description}
		if s.URL != "" {
			wanted.TargetURL = &s.URL
		}
		_, _, err = h.client.Repositories.CreateStatus(ctx, h.owner, h.name, commit, wanted)
	}
	return h.explain(ctx, "setting a commit's status", err)
}

func (h *gitHub) hasStatus(ctx context.Context, commit string, s Status) (same bool, err error) {
	err = pages("statuses", func(page int) (bool, error) {
		all, res, listErr := h.client.Repositories.GetCombinedStatus(ctx, h.owner, h.name, commit, &github.ListOptions{Page: page, PerPage: pageSize})
		if listErr != nil {
			return true, listErr
		}
		for _, have := range all.Statuses { // The latest of each context.
			if have.GetContext() == s.Context {
				same = s == Status{State: State(have.GetState()), Context: have.GetContext(), Description: have.GetDescription(), URL: have.GetTargetURL()}
				return true, nil
			}
		}
		return res.NextPage == 0, nil
	})
	return same, err
}
