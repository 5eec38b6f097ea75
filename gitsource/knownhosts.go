package gitsource

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The format of hashed known_hosts lines.
	"encoding/base64"
	"errors"
	"io"
	"net"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownHost is one line of known_hosts.
type knownHost struct {
	patterns []string
	key      ssh.PublicKey
	revoked  bool
}

// parseKnownHosts reads the format of sshd(8). It is read here from memory,
// because golang.org/x/crypto/ssh/knownhosts reads files only and a Secret does
// not belong on a disk.
func parseKnownHosts(data []byte) ([]knownHost, error) {
	var hosts []knownHost
	number := 0
	for line := range bytes.Lines(data) {
		number++
		marker, patterns, key, _, _, err := ssh.ParseKnownHosts(line)
		if errors.Is(err, io.EOF) {
			continue // Blank or a comment.
		}
		if err != nil {
			return nil, fail(ErrHostKey, "known_hosts in the Secret: line %d is not well-formed; paste lines as ssh-keyscan prints them", number)
		}
		if marker == "cert-authority" {
			return nil, fail(ErrHostKey, "known_hosts in the Secret: line %d: @cert-authority is not supported; list the host's own keys", number)
		}
		hosts = append(hosts, knownHost{patterns: patterns, key: key, revoked: marker == "revoked"})
	}
	if len(hosts) == 0 {
		return nil, fail(ErrHostKey, "known_hosts in the Secret holds no host key; paste lines as ssh-keyscan prints them")
	}
	return hosts, nil
}

// hostName is how known_hosts writes a host and port.
func hostName(host, port string) string {
	if port == "22" {
		return host
	}
	return "[" + host + "]:" + port
}

// matches follows sshd(8): a negated pattern that matches wins over any other.
func (h knownHost) matches(name string) bool {
	found := false
	for _, p := range h.patterns {
		pattern, negated := strings.CutPrefix(p, "!")
		if !matchHost(pattern, name) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

func matchHost(pattern, name string) bool {
	if strings.HasPrefix(pattern, "|1|") {
		return matchHashed(pattern, name)
	}
	// Brackets are literal here; * and ? are all there is.
	escaped := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(strings.ToLower(pattern))
	ok, err := path.Match(escaped, strings.ToLower(name))
	return err == nil && ok
}

func matchHashed(pattern, name string) bool {
	salt, sum, ok := strings.Cut(strings.TrimPrefix(pattern, "|1|"), "|")
	if !ok {
		return false
	}
	rawSalt, err1 := base64.StdEncoding.DecodeString(salt)
	rawSum, err2 := base64.StdEncoding.DecodeString(sum)
	mac := hmac.New(sha1.New, rawSalt)
	mac.Write([]byte(strings.ToLower(name)))
	return err1 == nil && err2 == nil && hmac.Equal(mac.Sum(nil), rawSum)
}

// hostKeys judges the key of one host.
type hostKeys struct {
	host, port string
	known      []knownHost // The lines that name this host
	refusal    error       // What check found, since the handshake's error hides it
}

func newHostKeys(data []byte, host, port string) (*hostKeys, error) {
	all, err := parseKnownHosts(data)
	if err != nil {
		return nil, err
	}
	hk := &hostKeys{host: host, port: port}
	for _, h := range all {
		if h.matches(hostName(host, port)) {
			hk.known = append(hk.known, h)
		}
	}
	return hk, nil
}

// algorithms puts the types of the known keys first, so that a server with
// several keys shows one that is known; the others follow so that a changed key
// is reported as such and not as a failed negotiation.
func (hk *hostKeys) algorithms() []string {
	all := []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
	var known []string
	for _, h := range hk.known {
		switch t := h.key.Type(); t {
		case ssh.KeyAlgoRSA: // The key type; its SHA-1 signatures are not accepted.
			known = append(known, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			known = append(known, t)
		}
	}
	var order []string
	for _, a := range append(known, all...) {
		if slices.Contains(all, a) && !slices.Contains(order, a) {
			order = append(order, a)
		}
	}
	return order
}

// check is an ssh.HostKeyCallback.
func (hk *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	hk.refusal = hk.judge(key)
	return hk.refusal
}

func (hk *hostKeys) judge(key ssh.PublicKey) error {
	accepted, revoked := false, false
	var others []string
	for _, h := range hk.known {
		switch {
		case bytes.Equal(h.key.Marshal(), key.Marshal()):
			accepted, revoked = accepted || !h.revoked, revoked || h.revoked
		case !h.revoked:
			others = append(others, h.key.Type()+" "+ssh.FingerprintSHA256(h.key))
		}
	}
	name, shown := hostName(hk.host, hk.port), key.Type()+" "+ssh.FingerprintSHA256(key)
	line := name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	switch {
	case revoked:
		return fail(ErrHostKey, "%s shows a host key (%s) that known_hosts marks as revoked; ask who runs the host", name, shown)
	case accepted:
		return nil
	case len(others) > 0:
		return fail(ErrHostKey, "the host key of %s has changed: known_hosts lists %s, the server shows %s. "+
			"Someone may be in between; if the host's owner confirms the new fingerprint, put this line into known_hosts: %s",
			name, strings.Join(others, ", "), shown, line)
	}
	return fail(ErrHostKey, "known_hosts in the Secret does not list %s; the server shows %s. "+
		"Compare the fingerprint with the one the host publishes, then add this line: %s", name, shown, line)
}
