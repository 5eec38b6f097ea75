package canary

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// central is a Prism Central that may be hostile: it repeats the passwords that it was ever sent, by whomever, and the
// session that it gave, in every way that gets into a message of ours.
type central struct {
	*httptest.Server
	prism *simulator.Server

	mu   sync.Mutex
	mode string
	// answered counts the requests since it behaves like this.
	answered int
	// sent are the passwords and the headers that they came in.
	sent []sent
}

type sent struct{ password, header string }

// prismUser may enter.
const prismUser = "admin"

func newCentral(t *testing.T) *central {
	t.Helper()
	c := &central{prism: simulator.New(simulator.Options{
		Model: simulator.DefaultModel(), Username: prismUser, Password: credentials["Prism Central password"],
		Users: []simulator.User{{Name: "ccm", Password: credentials["workload password"]}},
	})}
	c.Server = httptest.NewUnstartedServer(c)
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.StartTLS()
	t.Cleanup(func() {
		c.prism.Close()
		c.CloseClientConnections()
		c.Close()
	})
	return c
}

// ServeHTTP implements http.Handler.
func (c *central) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mode, heard := c.hear(r)
	http.SetCookie(w, &http.Cookie{Name: "NTNX_CANARY", Value: credentials["session of Prism Central"], Path: "/"})
	answer, hostile := answers[mode]
	switch {
	case !hostile:
		c.prism.ServeHTTP(w, r)
	case answer.raw != nil:
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer.raw(heard))
		_ = conn.Close()
	default:
		w.Header().Set("Content-Type", answer.contentType)
		w.Header().Set("Location", "https://elsewhere.example.com/"+url.PathEscape(heard))
		w.WriteHeader(answer.status)
		_, _ = io.WriteString(w, answer.body(heard))
	}
}

// hear keeps the password that a request brings, and gives all that is known to repeat: each time beginning with the
// next password, as a message ends early.
func (c *central) hear(r *http.Request) (mode, heard string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, password, ok := r.BasicAuth(); ok {
		if s := (sent{password, r.Header.Get("Authorization")}); !slices.Contains(c.sent, s) {
			c.sent = append(c.sent, s)
		}
	}
	c.answered++
	heard = r.Header.Get("Cookie")
	for i := range c.sent {
		t := c.sent[(i+c.answered)%len(c.sent)]
		p := t.password
		heard = strings.Join([]string{
			heard, p, t.header, base64.StdEncoding.EncodeToString([]byte(p)), base64.URLEncoding.EncodeToString([]byte(p)),
			hex.EncodeToString([]byte(p)), strings.ToUpper(hex.EncodeToString([]byte(p))), url.QueryEscape(p), url.PathEscape(p),
			html.EscapeString(p), strconv.Quote(p), quoted(p, true), quoted(p, false),
		}, " ")
	}
	return c.mode, heard
}

// is has it behave; "" lets in who has the right password.
func (c *central) is(mode string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode, c.answered = mode, 0
}

// times says how often it has answered like this.
func (c *central) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered
}

func (c *central) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}))
}

// hostile is a way to answer, and what is said of it.
type hostile struct {
	status      int
	contentType string
	body        func(heard string) string
	// raw is written instead of HTTP; then the connection ends.
	raw func(heard string) string
	// reason that an account has for it, and a word of the message.
	reason, word string
}

const jsonType = "application/json"

// v4Error is an error as the v4 API has it.
func v4Error(heard string) string {
	text, _ := json.Marshal(map[string]any{"data": map[string]any{ //nolint:errchkjson // strings
		"$objectType": "vmm.v4.error.ErrorResponse", "error": []any{map[string]any{"message": heard, "severity": "ERROR"}},
	}})
	return string(text)
}

// v3Error is an error as the v3 API has it.
func v3Error(heard string) string {
	text, _ := json.Marshal(map[string]any{"state": "ERROR", "message_list": []any{map[string]any{"message": heard}}}) //nolint:errchkjson // strings
	return string(text)
}

