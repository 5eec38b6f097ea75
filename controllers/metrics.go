package controllers

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/gitsource"
)

// metrics are what one operator tells Prometheus. It is one collector, so that an operator registers it as a whole and
// takes it back when it ends: several may run in one process, as in tests.
type metrics struct {
	now     func() time.Time
	version string

	predicted, observed, corrected *prometheus.CounterVec
	repairs, prismRequests         *prometheus.CounterVec
	prismSeconds                   *prometheus.HistogramVec
	gitOperations, gitReceived     *prometheus.CounterVec
	gitSeconds                     *prometheus.HistogramVec
	apiRequests, webhooks          *prometheus.CounterVec
	apiSeconds                     *prometheus.HistogramVec

	reviewRequests *prometheus.CounterVec

	mu     sync.Mutex
	fleets map[client.ObjectKey]fleetTimes
	looks  map[client.ObjectKey]reviewTimes
	state  *state // nil until the manager is made
}

// fleetTimes are what is known of a Fleet's revisions and not in its status.
type fleetTimes struct {
	read, attempted, applied time.Time
	tried                    bool
}

func newMetrics(now func() time.Time, version string) *metrics {
	return &metrics{
		now: now, version: version, fleets: map[client.ObjectKey]fleetTimes{}, looks: map[client.ObjectKey]reviewTimes{},
		predicted: predicted.counter(), observed: observed.counter(), corrected: corrected.counter(),
		repairs: repaired.counter(), prismRequests: prismRequests.counter(), prismSeconds: prismSeconds.histogram(),
		gitOperations: gitOperations.counter(), gitReceived: gitReceived.counter(), gitSeconds: gitSeconds.histogram(),
		apiRequests: apiRequests.counter(), apiSeconds: apiSeconds.histogram(), webhooks: webhookRequests.counter(),
		reviewRequests: reviewRequests.counter(),
	}
}

// register makes the metrics known until the returned function is called. Of several operators in one process the first
// is served.
func (m *metrics) register(to prometheus.Registerer) (func(), error) {
	err := to.Register(m)
	if already := new(prometheus.AlreadyRegisteredError); errors.As(err, already) {
		return func() {}, nil
	}
	return func() { to.Unregister(m) }, err
}

func (m *metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.predicted, m.observed, m.corrected, m.repairs, m.prismRequests, m.prismSeconds, m.gitOperations, m.gitReceived, m.gitSeconds, m.apiRequests, m.apiSeconds, m.webhooks, m.reviewRequests}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, each := range catalog() {
		to <- each.desc()
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	for _, each := range m.vectors() {
		each.Collect(to)
	}
	m.collectState(to)
}

// of are the labels of an object's series.
func of(key client.ObjectKey) prometheus.Labels {
	return prometheus.Labels{"namespace": key.Namespace, "name": key.Name}
}

func (m *metrics) forgetFleet(key client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.fleets, key)
	for _, v := range []*prometheus.CounterVec{m.gitOperations, m.gitReceived} {
		v.DeletePartialMatch(of(key))
	}
}

func (m *metrics) forgetCluster(key client.ObjectKey) {
	for _, v := range []*prometheus.CounterVec{m.predicted, m.observed, m.corrected, m.repairs} {
		v.DeletePartialMatch(of(key))
	}
}

// called counts a call of a Git server.
func (m *metrics) called(result string) { m.webhooks.WithLabelValues(result).Inc() }

// What happens to machines.
const (
	recreated = "recreated"
	removed   = "removed"
)

// begin has a cluster's counters start at zero, so that the first increase is seen.
func (m *metrics) begin(cluster client.ObjectKey) {
	for _, v := range []*prometheus.CounterVec{m.predicted, m.observed} {
		for _, change := range []string{recreated, removed} {
			v.WithLabelValues(cluster.Namespace, cluster.Name, change)
		}
	}
}

func add(to *prometheus.CounterVec, key client.ObjectKey, what string, n int) {
	if n > 0 {
		to.WithLabelValues(key.Namespace, key.Name, what).Add(float64(n))
	}
}

// undone counts what was put back, by kinds of objects.
func (m *metrics) undone(cluster client.ObjectKey, kinds ...string) {
	for _, kind := range kinds {
		add(m.corrected, cluster, kind, 1)
	}
}

// repaired counts a virtual machine that was put right.
func (m *metrics) repaired(cluster client.ObjectKey, how string) { add(m.repairs, cluster, how, 1) }

// prism is told of requests to an account's Prism Central.
func (m *metrics) prism(account client.ObjectKey) func(route string, status int, took time.Duration) {
	return func(route string, status int, took time.Duration) {
		code := "error"
		if status > 0 {
			code = strconv.Itoa(status)
		}
		m.prismRequests.WithLabelValues(account.Namespace, account.Name, route, code).Inc()
		m.prismSeconds.WithLabelValues(account.Namespace, account.Name).Observe(took.Seconds())
	}
}

func (m *metrics) forgetAccount(key client.ObjectKey) {
	m.prismRequests.DeletePartialMatch(of(key))
	m.prismSeconds.DeletePartialMatch(of(key))
}

// looked notes that a Fleet's repository was tried, and with the time of a commit that it was read.
func (m *metrics) looked(fleet client.ObjectKey, committed time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.fleets[fleet]
	if err == nil || !t.tried {
		t.read = m.now()
	}
	t.tried = true
	if err == nil {
		t.attempted = committed
	}
	m.fleets[fleet] = t
}

// applied notes that the revision of a Fleet that was read last is applied as a whole.
func (m *metrics) applied(fleet client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.fleets[fleet]
	t.applied = t.attempted
	m.fleets[fleet] = t
}

// git is told of what is asked of a Fleet's Git server.
func (m *metrics) git(fleet client.ObjectKey) gitsource.Observer {
	return func(op gitsource.Operation) func(int64, error) {
		begin := m.now()
		return func(received int64, err error) {
			m.gitSeconds.WithLabelValues(string(op)).Observe(m.now().Sub(begin).Seconds())
			m.gitOperations.WithLabelValues(fleet.Namespace, fleet.Name, string(op), gitResult(err)).Inc()
			m.gitReceived.WithLabelValues(fleet.Namespace, fleet.Name).Add(float64(received))
		}
	}
}

// gitResult is the kind of an error in one word.
func gitResult(err error) string {
	if err == nil {
		return "success"
	}
	for _, kind := range []error{
		gitsource.ErrAuth, gitsource.ErrHostKey, gitsource.ErrTLS, gitsource.ErrNotFound, gitsource.ErrRefNotFound,
		gitsource.ErrLimit, gitsource.ErrRefused, gitsource.ErrUnreachable,
	} {
		if errors.Is(err, kind) {
			return strings.ReplaceAll(kind.Error(), " ", "_")
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "canceled"
	}
	return "other"
}
