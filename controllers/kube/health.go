package kube

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refract-dev/refract/render/plan"
)

// Health is how a cluster is, by our own reading of Cluster API: generic status libraries call a Cluster that is not
// available current, and a MachineDeployment reports a finished roll for a moment after its template changed.
type Health struct {
	// Found is false when there is no CAPI Cluster; then nothing else is set.
	Found bool
	// UID of the Cluster.
	UID types.UID
	// Phase of the Cluster, in Cluster API's words. May be empty.
	Phase string
	// Available is the Cluster's condition of that name. True already with one of three control planes. Default Unknown.
	Available metav1.ConditionStatus
	// AvailableMessage explains Available when it is not True.
	AvailableMessage string
	// RollingOut says that some Machine is not up to date, or has to go, or is still to come.
	RollingOut bool
	// ControlPlane counts control-plane Machines.
	ControlPlane Counts
	// Workers counts the Machines of all MachineDeployments.
	Workers Counts
	// Pools counts the Machines of each MachineDeployment by its name.
	Pools map[string]Counts
	// OldestVersion is the lowest Kubernetes version of all Machines; empty without Machines.
	OldestVersion string
	// OldestControlPlaneVersion is the same for control-plane Machines.
	OldestControlPlaneVersion string
	// Paused says who stopped Cluster API for this cluster; nil when nobody did.
	Paused *Pause
	// Deletion says how a deletion goes; nil when the Cluster is not being deleted.
	Deletion *Deletion
	// Topology: the Cluster is managed through a ClusterClass, which is not supported.
	Topology bool
	// Kubeconfig is the name of the Secret to enter the cluster with; empty until it exists.
	Kubeconfig string
	// Done: everything applied has been carried out. Every Machine is up to date and available, as many as wanted, and
	// no old one is left.
	Done bool
	// Waiting says what Done waits for, in a stable order; empty when Done.
	Waiting []string
	// InUse are the templates and failure domains that Machines and MachineSets are made from, as group/kind/name in
	// order. One that was wanted once is not pruned before it leaves this list.
	InUse []string
	// Progress is a fingerprint that changes whenever machines get on: the same for a long time while not Done means that
	// the cluster is stuck. It does not change when conditions flap.
	Progress string
	// Broken are the problems among Stuck that no waiting mends, worst first, at most 10: what CAPX has given up, and VMs
	// that it took over. They are worth telling at once.
	Broken []Problem
	// Stuck are the problems that hold the cluster back, worst first, at most 10. Also filled during a healthy roll: they
	// mean something once Progress has not changed for a time.
	Stuck []Problem
}

// Counts of machines.
type Counts struct {
	// Desired by the spec.
	Desired int32
	// Total are all Machines there are, those being deleted included.
	Total int32
	// Available are in use, not being deleted, and healthy.
	Available int32
	// UpToDate would not be re-created, by Cluster API's own comparison.
	UpToDate int32
}

func (c Counts) plus(d Counts) Counts {
	return Counts{Desired: c.Desired + d.Desired, Total: c.Total + d.Total, Available: c.Available + d.Available, UpToDate: c.UpToDate + d.UpToDate}
}

// complete says that all machines are there, new and healthy, and no others.
func (c Counts) complete() bool {
	return c.Total == c.Desired && c.Available == c.Desired && c.UpToDate == c.Desired
}

// observed is everything that Health is computed from.
type observed struct {
	cluster      *unstructured.Unstructured
	infraCluster *unstructured.Unstructured // may be nil
	controlPlane *unstructured.Unstructured // may be nil
	deployments  []*unstructured.Unstructured
	kubeconfig   bool
	machinery
	// verdicts of the live control plane and deployments by UID: what Cluster API still has to re-create.
	verdicts map[types.UID][]plan.Verdict
}

// Health reads how the cluster is. A read that fails is an error: nothing is known then.
func (c Cluster) Health(ctx context.Context) (Health, error) {
	o, err := c.observe(ctx)
	if err != nil || o.cluster == nil {
		return Health{}, err
	}
	return health(o)
}

func (c Cluster) observe(ctx context.Context) (observed, error) {
	var o observed
	var err error
	if o.cluster, err = c.get(ctx, c.ref(clusterKind, c.Name)); err != nil || o.cluster == nil {
		return o, err
	}
	cluster, err := typed[clusterv1.Cluster](o.cluster)
	if err != nil {
		return o, err
	}
	if ref := cluster.Spec.InfrastructureRef; ref.Kind == infraClusterKind.Kind {
		if o.infraCluster, err = c.get(ctx, c.ref(infraClusterKind, ref.Name)); err != nil {
			return o, err
		}
	}
	if ref := cluster.Spec.ControlPlaneRef; ref.Kind == controlPlaneKind.Kind {
		if o.controlPlane, err = c.get(ctx, c.ref(controlPlaneKind, ref.Name)); err != nil {
			return o, err
		}
	}
	if o.deployments, err = c.list(ctx, deploymentKind, clusterv1.ClusterNameLabel); err != nil {
		return o, err
	}
	if o.machinery, err = c.machinery(ctx); err != nil {
		return o, err
	}
	secret, err := c.get(ctx, c.ref(secretKind, c.Name+"-kubeconfig"))
	if err != nil {
		return o, err
	}
	o.kubeconfig = secret != nil
	o.verdicts, err = c.liveVerdicts(ctx, o)
	return o, err
}

