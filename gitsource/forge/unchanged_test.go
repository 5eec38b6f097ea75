package forge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tagged answers as GitHub does: with an ETag, and without the answer to who has it already. It counts full answers.
func tagged(full *int, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		made := httptest.NewRecorder()
		answer(made, req)
		maps.Copy(w.Header(), made.Header())
		tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(made.Body.Bytes()))
		w.Header().Set("ETag", tag)
		if req.Header.Get("If-None-Match") == tag {
			w.Header().Del("Content-Type")
			w.Header().Del("Link")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		*full++
		w.WriteHeader(made.Code)
		_, _ = w.Write(made.Body.Bytes())
	}
}

// What waits for an approval is asked about each time, and heard at once; what did not change costs nothing of a limit.
func TestUnchangedAnswersAreFree(t *testing.T) {
	h, full := newHub(t), 0
	var reviews []any
	for n := range pageSize + 1 {
		reviews = append(reviews, fields{"id": n, "user": fields{"login": fmt.Sprint("u", n)}, "state": "COMMENTED", "commit_id": "c"})
	}
	reviews[pageSize] = fields{"id": 500, "user": fields{"login": "ada"}, "state": "APPROVED", "commit_id": "c"}
	state := "active"
	h.on("GET", repo+"/pulls/7/reviews", tagged(&full, func(w http.ResponseWriter, req *http.Request) { paged(reviews)(w, req) }))
	h.on("GET", "/api/v3/orgs/acme/teams/leads/memberships/ada", tagged(&full, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, fields{"state": state}) }))
	h.answer("/api/v3/orgs/acme/teams/leads", fields{"id": 1})
	f := h.open(t, GitHub)
	look := func(want string) {
		t.Helper()
		got, err := f.Approvals(t.Context(), 7, []string{"acme/leads"})
		said := ""
		for _, a := range got {
			said += fmt.Sprint(a.User, a.Teams)
		}
		if err != nil || said != want {
			t.Errorf("approved by %q, want %q; %v", said, want, err)
		}
	}
	for range 3 {
		look("ada[acme/leads]")
	}
	if asked := h.asked("GET"); full != 3 || asked != 9 {
		t.Errorf("%d of %d answers were made in full, want 3 of 9", full, asked)
	}
	state = "pending"
	look("ada[]")
	reviews[pageSize] = fields{"id": 500, "user": fields{"login": "ada"}, "state": "DISMISSED", "commit_id": "c"}
	look("")
	if full != 5 {
		t.Errorf("%d answers in full, want 5: only what changed", full)
	}
	h.mu.Lock()
	h.valid = nil
	h.mu.Unlock()
	if _, err := f.Approvals(t.Context(), 7, nil); !errors.Is(err, ErrAuth) {
		t.Errorf("who may not ask any more gets the answer of before: %v", err)
	}
}

// The limits that come with an answer that did not change are those of now.
func TestUnchangedAnswerTellsTheLimit(t *testing.T) {
	h, full, left := newHub(t), 0, "10"
	h.on("GET", repo+"/pulls", tagged(&full, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", left)
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(noon.Add(time.Minute).Unix(), 10))
		paged(nil)(w, req)
	}))
	f := h.open(t, GitHub)
	for _, left = range []string{"10", "0"} {
		if _, err := f.Pulls(t.Context(), "main"); err != nil {
			t.Fatal(err)
		}
	}
	var limited *RateLimited
	if _, err := f.Pulls(t.Context(), "main"); full != 1 || !errors.As(err, &limited) {
		t.Errorf("%d answers in full, then %v", full, err)
	}
}

// What is kept is bounded, and what is too long to be kept is answered all the same.
func TestKeptAnswersAreBounded(t *testing.T) {
	h, full := newHub(t), 0
	long := strings.Repeat("x", mostKept/3)
	for n := range 5 {
		text := long
		if n == 4 {
			text = strings.Repeat("x", mostKept)
		}
		h.on("GET", fmt.Sprint(repo, "/pulls/", n), tagged(&full, func(w http.ResponseWriter, _ *http.Request) { say(w, 200, fields{"number": n, "title": text}) }))
	}
	host := h.open(t, GitHub).(*gitHub)
	for n := range 5 {
		p, _, err := host.client.PullRequests.Get(t.Context(), "platform", "clusters", n)
		if err != nil || len(p.GetTitle()) < len(long) {
			t.Fatalf("%d: %d letters, %v", n, len(p.GetTitle()), err)
		}
	}
	for _, c := range []struct{ number, full int }{{3, 0}, {4, 1}, {0, 1}, {0, 0}} {
		full = 0
		if _, _, err := host.client.PullRequests.Get(t.Context(), "platform", "clusters", c.number); err != nil || full != c.full {
			t.Errorf("%d: %d answers in full, want %d; %v", c.number, full, c.full, err)
		}
	}
	u := &unchanged{}
	for n := range 100 {
		req := httptest.NewRequestWithContext(t.Context(), "GET", fmt.Sprint("/", n), nil)
		res := &http.Response{StatusCode: 200, Header: http.Header{"Etag": {"x"}}, Body: io.NopCloser(bytes.NewReader(make([]byte, mostKept/10)))}
		if u.keep(req, res); u.bytes > mostKept || len(u.kept) > 10 {
			t.Fatalf("%d bytes in %d answers", u.bytes, len(u.kept))
		}
	}
}
