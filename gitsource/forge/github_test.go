package forge

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const repo = "/api/v3/repos/platform/clusters"

type fields = map[string]any

func gitHubPullFields(number int, change ...func(fields)) fields {
	p := fields{
		"number": number, "title": "Grow edge-01", "html_url": "https://github.example.com/platform/clusters/pull/7", "state": "open",
		"user": fields{"login": "ada"}, "draft": false, "updated_at": "2026-01-01T10:00:00Z", "merge_commit_sha": "aaaa",
		"head": fields{"ref": "grow", "sha": "bbbb", "repo": fields{"id": 1}},
		"base": fields{"ref": "main", "sha": "cccc", "repo": fields{"id": 1}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func TestGitHubPulls(t *testing.T) {
	h := newHub(t)
	var all []any
	for i := range 250 {
		all = append(all, gitHubPullFields(i+1))
	}
	h.on("GET", repo+"/pulls", func(w http.ResponseWriter, req *http.Request) {
		if q := req.URL.Query(); q.Get("base") != "main" || q.Get("state") != "open" {
			t.Errorf("asked for %s", req.URL.RawQuery)
		}
		paged(all)(w, req)
	})
	pulls, err := h.open(t, GitHub).Pulls(t.Context(), "main")
	if err != nil || len(pulls) != 250 || pulls[249].Number != 250 || h.asked("GET") != 3 {
		t.Errorf("%d pull requests in %d requests, %v", len(pulls), h.asked("GET"), err)
	}
}

func TestGitHubPull(t *testing.T) {
	open := Pull{
		Number: 7, Title: "Grow edge-01", URL: "https://github.example.com/platform/clusters/pull/7", Author: "ada", Head: "bbbb",
		HeadBranch: "grow", Base: "main", MergeBase: "dddd", Ref: "refs/pull/7/head", Updated: noon.Add(-2 * time.Hour),
	}
	with := func(change func(*Pull)) Pull { p := open; change(&p); return p }
	for name, c := range map[string]struct {
		reason string
		change func(fields)
		base   string // compared with
		want   Pull
	}{
		"Open":     {"the merge that GitHub tries out is none", func(fields) {}, "main", open},
		"Draft":    {"not meant to be merged yet", func(p fields) { p["draft"] = true }, "main", with(func(p *Pull) { p.Draft = true })},
		"Fork":     {"anybody may have pushed", func(p fields) { p["head"].(fields)["repo"] = fields{"id": 2} }, "main", with(func(p *Pull) { p.Fork = true })},
		"ForkGone": {"likewise", func(p fields) { p["head"].(fields)["repo"] = nil }, "main", with(func(p *Pull) { p.Fork = true })},
		"Closed":   {"without a merge", func(p fields) { p["state"] = "closed" }, "cccc", with(func(p *Pull) { p.Closed = true })},
		"Merged": {
			"by whatever way", func(p fields) { p["state"], p["merged"], p["merged_at"] = "closed", true, "2026-01-01T10:00:00Z" }, "cccc",
			with(func(p *Pull) { p.Closed, p.Merged, p.MergeCommit = true, true, "aaaa" }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.answer(repo+"/pulls/7", gitHubPullFields(7, c.change))
			h.answer(repo+"/compare/"+c.base+"...bbbb", fields{"merge_base_commit": fields{"sha": "dddd"}})
			got, err := h.open(t, GitHub).Pull(t.Context(), 7)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", c.reason, err, diff)
			}
		})
	}
}

func TestGitHubApprovals(t *testing.T) {
	review := func(user, state, commit string) any {
		return fields{"user": fields{"login": user}, "state": state, "commit_id": commit}
	}
	h := newHub(t)
	h.on("GET", repo+"/pulls/7/reviews", paged([]any{
		review("ada", "APPROVED", "1"), review("ben", "APPROVED", "1"), review("cem", "CHANGES_REQUESTED", "1"), review("dan", "DISMISSED", "1"),
		review("ben", "CHANGES_REQUESTED", "2"), review("ada", "COMMENTED", "2"), review("cem", "APPROVED", "2"), review("eve", "PENDING", "2"),
	}))
	h.answer("/api/v3/orgs/acme/teams/sre/memberships/ada", fields{"state": "active"})
	h.answer("/api/v3/orgs/acme/teams/sre/memberships/cem", fields{"state": "pending"})
	h.answer("/api/v3/orgs/acme/teams/dev/memberships/cem", fields{"state": "active"})
	h.answer("/api/v3/orgs/acme/teams/dev", fields{"slug": "dev"})
	f := h.open(t, GitHub)
	got, err := f.Approvals(t.Context(), 7, []string{"acme/sre", "acme/dev"})
	want := []Approval{{User: "ada", Commit: "1", Teams: []string{"acme/sre"}}, {User: "cem", Commit: "2", Teams: []string{"acme/dev"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("the last word of each counts: %v\n%s", err, diff)
	}
	if _, err := f.Approvals(t.Context(), 7, []string{"acme/hidden"}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "acme/hidden") || !strings.Contains(err.Error(), "read:org") {
		t.Errorf("a team that cannot be seen is not one without members: %v", err)
	}
}

func TestGitHubComment(t *testing.T) {
	const list, marker = repo + "/issues/7/comments", "refract production/main"
	h, c := newHub(t), &comments{login: "refract-bot"}
	c.serve(h, list, repo+"/issues/comments/")
	h.answer("/api/v3/user", fields{"login": "refract-bot"})
	for range 120 {
		c.add("ada", "Nice.")
	}
	c.add("mallory", "<!-- refract production/main -->\nall is well, merge")
	c.add("refract-bot", "I quote: <!-- refract production/main -->")
	f := h.open(t, GitHub)
	for _, text := range []string{"first", "first", "second"} {
		if err := f.Comment(t.Context(), 7, marker, text); err != nil {
			t.Fatal(err)
		}
	}
	got := c.bodies()
	if diff := cmp.Diff([]string{
		"<!-- refract production/main -->\nall is well, merge", "I quote: <!-- refract production/main -->", "<!-- refract production/main -->\nsecond",
	}, got[120:]); diff != "" {
		t.Errorf("one comment, our own, in place: %s", diff)
	}
	if h.asked("POST") != 1 || h.asked("PATCH") != 1 || h.asked("GET /api/v3/user") != 1 {
		t.Errorf("what is so already is not sent: %d written, %d changed, %d times asked who we are", h.asked("POST"), h.asked("PATCH"), h.asked("GET /api/v3/user"))
	}
	// Another of our processes, as after a crash, finds it as well.
	if err := h.open(t, GitHub).Comment(t.Context(), 7, marker, "second"); err != nil || h.asked("POST") != 1 {
		t.Errorf("doubled after a crash: %v", err)
	}
	if err := f.Comment(t.Context(), 7, "a -- b", "x"); !errors.Is(err, ErrRefused) {
		t.Errorf("a marker that would end itself: %v", err)
	}
}

func TestGitHubStatus(t *testing.T) {
	h := newHub(t)
	var have []any
	h.on("GET", repo+"/commits/bbbb/status", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, fields{"statuses": have}) })
	h.on("POST", repo+"/statuses/bbbb", func(w http.ResponseWriter, req *http.Request) {
		text := drain(req.Body)
		have = []any{fields{"state": "pending", "context": "other"}, fields{"state": "success", "context": "refract", "description": "nothing rolls", "target_url": nil}}
		if !strings.Contains(text, `"context":"refract"`) || strings.Contains(text, "target_url") {
			t.Errorf("sent %s", text)
		}
		say(w, http.StatusCreated, fields{})
	})
	f := h.open(t, GitHub)
	for i, c := range []struct {
		status Status
		posts  int
	}{
		{Status{State: Success, Context: "refract", Description: "nothing rolls"}, 1},
		{Status{State: Success, Context: "refract", Description: "nothing rolls"}, 1},
		{Status{State: Failure, Context: "refract", Description: strings.Repeat("machines ", 50)}, 2},
	} {
		if err := f.SetStatus(t.Context(), "bbbb", c.status); err != nil || h.asked("POST") != c.posts {
			t.Errorf("%d: sent %d times, want %d: %v", i, h.asked("POST"), c.posts, err)
		}
	}
}

func TestGitHubApp(t *testing.T) {
	t.Run("OneTokenServesUntilItEnds", func(t *testing.T) {
		h, a := newHub(t), newApp(t, time.Hour)
		a.serve(h)
		h.on("GET", repo+"/pulls", paged(nil))
		f := h.open(t, GitHub, func(o *Options) { o.Auth = a.auth() })
		for range 3 {
			if _, err := f.Pulls(t.Context(), "main"); err != nil {
				t.Fatalf("%v %v", err, a.faults)
			}
		}
		if a.issued != 1 {
			t.Errorf("%d tokens were issued", a.issued)
		}
	})
	t.Run("RenewedBeforeItEnds", func(t *testing.T) {
		h, a := newHub(t), newApp(t, 30*time.Second) // Within the minute before its end.
		a.serve(h)
		h.on("GET", repo+"/pulls", paged(nil))
		f := h.open(t, GitHub, func(o *Options) { o.Auth = a.auth() })
		for range 2 {
			if _, err := f.Pulls(t.Context(), "main"); err != nil {
				t.Fatalf("%v %v", err, a.faults)
			}
		}
		if a.issued != 2 {
			t.Errorf("%d tokens were issued, want a new one each time", a.issued)
		}
	})
	t.Run("KnowsItsOwnComment", func(t *testing.T) {
		h, a, c := newHub(t), newApp(t, time.Hour), &comments{login: "refract-reviews[bot]"}
		a.serve(h)
		c.serve(h, repo+"/issues/7/comments", repo+"/issues/comments/")
		c.add("refract-reviews", "<!-- m -->\nof a user who is called like the App")
		f := h.open(t, GitHub, func(o *Options) { o.Auth = a.auth() })
		for _, text := range []string{"first", "second"} {
			if err := f.Comment(t.Context(), 7, "m", text); err != nil {
				t.Fatalf("%v %v", err, a.faults)
			}
		}
		if got := c.bodies(); len(got) != 2 || got[1] != "<!-- m -->\nsecond" {
			t.Errorf("comments %q", got)
		}
	})
	t.Run("AnotherKey", func(t *testing.T) {
		h, a := newHub(t), newApp(t, time.Hour)
		a.serve(h)
		f := h.open(t, GitHub, func(o *Options) { o.Auth = a.auth(); o.Auth.PrivateKey = newApp(t, 0).auth().PrivateKey })
		_, err := f.Pulls(t.Context(), "main")
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "githubAppPrivateKey") || len(a.faults) != 1 {
			t.Errorf("%v", err)
		}
	})
	t.Run("NotInstalled", func(t *testing.T) {
		h, a := newHub(t), newApp(t, time.Hour)
		a.serve(h)
		f := h.open(t, GitHub, func(o *Options) { o.Auth = a.auth(); o.Auth.InstallationID = 43 })
		if _, err := f.Pulls(t.Context(), "main"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
	t.Run("NoKey", func(t *testing.T) {
		h, a := newHub(t), newApp(t, time.Hour)
		auth := a.auth()
		auth.PrivateKey = []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
		_, err := Open(Options{Provider: GitHub, Address: h.URL, Repository: "a/b", Auth: auth, AllowInsecure: true, Now: h.clock})
		if !errors.Is(err, ErrAuth) {
			t.Errorf("%v", err)
		}
	})
}
