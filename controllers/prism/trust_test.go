package prism_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/site"
)

// TestTrust shows that a certificate is verified whatever bundle is given: the SDK's own client stops verifying then.
func TestTrust(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(e *prism.Endpoint, o *prism.Options)
		reason prism.Reason
		words  []string
	}{
		"ItsAuthority": {func(*prism.Endpoint, *prism.Options) {}, "", nil},
		"NoBundle": {
			func(e *prism.Endpoint, _ *prism.Options) { e.TrustBundle = nil },
			prism.UntrustedCertificate,
			[]string{"authority that is not known", "trustBundleRef"},
		},
		"AnotherAuthority": {
			func(e *prism.Endpoint, _ *prism.Options) { e.TrustBundle, _ = certificate(t, time.Hour) },
			prism.UntrustedCertificate,
			[]string{"authority that is not known", "trustBundleRef"},
		},
		"AnotherName": {
			func(e *prism.Endpoint, o *prism.Options) {
				e.Address, o.Dial = "prism.example.org", dialTo(e)
			},
			prism.UntrustedCertificate,
			[]string{"for another name", "example.com"},
		},
		"Insecure": {
			func(e *prism.Endpoint, _ *prism.Options) { e.TrustBundle, e.Insecure = nil, true }, "", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, modelWith(), nil)
			e, o := central.endpoint(t), prism.Options{}
			c.change(&e, &o)
			_, err := open(t, e, o).Prove(t.Context())
			if c.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantReason(t, err, c.reason, c.words...)
			if n := len(central.Requests()); n != 0 {
				t.Error("it was asked although it is not trusted")
			}
		})
	}
}

// dialTo leads each name to an endpoint.
func dialTo(e *prism.Endpoint) func(context.Context, string, string) (net.Conn, error) {
	to := (&net.TCPAddr{IP: net.ParseIP(e.Address), Port: int(e.Port)}).String()
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}

// certificate of an own authority that is good for so long from now; negative: expired.
func certificate(t *testing.T, valid time.Duration) (authority []byte, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(valid),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	bundle, pair := certificate(t, -time.Hour)
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	web.StartTLS()
	t.Cleanup(web.Close)
	e := endpointOf(t, web)
	e.TrustBundle = bundle
	_, err := open(t, e, prism.Options{}).Prove(t.Context())
	wantReason(t, err, prism.UntrustedCertificate, "expired")
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS = &tls.Config{MaxVersion: tls.VersionTLS11}
	web.StartTLS()
	t.Cleanup(web.Close)
	_, err := open(t, endpointOf(t, web), prism.Options{}).Prove(t.Context())
	wantReason(t, err, prism.Unreachable, "protocol version")
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	gone.Close()
	live := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(live.Close)
	good := endpointOf(t, live)
	dns := func(notFound bool) prism.Options {
		return prism.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "lookup", Name: "prism", IsNotFound: notFound}}
		}}
	}
	for name, c := range map[string]struct {
		endpoint prism.Endpoint
		options  prism.Options
		reason   prism.Reason
		words    []string
	}{
		"NameNotFound": {good, dns(true), prism.NameNotFound, []string{"does not resolve", "correct the address"}},
		"NoDNS":        {good, dns(false), prism.NameNotFound, []string{"DNS does not answer"}},
		"Refused":      {good, prism.Options{Dial: dialTo(&prism.Endpoint{Address: "127.0.0.1", Port: portOf(t, gone)})}, prism.Unreachable, []string{"refuses connections", "9440"}},
		"NotTLS":       {good, prism.Options{Dial: dialTo(&prism.Endpoint{Address: "127.0.0.1", Port: portOf(t, plain)})}, prism.Misbehaving, []string{"does not speak TLS"}},
		"NoAnswer":     {good, prism.Options{Timeout: brief, Dial: deaf(t)}, prism.Unreachable, []string{"did not answer within"}},
		"NotPrism":     {good, prism.Options{}, prism.Misbehaving, []string{"status 404"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, c.endpoint, c.options)
			_, err := d.Prove(t.Context())
			message := wantReason(t, err, c.reason, c.words...)
			if c.reason == prism.Misbehaving {
				return
			}
			// One reason for the whole inventory, and no more requests than to find out.
			found := d.Inventory(t.Context())
			if why := found.Unknown[site.PartVMs]; why != message {
				t.Errorf("the inventory says: %s", why)
			}
			if n := d.Requests(); n > 3 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func portOf(t *testing.T, s *httptest.Server) int32 {
	t.Helper()
	address, ok := s.Listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP")
	}
	return int32(address.Port)
}

// deaf is a network in which nobody answers.
func deaf(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
	}
}

func TestOpenRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	good := prism.Endpoint{Address: "prism.example", Username: user, Password: canary}
	for name, c := range map[string]struct {
		change func(*prism.Endpoint)
		reason prism.Reason
		words  []string
	}{
		"NoAddress":     {func(e *prism.Endpoint) { e.Address = "" }, prism.NameNotFound, []string{"address"}},
		"URLForAName":   {func(e *prism.Endpoint) { e.Address = "https://prism.example:9440" }, prism.NameNotFound, []string{"without https://"}},
		"WithPort":      {func(e *prism.Endpoint) { e.Address = "prism.example:9440" }, prism.NameNotFound, []string{"port"}},
		"PortTooHigh":   {func(e *prism.Endpoint) { e.Port = 70000 }, prism.Unreachable, []string{"70000"}},
		"NoPassword":    {func(e *prism.Endpoint) { e.Password = "" }, prism.AuthenticationFailed, []string{"Secret"}},
		"BundleIsNoPEM": {func(e *prism.Endpoint) { e.TrustBundle = []byte("MIIB") }, prism.UntrustedCertificate, []string{"PEM"}},
		"BundleIsJustAKey": {func(e *prism.Endpoint) {
			e.TrustBundle = []byte("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n")
		}, prism.UntrustedCertificate, []string{"PEM"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := good
			c.change(&e)
			_, err := prism.Open(e, prism.Options{})
			wantReason(t, err, c.reason, c.words...)
		})
	}
	for _, address := range []string{"prism.example", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"} {
		e := good
		e.Address = address
		d, err := prism.Open(e, prism.Options{})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		d.Close()
	}
}

// TestProxy cannot run beside others: it sets the environment.
func TestProxy(t *testing.T) {
	central := newCentral(t, modelWith(aVM("one")), nil)
	straight := central.endpoint(t)
	const proxyPassword = "Proxy-1234"
	var asked []string
	allow := true
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		if !allow {
			http.Error(w, "no", http.StatusProxyAuthRequired)
			return
		}
		tunnel(t, w, dialTo(&straight))
	}))
	t.Cleanup(proxy.Close)
	t.Cleanup(proxy.CloseClientConnections)
	t.Setenv("HTTPS_PROXY", "http://someone:"+proxyPassword+"@"+proxy.Listener.Addr().String())
	t.Setenv("NO_PROXY", "")
	// The server's certificate holds this name.
	e := straight
	e.Address = "prism.example.com"

	d := open(t, e, prism.Options{})
	if _, err := d.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(asked) == 0 || asked[0] != "CONNECT "+net.JoinHostPort(e.Address, portText(e)) {
		t.Errorf("the proxy was asked %v", asked)
	}

	allow = false
	_, err := open(t, e, prism.Options{}).Prove(t.Context())
	if message := wantReason(t, err, prism.Unreachable, "proxy", "407", "NO_PROXY"); strings.Contains(message, proxyPassword) {
		t.Errorf("it holds the proxy's password: %s", message)
	}

	proxy.Close()
	_, err = open(t, e, prism.Options{}).Prove(t.Context())
	wantReason(t, err, prism.Unreachable, "proxy", "cannot be reached")

	t.Setenv("NO_PROXY", "example.com")
	if _, err := open(t, e, prism.Options{Dial: dialTo(&straight)}).Prove(t.Context()); err != nil {
		t.Error(err)
	}
}
