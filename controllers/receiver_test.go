package controllers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/go-logr/logr"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
)

const hookToken = "correct horse battery staple"

var production = client.ObjectKey{Namespace: clusters, Name: "production"}

// woken records who was woken.
type woken struct {
	mu                    sync.Mutex
	push, review, relayed int
	results               map[string]int
}

func (w *woken) counter(n *int) func(client.ObjectKey) {
	return func(key client.ObjectKey) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if key == production {
			*n++
		}
	}
}

func (w *woken) count(result string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results[result]++
}

// aReceiver takes calls for Fleet production, which reads main.
func aReceiver(elected bool) (*receiver, *woken) {
	w := &woken{results: map[string]int{}}
	leads := make(chan struct{})
	if elected {
		close(leads)
	}
	r := &receiver{
		address: ":0", tokens: &tokens{}, elected: leads, count: w.count, log: logr.Discard(), slots: make(chan struct{}, 2), patience: time.Minute,
		push: w.counter(&w.push), review: w.counter(&w.review), relay: w.counter(&w.relayed),
	}
	r.tokens.set(production, terms{token: []byte(hookToken), ref: "refs/heads/main"})
	return r, w
}

func signature(body, token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// call sends one call as GitHub does; no event is one of another's making.
func call(t *testing.T, r http.Handler, path, event, body, token string) int {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	if event == "" {
		req.Header.Set("X-Signature", signature(body, token))
	} else {
		req.Header.Set("X-GitHub-Event", event)
		req.Header.Set("X-Hub-Signature-256", signature(body, token))
	}
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, req)
	if token != "" && strings.Contains(answer.Body.String(), token) {
		t.Errorf("the answer holds the token: %s", answer.Body)
	}
	return answer.Code
}

func TestCallsOfGitServers(t *testing.T) {
	const path = "/hooks/clusters/production"
	cases := map[string]struct {
		reason       string
		path         string
		event, body  string
		token        string
		want         int
		result       string
		push, review int
	}{
		"Push":             {"news for the Fleet and for the plans of pull requests", path, "push", `{"ref":"refs/heads/main"}`, hookToken, 202, callAccepted, 1, 1},
		"OtherBranch":      {"the Fleet does not read it", path, "push", `{"ref":"refs/heads/other"}`, hookToken, 202, callIgnored, 0, 0},
		"TagOfThatName":    {"nor a tag that is called like its branch", path, "push", `{"ref":"refs/tags/main"}`, hookToken, 202, callIgnored, 0, 0},
		"PullRequest":      {"news for the reviewer alone", path, "pull_request", `{"number":7}`, hookToken, 202, callAccepted, 0, 1},
		"Ping":             {"the host tries us out", path, "ping", `{}`, hookToken, 202, callIgnored, 0, 0},
		"AnotherEvent":     {"a star is no reason to look", path, "watch", `{}`, hookToken, 202, callIgnored, 0, 0},
		"Generic":          {"a caller of its own making", path, "", `at noon`, hookToken, 202, callAccepted, 1, 1},
		"Forged":           {"signed with another token", path, "push", `{"ref":"refs/heads/main"}`, "another token altogether", 401, callUnsigned, 0, 0},
		"EmptyToken":       {"signed with nothing", path, "push", `{"ref":"refs/heads/main"}`, "", 401, callUnsigned, 0, 0},
		"UnknownFleet":     {"the same answer as to a wrong token", "/hooks/clusters/staging", "push", `{}`, hookToken, 401, callUnknown, 0, 0},
		"UnknownNamespace": {"likewise", "/hooks/other/production", "push", `{}`, hookToken, 401, callUnknown, 0, 0},
		"NoFleet":          {"no path of ours", "/hooks/clusters", "push", `{}`, hookToken, 404, callPath, 0, 0},
		"MoreThanAFleet":   {"no path of ours", path + "/more", "push", `{}`, hookToken, 404, callPath, 0, 0},
		"Root":             {"no path of ours", "/", "push", `{}`, hookToken, 404, callPath, 0, 0},
		"Oversized":        {"over 1 MiB", path, "push", `{"ref":"` + strings.Repeat("x", maxCall) + `"}`, hookToken, 413, callOversized, 0, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, w := aReceiver(true)
			if got := call(t, r, c.path, c.event, c.body, c.token); got != c.want {
				t.Errorf("%s: answered %d, want %d", c.reason, got, c.want)
			}
			if w.push != c.push || w.review != c.review || w.results[c.result] != 1 || len(w.results) != 1 {
				t.Errorf("%s: woke the Fleet %d times and the reviewer %d times, want %d and %d; counted %v, want %s", c.reason, w.push, w.review, c.push, c.review, w.results, c.result)
			}
			if r.calls(production) != int64(c.push) {
				t.Errorf("%s: %d looks asked for, want %d", c.reason, r.calls(production), c.push)
			}
		})
	}
}

