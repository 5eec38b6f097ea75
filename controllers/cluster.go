package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberecord "k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/plan"
)

// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machinedeployments;machinehealthchecks,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machines,verbs=list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=machinesets,verbs=list
// +kubebuilder:rbac:groups=controlplane.cluster.x-k8s.io,resources=kubeadmcontrolplanes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=bootstrap.cluster.x-k8s.io,resources=kubeadmconfigtemplates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=bootstrap.cluster.x-k8s.io,resources=kubeadmconfigs,verbs=list
// +kubebuilder:rbac:groups=addons.cluster.x-k8s.io,resources=clusterresourcesets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=nutanixclusters;nutanixmachinetemplates;nutanixfailuredomains,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=nutanixmachines,verbs=list
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get

// ClusterReconciler makes the objects of one accepted cluster true and keeps them so: render, gather, ask why there is
// anything to do, apply what is covered, observe.
type ClusterReconciler struct {
	client.Client
	// Reader reads past the cache.
	Reader client.Reader
	// Recorder of events.
	Recorder kuberecord.EventRecorder
	// Now is the clock.
	Now func() time.Time
	// StuckAfter is how long a cluster may make no progress before it says so.
	StuckAfter time.Duration

	clients *clients
	records records
	inputs  *inputsReader
	support *support
	answers *kube.Answers
	settled *settled
	contest *contest
	pace    *pace
	metrics *metrics
	// machines that were seen at the last look.
	machines *ledger
	// sites are what Prism Central holds, and compared what its machines were found to be.
	sites    *sites
	compared *comparisons
	// ask has a cluster's Fleet look at what the cluster asks for.
	ask func(fleet client.ObjectKey)
}

// view is what one reconcile of a cluster knows, filled step by step.
type view struct {
	cluster *v1alpha1.NutanixClusterSpec
	fleet   *v1alpha1.Fleet // nil: none, or gone
	kube    kube.Cluster
	record  record
	health  kube.Health
	seen    bool // health was read
	// machines by control plane and pool; nil when there is no Cluster.
	machines map[string]owned
	inputs   render.Inputs
	digest   string // of the inputs
	flow     *flow.Proposal
	edits    []kube.Edit // what another hand changed
	pending  []plan.Change
	// found is what the last comparison came to; nil when something changed since, and in a reconcile that compares.
	found *finding
	// asked: the Fleet is to gate what is pending.
	asked bool
	// left: what differs is left as it is for now.
	left    bool
	applied map[plan.Ref]bool // what was written
}

// looks at a cluster when nothing happens to it.
const (
	whileMoving  = 10 * time.Second
	whileSettled = 5 * time.Minute
)

