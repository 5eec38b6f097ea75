package forge

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strconv"
	"strings"
)

// Auth is how we sign in: by a token, or as an App of GitHub.
type Auth struct {
	// Token of our own user.
	Token string
	// AppID and InstallationID of a GitHub App, both in decimal.
	AppID, InstallationID int64
	// PrivateKey of the App in PEM.
	PrivateKey []byte
	// CA holds PEM certificates that are trusted in addition to the system's.
	CA []byte
}

// The keys of a Secret, those of an App as in Flux.
const (
	keyToken          = "token"
	keyAppID          = "githubAppID"
	keyInstallationID = "githubAppInstallationID"
	keyPrivateKey     = "githubAppPrivateKey"
	keyCA             = "ca.crt"
)

// AuthFromSecret reads token, or githubAppID, githubAppInstallationID and githubAppPrivateKey, and ca.crt beside either.
// Half a set, two sets and none are ErrAuth, naming the keys. Blanks around a value are dropped.
func AuthFromSecret(data map[string][]byte) (Auth, error) {
	value := func(key string) string { return strings.TrimSpace(string(data[key])) }
	a := Auth{Token: value(keyToken), CA: bytes.Clone(data[keyCA])}
	if len(a.CA) > 0 && !x509.NewCertPool().AppendCertsFromPEM(a.CA) {
		return Auth{}, fail(ErrAuth, "ca.crt in the Secret holds no PEM certificate")
	}
	var have, lack []string
	for _, key := range []string{keyAppID, keyInstallationID, keyPrivateKey} {
		if value(key) == "" {
			lack = append(lack, key)
		} else {
			have = append(have, key)
		}
	}
	switch {
	case a.Token != "" && len(have) > 0:
		return Auth{}, fail(ErrAuth, "the Secret holds both token and %s; remove one of them", strings.Join(have, ", "))
	case strings.ContainsFunc(a.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return Auth{}, fail(ErrAuth, "token in the Secret holds a blank or another character that no token has")
	case a.Token != "":
		return a, nil
	case len(have) == 0:
		return Auth{}, fail(ErrAuth, "the Secret holds neither token nor githubAppID, githubAppInstallationID and githubAppPrivateKey")
	case len(lack) > 0:
		return Auth{}, fail(ErrAuth, "the Secret lacks the key %s beside %s", strings.Join(lack, " and "), strings.Join(have, " and "))
	}
	return a.app(value(keyAppID), value(keyInstallationID), []byte(value(keyPrivateKey)+"\n"))
}

func (a Auth) app(id, installation string, key []byte) (Auth, error) {
	var err error
	if a.AppID, err = strconv.ParseInt(id, 10, 64); err != nil || a.AppID <= 0 {
		return Auth{}, fail(ErrAuth, "githubAppID in the Secret is not a number; the page of the App shows it as App ID")
	}
	if a.InstallationID, err = strconv.ParseInt(installation, 10, 64); err != nil || a.InstallationID <= 0 {
		return Auth{}, fail(ErrAuth, "githubAppInstallationID in the Secret is not a number; it ends the address of the page on which the installed App is configured")
	}
	block, _ := pem.Decode(key)
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return Auth{}, fail(ErrAuth, "githubAppPrivateKey in the Secret is no private key in PEM; paste the whole file, from BEGIN to END")
	}
	a.PrivateKey = key
	return a, nil
}

// isApp says whether we sign in as an App.
func (a Auth) isApp() bool { return a.AppID != 0 }

// pool is the system's certificates and those of the Secret.
func (a Auth) pool() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // A machine without certificates still has ca.crt.
	}
	if len(a.CA) > 0 && !pool.AppendCertsFromPEM(a.CA) {
		return nil, fail(ErrAuth, "ca.crt in the Secret holds no PEM certificate")
	}
	return pool, nil
}
