package prism

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// errClosed is what calls get while or after the door is closed.
var errClosed = errors.New("the door to Prism Central is closed")

// proxyRefusalError is the answer of a proxy that does not let us through.
type proxyRefusalError struct {
	proxy  string
	status int
}

func (p *proxyRefusalError) Error() string {
	return fmt.Sprintf("proxy %s: HTTP status %d", p.proxy, p.status)
}

// judge finds what is wrong with an answer.
func (g *gate) judge(q question, a answer) *Error {
	if failure := g.judgeStatus(q, a); failure != nil {
		return failure
	}
	switch {
	case int64(len(a.body)) > g.options.MaxBytes:
		return g.misbehaves(q, "answers with more than %d MiB", g.options.MaxBytes>>20)
	case !isJSON(a):
		return g.misbehaves(q, "answers with %s instead of JSON: look whether address and port are those of Prism Central, "+
			"and not of a proxy or load balancer in front of it", g.hide(contentType(a)))
	case !isObject(a.body):
		return g.misbehaves(q, "answers with something that is announced as JSON and is none")
	}
	return nil
}

// judgeStatus explains an answer that is not a success. Its cause is the status.
func (g *gate) judgeStatus(q question, a answer) *Error {
	failure := &Error{Err: refusal(a.status)}
	say := func(reason Reason, format string, args ...any) *Error {
		failure.Reason, failure.Message = reason, fmt.Sprintf(format, args...)
		return failure
	}
	switch {
	case a.status >= 200 && a.status < 300 && a.status != http.StatusNoContent:
		return nil
	case a.status == http.StatusUnauthorized:
		return say(AuthenticationFailed, "Prism Central %s does not accept the password of user %q: correct username and "+
			"password in the account's Secret, and look whether Prism Central has locked the user", g.name, g.username)
	case a.status == http.StatusForbidden:
		return say(Forbidden, "user %q of Prism Central %s may not %s: give the user a role that allows it%s",
			g.username, g.name, routeOf(q), g.quote(a))
	case a.status == http.StatusTooManyRequests:
		return say(Throttled, "Prism Central %s has too many requests and asks to come back later: "+
			"find out who else asks that much, or ask it less often (a longer interval)", g.name)
	case a.status >= http.StatusBadGateway && a.status <= http.StatusGatewayTimeout:
		return say(Unreachable, "Prism Central %s answers %s with status %d: its services are not ready; "+
			"look at its health if that stays%s", g.name, routeOf(q), a.status, g.quote(a))
	case a.status >= 300 && a.status < 400:
		return say(Misbehaving, "Prism Central %s answers %s with a redirect: give the address and port that it redirects to, "+
			"if that is Prism Central", g.name, routeOf(q))
	case a.status == http.StatusNotFound && isJSON(a) && isErrorResponse(a.body):
		return say(NotFound, "Prism Central %s does not know what %s asks for%s", g.name, routeOf(q), g.quote(a))
	}
	return say(Misbehaving, "Prism Central %s answers %s with status %d%s", g.name, routeOf(q), a.status, g.quote(a))
}

func (g *gate) misbehaves(q question, format string, args ...any) *Error {
	return &Error{
		Reason:  Misbehaving,
		Message: fmt.Sprintf("Prism Central %s, asked %s, %s", g.name, routeOf(q), fmt.Sprintf(format, args...)),
	}
}

func contentType(a answer) string {
	if t := a.header.Get("Content-Type"); t != "" {
		return t
	}
	return "something of no type"
}

