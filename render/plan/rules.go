package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// verdict is what a change does to machines.
type verdict struct {
	severity v1alpha1.Severity
	machines int
	upTo     bool
	reason   string
}

func inPlace(reason string) verdict {
	return verdict{severity: v1alpha1.SeverityInPlace, reason: reason}
}

func forbidden(format string, args ...any) verdict {
	return verdict{severity: v1alpha1.SeverityForbidden, reason: fmt.Sprintf(format, args...)}
}

// subject is one differing field and all that a rule may look at.
type subject struct {
	computation *computation
	pair        Pair
	owner       owner
	delta       delta
	kind        string
}

// rule judges the fields it knows and passes on the others.
type rule func(subject) (verdict, bool)

// rules are asked in order; the first that knows the field decides. The order is the table of severities in the design.
var rules = []rule{
	metadata,           // labels and annotations; the autoscaler's bounds are in place
	clusterIdentity,    // endpoint, network and references of a living cluster
	kubernetesVersion,  // downgrade, skipped minor
	controlPlaneSize,   // even, down to one, fewer, more
	poolSize,           // fewer, more
	scheduledRoll,      // all machines later, when nobody asks any more
	prismCentral,       // another Prism Central has none of the machines
	controlPlaneDomain, // machines stay where they are
	propagatedInPlace,  // what Cluster API writes to living Machines
	machineTemplateOf,  // all else on an owner of machines: Cluster API's verdicts
	everythingElseOnIt, // health checks, resource sets, ConfigMaps, templates restored under their own name
}

func (c *computation) judge(p Pair, own owner, d delta) verdict {
	s := subject{computation: c, pair: p, owner: own, delta: d, kind: p.Want.GetKind()}
	for _, r := range rules {
		if v, ok := r(s); ok {
			return v
		}
	}
	return inPlace("")
}

func metadata(s subject) (verdict, bool) {
	if !s.delta.path.under("metadata") {
		return verdict{}, false
	}
	last := strings.Trim(s.delta.path[len(s.delta.path)-1], "[]")
	if strings.HasPrefix(last, autoscalerPrefix) {
		return inPlace("moves a bound of the cluster autoscaler"), true
	}
	return verdict{severity: v1alpha1.SeverityMetadata}, true
}

// clusterIdentity forbids what would cut a living cluster off from its machines. Undoing another hand's edit is no change
// of it: for the endpoint the Cluster's own copy tells, else Options.Restore does.
func clusterIdentity(s subject) (verdict, bool) {
	at, was := s.delta.path, display(s.delta.from, s.delta.hasFrom, false)
	var what string
	switch {
	case s.kind != kindCluster && s.kind != kindNutanixCluster:
		return verdict{}, false
	case at.under("spec", "controlPlaneEndpoint"):
		if was == "" || was == `""` || was == "0" {
			return inPlace("sets the endpoint for the first time"), true
		}
		if s.endpointInUse() {
			return inPlace("puts the endpoint in use back"), true
		}
		what = "the control-plane endpoint"
	case s.kind == kindCluster && at.under("spec", "clusterNetwork"):
		what = "the network"
	case s.kind == kindCluster && (at.under("spec", "infrastructureRef") || at.under("spec", "controlPlaneRef")):
		what = "the reference to its control plane or infrastructure"
	default:
		return verdict{}, false
	}
	if s.computation.options.Restore {
		return inPlace("puts back what another hand changed"), true
	}
	again := "leave " + at.String() + " out again"
	if s.delta.hasFrom {
		again = "commit " + was + " at " + at.String() + " again"
	}
	return forbidden("%s of a living cluster cannot change: %s, or make a new cluster with the new value", what, again), true
}

// endpointInUse reports whether the wanted value is what the Cluster already uses.
func (s subject) endpointInUse() bool {
	if s.kind != kindNutanixCluster || s.computation.cluster == nil || !s.delta.hasTo {
		return false
	}
	return reflect.DeepEqual(canon(lookup(s.computation.cluster, s.delta.path...)), s.delta.to)
}