func plain(heard string) string { return heard }

var answers = map[string]hostile{
	"refuses":   {status: 401, contentType: jsonType, body: v4Error, reason: v1alpha1.AuthenticationFailedReason, word: "does not accept the password"},
	"forbids":   {status: 403, contentType: jsonType, body: v3Error, reason: v1alpha1.AuthenticationFailedReason, word: "give the user a role"},
	"fails":     {status: 500, contentType: jsonType, body: v4Error, reason: v1alpha1.PrismMisbehavingReason, word: "with status 500; it says"},
	"gateway":   {status: 502, contentType: jsonType, body: v3Error, reason: v1alpha1.PrismUnreachableReason, word: "with status 502"},
	"throttles": {status: 429, contentType: "text/plain", body: plain, reason: v1alpha1.PrismThrottledReason, word: "too many requests"},
	"page": {status: 200, contentType: "text/html; charset=utf-8", body: func(heard string) string {
		return "<html><body>You sent " + heard + "</body></html>"
	}, reason: v1alpha1.PrismMisbehavingReason, word: "instead of JSON"},
	"no JSON":   {status: 200, contentType: jsonType, body: plain, reason: v1alpha1.PrismMisbehavingReason, word: "is none"},
	"redirects": {status: 302, contentType: jsonType, body: v4Error, reason: v1alpha1.PrismMisbehavingReason, word: "redirect"},
	"drops":     {raw: func(string) string { return "" }, reason: v1alpha1.PrismUnreachableReason, word: "Prism Central"},
	"cuts": {raw: func(heard string) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{\"data\": \"" + heard
	}, reason: v1alpha1.PrismUnreachableReason, word: "Prism Central"},
	"no HTTP": {raw: func(heard string) string { return "HTTP/1.1 " + heard + "\r\n\r\n" }, reason: "", word: "Prism Central"},
}

// accountSays has the account looked at until its conditions, or what it could not read, hold some words, and Prism
// Central has answered twice as it does now.
func (x *scene) accountSays(what string, words ...string) {
	x.T.Helper()
	x.Kubectl("annotate", "cloudaccount", "pc-east", "--overwrite", "reconcile.fluxcd.io/requestedAt="+what)
	x.Within(hand.Soon, fmt.Sprintf("%s: the account says %q", what, words), func() error {
		a := &v1alpha1.CloudAccount{}
		if err := x.Client.Get(x.T.Context(), x.Key("pc-east"), a); err != nil {
			return err
		}
		text := fmt.Sprint(a.Status.Conditions, a.Status.Unknown)
		if x.prism.mode != "" && x.prism.times() < 2 {
			return errors.New("it was not asked since")
		}
		for _, word := range words {
			if !strings.Contains(text, word) {
				return errors.New(text)
			}
		}
		return nil
	})
}

// proving has credentials proved by a Prism Central that answers in every hostile way.
func (x *scene) proving() {
	x.T.Helper()
	for mode, a := range answers {
		x.prism.is(mode)
		x.accountSays("proving while it "+mode, a.reason, a.word, "not proved")
	}
	x.prism.is("")
}

// reading has the inventory read from it; the credentials are proved and stay so.
func (x *scene) reading() {
	x.T.Helper()
	for mode, a := range answers {
		x.prism.is(mode)
		x.accountSays("reading while it "+mode, "virtual machines", a.word)
	}
	x.prism.is("")
	x.Within(hand.Soon, "all of it is read again", func() error {
		a := &v1alpha1.CloudAccount{}
		if err := x.Client.Get(x.T.Context(), x.Key("pc-east"), a); err != nil {
			return err
		}
		if len(a.Status.Unknown) > 0 || a.Status.PrismCentral == "" {
			return fmt.Errorf("unknown: %+v", a.Status.Unknown)
		}
		return nil
	})
}
