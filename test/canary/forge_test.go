package canary

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// host is a GitHub with one pull request that may be hostile: it repeats whatever it was sent to sign in, of this request
// and of those before, in every way that gets into a message of ours.
type host struct {
	*httptest.Server

	mu         sync.Mutex
	mode       string
	answered   int      // requests since it behaves like this
	heard      []string // credentials
	base, head string   // commits
	comments   []any
}

// posted is what was sent to the host beside the credentials, and answers is what callers of the webhook are told.
var posted, answersToCalls lines

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewUnstartedServer(h)
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	return h
}

// ServeHTTP implements http.Handler.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(&posted, "%s %s %s\n%s\n", r.Method, r.URL, r.UserAgent(), body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answered++
	if _, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && !slices.Contains(h.heard, secret) {
		h.heard = append(h.heard, secret)
	}
	way, hostile := ways[h.mode]
	switch {
	case !hostile:
		h.answer(w, r, body)
	case way.status == 0:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 "+way.of(h.heard)+"\r\n\r\n")
			_ = conn.Close()
		}
	default:
		said := way.of(h.heard)
		w.Header().Set("Content-Type", jsonType)
		if way.status == http.StatusOK {
			w.Header().Set("Content-Type", "text/"+said)
		}
		w.Header().Set("Location", "https://"+hex.EncodeToString([]byte(h.heard[0]))+".example.com/"+url.PathEscape(said))
		w.WriteHeader(way.status)
		_, _ = io.WriteString(w, quotedMessage(said))
	}
}

func quotedMessage(said string) string { return `{"message":` + quoted(said, true) + `}` }

// answer is that of an honest host.
func (h *host) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	const repo = "/repos/platform/clusters/"
	side := func(ref, sha string) any {
		return map[string]any{"ref": ref, "sha": sha, "repo": map[string]any{"id": 1}}
	}
	pull := map[string]any{
		"number": 7, "state": "open", "title": "Another token", "html_url": h.URL + "/platform/clusters/pull/7",
		"user": map[string]any{"login": "ada"}, "head": side("token", h.head), "base": side("main", h.base),
	}
	code, said := http.StatusOK, any(map[string]any{})
	switch path := strings.TrimPrefix(r.URL.Path, "/api/v3"); {
	case strings.HasSuffix(path, "/access_tokens"):
		code, said = http.StatusCreated, map[string]any{"token": credentials["token of the installation"], "expires_at": time.Now().Add(time.Hour)}
	case path == "/user":
		said = map[string]any{"login": "refract"}
	case path == "/app":
		said = map[string]any{"slug": "refract"}
	case path == repo+"pulls":
		said = []any{pull}
	case path == repo+"pulls/7":
		said = pull
	case strings.HasPrefix(path, repo+"compare/"):
		said = map[string]any{"merge_base_commit": map[string]any{"sha": h.base}}
	case path == repo+"issues/7/comments" && r.Method == http.MethodGet:
		said = append([]any{}, h.comments...)
	case path == repo+"issues/7/comments":
		comment := map[string]any{}
		_ = json.Unmarshal(body, &comment)
		h.comments = append(h.comments, comment)
		code, said = http.StatusCreated, comment
	case strings.HasPrefix(path, repo+"statuses/"):
		code = http.StatusCreated
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(said) //nolint:errchkjson // A client that has gone misses nothing.
}

// is has it behave; "" answers as it should.
func (h *host) is(mode string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode, h.answered = mode, 0
}

func (h *host) times() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered
}

// way of being hostile: with a status, or in the place of HTTP; and how the credentials are written.
type way struct {
	status int
	form   func(secret string) string
	reason string
}

func (w way) of(heard []string) string {
	var all []string
	for _, secret := range heard {
		all = append(all, w.form(secret))
	}
	return strings.Join(all, " ")
}

// ways need not be multiplied: the form in which something is repeated and the place are looked at by the same code.
var ways = map[string]way{
	"refuses":  {401, plain, v1alpha1.AuthenticationFailedReason},
	"forbids":  {403, func(s string) string { return base64.StdEncoding.EncodeToString([]byte("user:" + s)) }, v1alpha1.AuthenticationFailedReason},
	"misses":   {404, func(s string) string { return hex.EncodeToString([]byte(s)) }, v1alpha1.ForgeRefusedReason},
	"rejects":  {422, url.QueryEscape, v1alpha1.ForgeRefusedReason},
	"fails":    {500, strconv.Quote, v1alpha1.ForgeUnreachableReason},
	"breaks":   {502, html.EscapeString, v1alpha1.ForgeUnreachableReason},
	"shows":    {200, url.PathEscape, v1alpha1.ForgeUnreachableReason},
	"forwards": {302, plain, v1alpha1.ForgeRefusedReason},
	"babbles":  {0, plain, v1alpha1.ForgeUnreachableReason},
}

// forge has a pull request planned by a host that is hostile, with a token and as an App, wakened by calls that are signed
// and by others that tell the webhook's token.
func (x *scene) forge() {
	x.T.Helper()
	x.host = newHost(x.T)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.host.Certificate().Raw}))
	x.host.base = x.Push("what the pull request starts from", nil)
	var err error
	if x.host.head, err = x.Git.PushRef(x.T.Context(), "refs/pull/7/head", "main", "another token", map[string]string{
		"fleet/canary-1.yaml": x.cluster("1.0.1", declared["file that a pull request proposes"], ""),
	}); err != nil {
		x.T.Fatal(err)
	}
	x.keep("hook", map[string]string{"token": credentials["webhook token"]})
	x.keep("forge", map[string]string{"token": credentials["forge token"], "ca.crt": ca})
	x.Kubectl("patch", "fleet", "production", "--type=merge", "-p", x.patch(map[string]any{"spec": map[string]any{
		"webhook": map[string]any{"secretRef": map[string]any{"name": "hook"}},
		"review": map[string]any{
			"provider": "GitHub", "address": x.host.URL, "repository": "platform/clusters", "secretRef": map[string]any{"name": "forge"},
		},
	}}))
	x.hostile()
	x.posts()
	x.keep("forge", map[string]string{"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": appKey(x.T), "ca.crt": ca})
	x.posts()
	x.hostile()
	trap.Set("forge.(*guard).RoundTrip", "(*ReviewReconciler).Reconcile")
	x.host.is("")
	x.reviewed("a review panics", func() error {
		if trap.Sprung() < 2 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	x.posts()
	x.host.mu.Lock()
	defer x.host.mu.Unlock()
	for i, secret := range x.host.heard {
		keys[fmt.Sprintf("credentials that the forge heard, %d", i)] = secret
	}
	if !slices.Contains(x.host.heard, credentials["forge token"]) || !slices.Contains(x.host.heard, credentials["token of the installation"]) {
		x.T.Errorf("the forge heard only %d credentials", len(x.host.heard))
	}
}