// Reconcile acts on one accepted cluster.
func (r *ClusterReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	c := &v1alpha1.NutanixClusterSpec{}
	// Past the cache, which may not show yet what the last reconcile said: a status is written by what it was before.
	if err := r.Reader.Get(ctx, req.NamespacedName, c); err != nil {
		if apierrors.IsNotFound(err) {
			r.settled.forget(req.NamespacedName)
			r.pace.forget(req.NamespacedName)
			r.contest.forget(req.NamespacedName)
			r.machines.forget(req.NamespacedName)
			r.compared.forget(req.NamespacedName)
			r.metrics.forgetCluster(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := c.DeepCopy()
	if !c.DeletionTimestamp.IsZero() {
		return r.delete(ctx, c, before)
	}
	v := &view{cluster: c}
	stepErr := r.reconcile(ctx, v)
	if overtaken(stepErr) {
		return ctrl.Result{RequeueAfter: soon}, nil
	}
	result, err := r.report(v, stepErr)
	if publishErr := r.publish(ctx, before, c); client.IgnoreNotFound(publishErr) != nil {
		return ctrl.Result{}, ignoreCanceled(ctx, publishErr)
	}
	r.announce(before, v)
	return result, ignoreCanceled(ctx, err)
}

// reconcile is the road of one cluster, read from top to bottom.
func (r *ClusterReconciler) reconcile(ctx context.Context, v *view) error {
	if err := r.support.check(ctx); err != nil {
		return err
	}
	if err := r.hold(ctx, v.cluster); err != nil {
		return err
	}
	if err := r.look(ctx, v); err != nil {
		return err
	}
	if v.cluster.Spec.Suspend {
		return nil
	}
	if err := r.trust(ctx, v); err != nil {
		return err
	}
	if err := r.guard(ctx, v); err != nil {
		return err
	}
	if err := r.protect(ctx, v); err != nil {
		return err
	}
	if v.found = r.settled.found(client.ObjectKeyFromObject(v.cluster), v.token(), v.health.InUse, r.Now()); v.found != nil {
		if err := r.recall(ctx, v); err != nil {
			return err
		}
		return r.progress(v)
	}
	if err := r.propose(ctx, v); err != nil {
		return err
	}
	if err := r.act(ctx, v); err != nil {
		return err
	}
	return r.progress(v)
}

// recall goes on from what the last comparison came to.
func (r *ClusterReconciler) recall(ctx context.Context, v *view) error {
	if !v.found.differs {
		return r.finish(ctx, v)
	}
	v.pending, v.edits, v.asked = v.found.pending, v.found.edits, v.found.asked
	return v.found.err
}

// hold keeps the object until its deletion has been carried out.
func (r *ClusterReconciler) hold(ctx context.Context, c *v1alpha1.NutanixClusterSpec) error {
	before := c.DeepCopy()
	if !controllerutil.AddFinalizer(c, v1alpha1.ClusterFinalizer) {
		return nil
	}
	if err := r.Patch(ctx, c, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// look reads the cluster's Fleet, its record and its health.
func (r *ClusterReconciler) look(ctx context.Context, v *view) error {
	c := v.cluster
	key := client.ObjectKeyFromObject(c)
	var err error
	if v.record, err = r.records.get(ctx, key); err != nil {
		return err
	}
	if err = r.findFleet(ctx, v); err != nil {
		return err
	}
	r.sayFleet(v)
	account := ""
	switch {
	case v.fleet != nil:
		account = v.fleet.Spec.ServiceAccountName
	case v.record.known():
		account = v.record.Accepted.Account // the rights of the Fleet that is gone
	}
	writer, err := r.clients.as(c.Namespace, account)
	if err != nil {
		return err
	}
	if v.record.known() {
		r.contest.under(key, v.record.Accepted.Inputs)
	}
	v.kube = kube.Cluster{
		Client: writer, Reader: r.Reader, Namespace: c.Namespace, Name: c.Name, Ignore: r.ignored(c), Adopt: c.Spec.Adopt,
		Answers: r.answers,
	}
	if v.health, err = v.kube.Health(ctx); err != nil {
		return err
	}
	v.seen = true
	if v.machines, err = r.countMachines(ctx, key, v.health); err != nil {
		return err
	}
	if err = r.beginTally(ctx, v); err != nil {
		return err
	}
	if v.stopped() {
		r.sayPaused(v)
	}
	return r.noteMove(ctx, v)
}

// noteMove records whether clusterctl was moving the Cluster when it was seen last: once it is gone, that says why.
func (r *ClusterReconciler) noteMove(ctx context.Context, v *view) error {
	moving := v.health.Paused != nil && v.health.Paused.Moving
	if !v.health.Found || !v.record.known() || moving == v.record.Moving {
		return nil
	}
	v.record.Moving = moving
	values := map[string]any{keyMoving: nil}
	if moving {
		values[keyMoving] = true
	}
	return r.records.put(ctx, client.ObjectKeyFromObject(v.cluster), values)
}

// findFleet reads the Fleet that accepted the cluster, which a living one is by the record whatever the annotation says:
// who takes the stamp off a mirror does not get a cluster that gates itself.
func (r *ClusterReconciler) findFleet(ctx context.Context, v *view) error {
	names := []string{v.cluster.Annotations[v1alpha1.FleetAnnotation]}
	if v.record.known() {
		names = append([]string{v.record.Accepted.Stamps[v1alpha1.FleetAnnotation]}, names...)
	}
	for _, name := range names {
		if name == "" || v.fleet != nil {
			continue
		}
		f := &v1alpha1.Fleet{}
		switch err := r.Get(ctx, client.ObjectKey{Namespace: v.cluster.Namespace, Name: name}, f); {
		case err == nil && f.DeletionTimestamp.IsZero():
			v.fleet = f
		case client.IgnoreNotFound(err) != nil:
			return fmt.Errorf("reading Fleet %s: %w", name, err)
		}
	}
	return nil
}

// sayFleet says in SourceAccepted what only the cluster controller can: that there is no Fleet, or no longer one.
func (r *ClusterReconciler) sayFleet(v *view) {
	switch name := v.cluster.Annotations[v1alpha1.FleetAnnotation]; {
	case !v.managed():
		if have := conditionOf(v.cluster, v1alpha1.SourceAcceptedCondition); have == nil {
			set(v.cluster, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.NoFleetReason, "applied without a Fleet: the cluster gates itself")
		}
	case v.fleet == nil:
		set(v.cluster, v1alpha1.SourceAcceptedCondition, metav1.ConditionUnknown, v1alpha1.FleetGoneReason,
			fmt.Sprintf("Fleet %s was deleted; the cluster keeps its last accepted spec. A Fleet in this namespace that declares it picks it up", name))
	}
}

// managed says whether a Fleet mirrors the cluster, or did. The annotation alone would let an editor of the object take
// a cluster out of its Fleet's hands.
func (v *view) managed() bool { return v.owner() != "" }

// owner is the Fleet that mirrors the cluster, or did.
func (v *view) owner() string {
	if a := v.record.Accepted; a != nil && a.Stamps[v1alpha1.FleetAnnotation] != "" {
		return a.Stamps[v1alpha1.FleetAnnotation]
	}
	return v.cluster.Annotations[v1alpha1.FleetAnnotation]
}

// token stands for everything about a settled cluster that calls for another comparison.
func (v *view) token() string {
	id := ""
	if v.record.Accepted != nil {
		id = v.record.Accepted.ID
	}
	return digestOf(fmt.Sprint(v.cluster.Generation), v.digest, id, fmt.Sprint(v.kube.Ignore), v.cluster.Annotations[v1alpha1.ApprovedPlanAnnotation],
		v.cluster.Annotations["reconcile.fluxcd.io/requestedAt"])
}

// guard finds what forbids to apply anything, whatever the plan.
func (r *ClusterReconciler) guard(ctx context.Context, v *view) error {
	h := v.health
	key := client.ObjectKeyFromObject(v.cluster)
	if !v.stopped() {
		sayGoing(v.cluster)
	}
	switch {
	case h.Topology:
		return stall(v1alpha1.UnsupportedReason, "Cluster %s has spec.topology: it is managed through a ClusterClass, and Refract applies plain objects. Use another name, or take the Cluster off its ClusterClass first", key)
	case h.Found && h.Deletion != nil && (h.Paused == nil || !h.Paused.Moving):
		return stall(v1alpha1.ClusterDeletedElsewhereReason, "Cluster %s is being deleted by another hand; nothing is applied. %s", key, blockers(h.Deletion))
	case h.Found:
		return r.noteApplied(ctx, v)
	case v.record.Applied && !v.record.Gone:
		v.record.Gone = true
		if err := r.records.put(ctx, key, map[string]any{keyGone: true}); err != nil {
			return err
		}
	}
	if v.record.Gone && v.record.Moving {
		return stall(v1alpha1.ClusterDeletedElsewhereReason, "Cluster %s was moved to another management cluster by clusterctl, with its machines; nothing is applied or re-created here. Remove its file from this Fleet and delete this object: neither touches the machines", key)
	}
	return nil
}

// noteApplied records that the Cluster is there, at once after it was applied: once it is gone, another hand took it.
func (r *ClusterReconciler) noteApplied(ctx context.Context, v *view) error {
	if !v.record.known() || (v.record.Applied && !v.record.Gone) {
		return nil
	}
	v.record.Applied, v.record.Gone = true, false
	return r.records.put(ctx, client.ObjectKeyFromObject(v.cluster), map[string]any{keyApplied: true, keyGone: nil})
}

// sayGoing says that no other hand has paused the cluster, also when the Cluster that it had paused is gone.
func sayGoing(c *v1alpha1.NutanixClusterSpec) {
	set(c, v1alpha1.PausedCondition, metav1.ConditionFalse, v1alpha1.NotPausedReason, "nothing is paused")
	if c.Spec.Paused {
		set(c, v1alpha1.PausedCondition, metav1.ConditionTrue, v1alpha1.PausedBySpecReason, "spec.paused is true: Cluster API does nothing for this cluster")
	}
}

func (r *ClusterReconciler) sayPaused(v *view) {
	p := v.health.Paused
	reason, what := v1alpha1.PausedByOtherReason, "paused"
	if p.Moving {
		reason, what = v1alpha1.MovingReason, "being moved by clusterctl"
	}
	set(v.cluster, v1alpha1.PausedCondition, metav1.ConditionTrue, reason,
		fmt.Sprintf("the cluster is %s (%s, written by %s): nothing is applied or put back until that is taken away", what, p.Field, p.Manager))
}

// stopped says whether another hand paused or moves the cluster.
func (v *view) stopped() bool { return v.health.Paused != nil && !v.health.Paused.Ours() }

// propose renders, gathers and plans.
func (r *ClusterReconciler) propose(ctx context.Context, v *view) error {
	if v.stopped() {
		return nil
	}
	if !v.cluster.Spec.Adopt {
		if err := unowned(ctx, r.Reader, v.cluster); err != nil {
			return err
		}
	}
	r.settled.begin(client.ObjectKeyFromObject(v.cluster))
	rendered := ""
	if v.record.Accepted != nil && v.record.Accepted.Inputs == v.digest {
		rendered = v.record.rendered()
	}
	p, err := flow.Propose(ctx, v.inputs, v.kube, rendered, plan.Options{Recreate: v.record.Gone})
	if err != nil {
		if known := new(build.Error); errors.As(err, &known) {
			return stall(v1alpha1.RenderFailedReason, "%w", err)
		}
		return err
	}
	v.flow, v.edits = &p, nil
	if v.vanished() {
		v.flow = nil
		return wait(v1alpha1.PendingReason, soon, "Cluster %s went away while it was looked at", v.cluster.Name)
	}
	for _, pair := range p.Pairs {
		if pair.Want != nil && !pair.Adopt { // what is taken over was nobody's edit
			v.edits = append(v.edits, kube.Edits(pair.Live, pair.DryRun)...)
		}
	}
	return nil
}

// askFleet has the cluster's Fleet look, if there is one.
func (r *ClusterReconciler) askFleet(v *view) {
	if v.fleet != nil {
		r.ask(client.ObjectKeyFromObject(v.fleet))
	}
}
