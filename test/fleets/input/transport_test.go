package input

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/gitkit"
	"github.com/fluxcd/pkg/gittestserver"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
)

// TestTransports has a Fleet read over https with a CA and user and password, and over ssh with a known host; without
// the CA or the host key it reads nothing and says so.
func TestTransports(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		serve func(*testing.T, *fleets.Stage) (address string, right, wrong map[string]string)
		says  string
	}{
		"HTTPS": {serve: https, says: "certificate"},
		"SSH":   {serve: overSSH, says: "known_hosts"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			address, right, wrong := c.serve(t, s)
			edge := fleets.Edge("edge-01")
			s.Push("a fleet", s.Files(edge))
			s.Secret("wrong", wrong)
			s.Secret("right", right)
			s.Start(fleets.Production, func(f *v1alpha1.Fleet) {
				f.Spec.Git.URL, f.Spec.Git.SecretRef.Name = address, "wrong"
			})
			f := s.Fails(fleets.Production, v1alpha1.AuthenticationFailedReason, c.says)
			if f.Status.LastAttemptedRevision != "" {
				t.Errorf("it read %s", f.Status.LastAttemptedRevision)
			}
			s.Edit(f, `{"spec":{"git":{"secretRef":{"name":"right"}}}}`)
			s.Accepted(edge)
			s.Ready(fleets.Production)
		})
	}
}

func https(t *testing.T, s *fleets.Stage) (address string, right, wrong map[string]string) {
	t.Helper()
	to, err := url.Parse(s.Git.Server.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
	t.Cleanup(front.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	wrong = map[string]string{"username": s.Git.Username, "password": s.Git.Password}
	right = map[string]string{"username": s.Git.Username, "password": s.Git.Password, "ca.crt": string(ca)}
	return front.URL + "/fleet.git", right, wrong
}

func overSSH(t *testing.T, s *fleets.Stage) (address string, right, wrong map[string]string) {
	t.Helper()
	identity, public := newKey(t)
	_, stranger := newKey(t)
	server := gittestserver.NewGitServer(filepath.Dir(git(s, "-C", s.Git.Clone(), "remote", "get-url", "origin")))
	keyDir := t.TempDir()
	server.KeyDir(keyDir)
	server.Auth("", "")
	server.PublicKeyLookupFunc(func(content string) (*gitkit.PublicKey, error) {
		if content != strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) {
			return nil, errors.New("unknown key")
		}
		return &gitkit.PublicKey{Id: "test"}, nil
	})
	if err := server.ListenSSH(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.StartSSH() }() // ends with StopSSH
	t.Cleanup(func() { _ = server.StopSSH() })
	found, err := filepath.Glob(filepath.Join(keyDir, "*.pub"))
	if err != nil || len(found) != 1 {
		t.Fatalf("host keys: %v, %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	host, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.TrimPrefix(server.SSHAddress(), "ssh://git@")
	right = map[string]string{"identity": string(identity), "known_hosts": knownhosts.Line([]string{at}, host)}
	wrong = map[string]string{"identity": string(identity), "known_hosts": knownhosts.Line([]string{at}, stranger)}
	return "ssh://git@" + at + "/fleet.git", right, wrong
}

func newKey(t *testing.T) (private []byte, public ssh.PublicKey) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	if public, err = ssh.NewPublicKey(pub); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), public
}
