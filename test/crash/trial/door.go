package trial

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Door stands between one operator and the API server. It ends TLS, counts the operator's writes, kills the operator at
// one of them, and can be shut.
//
// It also has the operator see one namespace only: what it lists or watches everywhere is answered from there. So many
// operators share one world, each with the same names of its own, and none knows of the others.
type Door struct {
	server    *httptest.Server
	to        http.RoundTripper
	namespace string
	listed    map[string]bool // path of a kind's list in all namespaces

	mu       sync.Mutex
	shut     bool
	turned   int // requests turned away while it was shut
	writes   []string
	looks    int // that a Fleet took since the last write
	inFlight int // writes
	idle     *sync.Cond
	trap     *trap
}

// trap springs at a write.
type trap struct {
	after     int  // writes from now on, counted down
	delivered bool // the operator gets the answer first
	spring    func(write string)
}

// passage is one request on its way through the door.
type passage struct{ springs func() }

type passageKey struct{}

// newDoor opens a door to the API server of a connection.
func newDoor(to *rest.Config, namespace string, listed map[string]bool) (*Door, error) {
	target, err := url.Parse(to.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(to)
	if err != nil {
		return nil, err
	}
	d := &Door{to: transport, namespace: namespace, listed: listed}
	d.idle = sync.NewCond(&d.mu)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.Path = d.narrow(r.In)
		},
		Transport: d, FlushInterval: -1,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http breaks a connection, as a server that is away does
		},
	}
	d.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.pass(proxy, w, r)
	}))
	d.server.EnableHTTP2 = true
	d.server.StartTLS()
	return d, nil
}

// narrow leads a list of all namespaces to that of the door's namespace.
func (d *Door) narrow(r *http.Request) string {
	path := r.URL.Path
	if r.Method != http.MethodGet || !d.listed[path] {
		return path
	}
	at := strings.LastIndex(path, "/")
	return path[:at] + "/namespaces/" + d.namespace + path[at:]
}

func (d *Door) pass(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	leave, ok := d.enter(r)
	if !ok {
		panic(http.ErrAbortHandler) //nolint:forbidigo // as above
	}
	defer leave()
	p := &passage{}
	proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passageKey{}, p)))
	if p.springs != nil {
		_ = http.NewResponseController(w).Flush()
		p.springs()
	}
}

func (d *Door) enter(r *http.Request) (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		d.turned++
		return nil, false
	}
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/nutanixclusterspecs") && r.URL.Query().Get("watch") == "" {
		d.looks++
	}
	if !writes(r) {
		return func() {}, true
	}
	d.inFlight++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inFlight--
		d.idle.Broadcast()
	}, true
}

// writes says whether a request changes state that matters. Events are words, told in the background whenever there is
// time: dying after one is dying after the write before it. A lease says who may act and is nothing that is made.
func writes(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return false
	}
	if r.URL.Query().Get("dryRun") != "" {
		return false
	}
	for _, other := range []string{"/events", "/leases", "/subjectaccessreviews", "/selfsubjectaccessreviews"} {
		if strings.Contains(r.URL.Path+"/", other+"/") {
			return false
		}
	}
	return true
}

var errKilled = errors.New("the operator was killed before it got the answer")

// RoundTrip hands a request to the API server. What it answers is state already, whether or not the operator hears of it.
func (d *Door) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.to.RoundTrip(r)
	if err != nil || !writes(r) || response.StatusCode >= http.StatusMultipleChoices {
		return response, err // what was refused changed nothing
	}
	springs, delivered := d.count(r)
	switch {
	case springs == nil:
		return response, nil
	case delivered:
		if p, ok := r.Context().Value(passageKey{}).(*passage); ok {
			p.springs = springs
		}
		return response, nil
	}
	_ = response.Body.Close()
	springs()
	return nil, errKilled
}

// count notes a write that was done and returns the trap's spring if it is its turn.
func (d *Door) count(r *http.Request) (springs func(), delivered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	write := fmt.Sprintf("%s %s", r.Method, r.URL.Path)
	d.writes = append(d.writes, write)
	d.looks = 0
	if d.trap == nil {
		return nil, false
	}
	if d.trap.after--; d.trap.after > 0 {
		return nil, false
	}
	sprung := d.trap
	d.trap = nil
	return func() { sprung.spring(write) }, sprung.delivered
}

// Trap has spring called at the n-th write from now on, once the API server has answered it: after the operator got the
// answer, or instead of that.
func (d *Door) Trap(n int, delivered bool, spring func(write string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = &trap{after: n, delivered: delivered, spring: spring}
}

// Untrap takes an unsprung trap away.
func (d *Door) Untrap() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = nil
}

// Settle waits until no write is on its way any more, as after a kill.
func (d *Door) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.inFlight > 0 {
		d.idle.Wait()
	}
}

// Writes are the writes so far, in order.
func (d *Door) Writes() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.writes)
}

// Looks is how often a Fleet was looked at since the last write.
func (d *Door) Looks() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.looks
}

// Shut breaks all connections and turns away whoever comes, as when the API server is away.
func (d *Door) Shut() {
	d.mu.Lock()
	d.shut, d.turned = true, 0
	d.mu.Unlock()
	d.server.CloseClientConnections()
}

// Open lets requests through again.
func (d *Door) Open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut, d.looks = false, 0
}

// Turned is how many requests were turned away since it was shut.
func (d *Door) Turned() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.turned
}

// kubeconfig writes a kubeconfig that leads to the door.
func (d *Door) kubeconfig(path string) error {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.server.Certificate().Raw})
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"door": {Server: d.server.URL, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"door": {}},
		Contexts:       map[string]*clientcmdapi.Context{"door": {Cluster: "door", AuthInfo: "door"}},
		CurrentContext: "door",
	}, path); err != nil {
		return fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return nil
}

// close ends the door.
func (d *Door) close() {
	d.Shut()
	d.server.Close()
}
