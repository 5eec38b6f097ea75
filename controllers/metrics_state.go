package controllers

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// state is where the metrics of objects are read from at each scrape.
type state struct {
	cache   client.Reader
	elected <-chan struct{}
	contest *contest
	pace    *pace
	sites   *sites
}

// collectTimeout bounds reading from the cache, which answers from memory.
const collectTimeout = 5 * time.Second

// sample sends one value.
type sample func(m metric, value float64, labels ...string)

// collectState reads the objects. Only the replica that acts reports them: two would count everything twice.
func (m *metrics) collectState(to chan<- prometheus.Metric) {
	send := sample(func(m metric, value float64, labels ...string) {
		kind := prometheus.GaugeValue
		to <- prometheus.MustNewConstMetric(m.desc(), kind, value, labels...)
	})
	send(buildInfo, 1, m.version, runtime.Version())
	s := m.read()
	if s == nil {
		send(leading, 0)
		return
	}
	send(leading, 1)
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout) //nolint:forbidigo // a scrape hands no context on
	defer cancel()
	fleets, clusters, accounts := &v1alpha1.FleetList{}, &v1alpha1.NutanixClusterSpecList{}, &v1alpha1.CloudAccountList{}
	for _, list := range []client.ObjectList{fleets, clusters, accounts} {
		if s.cache.List(ctx, list, client.UnsafeDisableDeepCopy) != nil {
			return // the process is ending
		}
	}
	for i := range fleets.Items {
		m.collectFleet(send, &fleets.Items[i])
	}
	for i := range clusters.Items {
		m.collectCluster(send, s, &clusters.Items[i])
	}
	for i := range accounts.Items {
		a := &accounts.Items[i]
		collectConditions(send, "CloudAccount", a)
		if i := s.sites.of(client.ObjectKeyFromObject(a)).inventory; i != nil {
			send(prismInventory, seconds(i.At), a.Namespace, a.Name)
			send(prismInterval, s.sites.interval.Seconds(), a.Namespace, a.Name)
			for part := range i.Missing() {
				send(prismUnknown, 1, a.Namespace, a.Name, string(part))
			}
		}
	}
	collectHeldPlans(send, clusters.Items)
}

// read gives the state when this replica acts and knows its objects; nil otherwise.
func (m *metrics) read() *state {
	m.mu.Lock()
	s := m.state
	m.mu.Unlock()
	if s == nil {
		return nil
	}
	select {
	case <-s.elected:
		return s
	default:
		return nil
	}
}

func (m *metrics) observe(s *state) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
}

func (m *metrics) collectFleet(send sample, f *v1alpha1.Fleet) {
	ns, name := f.Namespace, f.Name
	collectConditions(send, v1alpha1.FleetKind, f)
	send(objectSuspended, number(f.Spec.Suspend), v1alpha1.FleetKind, ns, name)
	send(fleetInterval, interval(f).Seconds(), ns, name)
	send(fleetHeld, float64(f.Status.Clusters.Held), ns, name)
	send(fleetFailures, float64(f.Status.TotalFailures), ns, name)
	send(fleetUpToDate, number(f.Status.LastAppliedRevision != "" && f.Status.LastAppliedRevision == f.Status.LastAttemptedRevision), ns, name)
	if p := f.Status.Plan; p.Digest != "" && p.RecordedAt != nil {
		send(fleetHeldSince, seconds(p.RecordedAt.Time), ns, name, string(p.Severity))
	}
	m.collectReview(send, client.ObjectKeyFromObject(f))
	m.mu.Lock()
	times := m.fleets[client.ObjectKeyFromObject(f)]
	m.mu.Unlock()
	for _, each := range []struct {
		of     metric
		at     time.Time
		labels []string
	}{{fleetRead, times.read, nil}, {fleetCommitted, times.attempted, []string{"attempted"}}, {fleetCommitted, times.applied, []string{"applied"}}} {
		if !each.at.IsZero() {
			send(each.of, seconds(each.at), append([]string{ns, name}, each.labels...)...)
		}
	}
}

func (m *metrics) collectCluster(send sample, s *state, c *v1alpha1.NutanixClusterSpec) {
	ns, name, key := c.Namespace, c.Name, client.ObjectKeyFromObject(c)
	collectConditions(send, v1alpha1.NutanixClusterSpecKind, c)
	send(objectSuspended, number(c.Spec.Suspend), v1alpha1.NutanixClusterSpecKind, ns, name)
	send(clusterInfo, 1, ns, name, c.Annotations[v1alpha1.FleetAnnotation], c.Status.Profile, c.Status.KubernetesVersion)
	if c.Status.Phase != "" {
		send(clusterPhase, 1, ns, name, string(c.Status.Phase))
	}
	if p := c.Status.Plan; p.Digest != "" && p.RecordedAt != nil {
		send(clusterHeld, seconds(p.RecordedAt.Time), ns, name, string(p.Severity))
	}
	for role, n := range map[string]v1alpha1.MachineCounts{"control-plane": c.Status.ControlPlane, "worker": c.Status.Workers} {
		send(machinesDesired, float64(n.Desired), ns, name, role)
		send(machinesThere, float64(n.Available), ns, name, role)
		send(machinesNew, float64(n.UpToDate), ns, name, role)
	}
	if o := c.Status.Outcome; o != nil {
		send(machinesDifference, float64(o.Difference), ns, name)
	}
	machines := 0
	for _, f := range c.Status.Drift {
		machines += int(number(aboutVM(f)))
	}
	send(clusterDrift, float64(len(c.Status.Drift)-machines), ns, name)
	send(clusterMachineDrift, float64(machines), ns, name)
	found := map[v1alpha1.PreflightVerdict]int{v1alpha1.PreflightFailed: 0, v1alpha1.PreflightShort: 0, v1alpha1.PreflightUnknown: 0}
	for _, f := range c.Status.Preflight {
		found[f.Verdict]++
	}
	for verdict, n := range found {
		send(clusterPreflight, float64(n), ns, name, string(verdict))
	}
	send(clusterContest, float64(len(s.contest.fields(key, m.now()))), ns, name)
	if at := s.pace.last(key); !at.IsZero() {
		send(clusterProgress, seconds(at), ns, name)
	}
}

// collectConditions tells what an object says of itself.
func collectConditions(send sample, kind string, o interface {
	client.Object
	GetConditions() []metav1.Condition
},
) {
	for _, c := range o.GetConditions() {
		send(objectCondition, 1, kind, o.GetNamespace(), o.GetName(), c.Type, string(c.Status), c.Reason)
	}
}

// collectHeldPlans counts the plans that wait, by Fleet and severity.
func collectHeldPlans(send sample, clusters []v1alpha1.NutanixClusterSpec) {
	type group struct{ namespace, fleet, severity string }
	held := map[group]int{}
	for i := range clusters {
		c := &clusters[i]
		if fleet := c.Annotations[v1alpha1.FleetAnnotation]; fleet != "" && c.Status.Plan.Digest != "" {
			held[group{c.Namespace, fleet, string(c.Status.Plan.Severity)}]++
		}
	}
	for g, n := range held {
		send(fleetHeldPlans, float64(n), g.namespace, g.fleet, g.severity)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.Unix()) }

// last is when a cluster that is under way got on; zero when none is.
func (p *pace) last(cluster client.ObjectKey) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by[cluster].since
}
