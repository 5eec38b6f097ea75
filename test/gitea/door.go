package gitea

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Door stands between a Gitea and everybody. It notes what is asked and by whom, can be shut, and calls somebody at the
// very moment at which Gitea has done what it was asked for.
type Door struct {
	server *httptest.Server
	names  *sync.Map // token to who has it

	mu     sync.Mutex
	shut   bool
	turned []Request // away, since it was shut
	seen   []Request
	traps  []*trap
	gates  []*gate
}

// Request that came to a Door.
type Request struct {
	// Method and Path, without a query.
	Method, Path string
	// By whom, as far as a token says so.
	By string
	// Status of the answer; 0 while there is none.
	Status int
}

// Match says which requests are meant.
type Match func(Request) bool

// Writes matches what one person asked to be written of pull requests, comments or statuses.
func Writes(by string) Match {
	return func(r Request) bool {
		return r.By == by && r.Method != http.MethodGet && strings.HasPrefix(r.Path, "/api/")
	}
}

// Comments matches the making of comments by one person.
func Comments(by string) Match {
	return func(r Request) bool {
		return Writes(by)(r) && r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/comments")
	}
}

// Statuses matches the setting of commit statuses by one person.
func Statuses(by string) Match {
	return func(r Request) bool { return Writes(by)(r) && strings.Contains(r.Path, "/statuses/") }
}

// trap springs once, when a request that matches was carried out and before its answer goes out.
type trap struct {
	match  Match
	spring func()
}

// gate holds requests that match until it is opened.
type gate struct {
	match Match
	open  chan struct{}
}

func newDoor(names *sync.Map, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Door {
	d := &Door{names: names}
	transport := &http.Transport{DialContext: dial}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "gitea"})
			r.Out.Host = r.In.Host
		},
		Transport: transport, FlushInterval: -1,
		ModifyResponse: func(res *http.Response) error { return d.answered(res) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http breaks a connection, as a server that is away does
		},
	}
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, ok := d.enter(r)
		if !ok {
			panic(http.ErrAbortHandler) //nolint:forbidigo // as above
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), placeKey{}, at)))
	}))
	return d
}

// placeKey leads to a request's place among those seen.
type placeKey struct{}

// URL of the door.
func (d *Door) URL() string { return d.server.URL }

func (d *Door) enter(r *http.Request) (at int, ok bool) {
	req := Request{Method: r.Method, Path: r.URL.Path}
	if by, ok := d.names.Load(token(r)); ok {
		req.By, _ = by.(string)
	}
	d.mu.Lock()
	if d.shut {
		d.turned = append(d.turned, req)
		d.mu.Unlock()
		return 0, false
	}
	d.seen = append(d.seen, req)
	at = len(d.seen) - 1
	wait := make([]chan struct{}, 0, len(d.gates))
	for _, g := range d.gates {
		if g.match(req) {
			wait = append(wait, g.open)
		}
	}
	d.mu.Unlock()
	for _, open := range wait {
		select {
		case <-open:
		case <-r.Context().Done():
			return 0, false
		}
	}
	return at, true
}

// token of a request, as the API and Git send it.
func token(r *http.Request) string {
	kind, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "Basic") {
		pair, _ := base64.StdEncoding.DecodeString(value)
		_, value, _ = strings.Cut(string(pair), ":")
	}
	return value
}

// answered springs the traps of a request. A trap that shuts the door breaks the answer off.
func (d *Door) answered(res *http.Response) error {
	at, ok := res.Request.Context().Value(placeKey{}).(int)
	if !ok {
		return nil
	}
	d.mu.Lock()
	d.seen[at].Status = res.StatusCode
	req := d.seen[at]
	var sprung []*trap
	if res.StatusCode < http.StatusMultipleChoices {
		d.traps = slices.DeleteFunc(d.traps, func(t *trap) bool {
			if t.match(req) {
				sprung = append(sprung, t)
				return true
			}
			return false
		})
	}
	d.mu.Unlock()
	for _, t := range sprung {
		t.spring()
	}
	return nil
}

// Trap has spring called once, when Gitea has carried out a request that matches. The answer waits until spring returns.
func (d *Door) Trap(match Match, spring func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.traps = append(d.traps, &trap{match, spring})
}

// Hold keeps requests that match from Gitea until release is called, as when it is slow.
func (d *Door) Hold(match Match) (release func()) {
	g := &gate{match, make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gates = append(d.gates, g)
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.gates = slices.DeleteFunc(d.gates, func(o *gate) bool { return o == g })
		close(g.open)
	})
}

// Count says how many requests that match came, whatever became of them.
func (d *Door) Count(match Match) int { return len(d.Requests(match)) }

// Requests that match, in the order in which they came.
func (d *Door) Requests(match Match) []Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []Request
	for _, r := range d.seen {
		if match(r) {
			all = append(all, r)
		}
	}
	return all
}

// Shut breaks all connections and turns away whoever comes, as when Gitea is away.
func (d *Door) Shut() {
	d.mu.Lock()
	d.shut, d.turned = true, nil
	d.mu.Unlock()
	d.server.CloseClientConnections()
}

// Open lets requests through again.
func (d *Door) Open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = false
}

// Turned is how many requests that match were turned away since it was shut.
func (d *Door) Turned(match Match) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, r := range d.turned {
		if match(r) {
			n++
		}
	}
	return n
}

func (d *Door) close() {
	d.Shut()
	d.server.Close()
}
