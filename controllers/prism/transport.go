package prism

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

const (
	idleTimeout    = time.Minute
	maxHeaderBytes = 64 << 10
)

func newGate(e Endpoint, o Options) (*gate, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	name := e.hostPort()
	g := &gate{
		base: "https://" + name, name: name, options: o, closed: make(chan struct{}),
		username: e.Username, password: e.Password,
	}
	if e.Password != "" {
		forms := secretsOf(e.Username, e.Password)
		g.own = forms[:]
	}
	o.Secrets.Password(e.Username, e.Password)
	transport, err := g.transport(e)
	if err != nil {
		return nil, err
	}
	g.client = &http.Client{
		Transport: transport,
		// A redirect would take the password elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return g, nil
}

func (e Endpoint) hostPort() string {
	port := cmp.Or(e.Port, defaultPort)
	return net.JoinHostPort(strings.Trim(e.Address, "[]"), strconv.Itoa(int(port)))
}

// check finds what no server needs to be asked for.
func (e Endpoint) check() error {
	_, notIP := netip.ParseAddr(strings.Trim(e.Address, "[]"))
	switch {
	case e.Address == "" || notIP != nil && strings.ContainsAny(e.Address, "/:@?# \t"):
		return &Error{Reason: NameNotFound, Message: fmt.Sprintf("the address of Prism Central %q is not a host name or an IP address: "+
			"give it without https:// and port", e.Address)}
	case e.Port < 0 || e.Port > 65535:
		return &Error{Reason: Unreachable, Message: fmt.Sprintf("port %d of Prism Central is not between 1 and 65535", e.Port)}
	case e.Username == "" || e.Password == "":
		return &Error{Reason: AuthenticationFailed, Message: "username or password for Prism Central " + e.Address +
			" is empty: put both into the account's Secret"}
	}
	return nil
}

// transport is how to get to Prism Central: with its own TLS settings and the environment's proxy, nothing shared with
// the rest of the process.
func (g *gate) transport(e Endpoint) (*http.Transport, error) {
	roots, err := authorities(e.TrustBundle)
	if err != nil {
		return nil, err
	}
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		OnProxyConnectResponse: func(_ context.Context, through *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode == http.StatusOK {
				return nil
			}
			return &proxyRefusalError{proxy: through.Host, status: r.StatusCode}
		},
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: roots,
			InsecureSkipVerify: e.Insecure, //nolint:gosec // The account's owner asked for it, and its Ready message warns.
		},
		DialContext:            g.options.Dial,
		MaxConnsPerHost:        g.options.Concurrent,
		MaxIdleConnsPerHost:    g.options.Concurrent,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}, nil
}

// authorities are the machine's and the account's; nil means the machine's.
func authorities(bundle []byte) (*x509.CertPool, error) {
	if len(bundle) == 0 {
		return nil, nil //nolint:nilnil // It is what crypto/tls takes for the machine's.
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, &Error{
			Reason:  UntrustedCertificate,
			Message: "the trust bundle holds no certificate in PEM: put the authority of Prism Central's certificate into it",
		}
	}
	return pool, nil
}
