package forge

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// repository is an owner and a name.
type repository struct{ owner, name string }

func (r repository) String() string { return r.owner + "/" + r.name }

func parseRepository(s string) (repository, error) {
	owner, name, ok := strings.Cut(s, "/")
	if !ok || owner == "" || name == "" || strings.ContainsAny(s, " \t\r\n?#\\") || strings.Contains(name, "/") ||
		dots(owner) || dots(name) {
		return repository{}, fail(ErrRefused, "repository: %q is not owner/name", clean(s))
	}
	return repository{owner: owner, name: name}, nil
}

// dots are names that lead to somewhere else in a URL.
func dots(s string) bool { return s == "." || s == ".." }

// parseHost accepts the address of a host, without a slash at the end.
func parseHost(s string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, fail(ErrRefused, "address: not well-formed; write https://host") // url.Error quotes its input.
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fail(ErrRefused, "address: is https://host and perhaps a path; credentials belong into the Secret")
	case u.Scheme == "http" && insecure && isLoopback(u.Hostname()):
		return u, nil
	case u.Scheme != "https":
		return nil, fail(ErrRefused, "address: write https://; anything else would show the credentials to anyone on the way")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// scpLike is git@host:path, the only form without a scheme.
var scpLike = regexp.MustCompile(`^(?:[^@/:\s]+@)?(\[[^\]/\s]+\]|[^:/\[\]@\s]+):(.+)$`)

// Locate derives from the URL of a Git repository the address of its host and the repository as owner/name. An SSH URL
// has its host at https://host, whatever its port; with https what stands before owner/name belongs to the address. It
// fails with ErrRefused where this cannot be told, and then says what to write by hand.
func Locate(gitURL string) (address, repo string, err error) {
	scheme, host, path, ok := splitGitURL(gitURL)
	if !ok {
		return "", "", fail(ErrRefused, "address and repository cannot be told from the Git URL; set review.address and review.repository")
	}
	parts := strings.Split(strings.TrimSuffix(strings.Trim(path, "/"), ".git"), "/")
	if n := len(parts); n < 2 || (n > 2 && scheme == "ssh") {
		return "", "", fail(ErrRefused, "the path of the Git URL is not owner/name; set review.address and review.repository")
	}
	n := len(parts)
	r, err := parseRepository(parts[n-2] + "/" + parts[n-1])
	if err != nil {
		return "", "", err
	}
	if scheme == "ssh" {
		scheme = "https"
	}
	prefix := ""
	if n > 2 {
		prefix = "/" + strings.Join(parts[:n-2], "/")
	}
	return scheme + "://" + host + prefix, r.String(), nil
}

// splitGitURL takes a Git URL apart. With ssh the host has no port.
func splitGitURL(raw string) (scheme, host, path string, ok bool) {
	if !strings.Contains(raw, "://") {
		m := scpLike.FindStringSubmatch(raw)
		if m == nil {
			return "", "", "", false
		}
		return "ssh", webHost(strings.ToLower(m[1])), m[2], true
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", "", "", false
	}
	switch u.Scheme {
	case "https":
		return u.Scheme, strings.ToLower(u.Host), u.Path, true
	case "http":
		return u.Scheme, strings.ToLower(u.Host), u.Path, isLoopback(u.Hostname())
	case "ssh":
		name := strings.ToLower(u.Hostname())
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		return u.Scheme, webHost(name), u.Path, true
	}
	return "", "", "", false
}

// webHost undoes github.com's name for SSH over the port of https.
func webHost(host string) string {
	if host == "ssh.github.com" {
		return "github.com"
	}
	return host
}
