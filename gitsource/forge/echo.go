package forge

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// mostSent is how many credentials are remembered: an App signs in with a new one every few minutes.
const mostSent = 16

// sent remembers the credentials that a host was sent of late: it may repeat them in any later answer.
type sent struct {
	mu  sync.Mutex
	all []string
}

// note remembers what an Authorization header holds.
func (s *sent) note(authorization string) {
	_, secret, ok := strings.Cut(authorization, " ")
	if !ok || secret == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.all, secret) {
		return
	}
	if s.all = append(s.all, secret); len(s.all) > mostSent {
		s.all = s.all[1:]
	}
}

// quote makes words of a host fit for a message: none at all where they hold credentials, however they are written.
func (s *sent) quote(words string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.ToLower(words) // Names of hosts, and hexadecimal, come in any case.
	for _, secret := range s.all {
		for _, form := range written(secret) {
			if strings.Contains(text, strings.ToLower(form)) {
				return ""
			}
		}
	}
	return clean(words)
}

// written are the forms in which a secret may come back.
func written(secret string) []string {
	quoted := strings.Trim(strconv.Quote(secret), `"`)
	forms := []string{
		secret, quoted, strings.Trim(strconv.Quote(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret),
		html.EscapeString(secret), hex.EncodeToString([]byte(secret)),
	}
	if text, err := json.Marshal(secret); err == nil {
		forms = append(forms, strings.Trim(string(text), `"`))
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			// Three bytes make four letters: what stands before and after changes the first and the last of them.
			text := e.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			forms = append(forms, text[(shift*8+5)/6:(shift+len(secret))*8/6])
		}
	}
	return forms
}
