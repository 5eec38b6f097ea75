package gitsource

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/gittestserver"
)

func TestHTTPFailures(t *testing.T) {
	const user, password, token = "bob", "s3cret-password", "s3cret-token"
	basic, _ := httpServer(t, func(s *gittestserver.GitServer) { s.Auth(user, password) })
	newWork(t, basic.Root(), "fleet.git").commit("a.yaml", "one")
	newWork(t, basic.Root(), "empty.git")
	bearer, _ := httpServer(t, func(s *gittestserver.GitServer) {
		s.AddHTTPMiddlewares(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.Header.Get("Authorization") {
				case "Bearer " + token:
					next.ServeHTTP(w, r)
				case "Bearer readless":
					http.Error(w, "no", http.StatusForbidden)
				default: // Some proxies echo what they were sent.
					http.Error(w, r.Header.Get("Authorization"), http.StatusUnauthorized)
				}
			})
		})
	})
	newWork(t, bearer.Root(), "fleet.git").commit("a.yaml", "one")
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>please log in</html>"))
	}))
	t.Cleanup(page.Close)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy.git/info/refs" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000zzzz"))
	}))
	t.Cleanup(broken.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	cases := map[string]struct {
		url  string
		auth Auth
		err  error
		says string
	}{
		"Basic":         {url: basic.HTTPAddress() + "/fleet.git", auth: Auth{Username: user, Password: password}},
		"BasicWrong":    {url: basic.HTTPAddress() + "/fleet.git", auth: Auth{Username: user, Password: "s3cret-but-wrong"}, err: ErrAuth, says: "check username and password in the Secret"},
		"Anonymous":     {url: basic.HTTPAddress() + "/fleet.git", err: ErrAuth, says: "name a Secret"},
		"Bearer":        {url: bearer.HTTPAddress() + "/fleet.git", auth: Auth{BearerToken: token}},
		"BearerWrong":   {url: bearer.HTTPAddress() + "/fleet.git", auth: Auth{BearerToken: "s3cret-but-wrong"}, err: ErrAuth, says: "check bearerToken in the Secret"},
		"Forbidden":     {url: bearer.HTTPAddress() + "/fleet.git", auth: Auth{BearerToken: "readless"}, err: ErrAuth, says: "403"},
		"NoRepository":  {url: basic.HTTPAddress() + "/other.git", auth: Auth{Username: user, Password: password}, err: ErrNotFound, says: "no such repository"},
		"Empty":         {url: basic.HTTPAddress() + "/empty.git", auth: Auth{Username: user, Password: password}, err: ErrRefNotFound, says: "no commits"},
		"LoginPage":     {url: page.URL + "/fleet.git", err: ErrNotFound, says: "not as a Git repository"},
		"ServerBusy":    {url: broken.URL + "/busy.git", err: ErrUnreachable, says: "503"},
		"Garbage":       {url: broken.URL + "/fleet.git", err: ErrUnreachable, says: "not Git's protocol"},
		"NobodyListens": {url: gone.URL + "/fleet.git", err: ErrUnreachable, says: "refused"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, Options{URL: tc.url, Auth: tc.auth}).Snapshot(t.Context(), branchMain)
			wantErr(t, err, tc.err, tc.says)
			if err == nil {
				return
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error holds a credential: %v", err)
			}
			if !strings.Contains(err.Error(), tc.url) {
				t.Errorf("the error does not name the repository: %v", err)
			}
		})
	}
}

func TestEchoedCredentialsAreNotRepeated(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		line := "ERR what is " + r.Header.Get("Authorization") + "?"
		_, _ = fmt.Fprintf(w, "%04x%s", len(line)+4, line)
	}))
	t.Cleanup(echo.Close)
	for _, auth := range []Auth{{Username: "bob", Password: "s3cret"}, {BearerToken: "s3cret"}} {
		_, err := open(t, Options{URL: echo.URL + "/fleet.git", Auth: auth}).Resolve(t.Context(), branchMain)
		wantErr(t, err, ErrUnreachable, "***")
		if sent := base64.StdEncoding.EncodeToString([]byte("bob:s3cret")); strings.Contains(err.Error(), sent) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error repeats a credential: %v", err)
		}
	}
}

