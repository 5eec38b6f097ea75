package simulator

import (
	"cmp"
	"crypto/subtle"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

// User is an account of Prism Central. It gets in with its password, by basic
// authentication, or with its API key, in the header X-ntnx-api-key; what is
// empty lets nobody in.
type User struct {
	Name, Password, APIKey string
}

// Session is what one login, or one user of an API key, has done so far.
type Session struct {
	User string
	// Client is the User-Agent of the login.
	Client string
	// Since is the time of the login, LastUsed that of the latest request.
	Since, LastUsed time.Time
	// Requests counts all requests of the session, the login included.
	Requests int
	// APIKey says that there was no login: all requests with one API key are
	// one Session, which does not end.
	APIKey bool
	// Ended says that the cookie is not taken any more.
	Ended bool
}

// DefaultSessionLifetime is how long a session of a real Prism Central is said
// to live.
const DefaultSessionLifetime = 15 * time.Minute

const (
	// sessionCookie is the name of the cookie; the clients take any.
	sessionCookie = "PRISMSIM_SESSION"
	apiKeyHeader  = "X-ntnx-api-key" //nolint:gosec // the name of a header
	// maxSessions are remembered: a client that never sends its cookie opens
	// one with each request.
	maxSessions = 1000
)

type session struct {
	Session
	// token is the value of the cookie, empty for an API key.
	token string
}

// gate knows who may come in; the server is locked around all calls.
type gate struct {
	users    map[string]User
	sessions []*session
	lifetime time.Duration
	now      func() time.Time
	rejected map[string]int
	requests map[string]map[string]int
}

func newGate(o Options) *gate {
	g := &gate{
		users: map[string]User{}, lifetime: cmp.Or(o.SessionLifetime, DefaultSessionLifetime), now: o.Clock,
		rejected: map[string]int{}, requests: map[string]map[string]int{},
	}
	if g.now == nil {
		g.now = time.Now //nolint:forbidigo // the clock unless Options bring another
	}
	for _, u := range append([]User{{Name: o.Username, Password: o.Password}}, o.Users...) {
		if u.Name != "" {
			g.users[u.Name] = u
		}
	}
	return g
}

// admit finds the session of a request, or opens one.
func (g *gate) admit(r *http.Request) (*session, error) {
	found, claimed := g.byKey(r)
	if found == nil {
		found = g.byCookie(r)
	}
	if found == nil {
		var named string
		found, named = g.byPassword(r)
		claimed = cmp.Or(named, claimed)
	}
	if found == nil {
		g.rejected[claimed]++
		return nil, unauthorized()
	}
	found.LastUsed = g.now()
	found.Requests++
	return found, nil
}

func unauthorized() error {
	return &apiError{status: http.StatusUnauthorized, group: "AUTHENTICATION_FAILED", message: "authentication required"}
}

// byKey also names who a wrong key is counted for.
func (g *gate) byKey(r *http.Request) (found *session, claimed string) {
	key := r.Header.Get(apiKeyHeader)
	if key == "" {
		return nil, ""
	}
	for _, u := range g.users {
		if u.APIKey == "" || !same(key, u.APIKey) {
			continue
		}
		if i := slices.IndexFunc(g.sessions, func(s *session) bool { return s.APIKey && s.User == u.Name }); i >= 0 {
			return g.sessions[i], ""
		}
		return g.open(Session{User: u.Name, Client: r.UserAgent(), APIKey: true}, ""), ""
	}
	return nil, apiKeyHeader
}

func (g *gate) byCookie(r *http.Request) *session {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	for _, s := range g.sessions {
		if s.token != "" && same(s.token, cookie.Value) && !g.ended(s) {
			return s
		}
	}
	return nil
}

func (g *gate) byPassword(r *http.Request) (found *session, claimed string) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return nil, ""
	}
	u := g.users[name]
	if u.Name == "" || u.Password == "" || !same(password, u.Password) {
		return nil, name
	}
	return g.open(Session{User: name, Client: r.UserAgent()}, uuid.NewString()), name
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (g *gate) open(as Session, token string) *session {
	as.Since = g.now()
	opened := &session{Session: as, token: token}
	g.sessions = append(g.sessions, opened)
	g.sessions = g.sessions[max(0, len(g.sessions)-maxSessions):]
	return opened
}

func (g *gate) ended(s *session) bool {
	if !s.APIKey && g.now().Sub(s.Since) >= g.lifetime {
		s.Ended = true
	}
	return s.Ended
}

func (g *gate) count(user, pattern string) {
	if g.requests[user] == nil {
		g.requests[user] = map[string]int{}
	}
	g.requests[user][pattern]++
}

// end ends the sessions of one user, or of all when the name is empty.
func (g *gate) end(user string) int {
	n := 0
	for _, s := range g.sessions {
		if !s.APIKey && !g.ended(s) && (user == "" || s.User == user) {
			s.Ended = true
			n++
		}
	}
	return n
}

// SetUser adds an account or replaces the one of that name. Sessions that are
// open stay open.
func (s *Server) SetUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.users[u.Name] = u
}

// SetPassword changes the password of an account. Sessions that are open stay
// open until they end by themselves or [Server.ExpireSessions] ends them, so a
// client that still holds a cookie notices nothing. It is an error when there is
// no such account.
func (s *Server) SetPassword(user, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.gate.users[user]
	if !ok {
		return fmt.Errorf("there is no user %q", user)
	}
	u.Password = password
	s.gate.users[user] = u
	return nil
}

// RemoveUser removes an account, if there is one, and ends its sessions.
func (s *Server) RemoveUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.gate.users, name)
	s.gate.end(name)
}

// ExpireSessions ends all sessions and returns how many there were. The next
// request with a cookie is answered with 401 unless it brings more.
func (s *Server) ExpireSessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gate.end("")
}

// Sessions returns all sessions in the order of their logins, those that have
// ended included; of very many only the latest 1,000.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Session, 0, len(s.gate.sessions))
	for _, one := range s.gate.sessions {
		s.gate.ended(one)
		all = append(all, one.Session)
	}
	return all
}

// RequestsBy is [Server.Requests] of one user.
func (s *Server) RequestsBy(user string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.gate.requests[user])
}

// Rejected counts the requests that were answered with 401, by the name of the
// user that they gave: empty for none, "X-ntnx-api-key" for an unknown API key.
func (s *Server) Rejected() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.gate.rejected)
}
