package forge

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const giteaRepoPath = "/api/v1/repos/platform/clusters"

// counted serves a list as Gitea does with some: whole pages and their total, and no links.
func counted(items []any, size int) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		page, _ := strconv.Atoi(req.URL.Query().Get("page"))
		page = max(page, 1)
		from, to := min((page-1)*size, len(items)), min(page*size, len(items))
		w.Header().Set("X-Total-Count", strconv.Itoa(len(items)))
		say(w, http.StatusOK, append([]any{}, items[from:to]...))
	}
}

// whole serves a list that knows no pages.
func whole(items []any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Total-Count", strconv.Itoa(len(items)))
		say(w, http.StatusOK, items)
	}
}

func giteaPullFields(number int, change ...func(fields)) fields {
	p := fields{
		"number": number, "title": "Grow edge-01", "html_url": "https://gitea.example.com/platform/clusters/pulls/7", "state": "open",
		"user": fields{"login": "ada"}, "updated_at": "2026-01-01T10:00:00Z", "merge_base": "dddd", "merged": false,
		"head": fields{"label": "grow", "ref": "grow", "sha": "bbbb", "repo_id": 1},
		"base": fields{"label": "main", "ref": "main", "sha": "cccc", "repo_id": 1},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func TestGiteaPulls(t *testing.T) {
	h := newHub(t)
	var all []any
	for i := range 100 { // The host gives pages of its own size.
		all = append(all, giteaPullFields(i+1, func(p fields) {
			if i%2 == 1 {
				p["base"].(fields)["ref"] = "release"
			}
		}))
	}
	h.on("GET", giteaRepoPath+"/pulls", counted(all, 50))
	pulls, err := h.open(t, Gitea).Pulls(t.Context(), "main")
	if err != nil || len(pulls) != 50 || h.asked("GET") != 2 {
		t.Errorf("%d pull requests onto main in %d requests, %v", len(pulls), h.asked("GET"), err)
	}
}

func TestGiteaPull(t *testing.T) {
	open := Pull{
		Number: 7, Title: "Grow edge-01", URL: "https://gitea.example.com/platform/clusters/pulls/7", Author: "ada", Head: "bbbb",
		HeadBranch: "grow", Base: "main", MergeBase: "dddd", Ref: "refs/pull/7/head", Updated: noon.Add(-2 * time.Hour),
	}
	with := func(change func(*Pull)) Pull { p := open; change(&p); return p }
	for name, c := range map[string]struct {
		reason string
		change func(fields)
		want   Pull
	}{
		"Open":     {"of a branch here", func(fields) {}, open},
		"Fork":     {"anybody may have pushed", func(p fields) { p["head"].(fields)["repo_id"] = 2 }, with(func(p *Pull) { p.Fork = true })},
		"ForkGone": {"likewise", func(p fields) { p["head"].(fields)["repo_id"] = 0 }, with(func(p *Pull) { p.Fork = true })},
		"PushedForReview": {
			"git push to refs/for needs no right to write", func(p fields) { p["head"].(fields)["label"], p["head"].(fields)["ref"] = "", "refs/pull/7/head" },
			with(func(p *Pull) { p.Fork, p.HeadBranch = true, "refs/pull/7/head" }),
		},
		"Merged": {
			"by whatever way", func(p fields) { p["state"], p["merged"], p["merge_commit_sha"] = "closed", true, "aaaa" },
			with(func(p *Pull) { p.Closed, p.Merged, p.MergeCommit = true, true, "aaaa" }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.answer(giteaRepoPath+"/pulls/7", giteaPullFields(7, c.change))
			got, err := h.open(t, Gitea).Pull(t.Context(), 7)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", c.reason, err, diff)
			}
		})
	}
}

func TestGiteaApprovals(t *testing.T) {
	review := func(user, state string, flags ...string) any {
		r := fields{"user": fields{"login": user}, "state": state, "commit_id": "1", "official": true}
		for _, f := range flags {
			r[strings.TrimPrefix(f, "-")] = !strings.HasPrefix(f, "-")
		}
		return r
	}
	h := newHub(t)
	h.on("GET", giteaRepoPath+"/pulls/7/reviews", counted([]any{
		review("ada", "APPROVED"), review("ben", "APPROVED", "stale"), review("cem", "APPROVED", "dismissed"), review("dan", "APPROVED", "-official"),
		review("eve", "APPROVED"), review("eve", "REQUEST_CHANGES"), review("ada", "COMMENT"),
		fields{"team": fields{"name": "sre"}, "state": "REQUEST_REVIEW"},
	}, 5))
	h.on("GET", "/api/v1/orgs/acme/teams", whole([]any{fields{"id": 1, "name": "Owners"}, fields{"id": 7, "name": "sre"}}))
	h.answer("/api/v1/teams/7/members/ada", fields{"login": "ada"})
	f := h.open(t, Gitea)
	got, err := f.Approvals(t.Context(), 7, []string{"acme/sre", "acme/owners"})
	if diff := cmp.Diff([]Approval{{User: "ada", Commit: "1", Teams: []string{"acme/sre"}}}, got); err != nil || diff != "" {
		t.Errorf("what is stale, dismissed, or of somebody whose word does not count, is none: %v\n%s", err, diff)
	}
	if _, err := f.Approvals(t.Context(), 7, []string{"acme/hidden"}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "acme/hidden") {
		t.Errorf("a team that cannot be seen is not one without members: %v", err)
	}
}

func TestGiteaComment(t *testing.T) {
	h, c := newHub(t), &comments{login: "refract"}
	c.serve(h, giteaRepoPath+"/issues/7/comments", giteaRepoPath+"/issues/comments/")
	h.on("GET", giteaRepoPath+"/issues/7/comments", func(w http.ResponseWriter, req *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		var all []any
		for _, each := range c.all {
			all = append(all, each)
		}
		whole(all)(w, req)
	})
	h.answer("/api/v1/user", fields{"login": "refract", "id": len("refract")})
	c.add("mallory-", "<!-- m -->\nall is well, merge")
	f := h.open(t, Gitea)
	for _, text := range []string{"first", "first", "second"} {
		if err := f.Comment(t.Context(), 7, "m", text); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"<!-- m -->\nall is well, merge", "<!-- m -->\nsecond"}, c.bodies()); diff != "" || h.asked("PATCH") != 1 {
		t.Errorf("one comment, our own, in place, changed %d times: %s", h.asked("PATCH"), diff)
	}
}

func TestGiteaStatus(t *testing.T) {
	h := newHub(t)
	status := func(id int, state, context string) any {
		return fields{"id": id, "status": state, "context": context, "description": "nothing rolls", "target_url": ""}
	}
	// All that were ever set, in whatever order: the one set last counts.
	h.on("GET", giteaRepoPath+"/commits/bbbb/statuses", counted([]any{status(3, "success", "refract"), status(1, "pending", "refract"), status(2, "failure", "refract"), status(9, "failure", "ci")}, 2))
	h.on("POST", giteaRepoPath+"/statuses/bbbb", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusCreated, fields{}) })
	f := h.open(t, Gitea)
	for i, c := range []struct {
		status Status
		posts  int
	}{
		{Status{State: Success, Context: "refract", Description: "nothing  rolls"}, 0},
		{Status{State: Failure, Context: "refract", Description: "nothing rolls"}, 1},
	} {
		if err := f.SetStatus(t.Context(), "bbbb", c.status); err != nil || h.asked("POST") != c.posts {
			t.Errorf("%d: sent %d times, want %d: %v", i, h.asked("POST"), c.posts, err)
		}
	}
}
