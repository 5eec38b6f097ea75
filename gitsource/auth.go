package gitsource

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Auth holds the credentials of one repository; the zero Auth is anonymous. The
// caller reads it afresh from its Secret each time and keeps no copy.
type Auth struct {
	// Username and Password are sent by HTTP basic authentication. Many
	// hosts take an access token as the password.
	Username, Password string
	// BearerToken is sent as "Authorization: Bearer".
	BearerToken string
	// CA holds PEM certificates that are trusted in addition to the
	// system's.
	CA []byte
	// Identity is a private key in PEM or OpenSSH form, IdentityPassword its
	// passphrase if it has one.
	Identity, IdentityPassword []byte
	// KnownHosts holds lines as ssh-keyscan prints them. SSH never connects
	// without.
	KnownHosts []byte
}

// The keys of a Secret, as in Flux.
const (
	keyUsername    = "username"
	keyPassword    = "password"
	keyBearerToken = "bearerToken"
	keyIdentity    = "identity"
	keyKnownHosts  = "known_hosts"
	keyCA          = "ca.crt"
)

// AuthFromSecret reads the keys that Flux reads: username and password, or
// bearerToken, or identity and known_hosts with an optional password for the
// key; ca.crt beside the first two or alone. Half a set, two sets and none are
// ErrAuth, naming the keys. Line ends after a value are dropped.
func AuthFromSecret(data map[string][]byte) (Auth, error) {
	set := authSet{data: data}
	if err := set.check(); err != nil {
		return Auth{}, err
	}
	a := Auth{CA: bytes.Clone(data[keyCA])}
	switch {
	case set.ssh():
		a.Identity, a.KnownHosts = bytes.Clone(data[keyIdentity]), bytes.Clone(data[keyKnownHosts])
		a.IdentityPassword = []byte(set.line(keyPassword))
	case set.basic():
		a.Username, a.Password = set.line(keyUsername), set.line(keyPassword)
	case set.has(keyBearerToken):
		a.BearerToken = strings.TrimSpace(set.line(keyBearerToken))
	}
	return a, nil
}

// authSet is the data of a Secret and what it seems to be meant as.
type authSet struct{ data map[string][]byte }

func (s authSet) has(key string) bool { return len(bytes.TrimSpace(s.data[key])) > 0 }

func (s authSet) line(key string) string { return strings.TrimRight(string(s.data[key]), "\r\n") }

func (s authSet) ssh() bool { return s.has(keyIdentity) || s.has(keyKnownHosts) }

// basic leaves a password beside an identity to the identity.
func (s authSet) basic() bool { return s.has(keyUsername) || (s.has(keyPassword) && !s.ssh()) }

// check refuses mixtures, half a set and none.
func (s authSet) check() error {
	basic, bearer, key, ca := s.basic(), s.has(keyBearerToken), s.ssh(), s.has(keyCA)
	switch {
	case basic && bearer:
		return fail(ErrAuth, "the Secret holds both username/password and bearerToken; remove one of them")
	case key && (basic || bearer):
		return fail(ErrAuth, "the Secret holds an SSH identity and credentials for https; keep those that fit the URL")
	case key && ca:
		return fail(ErrAuth, "the Secret holds an SSH identity and ca.crt; SSH has no certificates, remove one of them")
	case basic:
		return s.both(keyUsername, keyPassword)
	case key:
		return s.both(keyIdentity, keyKnownHosts)
	case !bearer && !ca:
		return fail(ErrAuth, "the Secret holds none of username and password, bearerToken, identity and known_hosts, ca.crt")
	}
	return nil
}

func (s authSet) both(a, b string) error {
	if !s.has(a) {
		a, b = b, a
	}
	if !s.has(b) {
		return fail(ErrAuth, "the Secret lacks the key %s beside %s", b, a)
	}
	return nil
}

func (a Auth) equal(b Auth) bool {
	return a.Username == b.Username && a.Password == b.Password && a.BearerToken == b.BearerToken &&
		bytes.Equal(a.CA, b.CA) && bytes.Equal(a.Identity, b.Identity) &&
		bytes.Equal(a.KnownHosts, b.KnownHosts) && bytes.Equal(a.IdentityPassword, b.IdentityPassword)
}

