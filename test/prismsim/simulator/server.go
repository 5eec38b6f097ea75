package simulator

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Options configures a [Server]. The zero value is an empty Prism Central that
// nobody can log in to.
type Options struct {
	// Model is what exists at the start.
	Model Model
	// Username and Password are the one account, checked as basic
	// authentication; both are required.
	Username, Password string
	// TaskDelay is how long a task takes: half of it QUEUED, half RUNNING.
	// With 0 a task is done before its reference is answered.
	TaskDelay time.Duration
	// BootDelay is the time from power-on to the address and to OnPowerOn.
	BootDelay time.Duration
	// OnPowerOn is called each time that a VM has booted and has its address,
	// OnDelete when a VM is gone. Hooks run one at a time, in the order of what
	// happened, and may call the Server, except for Close.
	OnPowerOn, OnDelete func(VM)
	// Log gets one line for each request that is refused with 501 and for each
	// task that fails; nil discards.
	Log io.Writer
}

// Server is a Prism Central. It is safe for concurrent use.
type Server struct {
	options Options
	mux     *http.ServeMux
	session string
	hooks   *hookQueue

	mu    sync.Mutex
	model Model
	// broken is a mistake in the Model; every request then fails with it.
	broken      error
	unavailable bool
	closed      bool
	requests    map[string]int
	refused     []string
	timers      map[*time.Timer]struct{}
	revision    int
	categories  map[string]*category
	vms         map[string]*machine
	tasks       []*task
}

// New starts a Prism Central that holds the Model; the caller must Close it.
// A Model that contradicts itself (a VM on a subnet that does not exist) makes
// every request fail with 500 and the reason.
func New(o Options) *Server {
	s := &Server{
		options: o, mux: http.NewServeMux(), session: uuid.NewString(), hooks: newHookQueue(),
		model: o.Model.withIDs(), requests: map[string]int{}, timers: map[*time.Timer]struct{}{},
		categories: map[string]*category{}, vms: map[string]*machine{},
	}
	s.broken = s.load()
	s.routes()
	return s
}

func (s *Server) load() error {
	for _, c := range s.model.Categories {
		s.categories[c.ExtID] = &category{Category: c, revision: s.nextRevision()}
	}
	for _, vm := range s.model.VMs {
		if err := s.addModelVM(vm); err != nil {
			return fmt.Errorf("model: VM %q: %w", vm.Name, err)
		}
	}
	return nil
}

// Close stops all timers and waits for the hooks of what has happened. Tasks and
// boots that are not done stay as they are.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for timer := range s.timers {
		timer.Stop()
	}
	s.mu.Unlock()
	s.hooks.close()
}

// SetUnavailable makes every request fail with 503, until called with false.
// Tasks and boots go on meanwhile.
func (s *Server) SetUnavailable(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unavailable = down
}

// Requests counts the requests by method and route pattern, such as
// "GET /api/vmm/v4.2/ahv/config/vms/{extId}". Requests that did not reach a
// route are not in it.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// Refused lists what was answered with 501, each with method, URL and reason,
// in the order of arrival. A test that expects to be fully simulated checks
// that it is empty.
func (s *Server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// request is a request whose body has been read.
type request struct {
	*http.Request
	body []byte
}

// handler answers one route; it runs with the server locked.
type handler func(r *request) (reply, error)

func (s *Server) routes() {
	for _, namespace := range []string{"prism", "vmm", "clustermgmt", "networking"} {
		s.mux.Handle("OPTIONS /api/"+namespace+"/unversioned/info", s.serve(s.version, plain))
	}
	s.configRoutes()
	s.categoryRoutes()
	s.taskRoutes()
	s.vmRoutes()
	s.v3Routes()
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, notSimulated("%s %s is not known", r.Method, r.URL.Path))
	})
}

// v4 adds a route of the v4 API; envelope is the $objectType of its replies.
func (s *Server) v4(pattern, envelope string, h handler) {
	s.mux.Handle(pattern, s.serve(h, func(r reply) any { return v4Body(envelope, r) }))
}

