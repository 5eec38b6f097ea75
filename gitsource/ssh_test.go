package gitsource

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/gitkit"
	"github.com/fluxcd/pkg/gittestserver"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// newKey returns a private key in PEM and its public half.
func newKey(t *testing.T, passphrase string) ([]byte, ssh.PublicKey) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(priv, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), key
}

// sshServer serves repositories to one public key.
func sshServer(t *testing.T, allowed ssh.PublicKey) (s *gittestserver.GitServer, addr string, host ssh.PublicKey) {
	t.Helper()
	s = gittestserver.NewGitServer(t.TempDir())
	keys := filepath.Join(s.Root(), "keys")
	s.KeyDir(keys)
	s.Auth("", "")
	s.PublicKeyLookupFunc(func(content string) (*gitkit.PublicKey, error) {
		if content != strings.TrimSpace(string(ssh.MarshalAuthorizedKey(allowed))) {
			return nil, errors.New("unknown key")
		}
		return &gitkit.PublicKey{Id: "test"}, nil
	})
	if err := s.ListenSSH(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.StartSSH() }() // Ends with StopSSH.
	t.Cleanup(func() { _ = s.StopSSH() })
	found, err := filepath.Glob(filepath.Join(keys, "*.pub"))
	if err != nil || len(found) != 1 {
		t.Fatalf("host keys: %v, %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _, _, err = ssh.ParseAuthorizedKey(data); err != nil {
		t.Fatal(err)
	}
	return s, strings.TrimPrefix(s.SSHAddress(), "ssh://git@"), host
}

func TestSSH(t *testing.T) {
	identity, public := newKey(t, "")
	locked, _ := newKey(t, "open sesame")
	stranger, strangerKey := newKey(t, "")
	s, addr, host := sshServer(t, public)
	w := newWork(t, s.Root(), "fleet.git")
	first := w.commit("a.yaml", "one")
	w.commit("a.yaml", "two")
	right := []byte(knownhosts.Line([]string{addr}, host) + "\n")
	hashed := []byte(knownhosts.Line([]string{knownhosts.HashHostname(knownhosts.Normalize(addr))}, host))
	changed := []byte(knownhosts.Line([]string{addr}, strangerKey))
	url := "ssh://git@" + addr + "/fleet.git"

	cases := map[string]struct {
		url, content string
		ref          Ref
		auth         Auth
		err          error
		says         string
	}{
		"Known":         {auth: Auth{Identity: identity, KnownHosts: right}, content: "two"},
		"Hashed":        {auth: Auth{Identity: identity, KnownHosts: hashed}, content: "two"},
		"OtherTypeToo":  {auth: Auth{Identity: identity, KnownHosts: append(append([]byte(nil), changed...), "\n"+string(right)...)}, content: "two"},
		"BareCommit":    {auth: Auth{Identity: identity, KnownHosts: right}, ref: Ref{Commit: first}, content: "one"},
		"UnknownHost":   {auth: Auth{Identity: identity, KnownHosts: []byte(knownhosts.Line([]string{"example.com"}, host))}, err: ErrHostKey, says: ssh.FingerprintSHA256(host)},
		"UnknownLine":   {auth: Auth{Identity: identity, KnownHosts: []byte(knownhosts.Line([]string{"example.com"}, host))}, err: ErrHostKey, says: "add this line: [127.0.0.1]:"},
		"ChangedKey":    {auth: Auth{Identity: identity, KnownHosts: changed}, err: ErrHostKey, says: "has changed: known_hosts lists ssh-ed25519 " + ssh.FingerprintSHA256(strangerKey)},
		"RevokedKey":    {auth: Auth{Identity: identity, KnownHosts: append([]byte("@revoked "), right...)}, err: ErrHostKey, says: "revoked"},
		"StrangersKey":  {auth: Auth{Identity: stranger, KnownHosts: right}, err: ErrAuth, says: ssh.FingerprintSHA256(strangerKey)},
		"NoRepository":  {url: "ssh://git@" + addr + "/other.git", auth: Auth{Identity: identity, KnownHosts: right}, err: ErrNotFound, says: "check the URL"},
		"NoSuchBranch":  {auth: Auth{Identity: identity, KnownHosts: right}, ref: Ref{Branch: "mian"}, err: ErrRefNotFound, says: `"main"`},
		"NoSuchCommit":  {auth: Auth{Identity: identity, KnownHosts: right}, ref: Ref{Commit: strings.Repeat("7", 40)}, err: ErrRefNotFound, says: "no branch or tag"},
		"NoCredentials": {err: ErrAuth, says: "identity and known_hosts"},
		"NoKnownHosts":  {auth: Auth{Identity: identity}, err: ErrAuth, says: "identity and known_hosts"},
		"BadKnownHosts": {auth: Auth{Identity: identity, KnownHosts: []byte("# mine\nexample.com what\n")}, err: ErrHostKey, says: "line 2"},
		"NoHostKeys":    {auth: Auth{Identity: identity, KnownHosts: []byte("# none\n")}, err: ErrHostKey, says: "no host key"},
		"Authority":     {auth: Auth{Identity: identity, KnownHosts: append([]byte("@cert-authority "), right...)}, err: ErrHostKey, says: "not supported"},
		"NoKey":         {auth: Auth{Identity: []byte("hello"), KnownHosts: right}, err: ErrAuth, says: "no private key"},
		"Locked":        {auth: Auth{Identity: locked, KnownHosts: right}, err: ErrAuth, says: "passphrase"},
		"WrongPassword": {auth: Auth{Identity: locked, IdentityPassword: []byte("s3cret"), KnownHosts: right}, err: ErrAuth, says: "does not open"},
		"ForHTTP":       {auth: Auth{Username: "bob", Password: "s3cret"}, err: ErrAuth, says: "credentials for https"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.url == "" {
				tc.url = url
			}
			if tc.ref == (Ref{}) {
				tc.ref = branchMain
			}
			r, err := Open(Options{URL: tc.url, Auth: tc.auth})
			var snap Snapshot
			if err == nil {
				snap, err = r.Snapshot(t.Context(), tc.ref)
			}
			wantErr(t, err, tc.err, tc.says)
			if err != nil {
				if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "PRIVATE") {
					t.Errorf("the error holds a credential: %v", err)
				}
				return
			}
			wantContent(t, snap, tc.content)
		})
	}
	t.Run("UnlockedByPassword", func(t *testing.T) {
		identity, public := newKey(t, "open sesame")
		s, addr, host := sshServer(t, public)
		newWork(t, s.Root(), "fleet.git").commit("a.yaml", "one")
		auth, err := AuthFromSecret(map[string][]byte{
			"identity": identity, "password": []byte("open sesame\n"), "known_hosts": []byte(knownhosts.Line([]string{addr}, host)),
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(Options{URL: "ssh://git@" + addr + "/fleet.git", Auth: auth})
		if err != nil {
			t.Fatal(err)
		}
		wantContent(t, mustSnapshot(t, r, branchMain), "one")
	})
}

func TestSSHServerThatNeverSpeaks(t *testing.T) {
	identity, public := newKey(t, "")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r, err := Open(Options{
		URL: "ssh://git@" + l.Addr().String() + "/fleet.git", Timeout: 50 * time.Millisecond,
		Auth: Auth{Identity: identity, KnownHosts: []byte(knownhosts.Line([]string{"example.com"}, public))},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Resolve(t.Context(), branchMain)
	wantErr(t, err, ErrUnreachable, "time allowed")
}

func TestKnownHostPatterns(t *testing.T) {
	cases := map[string]struct {
		patterns []string
		name     string
		want     bool
	}{
		"Plain":        {[]string{"git.example.com"}, "git.example.com", true},
		"Case":         {[]string{"Git.Example.com"}, "git.example.com", true},
		"Other":        {[]string{"git.example.com"}, "git.example.org", false},
		"Star":         {[]string{"*.example.com"}, "git.example.com", true},
		"Negated":      {[]string{"*.example.com", "!git.example.com"}, "git.example.com", false},
		"NegatedFirst": {[]string{"!git.example.com", "*.example.com"}, "git.example.com", false},
		"Port":         {[]string{"[git.example.com]:2222"}, "[git.example.com]:2222", true},
		"NoPort":       {[]string{"git.example.com"}, "[git.example.com]:2222", false},
		"Hashed":       {[]string{knownhosts.HashHostname("git.example.com")}, "git.example.com", true},
		"HashedOther":  {[]string{knownhosts.HashHostname("git.example.com")}, "git.example.org", false},
		"HashedBroken": {[]string{"|1|x"}, "git.example.com", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := (knownHost{patterns: tc.patterns}).matches(tc.name); got != tc.want {
				t.Errorf("%v matches %q: %v, want %v", tc.patterns, tc.name, got, tc.want)
			}
		})
	}
}
