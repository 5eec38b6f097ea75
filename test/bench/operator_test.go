package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof" // served on loopback, to find what costs
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/test/rig"
)

// operator is Refract in a process of its own, which counts its requests and says what it used.
type operator struct {
	// address to ask what was used, and webhook to tell of pushes.
	address, webhook string
}

// operate is the argument by which this test's program becomes that process.
const operate = "operate"

// usage is what the process used since it started.
type usage struct {
	// CPU time.
	CPU time.Duration
	// Heap in bytes after a garbage collection.
	Heap uint64
	// Renders of a cluster.
	Renders int64
	// Received bytes from the API server.
	Received int64
	// Requests to the API server, by what they are about.
	Requests map[request]int `json:"-"`
	// Listed are Requests, for JSON.
	Listed []counted
}

// request says what a request to the API server is about.
type request struct {
	Verb, Resource, Name string
	DryRun               bool
}

type counted struct {
	Request request
	Count   int
}

func (r request) String() string {
	verb := r.Verb
	if r.DryRun {
		verb = "dry-run " + verb
	}
	return verb + " " + r.Resource
}

// writes says whether the request is one that changes something or, as a dry run, asks for it.
func (r request) writes() bool {
	return r.Verb != "get" && r.Verb != "list" && r.Verb != "watch"
}

// startOperator starts Refract, which reads Prism Central every so often; of several, the last runs.
func startOperator(t *testing.T, p *rig.Package, every time.Duration) *operator {
	t.Helper()
	p.World.StopManager("refract")
	o := &operator{address: free(t), webhook: free(t)}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ready := func(ctx context.Context) error { _, err := o.ask(ctx); return err }
	if err := p.World.Run(t.Context(), "refract", program, []string{operate, p.World.Kubeconfig, o.address, every.String(), o.webhook}, ready); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.World.StopManager("refract") })
	return o
}

// free is a loopback address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func (o *operator) ask(ctx context.Context) (usage, error) {
	u := usage{}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.address+"/usage", http.NoBody)
	if err != nil {
		return u, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return u, err
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(&u); err != nil {
		return u, err
	}
	u.Requests = map[request]int{}
	for _, c := range u.Listed {
		u.Requests[c.Request] = c.Count
	}
	return u, nil
}

// usage of the process so far.
func (o *operator) usage(t *testing.T) usage {
	t.Helper()
	u, err := o.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// since is what was used between two moments.
func (u usage) since(before usage) usage {
	d := usage{CPU: u.CPU - before.CPU, Heap: u.Heap, Renders: u.Renders - before.Renders, Received: u.Received - before.Received, Requests: map[request]int{}}
	for r, n := range u.Requests {
		if n -= before.Requests[r]; n > 0 {
			d.Requests[r] = n
		}
	}
	return d
}

// total counts the requests that a filter passes; watches, which stand for minutes, are never among them.
func (u usage) total(wanted func(request) bool) int {
	n := 0
	for r, count := range u.Requests {
		if r.Verb != "watch" && (wanted == nil || wanted(r)) {
			n += count
		}
	}
	return n
}

func isWrite(r request) bool  { return r.writes() && !r.DryRun }
func isDryRun(r request) bool { return r.DryRun }

// counter counts what passes a client's transport.
type counter struct {
	next     http.RoundTripper
	received atomic.Int64
	mu       sync.Mutex
	requests map[request]int
}

// RoundTrip implements http.RoundTripper.
func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	about := aboutOf(r)
	c.mu.Lock()
	c.requests[about]++
	c.mu.Unlock()
	answer, err := c.next.RoundTrip(r)
	if err == nil {
		answer.Body = &measured{answer.Body, &c.received}
	}
	return answer, err
}

type measured struct {
	io.ReadCloser
	received *atomic.Int64
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.received.Add(int64(n))
	return n, err
}

// aboutOf reads a request of the Kubernetes API, /api/v1/… or /apis/<group>/<version>/… by its path.
func aboutOf(r *http.Request) request {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	skip := 2
	if parts[0] == "apis" {
		skip = 3
	}
	parts = parts[min(skip, len(parts)):]
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	parts = append(parts, "", "", "")
	about := request{Verb: verbs[r.Method], Resource: parts[0], Name: parts[1], DryRun: r.URL.Query().Get("dryRun") != ""}
	if parts[2] != "" {
		about.Resource += "/" + parts[2]
	}
	switch {
	case r.URL.Query().Get("watch") != "":
		about.Verb = "watch"
	case about.Verb == "get" && about.Name == "":
		about.Verb = "list"
	}
	return about
}

var verbs = map[string]string{
	http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// runOperator is the process: Refract, and a door to ask what it used.
func runOperator(kubeconfig, address, inventories, webhook string) error {
	every, err := time.ParseDuration(inventories)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	count := &counter{requests: map[request]int{}}
	config.QPS, config.UserAgent = -1, "refract"
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { count.next = next; return count })
	http.HandleFunc("/usage", func(w http.ResponseWriter, _ *http.Request) {
		u := usage{CPU: used(), Renders: flow.Renders(), Received: count.received.Load()}
		count.mu.Lock()
		for r, n := range count.requests {
			u.Listed = append(u.Listed, counted{r, n})
		}
		count.mu.Unlock()
		runtime.GC()
		runtime.GC() // the first may leave what has finalizers
		m := runtime.MemStats{}
		runtime.ReadMemStats(&m)
		u.Heap = m.HeapAlloc
		if err := json.NewEncoder(w).Encode(u); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	server := &http.Server{Addr: address, ReadHeaderTimeout: time.Second}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, err)
			stop()
		}
	}()
	return controllers.Run(ctx, config, controllers.Options{
		MetricsAddress: "0", WebhookAddress: webhook, AllowInsecureGit: true, StuckAfter: time.Hour, InventoryInterval: every,
		Log: zap.New(zap.WriteTo(os.Stderr), zap.Level(zapcore.InfoLevel)),
	})
}
