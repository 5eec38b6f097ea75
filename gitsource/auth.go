package gitsource

import (
	"bytes"
	"crypto/x509"
	"errors"
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
	has := func(key string) bool { return len(bytes.TrimSpace(data[key])) > 0 }
	basic := has(keyUsername) || (has(keyPassword) && !has(keyIdentity) && !has(keyKnownHosts))
	bearer := has(keyBearerToken)
	key := has(keyIdentity) || has(keyKnownHosts)

	switch {
	case basic && bearer:
		return Auth{}, fail(ErrAuth, "the Secret holds both username/password and bearerToken; remove one of them")
	case key && (basic || bearer):
		return Auth{}, fail(ErrAuth, "the Secret holds an SSH identity and credentials for https; keep those that fit the URL")
	case key && has(keyCA):
		return Auth{}, fail(ErrAuth, "the Secret holds an SSH identity and ca.crt; SSH has no certificates, remove one of them")
	case !basic && !bearer && !key && !has(keyCA):
		return Auth{}, fail(ErrAuth, "the Secret holds none of username and password, bearerToken, identity and known_hosts, ca.crt")
	}
	var needed []string
	if basic {
		needed = []string{keyUsername, keyPassword}
	} else if key {
		needed = []string{keyIdentity, keyKnownHosts}
	}
	for _, k := range needed {
		if !has(k) {
			return Auth{}, fail(ErrAuth, "the Secret lacks the key %s beside %s", k, strings.Join(without(needed, k), ", "))
		}
	}
	line := func(k string) string { return strings.TrimRight(string(data[k]), "\r\n") }
	a := Auth{BearerToken: strings.TrimSpace(line(keyBearerToken)), CA: bytes.Clone(data[keyCA])}
	if key {
		a.Identity, a.KnownHosts = bytes.Clone(data[keyIdentity]), bytes.Clone(data[keyKnownHosts])
		a.IdentityPassword = []byte(line(keyPassword))
	}
	if basic {
		a.Username, a.Password = line(keyUsername), line(keyPassword)
	}
	return a, nil
}

func without(list []string, drop string) []string {
	var rest []string
	for _, s := range list {
		if s != drop {
			rest = append(rest, s)
		}
	}
	return rest
}

func (a Auth) equal(b Auth) bool {
	return a.Username == b.Username && a.Password == b.Password && a.BearerToken == b.BearerToken &&
		bytes.Equal(a.CA, b.CA) && bytes.Equal(a.Identity, b.Identity) &&
		bytes.Equal(a.KnownHosts, b.KnownHosts) && bytes.Equal(a.IdentityPassword, b.IdentityPassword)
}

// fits reports credentials that the scheme cannot use.
func (a Auth) fits(scheme string) error {
	forHTTP := a.Username != "" || a.Password != "" || a.BearerToken != ""
	forSSH := len(a.Identity) > 0 || len(a.KnownHosts) > 0
	switch scheme {
	case "ssh":
		if forHTTP {
			return fail(ErrAuth, "the URL is SSH but the Secret holds credentials for https; put identity and known_hosts there")
		}
		if len(a.Identity) == 0 || len(a.KnownHosts) == 0 {
			return fail(ErrAuth, "SSH needs a Secret with identity and known_hosts; there is no connecting without a known host key")
		}
	case "http", "https":
		if forSSH {
			return fail(ErrAuth, "the URL is %s but the Secret holds an SSH identity; put username and password, or bearerToken, there", scheme)
		}
		if a.BearerToken != "" && (a.Username != "" || a.Password != "") {
			return fail(ErrAuth, "the Secret holds both username/password and bearerToken; remove one of them")
		}
		if strings.ContainsAny(a.BearerToken, "\r\n\x00") {
			return fail(ErrAuth, "bearerToken in the Secret holds a line break")
		}
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

// redact takes every secret out of a text.
func (a Auth) redact(s string) string {
	for _, secret := range []string{a.Password, a.BearerToken, string(a.IdentityPassword)} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}
