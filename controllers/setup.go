// Package controllers makes accepted state true: one file a controller, each a reconcile that is read from top to
// bottom. Everything here is shell; what is decided is decided in render.
package controllers

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/fluxcd/pkg/runtime/events"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/controllers/review"
)

// Options of the operator.
type Options struct {
	// MetricsAddress to serve metrics on; "0" serves none.
	MetricsAddress string
	// MetricsSecure serves metrics over TLS, and only to who may get the non-resource URL /metrics.
	MetricsSecure bool
	// MetricsCertDir holds tls.crt and tls.key for MetricsSecure. Default: a certificate that nobody signed.
	MetricsCertDir string
	// Metrics are registered there while the operator runs. Default: what controller-runtime serves.
	Metrics prometheus.Registerer
	// Version of Refract, for the metrics.
	Version string
	// HealthAddress to serve /healthz and /readyz on; empty serves none.
	HealthAddress string
	// WebhookAddress to take calls of Git servers on, at /hooks/NAMESPACE/FLEET; empty takes none.
	WebhookAddress string
	// LeaderElection has one of several replicas act.
	LeaderElection bool
	// LeaderElectionNamespace holds the lease. Default: the namespace that the operator runs in.
	LeaderElectionNamespace string
	// Concurrent reconciles of each controller. Default 4.
	Concurrent int
	// AllowFileURLs lets Fleets read repositories from the operator's own file system.
	AllowFileURLs bool
	// AllowInsecureGit lets Fleets read http:// URLs of loopback addresses, for tests and demos.
	AllowInsecureGit bool
	// InventoryInterval is how often each Prism Central is read. Default 1m.
	InventoryInterval time.Duration
	// PrismDial connects to Prism Central; default as usual. Tests give simulated ones names that do not resolve.
	PrismDial func(ctx context.Context, network, address string) (net.Conn, error)
	// StuckAfter is how long a cluster may make no progress before it says so. Default 15m.
	StuckAfter time.Duration
	// Log of everything.
	Log logr.Logger
	// Clock for tests; default the real one.
	Clock clock.PassiveClock
	// RelaxedNames lets several managers run in one process, for tests.
	RelaxedNames bool
}

func (o Options) withDefaults() Options {
	if o.Concurrent <= 0 {
		o.Concurrent = 4
	}
	if o.StuckAfter <= 0 {
		o.StuckAfter = 15 * time.Minute
	}
	if o.InventoryInterval <= 0 {
		o.InventoryInterval = time.Minute
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Metrics == nil {
		o.Metrics = ctrlmetrics.Registry
	}
	return o
}

// NewScheme knows the kinds that Refract reads and writes in typed form.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// Run starts the operator and returns when ctx ends or it fails to start.
func Run(ctx context.Context, config *rest.Config, o Options) error {
	o = o.withDefaults()
	ctrl.SetLogger(o.Log)
	m := newMetrics(o.Clock.Now, o.Version)
	unregister, err := m.register(o.Metrics)
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	defer unregister()
	config = m.count(config)
	scheme, err := NewScheme()
	if err != nil {
		return err
	}
	cached, err := cacheOptions(config)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Logger: o.Log,
		Metrics:                       metricsOptions(o),
		HealthProbeBindAddress:        o.HealthAddress,
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              "refract.dev",
		LeaderElectionNamespace:       o.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cached,
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
		Controller:                    controllerOptions(o),
	})
	if err != nil {
		return fmt.Errorf("making the manager: %w", err)
	}
	if err := setup(mgr, o, m); err != nil {
		return err
	}
	if o.HealthAddress != "" {
		if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
			return err
		}
		if err := mgr.AddReadyzCheck("readyz", healthz.Ping); err != nil {
			return err
		}
	}
	return mgr.Start(ctx)
}

