package forge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"code.gitea.io/sdk/gitea"
)

// giteaRepo is a repository on a Gitea or Forgejo.
type giteaRepo struct {
	repository
	address string
	token   string
	client  *http.Client

	mu  sync.Mutex
	own int64 // id of our own user
}

func openGitea(o Options, host *url.URL, r repository) (Forge, error) {
	if o.Auth.isApp() {
		return nil, fail(ErrAuth, "the Secret holds a GitHub App, but the provider is Gitea: put token there")
	}
	if o.Auth.Token == "" {
		return nil, fail(ErrAuth, "no token")
	}
	g, err := newGuard(o, host)
	if err != nil {
		return nil, err
	}
	return &giteaRepo{repository: r, address: host.String(), token: o.Auth.Token, client: g.client(g, o.Timeout)}, nil
}

// as returns a client that ends with ctx: this library keeps the context in the client. Its version is not asked for,
// which would cost a request each.
func (h *giteaRepo) as(ctx context.Context) (*gitea.Client, error) {
	return gitea.NewClient(h.address, gitea.SetGiteaVersion(""), gitea.SetToken(h.token), gitea.SetHTTPClient(h.client),
		gitea.SetContext(ctx), gitea.SetUserAgent("refract"))
}

func (h *giteaRepo) explain(ctx context.Context, doing string, err error) error {
	return explain(ctx, doing, h.String(), err)
}

// last says whether a page of a list was the last one. Some lists have links to the next page, some only say how long
// they are, and some know no pages and return all: seen counts what came so far.
func last(res *gitea.Response, page, seen int) bool {
	if res == nil || page == 0 {
		return true
	}
	if total, err := strconv.Atoi(res.Header.Get("X-Total-Count")); err == nil {
		return seen >= total
	}
	return res.NextPage == 0
}

func (h *giteaRepo) Pulls(ctx context.Context, branch string) ([]Pull, error) {
	c, err := h.as(ctx)
	if err != nil {
		return nil, h.explain(ctx, "listing pull requests", err)
	}
	var (
		out  []Pull
		seen int
	)
	err = pages("open pull requests", func(page int) (bool, error) {
		found, res, listErr := c.ListRepoPullRequests(h.owner, h.name, gitea.ListPullRequestsOptions{
			State: gitea.StateOpen, Sort: "oldest", ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize},
		})
		if listErr != nil {
			return true, listErr
		}
		for _, p := range found {
			if p.Base != nil && p.Base.Ref == branch {
				out = append(out, giteaPull(p))
			}
		}
		seen += len(found)
		return last(res, len(found), seen), nil
	})
	return out, h.explain(ctx, "listing pull requests", err)
}

func (h *giteaRepo) Pull(ctx context.Context, number int) (Pull, error) {
	c, err := h.as(ctx)
	if err != nil {
		return Pull{}, h.explain(ctx, "reading a pull request", err)
	}
	found, _, err := c.GetPullRequest(h.owner, h.name, int64(number))
	if err != nil {
		return Pull{}, h.explain(ctx, "reading a pull request", err)
	}
	return giteaPull(found), nil
}

func giteaPull(p *gitea.PullRequest) Pull {
	number := int(p.Index)
	out := Pull{
		Number: number, Title: p.Title, URL: p.HTMLURL, Ref: pullRef(number), Draft: p.Draft, MergeBase: p.MergeBase,
		Merged: p.HasMerged, Closed: p.State == gitea.StateClosed, Fork: true,
	}
	if p.Poster != nil {
		out.Author = p.Poster.UserName
	}
	if p.Base != nil {
		out.Base = p.Base.Ref
	}
	if p.Head != nil {
		out.Head, out.HeadBranch = p.Head.Sha, p.Head.Ref
		// Who pushes to refs/for/… needs no right to push: such a request has the base repository and no branch. One whose
		// branch was deleted after the merge looks alike.
		own := p.Base != nil && p.Head.RepoID != 0 && p.Head.RepoID == p.Base.RepoID
		out.Fork = !own || p.Head.Name == "" || strings.HasPrefix(p.Head.Ref, "refs/")
	}
	if p.HasMerged && p.MergedCommitID != nil {
		out.MergeCommit = *p.MergedCommitID
	}
	if p.Updated != nil {
		out.Updated = *p.Updated
	}
	return out
}

func (h *giteaRepo) Approvals(ctx context.Context, number int, teams []string) ([]Approval, error) {
	c, err := h.as(ctx)
	if err != nil {
		return nil, h.explain(ctx, "reading approvals", err)
	}
	reviews, err := h.reviews(c, number)
	out := standing(reviews)
	if err == nil {
		ids := teamIDs{client: c}
		err = enroll(out, teams, ids.member)
	}
	if err != nil {
		return nil, h.explain(ctx, "reading approvals", err)
	}
	return out, nil
}