// liveVerdicts asks what Cluster API has yet to re-create of what is live.
func (c Cluster) liveVerdicts(ctx context.Context, o observed) (map[types.UID][]plan.Verdict, error) {
	verdicts := map[types.UID][]plan.Verdict{}
	if o.controlPlane != nil {
		v, err := c.controlPlaneVerdicts(ctx, o.controlPlane, o.ownedBy(o.controlPlane.GetUID()), o.machinery, nil)
		if err != nil {
			return nil, err
		}
		verdicts[o.controlPlane.GetUID()] = v
	}
	for _, d := range o.deployments {
		verdicts[d.GetUID()] = deploymentVerdicts(d, o.machinery, c.now())
	}
	return verdicts, nil
}

// health judges what was observed. Pure.
func health(o observed) (Health, error) {
	cluster, err := typed[clusterv1.Cluster](o.cluster)
	if err != nil {
		return Health{}, err
	}
	h := Health{
		Found: true, UID: cluster.UID, Phase: cluster.Status.Phase, Available: metav1.ConditionUnknown,
		OldestVersion: oldestVersion(o.machines), Topology: cluster.Spec.Topology.IsDefined(),
		Paused: paused(o.cluster), Pools: map[string]Counts{},
	}
	if available := findCondition(cluster.Status.Conditions, clusterv1.ClusterAvailableCondition); available != nil {
		h.Available = available.Status
		if available.Status != metav1.ConditionTrue {
			h.AvailableMessage = available.Message
		}
	}
	if o.kubeconfig {
		h.Kubeconfig = cluster.Name + "-kubeconfig"
	}
	w := waitingForCluster(cluster)
	if err := h.countControlPlane(o, &w); err != nil {
		return Health{}, err
	}
	if err := h.countPools(o, &w); err != nil {
		return Health{}, err
	}
	h.RollingOut = !h.settled()
	h.Waiting, h.Done = w, len(w) == 0
	h.Deletion = deletion(o)
	h.InUse = o.references(nil).names()
	h.Progress = progress(o)
	h.Broken, h.Stuck = first(broken(o)), first(problems(o))
	return h, nil
}

// settled says that no Machine is to come, to go or to be replaced, healthy or not.
func (h Health) settled() bool {
	all := append([]Counts{h.ControlPlane}, h.pools()...)
	return !slices.ContainsFunc(all, func(c Counts) bool { return c.Total != c.Desired || c.UpToDate != c.Desired })
}

func (h Health) pools() []Counts {
	var all []Counts
	for _, c := range h.Pools {
		all = append(all, c)
	}
	return all
}

func waitingForCluster(c *clusterv1.Cluster) []string {
	var w []string
	if c.DeletionTimestamp != nil {
		w = append(w, "Cluster "+c.Name+" is being deleted")
	}
	if c.Status.ObservedGeneration < c.Generation {
		w = append(w, "Cluster API has not looked at the Cluster's last change")
	}
	if !isTrue(c.Status.Initialization.InfrastructureProvisioned) {
		w = append(w, "the infrastructure is not provisioned")
	}
	if !isTrue(c.Status.Initialization.ControlPlaneInitialized) {
		w = append(w, "the control plane is not initialized")
	}
	return w
}

func (h *Health) countControlPlane(o observed, waiting *[]string) error {
	if o.controlPlane == nil {
		*waiting = append(*waiting, "the KubeadmControlPlane does not exist")
		return nil
	}
	kcp, err := typed[controlplanev1.KubeadmControlPlane](o.controlPlane)
	if err != nil {
		return err
	}
	machines := o.ownedBy(kcp.UID)
	h.ControlPlane = count(replicas(kcp.Spec.Replicas), machines, o.verdicts[kcp.UID])
	h.OldestControlPlaneVersion = oldestVersion(machines)
	*waiting = append(*waiting, waitingFor(o.controlPlane, kcp.Status.ObservedGeneration, h.ControlPlane)...)
	return nil
}

func (h *Health) countPools(o observed, waiting *[]string) error {
	for _, d := range o.deployments {
		md, err := typed[clusterv1.MachineDeployment](d)
		if err != nil {
			return err
		}
		counts := count(replicas(md.Spec.Replicas), o.deploymentMachines(md.UID), o.verdicts[md.UID])
		if md.DeletionTimestamp != nil {
			counts.Desired = 0
		}
		h.Pools[md.Name] = counts
		h.Workers = h.Workers.plus(counts)
		*waiting = append(*waiting, waitingFor(d, md.Status.ObservedGeneration, counts)...)
	}
	return nil
}

func waitingFor(o *unstructured.Unstructured, seen int64, c Counts) []string {
	name := o.GetKind() + " " + o.GetName()
	switch {
	case o.GetDeletionTimestamp() != nil:
		return []string{name + " is being deleted"}
	case seen < o.GetGeneration():
		return []string{"Cluster API has not looked at the last change of " + name}
	case !c.complete():
		return []string{fmt.Sprintf("%s: of %d machines %d are up to date and %d available, %d exist", name, c.Desired, c.UpToDate, c.Available, c.Total)}
	}
	return nil
}

func count(desired int32, machines []*clusterv1.Machine, verdicts []plan.Verdict) Counts {
	c := Counts{Desired: desired}
	for _, m := range machines {
		c.Total++
		if m.DeletionTimestamp.IsZero() && isConditionTrue(m.Status.Conditions, clusterv1.MachineAvailableCondition) {
			c.Available++
		}
	}
	for _, v := range verdicts {
		if v.Outcome == plan.UpToDate {
			c.UpToDate++
		}
	}
	return c
}

// replicas of a spec that leaves them out: one, as both kinds default them.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func isTrue(b *bool) bool { return b != nil && *b }

func findCondition(conditions []metav1.Condition, kind string) *metav1.Condition {
	i := slices.IndexFunc(conditions, func(c metav1.Condition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &conditions[i]
}

func isConditionTrue(conditions []metav1.Condition, kind string) bool {
	c := findCondition(conditions, kind)
	return c != nil && c.Status == metav1.ConditionTrue
}
