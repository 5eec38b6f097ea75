package gitea

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/refract-dev/refract/gitsource/forge"
)

// delivery is one call that Gitea made.
type delivery struct {
	event  string
	header http.Header
	body   []byte
}

type ear struct {
	*httptest.Server
	mu    sync.Mutex
	heard []delivery
}

func newEar(t *testing.T) *ear {
	t.Helper()
	e := &ear{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(e.heard, delivery{event: r.Header.Get("X-Gitea-Event-Type"), header: r.Header.Clone(), body: body})
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *ear) since(n int) []delivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard[n:])
}

// tests are the test deliveries: pushes of nothing.
func (e *ear) tests(t *testing.T, token []byte) []delivery {
	t.Helper()
	return slices.DeleteFunc(e.since(0), func(d delivery) bool {
		h, err := forge.ParseHook(d.header, d.body, token)
		if err != nil {
			t.Error(err)
		}
		text := d.body
		if form, err := url.ParseQuery(string(text)); err == nil && form.Has("payload") {
			text = []byte(form.Get("payload"))
		}
		var push struct{ Before, After string }
		if err := json.Unmarshal(text, &push); err != nil {
			t.Error(err)
		}
		return h.Kind != forge.HookPush || push.Before != push.After
	})
}

// TestHooks reads what Gitea really sends at each of the moments at which Refract has something to do.
func TestHooks(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"json", "form"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			hooks(t, kind)
		})
	}
}

func hooks(t *testing.T, kind string) {
	t.Helper()
	s := newStage(t, "hooks-"+kind)
	e := newEar(t)
	token := []byte("hook-token")
	hook, err := s.repository.Hook(e.URL+"/hooks/clusters/production", string(token), kind)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	// expect does something and waits for a call that says so.
	expect := func(what string, kind forge.HookKind, ref string, number int, do func()) {
		t.Helper()
		before := len(e.since(0))
		do()
		s.within(what+" is told", func() error {
			var told []string
			for _, d := range e.since(before) {
				h, err := forge.ParseHook(d.header, d.body, token)
				if err != nil {
					return fmt.Errorf("%s: %w", d.event, err)
				}
				if h.Kind == kind && h.Ref == ref && h.Number == number {
					return nil
				}
				told = append(told, fmt.Sprintf("%s %+v", d.event, h))
			}
			return fmt.Errorf("told %q", told)
		})
	}
	var number int
	expect("a push to the branch", forge.HookPush, "refs/heads/main", 0, func() { s.push("main", "", map[string]string{"fleet/two.yaml": "two"}) })
	expect("a new pull request", forge.HookPull, "", 1, func() { number, _ = s.propose("change", map[string]string{"fleet/two.yaml": "2"}) })
	expect("a second commit", forge.HookPull, "", 1, func() { s.push("change", "", map[string]string{"fleet/two.yaml": "3"}) })
	expect("an approval", forge.HookPull, "", 1, func() {
		if _, err := s.repository.Review(s.bob, number, sdk.ReviewStateApproved, "fine"); err != nil {
			t.Fatal(err)
		}
	})
	expect("a rejection", forge.HookPull, "", 1, func() {
		if _, err := s.repository.Review(s.bob, number, sdk.ReviewStateRequestChanges, "not fine"); err != nil {
			t.Fatal(err)
		}
	})
	expect("a merge", forge.HookPull, "", 1, func() { s.merge(number, sdk.MergeStyleMerge) })
	expect("the push that a merge is", forge.HookPush, "refs/heads/main", 0, func() {
		n, _ := s.propose("another", map[string]string{"fleet/three.yaml": "3"})
		s.merge(n, sdk.MergeStyleSquash)
	})
	expect("a test delivery", forge.HookPush, "refs/heads/main", 0, func() {
		if err := s.repository.Try(t.Context(), hook); err != nil {
			t.Fatal(err)
		}
	})

	// What comes late from the merge changes what the repository says of itself.
	s.within("two test deliveries are the same, as docs/guides/webhooks.md says", func() error {
		before := e.tests(t, token)
		if err := s.repository.Try(t.Context(), hook); err != nil {
			return err
		}
		s.within("a test delivery comes", func() error {
			if len(e.tests(t, token)) == len(before) {
				return errors.New("nothing came")
			}
			return nil
		})
		if all := e.tests(t, token); len(all) > 1 {
			if last, next := all[len(all)-2].body, all[len(all)-1].body; string(last) != string(next) {
				return fmt.Errorf("%s\n%s", last, next)
			}
			return nil
		}
		return errors.New("there was one")
	})

	all := e.since(0)
	for _, d := range all {
		h, err := forge.ParseHook(d.header, d.body, token)
		if err != nil || h.ID == "" || ids[h.ID] != "" {
			t.Errorf("%s has id %q, as has %q: %v", d.event, h.ID, ids[h.ID], err)
		}
		ids[h.ID] = d.event
		if _, err := forge.ParseHook(d.header, d.body, []byte("another")); !errors.Is(err, forge.ErrSignature) {
			t.Errorf("%s was taken with another token: %v", d.event, err)
		}
		if _, err := forge.ParseHook(d.header, append(slices.Clone(d.body), ' '), token); !errors.Is(err, forge.ErrSignature) {
			t.Errorf("%s was taken with another body: %v", d.event, err)
		}
		bare := d.header.Clone()
		for _, name := range []string{"X-Hub-Signature-256", "X-Gitea-Signature", "X-Gogs-Signature", "X-Hub-Signature"} {
			bare.Del(name)
		}
		if _, err := forge.ParseHook(bare, d.body, token); !errors.Is(err, forge.ErrSignature) {
			t.Errorf("%s was taken without a signature: %v", d.event, err)
		}
	}
}
