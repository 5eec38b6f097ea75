package gitsource

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// address is a parsed and accepted repository URL. It never holds a password.
type address struct {
	scheme string // https, http, ssh, file
	user   string // SSH only, "git" when the URL names none
	host   string // Without port or brackets
	port   string // "" for the scheme's own
	path   string
}

// scpLike is git@host:path, the only form without a scheme.
var scpLike = regexp.MustCompile(`^(?:([^@/:\s]+)@)?(\[[^\]/\s]+\]|[^:/\[\]@\s]+):(.+)$`)

// parseAddress accepts https, ssh and scp-like URLs, and by leave of o file
// URLs and plain http to this machine. Its errors, of kind ErrRefused, repeat
// nothing of a URL that may hold a secret.
func parseAddress(o Options) (address, error) {
	raw := o.URL
	if raw == "" {
		return address{}, fail(ErrRefused, "url: empty; write https://host/path.git or ssh://git@host/path.git")
	}
	for _, r := range raw {
		if r <= ' ' || r == 0x7f {
			return address{}, fail(ErrRefused, "url: holds a blank or control character")
		}
	}
	if !strings.Contains(raw, "://") {
		return parseSCPLike(raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, fail(ErrRefused, "url: not well-formed") // url.Error quotes its input.
	}
	if err := refusedParts(u); err != nil {
		return address{}, err
	}
	a := address{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), path: u.Path}
	switch u.Scheme {
	case "https":
		a.path = strings.TrimRight(u.EscapedPath(), "/")
		return a, a.check()
	case "http":
		a.path = strings.TrimRight(u.EscapedPath(), "/")
		if !o.AllowInsecure || !isLoopback(a.host) {
			return address{}, fail(ErrRefused, "url: plain http is refused, since anyone on the way could change the files; write https://")
		}
		return a, a.check()
	case "ssh":
		a.user = u.User.Username()
		if strings.HasPrefix(a.path, "/~") {
			a.path = a.path[1:]
		}
		return a.sshDefaults(), a.check()
	case "file":
		return a.asFile(o.AllowFileURLs)
	}
	return address{}, fail(ErrRefused, "url: scheme %q is refused; write https:// or ssh://", clean(u.Scheme))
}

// refusedParts refuses what would put secrets or options into a URL.
func refusedParts(u *url.URL) error {
	if _, password := u.User.Password(); password {
		return fail(ErrRefused, "url: holds a password before the host; move user and password into the Secret")
	}
	if u.User != nil && u.Scheme != "ssh" {
		return fail(ErrRefused, "url: holds a user name or token before the host; move it into the Secret")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fail(ErrRefused, "url: remove what follows the ? or #; branch and path have fields of their own")
	}
	return nil
}

func parseSCPLike(raw string) (address, error) {
	m := scpLike.FindStringSubmatch(raw)
	if m == nil {
		return address{}, fail(ErrRefused, "url: no scheme; write https://host/path.git, ssh://git@host/path.git or git@host:path.git")
	}
	a := address{scheme: "ssh", user: m[1], host: strings.Trim(m[2], "[]"), path: m[3]}.sshDefaults()
	return a, a.check()
}

func (a address) sshDefaults() address {
	if a.user == "" {
		a.user = "git"
	}
	if a.port == "" {
		a.port = "22"
	}
	return a
}

func (a address) asFile(allowed bool) (address, error) {
	switch {
	case !allowed:
		return address{}, fail(ErrRefused, "url: file URLs need the operator's flag --allow-file-urls")
	case a.host != "" && a.host != "localhost":
		return address{}, fail(ErrRefused, "url: a file URL names no host; write file:///path")
	case !strings.HasPrefix(a.path, "/"):
		return address{}, fail(ErrRefused, "url: a file URL is absolute; write file:///path")
	}
	a.host = ""
	return a, nil
}

// check refuses what a server or its shell could take for an option.
func (a address) check() error {
	if a.host == "" {
		return fail(ErrRefused, "url: names no host")
	}
	if strings.HasPrefix(a.host, "-") || strings.HasPrefix(a.user, "-") || strings.HasPrefix(a.path, "-") {
		return fail(ErrRefused, "url: host, user and path do not begin with a dash")
	}
	if strings.Trim(a.path, "/") == "" || strings.HasPrefix(a.path, ":") {
		return fail(ErrRefused, "url: names no repository after the host")
	}
	return nil
}

// String is the address for messages.
func (a address) String() string {
	if a.scheme == "ssh" {
		return "ssh://" + a.user + "@" + a.hostPort() + "/" + strings.TrimPrefix(a.path, "/")
	}
	return a.scheme + "://" + a.hostPort() + a.path
}

func (a address) hostPort() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port == "" || (a.scheme == "ssh" && a.port == "22") {
		return host
	}
	return net.JoinHostPort(a.host, a.port)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