func (h *giteaRepo) reviews(c *gitea.Client, number int) ([]verdict, error) {
	var (
		all  []verdict
		seen int
	)
	err := pages("reviews", func(page int) (bool, error) {
		found, res, err := c.ListPullReviews(h.owner, h.name, int64(number), gitea.ListPullReviewsOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		if err != nil {
			return true, err
		}
		for _, r := range found {
			if r.Reviewer == nil || !slices.Contains([]gitea.ReviewStateType{gitea.ReviewStateApproved, gitea.ReviewStateRequestChanges}, r.State) {
				continue
			}
			// Stale: the head has moved since. Not official: of somebody whose approval does not count for the branch.
			all = append(all, verdict{
				id: r.ID, user: r.Reviewer.UserName, commit: r.CommitID, at: r.Submitted,
				approves: r.State == gitea.ReviewStateApproved && r.Official && !r.Stale && !r.Dismissed,
			})
		}
		seen += len(found)
		return last(res, len(found), seen), nil
	})
	return all, err
}

// teamIDs remembers during one call which number a team has.
type teamIDs struct {
	client *gitea.Client
	known  map[string]int64
}

func (t *teamIDs) member(org, team, user string) (bool, error) {
	id, err := t.find(org, team)
	if err != nil {
		return false, err
	}
	_, _, err = t.client.GetTeamMember(id, user)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (t *teamIDs) find(org, team string) (int64, error) {
	if id, ok := t.known[org+"/"+team]; ok {
		return id, nil
	}
	var (
		id   int64
		seen int
	)
	err := pages("teams", func(page int) (bool, error) {
		found, res, err := t.client.ListOrgTeams(org, gitea.ListTeamsOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		if err != nil {
			return true, err
		}
		for _, have := range found {
			if strings.EqualFold(have.Name, team) {
				id = have.ID
				return true, nil
			}
		}
		seen += len(found)
		return last(res, len(found), seen), nil
	})
	if err == nil && id == 0 || errors.Is(err, ErrNotFound) {
		return 0, fail(ErrNotFound, "team %s/%s does not exist, or our user may not see it: it has to be in that team or an owner of the organization, and its token needs read:organization", clean(org), clean(team))
	}
	if t.known == nil {
		t.known = map[string]int64{}
	}
	t.known[org+"/"+team] = id
	return id, err
}

func (h *giteaRepo) Comment(ctx context.Context, number int, marker, body string) error {
	c, err := h.as(ctx)
	if err != nil {
		return h.explain(ctx, "writing the comment", err)
	}
	err = commenter{
		find: func(head string) (*comment, error) { return h.findComment(c, number, head) },
		create: func(text string) error {
			_, _, err = c.CreateIssueComment(h.owner, h.name, int64(number), gitea.CreateIssueCommentOption{Body: text})
			return err
		},
		edit: func(id int64, text string) error {
			_, _, err = c.EditIssueComment(h.owner, h.name, id, gitea.EditIssueCommentOption{Body: text})
			return err
		},
	}.upsert(marker, body)
	return h.explain(ctx, "writing the comment", err)
}

func (h *giteaRepo) findComment(c *gitea.Client, number int, head string) (*comment, error) {
	own, err := h.userID(c)
	if err != nil {
		return nil, err
	}
	var (
		found *comment
		seen  int
	)
	err = pages("comments", func(page int) (bool, error) {
		all, res, listErr := c.ListIssueComments(h.owner, h.name, int64(number), gitea.ListIssueCommentOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		if listErr != nil {
			return true, listErr
		}
		for _, have := range all {
			if have.Poster != nil && have.Poster.ID == own && begins(have.Body, head) {
				found = &comment{id: have.ID, body: have.Body}
				return true, nil
			}
		}
		seen += len(all)
		return last(res, len(all), seen), nil
	})
	return found, err
}

func (h *giteaRepo) userID(c *gitea.Client) (int64, error) {
	h.mu.Lock()
	own := h.own
	h.mu.Unlock()
	if own != 0 {
		return own, nil
	}
	user, _, err := c.GetMyUserInfo()
	if err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.own = user.ID
	return user.ID, nil
}

func (h *giteaRepo) SetStatus(ctx context.Context, commit string, s Status) error {
	c, err := h.as(ctx)
	if err != nil {
		return h.explain(ctx, "setting a commit's status", err)
	}
	s = sendable(s)
	same, err := h.hasStatus(c, commit, s)
	if err == nil && !same {
		_, _, err = c.CreateStatus(h.owner, h.name, commit, gitea.CreateStatusOption{State: gitea.StatusState(s.State), TargetURL: s.URL, Description: s.Description, Context: s.Context})
	}
	return h.explain(ctx, "setting a commit's status", err)
}

// hasStatus compares with the newest of the context: the one with the highest number, in whatever order they come.
func (h *giteaRepo) hasStatus(c *gitea.Client, commit string, s Status) (same bool, err error) {
	var (
		newest int64
		seen   int
	)
	err = pages("statuses", func(page int) (bool, error) {
		all, res, listErr := c.ListStatuses(h.owner, h.name, commit, gitea.ListStatusesOption{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		if listErr != nil {
			return true, listErr
		}
		for _, have := range all {
			if have.Context == s.Context && have.ID > newest {
				newest = have.ID
				same = s == Status{State: State(have.State), Context: have.Context, Description: have.Description, URL: have.TargetURL}
			}
		}
		seen += len(all)
		return last(res, len(all), seen), nil
	})
	return same, err
}