func metricsOptions(o Options) metricsserver.Options {
	served := metricsserver.Options{BindAddress: o.MetricsAddress, SecureServing: o.MetricsSecure, CertDir: o.MetricsCertDir}
	if o.MetricsSecure {
		served.FilterProvider = authorizeScrapes
		// A scrape needs no HTTP/2, and a server without it has less to be attacked by.
		served.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return served
}

// setup wires the controllers: what they share is made here once.
func setup(mgr ctrl.Manager, o Options, m *metrics) error {
	recorder, err := events.NewRecorder(mgr, o.Log, "", "refract")
	if err != nil {
		return fmt.Errorf("making the event recorder: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making the discovery client: %w", err)
	}
	own, reader := mgr.GetClient(), mgr.GetAPIReader()
	shared := struct {
		clients *clients
		records records
		layers  layers
		support *support
	}{
		clients: &clients{own: own, config: mgr.GetConfig(), scheme: mgr.GetScheme(), mapper: mgr.GetRESTMapper()},
		records: records{client: own, reader: reader},
		layers:  layers{client: own, reader: reader, cache: &layerCache{}},
		support: &support{reader: reader, discovery: disco},
	}
	inputs := &inputsReader{Reader: own, layers: shared.layers}
	asks, answers := newAsks(), &kube.Answers{}
	news, found, compared := newAsks(), newAsks(), &comparisons{}
	sites := &sites{
		options:  prism.Options{Log: o.Log.WithName("prism"), Clock: o.Clock.Now, Dial: o.PrismDial},
		interval: o.InventoryInterval, now: o.Clock.Now, observe: m.prism, found: news.about(&v1alpha1.CloudAccount{}),
	}
	if err = mgr.Add(sites); err != nil {
		return fmt.Errorf("adding the reader of Prism Centrals: %w", err)
	}
	fleets := &FleetReconciler{
		Client: own, Reader: reader, Recorder: recorder, Now: o.Clock.Now,
		clients: shared.clients, records: shared.records, layers: shared.layers, support: shared.support, inputs: inputs,
		sources: &sources{reader: reader, allowFileURLs: o.AllowFileURLs, allowInsecure: o.AllowInsecureGit, metrics: m},
		metrics: m, answers: answers, sites: sites, compared: compared,
	}
	if fleets.hooks, err = setupHooks(mgr, o, m, asks); err != nil {
		return fmt.Errorf("setting up webhooks: %w", err)
	}
	reviewed := review.Store{Client: own, Reader: reader, Now: o.Clock.Now, Changed: fleets.wasReviewed(asks.about(&v1alpha1.Fleet{}))}
	fleets.reviewed = reviewed
	if err = mgr.Add(collector(reviewed, o.Log.WithName("review"))); err != nil {
		return fmt.Errorf("adding the collector of reviewed plans: %w", err)
	}
	clusters := &ClusterReconciler{
		Client: own, Reader: reader, Recorder: recorder, Now: o.Clock.Now, StuckAfter: o.StuckAfter,
		clients: shared.clients, records: shared.records, support: shared.support, inputs: inputs,
		settled: &settled{}, contest: &contest{}, pace: &pace{}, ask: asks.about(&v1alpha1.Fleet{}), answers: answers,
		metrics: m, machines: &ledger{}, sites: sites, compared: compared,
	}
	accounts := &AccountReconciler{
		Client: own, Reader: reader, Watched: mgr.GetCache(), Recorder: recorder, Now: o.Clock.Now,
		records: shared.records, inputs: inputs, support: shared.support, sites: sites, machines: compared,
		tell: found.about(&v1alpha1.NutanixClusterSpec{}), metrics: m,
	}
	reviews := &ReviewReconciler{
		Client: own, Reader: reader, Watched: mgr.GetCache(), Now: o.Clock.Now, fleets: fleets, metrics: m,
		reviewer: &review.Reviewer{Now: o.Clock.Now, Store: reviewed},
		sources:  &sources{reader: reader, allowFileURLs: o.AllowFileURLs, allowInsecure: o.AllowInsecureGit, metrics: m},
		sites:    sites, compared: compared, answers: &kube.Answers{}, woken: newAsks(),
	}
	fleets.hooks.review, fleets.hear = reviews.Wake, reviews.Wake
	if err = fleets.setup(mgr, asks); err != nil {
		return fmt.Errorf("setting up the Fleet controller: %w", err)
	}
	ready, err := clusters.setup(mgr, found)
	if err != nil {
		return fmt.Errorf("setting up the cluster controller: %w", err)
	}
	shared.support.ready = ready
	m.observe(&state{cache: own, elected: mgr.Elected(), contest: clusters.contest, pace: clusters.pace, sites: sites})
	if err := reviews.setup(mgr); err != nil {
		return fmt.Errorf("setting up the review controller: %w", err)
	}
	if err := accounts.setup(mgr, news); err != nil {
		return fmt.Errorf("setting up the account controller: %w", err)
	}
	return nil
}