func plain(r reply) any { return r.data }

// version answers the version negotiation of the SDKs.
func (s *Server) version(r *request) (reply, error) {
	_, err := queryOptions(r)
	return answer(http.StatusOK, object{"data": "v4.2"}), err
}

// ServeHTTP answers one request, always with application/json.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.admit(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	// The mux would answer an unclean path with a redirect in HTML.
	if path.Clean(r.URL.Path) != r.URL.Path {
		s.fail(w, r, notSimulated("%s %s is not known", r.Method, r.URL.Path))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// sessionCookie is the name of the cookie; the clients take any.
const sessionCookie = "PRISMSIM_SESSION"

// admit checks outage, model and credentials. A request with basic
// authentication opens a session.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	down, broken := s.unavailable, s.broken
	s.mu.Unlock()
	if down {
		return &apiError{status: http.StatusServiceUnavailable, group: "SERVICE_UNAVAILABLE", message: "Prism Central is not available"}
	}
	if broken != nil {
		return broken
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil && same(cookie.Value, s.session) {
		return nil
	}
	username, password, ok := r.BasicAuth()
	if !ok || s.options.Username == "" || s.options.Password == "" ||
		!same(username, s.options.Username) || !same(password, s.options.Password) {
		return &apiError{status: http.StatusUnauthorized, group: "AUTHENTICATION_FAILED", message: "authentication required"}
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: s.session, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	return nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// maxBody is ample for a VM with its user data.
const maxBody = 8 << 20

// serve counts a request, runs its handler and writes what body makes of the reply.
func (s *Server) serve(h handler, body func(reply) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.fail(w, r, invalid(http.StatusBadRequest, "the body cannot be read: %v", err))
			return
		}
		answered, err := s.handle(h, &request{Request: r, body: read})
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if answered.etag != "" {
			w.Header().Set("ETag", answered.etag)
		}
		write(w, answered.status, body(answered))
	})
}

func (s *Server) handle(h handler, r *request) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[r.Pattern]++
	return h(r)
}

func write(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		// The status is out: a client that went away cannot be told.
		_, _ = w.Write(encoded)
	}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var known *apiError
	if !errors.As(err, &known) {
		known = &apiError{status: http.StatusInternalServerError, group: "INTERNAL_ERROR", message: err.Error()}
	}
	if known.status == http.StatusNotImplemented {
		s.mu.Lock()
		s.refused = append(s.refused, fmt.Sprintf("%s %s: %s", r.Method, r.URL.RequestURI(), known.message))
		s.logf("%s %s: %s", r.Method, r.URL.RequestURI(), known.message)
		s.mu.Unlock()
	}
	write(w, known.status, errorBody(r.URL.Path, known))
}

// logf writes a line; the server is locked, so lines do not mix.
func (s *Server) logf(format string, args ...any) {
	if s.options.Log != nil {
		_, _ = fmt.Fprintf(s.options.Log, format+"\n", args...)
	}
}

// after runs f with the server locked: at once when d is 0, else after d. It
// does nothing once the server is closed.
func (s *Server) after(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.timers, timer)
		if !s.closed {
			f()
		}
	})
	s.timers[timer] = struct{}{}
}

func (s *Server) nextRevision() int {
	s.revision++
	return s.revision
}

func etag(revision int) string { return strconv.Quote(strconv.Itoa(revision)) }

// checkMatch demands the ETag of the latest revision. The codes are those that
// real Prism Centrals are reported to send; the status for a missing header is
// not established.
func checkMatch(r *request, revision int) error {
	switch got := r.Header.Get("If-Match"); got {
	case etag(revision):
		return nil
	case "":
		return &apiError{
			status: http.StatusPreconditionRequired, code: "PLAT-10004", group: "MISSING_ETAG_HEADER",
			message: "the If-Match header is required",
		}
	default:
		return &apiError{
			status: http.StatusPreconditionFailed, code: "PLAT-10005", group: "ETAG_MISMATCH",
			message: fmt.Sprintf("If-Match %s is not the current ETag", got),
		}
	}
}
