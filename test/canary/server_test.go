package canary

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/refract-dev/refract/test/drift/hand"
)

// server is a Git server behind TLS that may be hostile: it repeats what it was sent, in every way that gets into a
// message of ours.
type server struct {
	*httptest.Server

	mu    sync.Mutex
	mode  string
	right map[string]bool // Authorization headers that are let in
}

func newServer(t *testing.T, s *hand.Scene) *server {
	t.Helper()
	to, err := url.Parse(s.Git.Server.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.SetBasicAuth(s.Git.Username, s.Git.Password)
	}}
	g := &server{right: map[string]bool{}}
	g.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		g.mu.Lock()
		mode, right := g.mode, g.right[header]
		g.mu.Unlock()
		_, password, _ := r.BasicAuth()
		sent := password + strings.TrimPrefix(header, "Bearer ")
		switch {
		case mode == "redirects":
			elsewhere := url.URL{Scheme: "https", Host: "elsewhere.example.com", Path: "/" + sent, RawQuery: "t=" + url.QueryEscape(sent)}
			http.Redirect(w, r, elsewhere.String(), http.StatusFound)
		case mode == "page":
			w.Header().Set("Content-Type", "text/"+url.PathEscape(password))
			_, _ = fmt.Fprintln(w, sent)
		case mode == "explains":
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			words := fmt.Sprintf("ERR access denied to %s (%q, %s)", password, password, header)
			_, _ = fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s", len(words)+4, words)
		case !right:
			http.Error(w, "you sent "+sent, http.StatusUnauthorized)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

// is has the server behave; "" lets in who has the right credentials.
func (g *server) is(mode string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mode = mode
}

// admits an Authorization header.
func (g *server) admits(header string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.right[header] = true
}

func (g *server) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw}))
}
