package forge

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const secretToken = "ghp_0123456789abcdefghijklmnop"

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// hub is a host as a client sees it: it checks who asks and answers from what it holds, by the paths, fields, codes and
// headers of GitHub's and Gitea's documentation.
type hub struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	routes   map[string]http.HandlerFunc // by method and path
	requests []string
	valid    map[string]bool // Authorization headers
	now      time.Time
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t, routes: map[string]http.HandlerFunc{}, valid: map[string]bool{"Bearer " + secretToken: true, "token " + secretToken: true}, now: noon}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hub) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, req.Method+" "+req.URL.Path)
	route, known := h.routes[req.Method+" "+req.URL.Path]
	valid := h.valid[req.Header.Get("Authorization")]
	h.mu.Unlock()
	switch {
	case strings.HasSuffix(req.URL.Path, "/access_tokens") || strings.HasSuffix(req.URL.Path, "/app"):
	case !valid:
		say(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
		return
	}
	if !known {
		say(w, http.StatusNotFound, map[string]any{"message": "Not Found"})
		return
	}
	route(w, req)
}

func (h *hub) on(method, path string, f http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.routes[method+" "+path] = f
}

// answer gives the same answer to whoever reads.
func (h *hub) answer(path string, value any) {
	h.on("GET", path, func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, value) })
}

// asked counts requests that begin with a method and path.
func (h *hub) asked(prefix string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, r := range h.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (h *hub) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hub) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *hub) open(t *testing.T, provider Provider, change ...func(*Options)) Forge {
	t.Helper()
	o := Options{
		Provider: provider, Address: h.URL, Repository: "platform/clusters", Auth: Auth{Token: secretToken},
		Timeout: 10 * time.Second, AllowInsecure: true, Now: h.clock,
	}
	for _, c := range change {
		c(&o)
	}
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func say(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	text, err := json.Marshal(value)
	if err != nil {
		text, code = []byte(err.Error()), http.StatusTeapot
	}
	w.WriteHeader(code)
	_, _ = w.Write(text)
}

// paged serves a list as GitHub does: with links to the next page and the last.
func paged(items []any) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		size, _ := strconv.Atoi(req.URL.Query().Get("per_page"))
		page, _ := strconv.Atoi(req.URL.Query().Get("page"))
		size, page = max(size, 1), max(page, 1)
		from, to := min((page-1)*size, len(items)), min(page*size, len(items))
		if to < len(items) {
			link := *req.URL
			q := link.Query()
			q.Set("page", strconv.Itoa(page+1))
			link.RawQuery = q.Encode()
			w.Header().Set("Link", fmt.Sprintf(`<http://elsewhere.example.com%s>; rel="next"`, link.String()))
		}
		say(w, http.StatusOK, append([]any{}, items[from:to]...))
	}
}

// comments holds the comments of one pull request.
type comments struct {
	mu    sync.Mutex
	login string
	all   []map[string]any
}

func (c *comments) serve(h *hub, list, one string) {
	h.on("GET", list, func(w http.ResponseWriter, req *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		items := make([]any, 0, len(c.all))
		for _, each := range c.all {
			items = append(items, each)
		}
		paged(items)(w, req)
	})
	h.on("POST", list, func(w http.ResponseWriter, req *http.Request) {
		c.add(c.login, body(req))
		say(w, http.StatusCreated, c.all[len(c.all)-1])
	})
	for id := 1; id < 500; id++ {
		h.on("PATCH", one+strconv.Itoa(id), func(w http.ResponseWriter, req *http.Request) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if id > len(c.all) {
				say(w, http.StatusNotFound, nil)
				return
			}
			c.all[id-1]["body"] = body(req)
			say(w, http.StatusOK, c.all[id-1])
		})
	}
}

func (c *comments) add(login, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, map[string]any{"id": len(c.all) + 1, "body": text, "user": map[string]any{"login": login, "id": len(login)}})
}

func (c *comments) bodies() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, each := range c.all {
		out = append(out, each["body"].(string))
	}
	return out
}

func body(req *http.Request) string {
	var in struct {
		Body string `json:"body"`
	}
	_ = json.NewDecoder(req.Body).Decode(&in)
	return in.Body
}

// app is a GitHub App, as GitHub checks one that signs in.
type app struct {
	id, installation int64
	key              *rsa.PrivateKey
	lives            time.Duration // of a token

	mu     sync.Mutex
	issued int
	faults []string
}

func newApp(t *testing.T, lives time.Duration) *app {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &app{id: 1234, installation: 42, key: key, lives: lives}
}

func (a *app) auth() Auth {
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.key)})
	return Auth{AppID: a.id, InstallationID: a.installation, PrivateKey: key}
}

// serve exchanges the App's own token for one of its installation, of which only the newest is valid.
func (a *app) serve(h *hub) {
	h.on("POST", fmt.Sprintf("/api/v3/app/installations/%d/access_tokens", a.installation), func(w http.ResponseWriter, req *http.Request) {
		if err := a.verify(req.Header.Get("Authorization")); err != nil {
			a.mu.Lock()
			a.faults = append(a.faults, err.Error())
			a.mu.Unlock()
			say(w, http.StatusUnauthorized, map[string]any{"message": "A JSON web token could not be decoded"})
			return
		}
		a.mu.Lock()
		a.issued++
		token := fmt.Sprintf("ghs_installation%d", a.issued)
		a.mu.Unlock()
		h.mu.Lock()
		h.valid = map[string]bool{"token " + token: true}
		h.mu.Unlock()
		say(w, http.StatusCreated, map[string]any{"token": token, "expires_at": time.Now().Add(a.lives).UTC().Format(time.RFC3339)})
	})
	h.on("GET", "/api/v3/app", func(w http.ResponseWriter, req *http.Request) {
		if err := a.verify(req.Header.Get("Authorization")); err != nil {
			say(w, http.StatusUnauthorized, map[string]any{"message": err.Error()})
			return
		}
		say(w, http.StatusOK, map[string]any{"id": a.id, "slug": "refract-reviews"})
	})
}

// verify checks what GitHub checks: RS256 by the App's key, iss, and at most ten minutes from iat to exp.
func (a *app) verify(authorization string) error {
	parts := strings.Split(strings.TrimPrefix(authorization, "Bearer "), ".")
	if !strings.HasPrefix(authorization, "Bearer ") || len(parts) != 3 {
		return fmt.Errorf("no JSON web token")
	}
	var (
		header struct{ Alg string }
		claims struct {
			Iss      any
			Iat, Exp int64
		}
	)
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(into); err != nil {
			return err
		}
	}
	signed, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	switch {
	case header.Alg != "RS256":
		return fmt.Errorf("alg is %s", header.Alg)
	case rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], signed) != nil:
		return fmt.Errorf("signed by another key")
	case fmt.Sprint(claims.Iss) != strconv.FormatInt(a.id, 10):
		return fmt.Errorf("iss is %v", claims.Iss)
	case claims.Iat > now || claims.Exp <= now || claims.Exp-claims.Iat > 600:
		return fmt.Errorf("iat %d and exp %d at %d", claims.Iat, claims.Exp, now)
	}
	return nil
}

func drain(r io.Reader) string {
	text, _ := io.ReadAll(r)
	return string(text)
}
