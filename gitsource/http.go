package gitsource

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

const (
	uploadPack = "git-upload-pack"
	infoRefs   = "/info/refs"
)

// httpOpener speaks the smart HTTP protocol.
type httpOpener struct {
	base   string // Without a slash at the end
	auth   Auth
	limits Limits
	client *http.Client
}

// newHTTPOpener builds its own transport from nothing. It does not clone
// http.DefaultTransport, whose TLS settings belong to whoever changed them
// last.
func newHTTPOpener(a address, auth Auth, limits Limits) (*httpOpener, error) {
	pool, err := auth.pool()
	if err != nil {
		return nil, err
	}
	return &httpOpener{
		base: a.String(), auth: auth, limits: limits,
		client: &http.Client{
			CheckRedirect: checkRedirect,
			Transport: &http.Transport{
				Proxy:                 http.ProxyFromEnvironment,
				DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
				TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
				TLSHandshakeTimeout:   15 * time.Second,
				ResponseHeaderTimeout: time.Minute,
				IdleConnTimeout:       90 * time.Second,
				MaxIdleConnsPerHost:   1,
				ForceAttemptHTTP2:     true,
			},
		},
	}, nil
}

// checkRedirect follows the ref listing around its own host, as from /repo to
// /repo.git, and nothing else: credentials and trust were given for one host.
func checkRedirect(req *http.Request, via []*http.Request) error {
	from, to := via[0].URL, req.URL
	switch {
	case from.Scheme != to.Scheme || from.Host != to.Host:
		return fail(ErrRefused, "the server redirects to %s; redirects to another host or scheme are not followed. "+
			"If the repository has moved, put its new URL here", clean(to.Scheme+"://"+to.Host+strings.TrimSuffix(to.Path, infoRefs)))
	case via[0].Method != http.MethodGet || !strings.HasSuffix(to.Path, infoRefs) || to.User != nil:
		return fail(ErrRefused, "the server redirects to something that is no ref listing; check the URL")
	case len(via) > maxRedirects:
		return fail(ErrRefused, "the server redirects in a circle; check the URL")
	}
	return nil
}

func (o *httpOpener) open(context.Context) (session, error) {
	return &httpSession{httpOpener: o, at: o.base}, nil
}

func (o *httpOpener) close() { o.client.CloseIdleConnections() }

type httpSession struct {
	*httpOpener
	at string // The base after redirects
}

func (s *httpSession) Close() error { return nil }

func (s *httpSession) refs(ctx context.Context) (*packp.AdvRefs, error) {
	res, err := s.do(ctx, http.MethodGet, s.at+infoRefs+"?service="+uploadPack, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if t := res.Header.Get("Content-Type"); t != "application/x-"+uploadPack+"-advertisement" {
		return nil, fail(ErrNotFound, "the server answers, but not as a Git repository (Content-Type %q); check that the URL is the one for cloning", clean(t))
	}
	final := *res.Request.URL
	final.RawQuery = ""
	s.at = strings.TrimSuffix(final.String(), infoRefs)
	return decodeRefs(newLimitReader(res.Body, s.limits.MaxRefBytes, "the list of refs"))
}

func (s *httpSession) pack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	var body bytes.Buffer
	if err := encodeRequest(&body, req); err != nil {
		return nil, err
	}
	res, err := s.do(ctx, http.MethodPost, s.at+"/"+uploadPack, &body) //nolint:bodyclose // The caller closes what decodePack returns.
	if err != nil {
		return nil, err
	}
	return decodePack(struct {
		io.Reader
		io.Closer
	}{newLimitReader(res.Body, s.limits.MaxPackBytes, "the transfer"), res.Body}, req)
}

func (s *httpSession) do(ctx context.Context, method, url string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fail(ErrRefused, "url: not well-formed")
	}
	req.Header.Set("User-Agent", capability.DefaultAgent())
	if body != nil {
		req.Header.Set("Content-Type", "application/x-"+uploadPack+"-request")
		req.Header.Set("Accept", "application/x-"+uploadPack+"-result")
	}
	switch {
	case s.auth.BearerToken != "":
		req.Header.Set("Authorization", "Bearer "+s.auth.BearerToken)
	case s.auth.Username != "" || s.auth.Password != "":
		req.SetBasicAuth(s.auth.Username, s.auth.Password)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, httpError(err)
	}
	if err := s.status(res.StatusCode); err != nil {
		_ = res.Body.Close() // A server may echo what it was sent, so it is not quoted.
		return nil, err
	}
	return res, nil
}

// status judges an answer by its code.
func (s *httpSession) status(code int) error {
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusUnauthorized && s.auth.BearerToken != "":
		return fail(ErrAuth, "credentials refused (401); check bearerToken in the Secret")
	case code == http.StatusUnauthorized && s.auth.Username != "":
		return fail(ErrAuth, "credentials refused (401); check username and password in the Secret")
	case code == http.StatusUnauthorized:
		return fail(ErrAuth, "the server asks for credentials (401); name a Secret with username and password, or bearerToken")
	case code == http.StatusForbidden:
		return fail(ErrAuth, "access forbidden (403); check what the credentials in the Secret may read")
	case code == http.StatusNotFound || code == http.StatusGone:
		return fail(ErrNotFound, "no such repository (%d), or the credentials may not see it; check the URL and the Secret", code)
	}
	return fail(ErrUnreachable, "the server answers with status %d", code)
}

// httpError classifies a request that got no answer.
func httpError(err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f // From checkRedirect.
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var (
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		urlError *url.Error
	)
	switch {
	case errors.As(err, &unknown):
		return fail(ErrTLS, "the certificate is signed by an unknown authority; put the authority's certificate into the Secret as ca.crt")
	case errors.As(err, &host):
		return fail(ErrTLS, "the certificate is for another host: %s", clean(host.Error()))
	case errors.As(err, &invalid), errors.As(err, &verify):
		return fail(ErrTLS, "the certificate was not accepted: %s", clean(err.Error()))
	case errors.As(err, &record):
		return fail(ErrTLS, "the server does not speak TLS on this port; check the port in the URL")
	case errors.As(err, &urlError):
		err = urlError.Err // Without the URL, which our caller adds.
	}
	return fail(ErrUnreachable, "%s", clean(err.Error()))
}
