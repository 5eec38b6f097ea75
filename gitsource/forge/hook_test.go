package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func sign(body, token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestParseHook(t *testing.T) {
	const token, push, pull = "a long random word", `{"ref":"refs/heads/main","after":"bbbb"}`, `{"action":"opened","number":7,"pull_request":{"number":7}}`
	gitHub := func(event, body string) http.Header {
		return headers("X-GitHub-Event", event, "X-GitHub-Delivery", "1-2", "X-Hub-Signature-256", "sha256="+sign(body, token))
	}
	gitea := func(event, body string) http.Header {
		return headers("X-Gitea-Event", event, "X-GitHub-Event", event, "X-Gitea-Delivery", "3-4", "X-Gitea-Signature", sign(body, token), "X-Hub-Signature-256", "sha256="+sign(body, token))
	}
	form := url.Values{"payload": {push}}.Encode()
	formed := gitHub("push", form)
	formed.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	giteaFormed := gitea("push", push)
	giteaFormed.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, c := range map[string]struct {
		reason string
		header http.Header
		body   string
		want   Hook
	}{
		"GitHubPush":   {"a push", gitHub("push", push), push, Hook{Kind: HookPush, ID: "1-2", Ref: "refs/heads/main"}},
		"GitHubForm":   {"GitHub sends forms unless told otherwise", formed, form, Hook{Kind: HookPush, ID: "1-2", Ref: "refs/heads/main"}},
		"GitHubPull":   {"a pull request", gitHub("pull_request", pull), pull, Hook{Kind: HookPull, ID: "1-2", Number: 7}},
		"GitHubReview": {"an approval may stand for ours", gitHub("pull_request_review", `{"pull_request":{"number":9}}`), `{"pull_request":{"number":9}}`, Hook{Kind: HookPull, ID: "1-2", Number: 9}},
		"GitHubPing":   {"a trial", gitHub("ping", `{"zen":"x"}`), `{"zen":"x"}`, Hook{Kind: HookPing, ID: "1-2"}},
		"GitHubStar":   {"about something else", gitHub("star", `{}`), `{}`, Hook{Kind: HookOther, ID: "1-2"}},
		"GiteaPush":    {"both signatures are right", gitea("push", push), push, Hook{Kind: HookPush, ID: "3-4", Ref: "refs/heads/main"}},
		"GiteaForm":    {"Gitea signs what is in the form", giteaFormed, form, Hook{Kind: HookPush, ID: "3-4", Ref: "refs/heads/main"}},
		"GiteaApprove": {"Gitea has an event for each review", gitea("pull_request_approved", pull), pull, Hook{Kind: HookPull, ID: "3-4", Number: 7}},
		"Forgejo":      {"its own headers", headers("X-Forgejo-Event", "push", "X-Forgejo-Signature", sign(push, token)), push, Hook{Kind: HookPush, Ref: "refs/heads/main"}},
		"Generic":      {"any body", headers("X-Signature", "sha256="+sign("at noon", token)), "at noon", Hook{Kind: HookPush}},
		"GenericRef":   {"that may name a ref", headers("X-Signature", "sha256="+sign(push, token)), push, Hook{Kind: HookPush, Ref: "refs/heads/main"}},
		"Broken":       {"signed, and yet no JSON", gitHub("push", "{"), "{", Hook{Kind: HookOther, ID: "1-2"}},
		"NoNumber":     {"a pull request without one", gitHub("pull_request", "{}"), "{}", Hook{Kind: HookOther, ID: "1-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseHook(c.header, []byte(c.body), []byte(token))
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Hook{}, "Sum")); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", c.reason, err, diff)
			}
			if sum := hex.EncodeToString(got.Sum[:]); !strings.Contains(fmt.Sprint(c.header), sum) {
				t.Errorf("%s: another sum", c.reason)
			}
		})
	}
}

func TestForgedHooks(t *testing.T) {
	const token, body = "a long random word", `{"ref":"refs/heads/main"}`
	right := sign(body, token)
	for name, c := range map[string]struct {
		reason string
		header http.Header
		token  string
	}{
		"None":           {"nobody signed", headers("X-GitHub-Event", "push"), token},
		"AnotherToken":   {"of another", headers("X-Hub-Signature-256", "sha256="+sign(body, "another")), token},
		"AnotherBody":    {"changed on the way", headers("X-Hub-Signature-256", "sha256="+sign(body+" ", token)), token},
		"OneOfTwoWrong":  {"every one that is there counts", headers("X-Hub-Signature-256", "sha256="+right, "X-Gitea-Signature", sign(body, "another")), token},
		"SecondOfAKind":  {"and not only the first of a kind", headers("X-Signature", "sha256="+right, "X-Signature", "sha256=00"), token},
		"NoPrefix":       {"GitHub's has one", headers("X-Hub-Signature-256", right), token},
		"Prefix":         {"Gitea's has none", headers("X-Gitea-Signature", "sha256="+right), token},
		"OldHash":        {"SHA-1 is not looked at", headers("X-Hub-Signature", "sha1="+strings.Repeat("0", 40)), token},
		"Short":          {"a beginning is not enough", headers("X-Hub-Signature-256", "sha256="+right[:32]), token},
		"Empty":          {"nor nothing", headers("X-Hub-Signature-256", "sha256="), token},
		"NoHexadecimal":  {"nonsense", headers("X-Gitea-Signature", "zz"), token},
		"EmptyToken":     {"anybody can sign with nothing", headers("X-Hub-Signature-256", "sha256="+sign(body, "")), ""},
		"TokenItself":    {"the token is no signature", headers("X-Signature", "sha256="+hex.EncodeToString([]byte(token))), token},
		"HashWithoutKey": {"a plain hash is none either", headers("X-Signature", "sha256="+plainHash(body)), token},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseHook(c.header, []byte(body), []byte(c.token)); !errors.Is(err, ErrSignature) || got != (Hook{}) || (c.token != "" && strings.Contains(err.Error(), c.token)) {
				t.Errorf("%s: %+v, %v", c.reason, got, err)
			}
		})
	}
}

func plainHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// FuzzParseHook: nothing unsigned is taken, whatever it looks like, and nothing signed breaks the parser.
func FuzzParseHook(f *testing.F) {
	f.Add("push", "application/json", "", []byte(`{"ref":"refs/heads/main"}`))
	f.Add("pull_request", "application/x-www-form-urlencoded", "sha256=00", []byte("payload=%7B%22number%22%3A7%7D"))
	f.Add("", "", "sha256=", []byte("at noon"))
	f.Fuzz(func(t *testing.T, event, kind, forged string, body []byte) {
		token := []byte("a long random word")
		right := "sha256=" + sign(string(body), string(token))
		h := http.Header{"Content-Type": {kind}, "X-Github-Event": {event}, "X-Hub-Signature-256": {forged}}
		if _, err := ParseHook(h, body, token); err == nil && !strings.EqualFold(forged, right) {
			t.Fatalf("taken with signature %q", forged)
		}
		h.Set("X-Hub-Signature-256", right)
		hook, err := ParseHook(h, body, token)
		if err != nil {
			t.Fatalf("refused although signed: %v", err)
		}
		if hook.Kind == HookPull && hook.Number <= 0 || hook.Kind == HookPush && event != "" && hook.Ref == "" || hook.Kind == "" {
			t.Fatalf("half a hook: %+v", hook)
		}
	})
}