func TestTLS(t *testing.T) {
	git, _ := httpServer(t, nil)
	newWork(t, git.Root(), "fleet.git").commit("a.yaml", "one")
	target, err := url.Parse(git.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewTLSServer(proxyTo(target))
	t.Cleanup(secure.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})

	cases := map[string]struct {
		url  string
		ca   []byte
		err  error
		says string
	}{
		"KnownCA":   {url: secure.URL, ca: ca},
		"UnknownCA": {url: secure.URL, err: ErrTLS, says: "ca.crt"},
		"OtherHost": {url: strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), ca: ca, err: ErrTLS, says: "another host"},
		"NoTLS":     {url: strings.Replace(git.HTTPAddress(), "http:", "https:", 1), err: ErrUnreachable, says: "HTTP response to HTTPS client"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, Options{URL: tc.url + "/fleet.git", Auth: Auth{CA: tc.ca}}).Snapshot(t.Context(), branchMain)
			wantErr(t, err, tc.err, tc.says)
		})
	}
	if _, err := Open(Options{URL: secure.URL + "/fleet.git", Auth: Auth{CA: []byte("no PEM")}}); !errors.Is(err, ErrTLS) {
		t.Errorf("a CA that is none: %v", err)
	}
}

func proxyTo(target *url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.RequestURI = target.Scheme, target.Host, ""
		res, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	})
}

// Another package of the process may have switched verification off on the
// shared transport; that must not reach Git.
func TestTrustIsNotThatOfTheDefaultTransport(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	shared, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t.Fatal("no *http.Transport")
	}
	mine, ok := secure.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no *http.Transport")
	}
	before := shared.TLSClientConfig
	shared.TLSClientConfig = mine.TLSClientConfig.Clone()
	shared.TLSClientConfig.InsecureSkipVerify = true
	t.Cleanup(func() { shared.TLSClientConfig = before })

	_, err := open(t, Options{URL: secure.URL + "/fleet.git"}).Resolve(t.Context(), branchMain)
	wantErr(t, err, ErrTLS, "unknown authority")
}

func TestRedirects(t *testing.T) {
	git, wire := httpServer(t, nil)
	newWork(t, git.Root(), "fleet.git").commit("a.yaml", "one")
	redirector := func(to func(r *http.Request) string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to(r), http.StatusMovedPermanently)
		}))
		t.Cleanup(s.Close)
		return s
	}
	away := redirector(func(r *http.Request) string { return git.HTTPAddress() + r.URL.String() })
	circle := redirector(func(r *http.Request) string { return r.URL.String() })
	aside := redirector(func(*http.Request) string { return "/login" })

	cases := map[string]struct{ url, says string }{
		"OtherHost": {away.URL + "/fleet.git", git.HTTPAddress() + "/fleet.git"},
		"Circle":    {circle.URL + "/fleet.git", "circle"},
		"NoListing": {aside.URL + "/fleet.git", "no ref listing"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := open(t, Options{URL: tc.url, Auth: Auth{Username: "bob", Password: "s3cret"}})
			_, err := r.Snapshot(t.Context(), branchMain)
			wantErr(t, err, ErrRefused, tc.says)
		})
	}
	if listings, packs := wire.since(); listings+len(packs) != 0 {
		t.Errorf("a redirect to another host was followed")
	}
	t.Run("SameHost", func(t *testing.T) {
		s, _ := httpServer(t, func(s *gittestserver.GitServer) {
			s.AddHTTPMiddlewares(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if rest, ok := strings.CutPrefix(r.URL.Path, "/fleet/"); ok {
						http.Redirect(w, r, "/fleet.git/"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
		})
		newWork(t, s.Root(), "fleet.git").commit("a.yaml", "one")
		wantContent(t, mustSnapshot(t, open(t, Options{URL: s.HTTPAddress() + "/fleet"}), branchMain), "one")
	})
}
