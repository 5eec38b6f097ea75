package prism

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// session is what Prism Central gave us for the password: cookies. The SDKs never see them.
type session struct {
	mu      sync.Mutex
	cookies map[string]string
	// refusals in a row: a load balancer may set cookies that open nothing.
	refusals int
}

// maxRefusals in a row show that there are no sessions here; the password is then sent each time.
const maxRefusals = 3

// header is what to send instead of the password; empty when there is no session.
func (s *session) header() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusals >= maxRefusals {
		return ""
	}
	pairs := make([]string, 0, len(s.cookies))
	for _, name := range slices.Sorted(maps.Keys(s.cookies)) {
		pairs = append(pairs, name+"="+s.cookies[name])
	}
	return strings.Join(pairs, "; ")
}

// keep takes the cookies of an answer.
func (s *session) keep(given []*http.Cookie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range given {
		if c.MaxAge < 0 || c.Value == "" {
			delete(s.cookies, c.Name)
			continue
		}
		if s.cookies == nil {
			s.cookies = map[string]string{}
		}
		s.cookies[c.Name] = c.Value
	}
}

// refused ends the session that the header stands for, unless a newer one has begun.
func (s *session) refused(header string) {
	if s.header() != header {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cookies = nil
	s.refusals++
}

// accepted notes that cookies are good for something.
func (s *session) accepted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = 0
}

func (s *session) values() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.cookies))
}

// Secrets are what no message may repeat. Doors into one Prism Central share them: it may say to one user what it heard
// from another, or from the same one before the password changed. The zero value is empty and ready for use.
type Secrets struct {
	mu        sync.Mutex
	passwords []string
	cookies   []string
}

// SecretsByAddress gives all doors into one Prism Central the same Secrets, as long as the process lives. The zero value
// is ready for use.
type SecretsByAddress struct {
	mu sync.Mutex
	of map[string]*Secrets
}

// Of the Prism Central of an endpoint.
func (s *SecretsByAddress) Of(e Endpoint) *Secrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	address := strings.ToLower(e.hostPort())
	if s.of == nil {
		s.of = map[string]*Secrets{}
	}
	if s.of[address] == nil {
		s.of[address] = &Secrets{}
	}
	return s.of[address]
}

// More than what requests under way can still speak of.
const (
	maxPasswords = 64 * formsOfPassword
	maxCookies   = 64
	// minCookie is the length in bytes below which a cookie is no secret, and to hide it would spoil honest words.
	minCookie = 8
)

// Password adds the password of a user, in each of the forms in which it may come back.
func (s *Secrets) Password(username, password string) {
	if password == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, form := range secretsOf(username, password) {
		s.passwords = latest(s.passwords, form, maxPasswords)
	}
}

func (s *Secrets) session(given []*http.Cookie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range given {
		if len(c.Value) >= minCookie && c.MaxAge >= 0 {
			s.cookies = latest(s.cookies, c.Value, maxCookies)
		}
	}
}

func (s *Secrets) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.passwords, s.cookies)
}

// latest puts a text at the end of a list, once, and drops the oldest beyond the limit.
func latest(list []string, text string, limit int) []string {
	if i := slices.Index(list, text); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	list = append(list, text)
	return list[max(0, len(list)-limit):]
}

// maxForeign bounds what we repeat of words that are not ours, in characters.
const maxForeign = 300

// hide makes foreign text fit for a message: without our secrets, in one line, short.
func (g *gate) hide(text string) string {
	secrets := append(g.options.Secrets.all(), g.own...)
	for _, value := range g.session.values() {
		if len(value) >= minCookie {
			secrets = append(secrets, value)
		}
	}
	// The longest first: one may be part of another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, secret := range secrets {
		pairs = append(pairs, secret, "[hidden]")
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if runes := []rune(text); len(runes) > maxForeign {
		text = string(runes[:maxForeign]) + "…"
	}
	return text
}

// formsOfPassword is how many secretsOf gives.
const formsOfPassword = 12

// secretsOf are the forms in which a password may come back to us: as it was sent, and as a page, a log or a dump of the
// request writes it.
func secretsOf(username, password string) [formsOfPassword]string {
	pair, inJSON := []byte(username+":"+password), ""
	if text, err := json.Marshal(password); err == nil {
		inJSON = string(text[1 : len(text)-1])
	}
	quoted := strconv.Quote(password)
	inHex := hex.EncodeToString([]byte(password))
	return [formsOfPassword]string{
		password, url.QueryEscape(password), url.PathEscape(password), html.EscapeString(password),
		quoted[1 : len(quoted)-1], inJSON, inHex, strings.ToUpper(inHex),
		base64.StdEncoding.EncodeToString(pair), base64.RawURLEncoding.EncodeToString(pair),
		base64.StdEncoding.EncodeToString([]byte(password)), base64.RawURLEncoding.EncodeToString([]byte(password)),
	}
}
