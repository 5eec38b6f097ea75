package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Hook is what a call of a host is about.
type Hook struct {
	Kind HookKind
	// ID of the delivery; empty when the caller names none.
	ID string
	// Ref that was pushed to, such as refs/heads/main. Empty: not told, it may be any.
	Ref string
	// Number of the pull request.
	Number int
	// Sum is the HMAC of what was signed: the same for the same call, and different under another token.
	Sum [sha256.Size]byte
}

// HookKind says what a call is about.
type HookKind string

// The kinds of calls.
const (
	// HookPush: something was pushed, or a caller that is no host wants the repository read.
	HookPush HookKind = "Push"
	// HookPull: a pull request was opened, changed, reviewed or closed.
	HookPull HookKind = "Pull"
	// HookPing: the host tries out whether we answer.
	HookPing HookKind = "Ping"
	// HookOther is about something else.
	HookOther HookKind = "Other"
)

// signatures are the headers in which the HMAC-SHA256 of the body is sent, and what stands before its hexadecimal form:
// of GitHub, which Gitea also sends, of Gitea and Forgejo, and of anybody else, as Flux has it.
var signatures = []struct{ header, prefix string }{
	{"X-Hub-Signature-256", "sha256="},
	{"X-Gitea-Signature", ""},
	{"X-Forgejo-Signature", ""},
	{"X-Signature", "sha256="},
}

// ParseHook checks the signature of a call under the token and reads what the call is about. At least one signature has
// to be there, and every one that is there has to be right; else, and with an empty token, it fails with ErrSignature. The
// caller bounds the body. A body that is not what the header promises makes the kind HookOther; it was signed after all.
func ParseHook(h http.Header, body, token []byte) (Hook, error) {
	text := content(h, body)
	sum := sumOf(body, token)
	if !signed(h, sum) {
		sum = sumOf(text, token) // Gitea signs what is in a form, not the form.
	}
	if !signed(h, sum) || len(token) == 0 {
		return Hook{}, fail(ErrSignature, "the call is not signed with the token")
	}
	hook := Hook{ID: clean(first(h, "X-GitHub-Delivery", "X-Gitea-Delivery", "X-Forgejo-Delivery"))}
	copy(hook.Sum[:], sum)
	hook.read(first(h, "X-Gitea-Event", "X-Forgejo-Event", "X-GitHub-Event"), text)
	return hook, nil
}

func sumOf(text, token []byte) []byte {
	mac := hmac.New(sha256.New, token)
	_, _ = mac.Write(text) // Never fails.
	return mac.Sum(nil)
}

// content is the JSON of a body, which hosts also send as a form: GitHub does unless told otherwise.
func content(h http.Header, body []byte) []byte {
	if kind, _, _ := strings.Cut(h.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/x-www-form-urlencoded" {
		return body
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("payload") {
		return body
	}
	return []byte(form.Get("payload"))
}

// Signs says whether a call carries a signature, and every one that it carries has the form of one. Without that
// ParseHook refuses it whatever its body is.
func Signs(h http.Header) bool {
	found := false
	for _, s := range signatures {
		for _, value := range h.Values(s.header) {
			text, ok := strings.CutPrefix(value, s.prefix)
			if given, err := hex.DecodeString(text); !ok || err != nil || len(given) != sha256.Size {
				return false
			}
			found = true
		}
	}
	return found
}

// signed compares in constant time.
func signed(h http.Header, sum []byte) bool {
	found := false
	for _, s := range signatures {
		for _, value := range h.Values(s.header) {
			given, err := hex.DecodeString(strings.TrimPrefix(value, s.prefix))
			if err != nil || !strings.HasPrefix(value, s.prefix) || !hmac.Equal(given, sum) {
				return false
			}
			found = true
		}
	}
	return found
}

// maxID is how much is read of the name of a delivery or event; no host has longer ones.
const maxID = 100

func first(h http.Header, names ...string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v[:min(len(v), maxID)]
		}
	}
	return ""
}

// payload is what is read of a body.
type payload struct {
	Ref    string `json:"ref"`
	Number int    `json:"number"`
	Pull   struct {
		Number int `json:"number"`
	} `json:"pull_request"`
}

// read fills in what the event and the body say. No event is a caller of its own making, whose body may be anything.
func (hook *Hook) read(event string, body []byte) {
	var p payload
	err := json.Unmarshal(body, &p)
	switch {
	case event == "":
		hook.Kind = HookPush
		if err == nil && strings.HasPrefix(p.Ref, "refs/") {
			hook.Ref = p.Ref
		}
	case event == "ping":
		hook.Kind = HookPing
	case event == "push" && err == nil && p.Ref != "":
		hook.Kind, hook.Ref = HookPush, p.Ref
	case strings.HasPrefix(event, "pull_request") && err == nil && max(p.Number, p.Pull.Number) > 0:
		hook.Kind, hook.Number = HookPull, p.Pull.Number
		if hook.Number <= 0 {
			hook.Number = p.Number
		}
	default:
		hook.Kind = HookOther
	}
}