func TestOnlyPosts(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		r, w := aReceiver(true)
		answer := httptest.NewRecorder()
		r.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, "/hooks/clusters/production", nil))
		if answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != http.MethodPost || w.push+w.review != 0 {
			t.Errorf("%s: answered %d, woke %d", method, answer.Code, w.push+w.review)
		}
	}
}

// A call that somebody recorded wakes nobody, also when its headers were changed, which no signature covers.
func TestReplayedCallsAreRefused(t *testing.T) {
	const path, body = "/hooks/clusters/production", `{"ref":"refs/heads/main","after":"1"}`
	r, w := aReceiver(true)
	for i, c := range []struct {
		event, body string
		want        int
	}{
		{"push", body, 202}, {"push", body, 409}, {"", body, 409}, {"push", `{"ref":"refs/heads/main","after":"2"}`, 202}, {"push", body, 409},
	} {
		if got := call(t, r, path, c.event, c.body, hookToken); got != c.want {
			t.Errorf("call %d: answered %d, want %d", i, got, c.want)
		}
	}
	if w.push != 2 || w.results[callReplayed] != 3 {
		t.Errorf("woke %d times, want 2; counted %v", w.push, w.results)
	}
	for i := range remembered { // Memory is bounded: what was taken long ago may be replayed, for one look.
		call(t, r, path, "", fmt.Sprint("later ", i), hookToken)
	}
	c, _ := r.tokens.of(production)
	if len(c.seen) != remembered || len(c.old) != remembered {
		t.Errorf("remembers %d calls, want %d", len(c.seen), remembered)
	}
}

// A replica that waits keeps no call for itself, and looks at nothing.
func TestWaitingReplicaPassesCallsOn(t *testing.T) {
	r, w := aReceiver(false)
	if got := call(t, r, "/hooks/clusters/production", "push", `{"ref":"refs/heads/main"}`, hookToken); got != 202 {
		t.Errorf("answered %d", got)
	}
	if w.relayed != 1 || w.push+w.review != 0 || r.calls(production) != 0 {
		t.Errorf("passed on %d, woke %d", w.relayed, w.push+w.review)
	}
}

func TestPassedOnCallsBecomeOneRequest(t *testing.T) {
	g := gomega.NewWithT(t)
	patches, asked := make(chan string, 10), aFleet()
	asked.Namespace, asked.Name = production.Namespace, production.Name
	failing := true
	api := stand(t, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if failing {
				failing = false
				return errors.New("the API server is away")
			}
			err := c.Patch(ctx, o, p, opts...)
			patches <- o.GetAnnotations()[meta.ReconcileRequestAnnotation]
			return err
		},
	}, asked)
	word := newRelay(api, func() time.Time { return noon })
	for range 5 {
		word.pass(production)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- word.Start(ctx) }()
	g.Eventually(patches, "10s").Should(gomega.Receive(gomega.Equal(noon.UTC().Format(time.RFC3339Nano))))
	g.Consistently(patches, 3*relayed).ShouldNot(gomega.Receive())
	cancel()
	g.Eventually(ended).Should(gomega.Receive(gomega.BeNil()))
}

// Too many callers at once are told to come again, and hold up nobody for longer than it takes to say so.
func TestBusyReceiver(t *testing.T) {
	r, _ := aReceiver(true)
	r.slots <- struct{}{}
	r.slots <- struct{}{}
	if got := call(t, r, "/hooks/clusters/production", "push", `{}`, hookToken); got != http.StatusServiceUnavailable {
		t.Errorf("answered %d", got)
	}
	<-r.slots
	if got := call(t, r, "/hooks/clusters/production", "push", `{"ref":"refs/heads/main"}`, hookToken); got != http.StatusAccepted {
		t.Errorf("answered %d", got)
	}
}

// Many pushes are one look: each call asks for one, and the queue of hints is never full.
func TestCallsNeverBlock(t *testing.T) {
	a := newAsks()
	r, _ := aReceiver(true)
	r.push = a.about(&v1alpha1.Fleet{})
	for i := range cap(a.events) + 10 {
		if got := call(t, r, "/hooks/clusters/production", "", fmt.Sprint(i), hookToken); got != 202 {
			t.Fatalf("call %d: answered %d", i, got)
		}
	}
	if want := int64(cap(a.events) + 10); r.calls(production) != want {
		t.Errorf("%d looks asked for, want %d: one whose hint was dropped is made at the next interval", r.calls(production), want)
	}
}