// kubernetesVersion measures from the control-plane Machines, since Cluster API's webhook compares specs only and lets
// even a step back of many minors pass: a step back from the newest, whose etcd and API server have run already, and a
// step forward from the oldest.
func kubernetesVersion(s subject) (verdict, bool) {
	if s.kind != kindControlPlane || !s.delta.path.under("spec", "version") {
		return verdict{}, false
	}
	wanted, _ := s.delta.to.(string)
	to, err := version.ParseSemantic(wanted)
	if err != nil {
		return forbidden("%q is not a Kubernetes version: commit one such as v1.34.1", wanted), true
	}
	oldest := s.pair.OldestVersion
	if oldest == "" {
		oldest = text(s.pair.Live, "spec", "version")
	}
	from, err := version.ParseSemantic(oldest)
	if err != nil {
		return verdict{}, false
	}
	newest, last := oldest, from
	if v, err := version.ParseSemantic(s.pair.NewestVersion); err == nil && from.LessThan(v) {
		newest, last = s.pair.NewestVersion, v
	}
	switch {
	case to.LessThan(last):
		return forbidden("Kubernetes cannot go back from %s, the version of the newest control-plane machine, to %s: commit %s or newer",
			newest, wanted, newest), true
	case to.Major() != from.Major() || to.Minor() > from.Minor()+1:
		return forbidden("Kubernetes goes up one minor at a time and the oldest control-plane machine runs %s: commit a v%d.%d release first, and %s when all control-plane machines run it",
			oldest, from.Major(), from.Minor()+1, wanted), true
	}
	return verdict{}, false
}

func controlPlaneSize(s subject) (verdict, bool) {
	if s.kind != kindControlPlane || !s.delta.path.under("spec", "replicas") {
		return verdict{}, false
	}
	from, ok := s.delta.from.(int64)
	if !ok {
		from = 1 // Cluster API's default
	}
	to, _ := s.delta.to.(int64)
	switch {
	case to%2 == 0:
		return evenControlPlane(int(to)), true
	case to == 1 && from > 1:
		return forbidden("a control plane of %d cannot shrink to 1: commit %d; for a single control plane make a new cluster",
			from, min(from, 3)), true
	default:
		return resize(int(from), int(to)), true
	}
}

func evenControlPlane(n int) verdict {
	return forbidden("etcd keeps its majority only with an odd number of members and %d is even: commit 1, 3 or 5", n)
}

func poolSize(s subject) (verdict, bool) {
	if s.kind != kindMachineDeployment || !s.delta.path.under("spec", "replicas") {
		return verdict{}, false
	}
	from, _ := s.delta.from.(int64)
	to, ok := s.delta.to.(int64)
	if !ok {
		return inPlace("leaves the size to the cluster autoscaler"), true
	}
	return resize(int(from), int(to)), true
}

func resize(from, to int) verdict {
	if to >= from {
		return inPlace("adds " + machines(to-from))
	}
	return verdict{
		severity: v1alpha1.SeverityRemove, machines: from - to,
		reason: "removes " + machines(from-to) + " without replacement",
	}
}

// scheduledRoll counts what makes Cluster API replace every machine at a later time: its verdict is about now.
func scheduledRoll(s subject) (verdict, bool) {
	at := s.delta.path
	if !ownsMachines(s.kind) || !s.delta.hasTo || !at.under("spec", "rollout", "after") && !at.under("spec", "rollout", "before") {
		return verdict{}, false
	}
	n, upTo := owned(s.pair)
	if n == 0 {
		return inPlace("re-creates no machine"), true
	}
	return verdict{
		severity: v1alpha1.SeverityRollout, machines: n, upTo: upTo, reason: "has Cluster API re-create " + machines(n) + " when the time comes",
	}, true
}

// prismCentral counts the machines of the whole cluster: another address may be a new name of the same Prism Central,
// and nobody can tell from here.
func prismCentral(s subject) (verdict, bool) {
	if s.kind != kindNutanixCluster || !s.delta.path.under("spec", "prismCentral", "address") {
		return verdict{}, false
	}
	n := s.computation.machines
	switch {
	case s.computation.options.Restore:
		return inPlace("puts back what another hand changed"), true
	case n == 0 || !s.delta.hasFrom:
		return inPlace("re-creates no machine"), true
	}
	return verdict{
		severity: v1alpha1.SeverityRollout, machines: n,
		reason: fmt.Sprintf("a Prism Central that does not know the cluster's %s would get new ones: counted as re-creating all of them", machines(n)),
	}, true
}

func controlPlaneDomain(s subject) (verdict, bool) {
	known := s.kind == kindNutanixCluster && s.delta.path.under("spec", "controlPlaneFailureDomains") ||
		s.kind == kindFailureDomain && s.computation.forControlPlane(RefOf(s.pair.Want))
	return s.computation.staysBehind(), known
}

