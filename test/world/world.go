// Package world starts a whole Cluster API management cluster on the loopback network of one machine: etcd and
// kube-apiserver, the garbage collector, the Cluster API and CAPX managers with their admission and conversion webhooks, a
// simulated Prism Central, and, behind its machines, workload clusters that are answered from
// memory. Tests and the demo use it; it does not need package testing.
//
// What is real and what is not: all controllers and API servers of the management cluster are the released programs, but
// that their webhooks stay on loopback and that Cluster API's managers may look at an object more often than once a second.
// Prism Central is test/prismsim. A workload cluster has no kubelet, scheduler or network: its nodes are Ready as soon
// as cloud-init would have run kubeadm, so nothing here is evidence about nodes.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// Options says what a world holds. The zero value is an API server with nothing installed.
type Options struct {
	// Out receives the progress of builds and of the start; nil discards it.
	Out io.Writer
	// Dir holds certificates, logs and data. Empty means a temporary directory, removed by Stop.
	Dir string
	// Managers runs the Cluster API and CAPX managers with their CRDs and webhooks, kube-controller-manager (garbage
	// collection and namespaces only), Prism Central and the workload clusters.
	Managers bool
	// NoReconcile keeps the Cluster API reconcilers from touching any object while their webhooks answer: the managers
	// see namespace default only and watch for a label that nothing has. CAPX then waits for Cluster API and does nothing
	// either.
	NoReconcile bool
	// FeatureGates of Cluster API beside those that the world always sets, such as "MachineTaintPropagation=true".
	FeatureGates []string
	// ProviderCRDs installs the CRDs of Cluster API and CAPX without running a manager, for tests that need only the
	// schemas. Versions are then not converted: use v1beta2 for Cluster API, v1beta1 for CAPX.
	ProviderCRDs bool
	// AuditPolicy makes the API server write an audit log, see World.AuditLog.
	AuditPolicy bool
	// CRDDirs are directories of CRD files to install.
	CRDDirs []string
	// Manifests are files with objects to apply after the CRDs. Admission policies among them hold when Start returns.
	Manifests []string
	// Model is what Prism Central holds at the start; empty means simulator.DefaultModel.
	Model simulator.Model
	// BootDelay is the time from power-on of a VM until its kubelet is up; 0 means 500 ms.
	BootDelay time.Duration
}

// World is a running management cluster. Make it with Start and end it with Stop.
type World struct {
	// REST connects as an administrator, without a client-side rate limit.
	REST *rest.Config
	// Kubeconfig is the path of an administrator's kubeconfig file.
	Kubeconfig string
	// Kubectl is the path of a kubectl that fits the API server.
	Kubectl string
	// Prism is the simulated Prism Central; zero without Options.Managers.
	Prism Prism

	options   Options
	dir       string
	temporary bool
	addresses *addresses
	ca        *authority
	programs  map[string]string // name to path
	providers []controlplane.Provider
	cleanup   []func()

	mu        sync.Mutex
	processes map[string]*process
}

// Start builds what is not in the cache yet and starts a world, which then lives until Stop or until this process
// ends; ctx bounds only the start. A failure names the program that failed and carries the end of its log.
func Start(ctx context.Context, o Options) (*World, error) {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.BootDelay == 0 {
		o.BootDelay = 500 * time.Millisecond
	}
	w := &World{options: o, programs: map[string]string{}, processes: map[string]*process{}}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the test world: %w", err), w.Stop())
	}
	return w, nil
}