// A call that came while the repository was read leads to another look; one from before does not.
func TestCallsForceALook(t *testing.T) {
	r, _ := aReceiver(true)
	s := &scene{fleet: aFleet(), calls: r.calls(production), memory: &fleetMemory{}}
	(&FleetReconciler{Now: func() time.Time { return noon }}).settle(s.fleet, s)
	if again := (&scene{fleet: aFleet(), calls: r.calls(production)}).token(); again != s.memory.handled {
		t.Error("a look is made although nothing happened")
	}
	call(t, r, "/hooks/clusters/production", "push", `{"ref":"refs/heads/main"}`, hookToken)
	if again := (&scene{fleet: aFleet(), calls: r.calls(production)}).token(); again == s.memory.handled {
		t.Error("no look is made after a call")
	}
}

// What is wrong with the Secret is said, and calls are refused; the rest of the Fleet goes on.
func TestListening(t *testing.T) {
	secret := func(data string) client.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: clusters, Name: "hook"}, Data: map[string][]byte{"token": []byte(data)}}
	}
	for name, c := range map[string]struct {
		reason  string
		webhook bool
		address string
		secret  client.Object
		want    string
		taken   bool
	}{
		"Good":           {"the token without the line end that an editor left", true, ":9292", secret(hookToken + "\n"), v1alpha1.ListeningReason, true},
		"NoWebhook":      {"nothing is said of what nobody asked for", false, ":9292", secret(hookToken), "", false},
		"NoSecret":       {"a person must create it", true, ":9292", secret(hookToken).DeepCopyObject().(client.Object), v1alpha1.SecretNotFoundReason, false},
		"Empty":          {"an empty token would let everybody in", true, ":9292", secret(""), v1alpha1.SecretNotFoundReason, false},
		"Short":          {"a short one is found by trying", true, ":9292", secret("secret"), v1alpha1.SecretNotFoundReason, false},
		"ReceiverIsDown": {"the operator was told to take no calls", true, "", secret(hookToken), v1alpha1.NotListeningReason, false},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "NoSecret" {
				c.secret.SetName("another")
			}
			r, _ := aReceiver(true)
			r.address = c.address
			f := aFleet()
			f.Namespace, f.Name = production.Namespace, production.Name
			if c.webhook {
				f.Spec.Webhook = &v1alpha1.Webhook{SecretRef: v1alpha1.LocalReference{Name: "hook"}}
			}
			r.listen(t.Context(), stand(t, interceptor.Funcs{}, c.secret), f)
			got := ""
			if have := conditionOf(f, v1alpha1.WebhookReadyCondition); have != nil {
				got = have.Reason
				if strings.Contains(have.Message, hookToken) {
					t.Errorf("the message holds the token: %s", have.Message)
				}
			}
			if _, taken := r.tokens.of(production); got != c.want || taken != c.taken {
				t.Errorf("%s: says %q, want %q; calls are taken: %t, want %t", c.reason, got, c.want, taken, c.taken)
			}
		})
	}
}

// A new token holds from the next reconcile on; what was taken before stays known.
func TestChangedToken(t *testing.T) {
	r, w := aReceiver(true)
	const path, body = "/hooks/clusters/production", `{"ref":"refs/heads/main"}`
	call(t, r, path, "push", body, hookToken)
	r.tokens.set(production, terms{token: []byte("a new token altogether"), ref: "refs/heads/main"})
	if got := call(t, r, path, "push", body, hookToken); got != http.StatusUnauthorized {
		t.Errorf("the old token: answered %d", got)
	}
	if got := call(t, r, path, "push", body, "a new token altogether"); got != http.StatusAccepted || w.push != 2 || r.calls(production) != 2 {
		t.Errorf("the new token: answered %d, woke %d", got, w.push)
	}
	r.forget(production)
	if got := call(t, r, path, "push", body, hookToken); got != http.StatusUnauthorized {
		t.Errorf("a Fleet that is gone: answered %d", got)
	}
}

// The server itself: it answers over the wire, bounds what it reads, and ends when it is told to.
func TestReceiverServes(t *testing.T) {
	g := gomega.NewWithT(t)
	r, _ := aReceiver(true)
	r.address = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Start(ctx) }()
	cancel()
	g.Eventually(ended, "20s").Should(gomega.Receive(gomega.BeNil()))
	r.address = "no address"
	if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "--webhook-address") {
		t.Errorf("an address that cannot be: %v", err)
	}
}