func isJSON(a answer) bool {
	media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// said are the words of an error in the forms of v4 and v3.
type said struct {
	Data struct {
		Error json.RawMessage `json:"error"`
	} `json:"data"`
	MessageList []struct {
		Message string `json:"message"`
	} `json:"message_list"`
}

// isErrorResponse says whether Prism Central itself wrote an error: not a gateway in front of it.
func isErrorResponse(body []byte) bool {
	var s said
	return json.Unmarshal(body, &s) == nil && (len(s.Data.Error) > 0 || len(s.MessageList) > 0)
}

// quote is ", it says: ..." when an answer holds a message that can be found.
func (g *gate) quote(a answer) string {
	var s said
	if !isJSON(a) || json.Unmarshal(a.body, &s) != nil {
		return ""
	}
	var messages []struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(s.Data.Error, &messages) != nil {
		messages = nil
	}
	for _, m := range append(messages, s.MessageList...) {
		if m.Message != "" {
			return "; it says: " + g.hide(m.Message)
		}
	}
	return ""
}

// transportError explains why there was no answer. Only words that are known to hold no secret are kept of its cause.
func (g *gate) transportError(ctx context.Context, err error) *Error {
	say := func(reason Reason, format string, args ...any) *Error {
		return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Err: errors.New(g.hide(err.Error()))}
	}
	select {
	case <-g.closed:
		return &Error{Reason: Unreachable, Message: errClosed.Error(), Err: errClosed}
	default:
	}
	if ended := ctx.Err(); ended != nil {
		return &Error{Reason: Unreachable, Message: "the question to Prism Central " + g.name + " was given up: " + ended.Error(), Err: ended}
	}
	if proxied := g.proxyError(err); proxied != "" {
		return say(Unreachable, "%s", proxied)
	}
	if failure := g.certificateError(err); failure != "" {
		return say(UntrustedCertificate, "%s", failure)
	}
	var unresolved *net.DNSError
	var notTLS tls.RecordHeaderError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &unresolved) && unresolved.IsNotFound:
		return say(NameNotFound, "the name of Prism Central %s does not resolve: correct the address, or the DNS that the "+
			"controller asks", g.name)
	case errors.As(err, &unresolved):
		return say(NameNotFound, "the name of Prism Central %s cannot be resolved, DNS does not answer: look at the DNS that "+
			"the controller asks", g.name)
	case errors.As(err, &notTLS), errors.Is(err, http.ErrSchemeMismatch):
		return say(Misbehaving, "%s does not speak TLS: look whether address and port are those of Prism Central (9440 on most)", g.name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say(Unreachable, "%s refuses connections: look whether address and port are those of Prism Central (9440 on "+
			"most) and whether it runs", g.name)
	case errors.As(err, &timeout) && timeout.Timeout():
		failure := say(Unreachable, "Prism Central %s did not answer within %s: look whether it is healthy and whether the "+
			"network lets the controller through", g.name, g.options.Timeout)
		failure.Err = context.DeadlineExceeded
		return failure
	}
	return say(Unreachable, "the connection to Prism Central %s broke: %s", g.name, g.hide(innermost(err)))
}

// proxyError says what is wrong with the proxy, if it is the proxy.
func (g *gate) proxyError(err error) string {
	const advice = "correct HTTPS_PROXY of the controller, or name Prism Central in NO_PROXY"
	if refused, is := errors.AsType[*proxyRefusalError](err); is {
		return fmt.Sprintf("the proxy %s does not let the controller through to Prism Central %s (status %d): allow it, or %s",
			refused.proxy, g.name, refused.status, advice)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		return fmt.Sprintf("the proxy on the way to Prism Central %s cannot be reached: %s", g.name, advice)
	}
	return ""
}

// certificateError says what is wrong with the certificate, if it is the certificate.
func (g *gate) certificateError(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var other *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("the certificate of Prism Central %s is signed by an authority that is not known: "+
			"put the authority's certificate into a ConfigMap and name that in trustBundleRef", g.name)
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate of Prism Central %s is for another name (%s): "+
			"use the name that it is for as address, or give Prism Central a certificate for this one", g.name, g.hide(namesOf(name.Certificate)))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of Prism Central %s has expired or is not valid yet: renew it, or set the clocks right", g.name)
	case errors.As(err, &invalid), errors.As(err, &other):
		return fmt.Sprintf("the certificate of Prism Central %s is not valid: %s; give it a new one", g.name, g.hide(innermost(err)))
	}
	return ""
}

// namesOf is who a certificate is for.
func namesOf(c *x509.Certificate) string {
	if c == nil {
		return "none"
	}
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// innermost is the last cause, without the wrapping that repeats the URL.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}