// staysBehind is what a change of the control plane's failure domains does: nothing to living machines.
func (c *computation) staysBehind() verdict {
	if c.controlPlane == 0 {
		return inPlace("")
	}
	return inPlace("up to " + machines(c.controlPlane) + " of the control plane stay in the old failure domain until they are replaced")
}

// forControlPlane reports whether the control plane, and no pool, is to use a failure domain.
func (c *computation) forControlPlane(domain Ref) bool {
	return domain.Kind == kindFailureDomain && c.domains[domain.Name] && c.ownerOf(domain).name == domain.String()
}

// inPlaceFields never are why a Machine is replaced: Cluster API leaves them out of its comparison and writes them to
// living Machines, or reads them only when something else happens.
var inPlaceFields = map[string][][]string{
	kindControlPlane: {
		{"spec", "machineTemplate", "metadata"},
		{"spec", "machineTemplate", "spec", "readinessGates"},
		{"spec", "machineTemplate", "spec", "deletion"},
		{"spec", "machineTemplate", "spec", "taints"},
		{"spec", "rollout", "strategy", "rollingUpdate"},
		{"spec", "remediation"},
		{"spec", "machineNaming"},
	},
	kindMachineDeployment: {
		{"spec", "template", "metadata"},
		{"spec", "template", "spec", "minReadySeconds"},
		{"spec", "template", "spec", "readinessGates"},
		{"spec", "template", "spec", "deletion"},
		{"spec", "template", "spec", "taints"},
		{"spec", "rollout", "strategy", "rollingUpdate"},
		{"spec", "remediation"},
		{"spec", "machineNaming"},
		{"spec", "deletion"},
	},
}

func propagatedInPlace(s subject) (verdict, bool) {
	known := slices.ContainsFunc(inPlaceFields[s.kind], func(f []string) bool { return s.delta.path.under(f...) })
	return inPlace("Cluster API changes it in place"), known
}

func machineTemplateOf(s subject) (verdict, bool) {
	if !ownsMachines(s.kind) {
		return verdict{}, false
	}
	return templateVerdict(s.owner), true
}

// templateVerdict is what a change of the machine template does to the owner's machines.
func templateVerdict(o owner) verdict {
	if o.roll.machines == 0 {
		return inPlace("re-creates no machine")
	}
	return verdict{
		severity: v1alpha1.SeverityRollout, machines: o.roll.machines, upTo: o.roll.upTo, reason: o.roll.reason(),
	}
}

func everythingElseOnIt(subject) (verdict, bool) { return inPlace(""), true }

// creation judges a new object.
func (c *computation) creation(p Pair, own owner) verdict {
	switch p.Want.GetKind() {
	case kindCluster:
		if c.options.Recreate {
			return verdict{
				severity: v1alpha1.SeverityDestroy,
				reason:   "the Cluster was deleted by another hand: this makes a new one, without its data, under the old name",
			}
		}
	case kindControlPlane:
		if n, ok := number(p.Want, "spec", "replicas"); ok && n%2 == 0 {
			return evenControlPlane(n)
		}
		if up, _ := lookup(c.cluster, "status", "initialization", "controlPlaneInitialized").(bool); up {
			return verdict{
				severity: v1alpha1.SeverityDestroy,
				reason:   "the control plane of a living cluster is gone: this makes a new one, with an empty etcd, under the old name",
			}
		}
	case kindMachineTemplate, kindConfigTemplate:
		if p.Previous != nil {
			return templateVerdict(own)
		}
	}
	if n, ok := number(p.Want, "spec", "replicas"); ok && ownsMachines(p.Want.GetKind()) {
		return inPlace("adds " + machines(n))
	}
	return inPlace("")
}

// deletion judges an object that is no longer wanted.
func deletion(p Pair) verdict {
	n, upTo := owned(p)
	switch p.Live.GetKind() {
	case kindControlPlane, kindNutanixCluster:
		return verdict{severity: v1alpha1.SeverityDestroy, machines: n, reason: "a cluster cannot live without it"}
	case kindMachineDeployment:
		return verdict{
			severity: v1alpha1.SeverityRemove, machines: n, upTo: upTo,
			reason: "removes the pool with " + bounded(n, upTo) + " without replacement",
		}
	case kindMachineTemplate, kindConfigTemplate, kindFailureDomain:
		return verdict{severity: v1alpha1.SeverityNone, reason: "nothing refers to it any more"}
	default:
		return inPlace("no longer wanted")
	}
}