// fits reports credentials that the scheme cannot use.
func (a Auth) fits(scheme string) error {
	switch scheme {
	case "ssh":
		return a.fitsSSH()
	case "http", "https":
		return a.fitsHTTP(scheme)
	}
	return nil
}

func (a Auth) fitsSSH() error {
	if a.Username != "" || a.Password != "" || a.BearerToken != "" {
		return fail(ErrAuth, "the URL is SSH but the Secret holds credentials for https; put identity and known_hosts there")
	}
	if len(a.Identity) == 0 || len(a.KnownHosts) == 0 {
		return fail(ErrAuth, "SSH needs a Secret with identity and known_hosts; there is no connecting without a known host key")
	}
	return nil
}

func (a Auth) fitsHTTP(scheme string) error {
	switch {
	case len(a.Identity) > 0 || len(a.KnownHosts) > 0:
		return fail(ErrAuth, "the URL is %s but the Secret holds an SSH identity; put username and password, or bearerToken, there", scheme)
	case a.BearerToken != "" && (a.Username != "" || a.Password != ""):
		return fail(ErrAuth, "the Secret holds both username/password and bearerToken; remove one of them")
	case strings.ContainsAny(a.BearerToken, "\r\n\x00"):
		return fail(ErrAuth, "bearerToken in the Secret holds a line break")
	}
	return nil
}

// pool is the system's certificates and those of the Secret.
func (a Auth) pool() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // A machine without certificates still has ca.crt.
	}
	if len(a.CA) > 0 && !pool.AppendCertsFromPEM(a.CA) {
		return nil, fail(ErrTLS, "ca.crt in the Secret holds no PEM certificate")
	}
	return pool, nil
}

// signer parses the SSH identity.
func (a Auth) signer() (ssh.Signer, error) {
	var (
		signer ssh.Signer
		err    error
	)
	if len(a.IdentityPassword) > 0 {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(a.Identity, a.IdentityPassword)
	} else {
		signer, err = ssh.ParsePrivateKey(a.Identity)
	}
	var missing *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, nil
	case errors.As(err, &missing):
		return nil, fail(ErrAuth, "identity in the Secret is encrypted; put its passphrase there under the key password")
	case len(a.IdentityPassword) > 0:
		return nil, fail(ErrAuth, "identity in the Secret does not open with password; check both")
	}
	return nil, fail(ErrAuth, "identity in the Secret is no private key; paste the whole file, from BEGIN to END")
}

// redact takes every secret out of a text, also in the forms in which it is
// sent or quoted, and where the text was cut in the middle of it: a server may
// echo what it was sent.
func (a Auth) redact(s string) string {
	sent := ""
	if a.Password != "" {
		sent = base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
	}
	for _, secret := range []string{sent, a.Password, a.BearerToken, string(a.IdentityPassword)} {
		if secret == "" {
			continue
		}
		for _, form := range written(secret) {
			s = strings.ReplaceAll(s, form, "***")
			s = redactCut(s, form)
		}
	}
	return s
}

// written are the forms in which a secret may come back in words of a server,
// which are quoted once more in ours: the longest first, since one may hold
// another.
func written(secret string) []string {
	quoted := func(s string) string {
		s = strconv.Quote(s)
		return s[1 : len(s)-1]
	}
	forms := []string{
		secret, quoted(secret), quoted(quoted(secret)), url.QueryEscape(secret), url.PathEscape(secret),
		html.EscapeString(secret), base64.StdEncoding.EncodeToString([]byte(secret)),
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(forms)
}

// shownOfSecrets is how many letters of a secret may stand at the end of a text
// that was cut: fewer tell nothing, and would be found in any text.
const shownOfSecrets = 3

// redactCut takes out the beginning of a secret where clean cut the text.
func redactCut(s, form string) string {
	for n := len(form) - 1; n > shownOfSecrets; n-- {
		s = strings.ReplaceAll(s, form[:n]+cut, "***"+cut)
	}
	return s
}
