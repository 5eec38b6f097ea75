package simulator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Options configures a [Server]. The zero value is an empty Prism Central that
// nobody can log in to.
type Options struct {
	// Model is what exists at the start.
	Model Model
	// Username and Password are the first account, Users are more. See [User].
	Username, Password string
	Users              []User
	// SessionLifetime is how long a login holds; 0 is [DefaultSessionLifetime].
	SessionLifetime time.Duration
	// APIVersion is the newest version of the v4 API that is served, as the
	// version negotiation answers it; empty is v4.2. Paths of later versions are
	// not found then, which is all that a client of v4.2 sees of an older Prism
	// Central.
	APIVersion string
	// TaskDelay is how long a task takes: half of it QUEUED, half RUNNING.
	// With 0 a task is done before its reference is answered.
	TaskDelay time.Duration
	// BootDelay is the time from power-on to the address and to OnPowerOn.
	BootDelay time.Duration
	// OnPowerOn is called each time that a VM has booted and has its address,
	// OnDelete when a VM is gone. Hooks run one at a time, in the order of what
	// happened, and may call the Server, except for Close.
	OnPowerOn, OnDelete func(VM)
	// Clock dates sessions and tasks; nil is the real one. Delays do not go by it.
	Clock func() time.Time
	// Log gets one line for each request that is refused with 501 and for each
	// task that fails; nil discards.
	Log io.Writer
}

// Server is a Prism Central. It is safe for concurrent use.
type Server struct {
	options Options
	mux     *http.ServeMux
	// patterns are all routes.
	patterns []string
	hooks    *hookQueue
	// done is closed by Close.
	done chan struct{}

	mu    sync.Mutex
	gate  *gate
	rules []*Rule
	// current is the request that is being handled, for the tasks it starts.
	current *request
	model   Model
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
		options: o, mux: http.NewServeMux(), hooks: newHookQueue(), done: make(chan struct{}), gate: newGate(o),
		model: o.Model.withIDs(), requests: map[string]int{}, timers: map[*time.Timer]struct{}{},
		categories: map[string]*category{}, vms: map[string]*machine{},
	}
	s.broken = s.load()
	s.routes()
	return s
}

func (s *Server) load() error {
	if err := s.model.check(); err != nil {
		return fmt.Errorf("model: %w", err)
	}
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

// Close stops all timers, lets go of requests that hang and waits for the hooks of what has happened. Tasks and
// boots that are not done stay as they are.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		close(s.done)
	}
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
// route or were not admitted are not in it.
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
	body    []byte
	server  *Server
	session *session
}

// handler answers one route; it runs with the server locked.
type handler func(r *request) (reply, error)

func (s *Server) routes() {
	for _, namespace := range []string{"prism", "vmm", "clustermgmt", "networking", "volumes"} {
		s.route("OPTIONS /api/"+namespace+"/unversioned/info", s.serve(s.version, plain))
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
	s.route(pattern, s.serve(h, func(r reply) any { return v4Body(envelope, r) }))
}

func (s *Server) route(pattern string, h http.Handler) {
	s.patterns = append(s.patterns, pattern)
	s.mux.Handle(pattern, h)
}

func plain(r reply) any { return r.data }

// latestVersion is the version of the paths that are served.
const latestVersion = "v4.2"

// version answers the version negotiation of the SDKs.
func (s *Server) version(r *request) (reply, error) {
	_, err := queryOptions(r)
	return answer(http.StatusOK, object{"data": cmp.Or(s.options.APIVersion, latestVersion)}), err
}

var versionInPath = regexp.MustCompile(`^/api/[a-z]+/(v4\.[0-9]+)/`)

// tooNew says whether a path belongs to a version that is not served yet.
func (s *Server) tooNew(urlPath string) bool {
	asked := versionInPath.FindStringSubmatch(urlPath)
	return asked != nil && s.options.APIVersion != "" && asked[1] > s.options.APIVersion
}

// ServeHTTP answers one request, always with application/json unless a fault
// says otherwise. Faults that break connections need a real connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	admitted, err := s.admit(w, r)
	switch {
	case err != nil:
		s.fail(w, r, err)
	// The mux would answer an unclean path with a redirect in HTML.
	case path.Clean(r.URL.Path) != r.URL.Path:
		s.fail(w, r, notSimulated("%s %s is not known", r.Method, r.URL.Path))
	case s.tooNew(r.URL.Path):
		s.fail(w, r, notFound("path", r.URL.Path))
	default:
		s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, admitted)))
	}
}

// sessionKey is where a request keeps its session.
type sessionKey struct{}

// admit checks outage, model and credentials. A request that does not come with
// a session gets the cookie of a new one, unless it has an API key.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unavailable {
		return nil, &apiError{status: http.StatusServiceUnavailable, group: "SERVICE_UNAVAILABLE", message: "Prism Central is not available"}
	}
	if s.broken != nil {
		return nil, s.broken
	}
	admitted, err := s.gate.admit(r)
	if err == nil && admitted.Requests == 1 && admitted.token != "" {
		http.SetCookie(w, &http.Cookie{
			Name: sessionCookie, Value: admitted.token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		})
	}
	return admitted, err
}

// maxBody is ample for a VM with its user data.
const maxBody = 8 << 20

// serve counts a request, runs its handler and writes what body makes of the
// reply, as far as faults let it.
func (s *Server) serve(h handler, body func(reply) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.fail(w, r, invalid(http.StatusBadRequest, "the body cannot be read: %v", err))
			return
		}
		admitted, _ := r.Context().Value(sessionKey{}).(*session)
		asked := &request{Request: r, body: read, server: s, session: admitted}
		s.count(asked)
		over, cut := s.interfere(w, asked)
		if over {
			return
		}
		answered, err := s.handle(h, asked)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if answered.etag != "" {
			w.Header().Set("ETag", answered.etag)
		}
		if cut != nil {
			writeHalf(w, answered.status, body(answered))
		}
		write(w, answered.status, body(answered))
	})
}

func (s *Server) count(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[r.Pattern]++
	s.gate.count(r.session.User, r.Pattern)
}

func (s *Server) handle(h handler, r *request) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = r
	defer func() { s.current = nil }()
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