func (w *World) start(ctx context.Context) error {
	if err := w.build(ctx); err != nil {
		return err
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if err := w.startAPIServer(ctx); err != nil {
		return err
	}
	if err := w.installCRDs(ctx); err != nil {
		return err
	}
	if w.options.Managers {
		if err := w.startClouds(ctx); err != nil {
			return err
		}
		if err := w.startManagers(ctx); err != nil {
			return err
		}
	}
	if len(w.options.Manifests) == 0 {
		return nil
	}
	if err := w.applyFiles(ctx, w.options.Manifests); err != nil {
		return err
	}
	return w.policiesHold(ctx)
}

// build makes the programs and manifests ready.
func (w *World) build(ctx context.Context) error {
	builder, err := controlplane.New(ctx, w.options.Out)
	if err != nil {
		return err
	}
	names := controlplane.APIServer()
	if w.options.Managers {
		names = controlplane.All()
	}
	built, err := builder.Build(ctx, names...)
	if err != nil {
		return err
	}
	for _, b := range built {
		w.programs[b.Name] = b.Path
	}
	w.Kubectl = w.programs[controlplane.Kubectl]
	if w.options.Managers || w.options.ProviderCRDs {
		w.providers, err = builder.Providers(ctx)
	}
	return err
}

// prepare takes the directory, the addresses and the certificate authority.
func (w *World) prepare(ctx context.Context) error {
	var err error
	w.dir = w.options.Dir
	if w.temporary = w.dir == ""; w.temporary {
		w.dir, err = os.MkdirTemp("", "refract-world-")
	} else {
		err = os.MkdirAll(w.dir, 0o750)
	}
	if err != nil {
		return fmt.Errorf("scratch directory: %w", err)
	}
	if w.addresses, err = takeAddresses(ctx); err != nil {
		return err
	}
	w.ca, err = newAuthority()
	return err
}

// Stop ends every program of the world and removes its temporary directory. It is safe to call twice.
func (w *World) Stop() error {
	w.mu.Lock()
	var all sync.WaitGroup
	for _, p := range w.processes {
		all.Go(p.kill)
	}
	all.Wait()
	clear(w.processes)
	cleanup := w.cleanup
	w.cleanup = nil
	w.mu.Unlock()
	for _, f := range cleanup {
		f()
	}
	if w.addresses != nil {
		w.addresses.release()
	}
	if !w.temporary || w.dir == "" {
		return nil
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return fmt.Errorf("removing the scratch directory: %w", err)
	}
	return nil
}

// Failed reports the programs that have ended although nobody stopped them, with the end of their logs. A test that
// waited in vain asks it for the reason.
func (w *World) Failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var failures []error
	for _, p := range w.processes {
		select {
		case <-p.exited:
			failures = append(failures, p.failed(errors.New("it ended")))
		default:
		}
	}
	return errors.Join(failures...)
}

// Dir is the directory with the logs of all programs, one <name>.log each.
func (w *World) Dir() string { return w.dir }

// AuditLog is the path of the API server's audit log, one JSON event a line with level Metadata; empty without
// Options.AuditPolicy. Probes of the server's health are left out.
func (w *World) AuditLog() string {
	if !w.options.AuditPolicy {
		return ""
	}
	return filepath.Join(w.dir, "audit.log")
}

// Endpoint returns an address of this world's loopback network that it has not returned before, for the control-plane
// endpoint of one workload cluster, on port 6443. There are 245; after that it returns an empty string.
func (w *World) Endpoint() string {
	address, err := w.addresses.endpoint()
	if err != nil {
		return ""
	}
	return address
}

// Run starts a program beside those of the world and waits until ready returns nil. It writes to <name>.log in Dir and
// ends with the world; Failed reports it when it ends earlier.
func (w *World) Run(ctx context.Context, name, path string, args []string, ready func(context.Context) error) error {
	return w.run(ctx, command{name: name, path: path, args: args, ready: ready})
}

// run starts a program and waits until it is ready.
func (w *World) run(ctx context.Context, c command) error {
	up := w.step(c.name + " is up")
	p, err := launch(w.dir, c)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.processes[c.name] = p
	w.mu.Unlock()
	if err := p.await(ctx, startTimeout); err != nil {
		return err
	}
	up()
	return nil
}

// step returns a function that reports a step as done, with the time that it took.
func (w *World) step(what string) (done func()) {
	start := time.Now() //nolint:forbidigo // shown to a person, decides nothing
	return func() {
		took := time.Since(start).Round(100 * time.Millisecond) //nolint:forbidigo // as above
		_, _ = fmt.Fprintf(w.options.Out, "%s after %s\n", what, took)
	}
}

// startTimeout is how long one program may take to be ready; generous, because machines are shared.
const startTimeout = 2 * time.Minute
