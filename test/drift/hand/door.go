package hand

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Door stands before a Git server: it counts who comes through, and can be shut.
type Door struct {
	server *httptest.Server

	mu       sync.Mutex
	shut     bool
	listings int
	others   int
}

func newDoor(t *testing.T, to string) *Door {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.enter(r) {
			panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http breaks a connection, as a server that is away does
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(d.server.Close)
	return d
}

func (d *Door) enter(r *http.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.shut:
		return false
	case strings.HasSuffix(r.URL.Path, "/info/refs"):
		d.listings++
	default:
		d.others++
	}
	return true
}

// URL of the door.
func (d *Door) URL() string { return d.server.URL }

// Shut has every request broken off from now on.
func (d *Door) Shut() { d.set(true) }

// Open lets requests through again.
func (d *Door) Open() { d.set(false) }

func (d *Door) set(shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = shut
}

// Count says how many ref listings and how many other requests came through so far.
func (d *Door) Count() (listings, others int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.listings, d.others
}
