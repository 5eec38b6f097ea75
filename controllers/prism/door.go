package prism

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

// Endpoint is one Prism Central and who enters it.
type Endpoint struct {
	// Address is a host name or an IP address.
	Address string
	// Port is 9440 on most; 0 means that.
	Port               int32
	Username, Password string
	// TrustBundle holds certificate authorities in PEM, in addition to the machine's own.
	TrustBundle []byte
	// Insecure turns the verification of the certificate off.
	Insecure bool
}

// Options limit what one Prism Central can cost.
type Options struct {
	// Timeout of one request with its answer; 0 means 30 seconds.
	Timeout time.Duration
	// Concurrent requests; 0 means 4.
	Concurrent int
	// MaxBytes of one answer; 0 means 32 MiB.
	MaxBytes int64
	// MaxPages of one list, of 100 entries each; 0 means 100.
	MaxPages int
	// Secrets are kept out of every message, beside the door's own, which are added to them; nil: only its own.
	Secrets *Secrets
	// Log gets a line for each request at level 2.
	Log logr.Logger
	// Observe is told of each request to Prism Central: method and path with identifiers replaced, the status (0: no
	// answer) and how long it took. Nil: nobody counts.
	Observe func(route string, status int, took time.Duration)
	// Clock is the time; nil means the machine's.
	Clock func() time.Time
	// Dial connects to Prism Central, or to the proxy on the way; nil means the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Door leads into one Prism Central. It is safe for concurrent use.
type Door struct {
	gate      *gate
	forwarder *forwarder
	// free are the workers that nobody uses.
	free chan *worker
	// patience is how long a task may take.
	patience time.Duration
	close    sync.Once
}

const (
	defaultTimeout    = 30 * time.Second
	defaultConcurrent = 4
	defaultBytes      = 32 << 20
	defaultPages      = 100
	defaultPort       = 9440
	// patienceTimeouts is how long a task may take, in time-outs of one request.
	patienceTimeouts = 4
)

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Concurrent <= 0 {
		o.Concurrent = defaultConcurrent
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultBytes
	}
	if o.MaxPages <= 0 {
		o.MaxPages = defaultPages
	}
	if o.Secrets == nil {
		o.Secrets = &Secrets{}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}.Now
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return o
}

// Open makes a door and sends nothing. It fails, always with an [*Error], when the endpoint cannot be one. The caller
// must [Door.Close] it.
func Open(e Endpoint, o Options) (*Door, error) {
	g, err := newGate(e, o.withDefaults())
	if err != nil {
		return nil, err
	}
	f, listener, err := newForwarder(g)
	if err != nil {
		return nil, &Error{Reason: Misbehaving, Message: "cannot open a door to Prism Central: " + err.Error(), Err: err}
	}
	d := &Door{gate: g, forwarder: f, patience: patienceTimeouts * g.options.Timeout}
	d.free = make(chan *worker, g.options.Concurrent)
	for range g.options.Concurrent {
		w, err := newWorker(f.port)
		if err != nil {
			_ = listener.Close() // The other error matters more.
			return nil, &Error{Reason: Misbehaving, Message: "cannot open a door to Prism Central: " + err.Error(), Err: err}
		}
		f.workers = append(f.workers, w)
		d.free <- w
	}
	go func() {
		// It always ends with an error: that of Close.
		_ = f.server.Serve(listener)
	}()
	return d, nil
}

// Close cuts what is under way. It may be called more than once.
func (d *Door) Close() {
	d.close.Do(func() {
		close(d.gate.closed)
		// What is under way has just been cut.
		_ = d.forwarder.server.Close()
		d.gate.client.CloseIdleConnections()
	})
}

// Requests counts what was sent to Prism Central, since [Open].
func (d *Door) Requests() int64 { return d.gate.sent.Load() }
