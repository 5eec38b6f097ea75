package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// progress turns what is seen of an applied cluster into an outcome: nil when it is healthy or on its way.
func (r *ClusterReconciler) progress(v *view) error {
	key := client.ObjectKeyFromObject(v.cluster)
	if v.stopped() || !v.record.known() || v.health.Done {
		r.pace.forget(key)
		r.compared.tasks.forget(key)
		return nil
	}
	since := r.pace.since(key, v.health.Progress, r.Now())
	if broken := v.health.Broken; len(broken) > 0 {
		return stall(v1alpha1.RolloutStuckReason, "%s%s", broken[0], alsoBroken(broken[1:]))
	}
	if r.Now().Sub(since) < r.StuckAfter || len(v.health.Stuck) == 0 {
		return nil
	}
	r.explain(v)
	return stall(v1alpha1.RolloutStuckReason, "no progress for %s: %s", r.StuckAfter, v.health.Stuck[0])
}

// alsoBroken names what has a problem beside the one that was told.
func alsoBroken(problems []kube.Problem) string {
	if len(problems) == 0 {
		return ""
	}
	var names []string
	for _, p := range problems {
		names = append(names, p.Object.String()+" ("+p.Condition+")")
	}
	return ". Also: " + strings.Join(names, ", ")
}

// report fills the status from the view and concludes with Ready as the design's truth table says.
func (r *ClusterReconciler) report(v *view, err error) (ctrl.Result, error) {
	c, h := v.cluster, v.health
	c.Status.ObservedGeneration = c.Generation
	c.Status.LastHandledReconcileAt = c.Annotations["reconcile.fluxcd.io/requestedAt"]
	if v.managed() {
		c.Status.Revision = c.Annotations[v1alpha1.RevisionAnnotation]
		c.Status.ShortRevision = shortRevision(c.Status.Revision)
	}
	if len(c.Spec.Profiles) > 0 {
		c.Status.Profile = c.Spec.Profiles[0].Name + "@" + c.Spec.Profiles[0].Version
	}
	if v.seen {
		v.reportHealth()
	}
	machines := r.machineFindings(v)
	r.reportSync(v, machines, err)
	if err == nil {
		err = v.held()
	}
	if err == nil && c.Spec.Suspend {
		suspend(c)
		return ctrl.Result{RequeueAfter: whileSettled}, nil
	}
	progress := v.waiting()
	c.Status.Phase = phase(v, err, progress)
	const ready = "accepted, applied and healthy"
	look := whileSettled
	if progress != "" || v.asked || (v.flow != nil && !v.flow.Plan.Empty() && !v.left) {
		look = whileMoving
	}
	result, err := conclude(c, err, progress, ready, look)
	if h.Found && h.Done && h.Available != metav1.ConditionTrue && err == nil && progress == "" && is(c, v1alpha1.ReadyCondition, metav1.ConditionTrue) {
		set(c, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.UnhealthyReason, "the cluster is not available: "+h.AvailableMessage)
	}
	return result, err
}

// deletedElsewhere says that the Cluster is gone by another hand, and how it may come back.
func (v *view) deletedElsewhere(accepted *metav1.Condition) error {
	next := "The plan that re-creates it is being made, and will need an approval"
	if accepted != nil && accepted.Status == metav1.ConditionFalse {
		next = accepted.Message
	}
	return stall(v1alpha1.ClusterDeletedElsewhereReason, "Cluster %s was deleted by another hand; nothing is applied or re-created. %s", client.ObjectKeyFromObject(v.cluster), next)
}

func (v *view) reportHealth() {
	c, h := v.cluster, v.health
	c.Status.KubernetesVersion = h.OldestControlPlaneVersion
	c.Status.ControlPlane = counts(h.ControlPlane)
	c.Status.Workers = counts(h.Workers)
	c.Status.KubeconfigSecretRef = nil
	if h.Kubeconfig != "" {
		c.Status.KubeconfigSecretRef = &v1alpha1.LocalReference{Name: h.Kubeconfig}
	}
	v.reportOutcome()
}

func counts(n kube.Counts) v1alpha1.MachineCounts {
	return v1alpha1.MachineCounts{Desired: n.Desired, Available: n.Available, UpToDate: n.UpToDate, Summary: fmt.Sprintf("%d/%d", n.Available, n.Desired)}
}

// held is the failure of a cluster whose change waits for a person: Ready is False although what was accepted runs.
func (v *view) held() error {
	accepted := conditionOf(v.cluster, v1alpha1.SourceAcceptedCondition)
	if v.record.Gone && !v.health.Found && !v.cluster.Spec.Suspend {
		return v.deletedElsewhere(accepted)
	}
	if accepted == nil || accepted.Status != metav1.ConditionFalse || accepted.Reason == v1alpha1.FileRemovedReason {
		return nil
	}
	return stall(accepted.Reason, "%s", accepted.Message)
}

// waiting says what goes on without a person; empty when nothing does.
func (v *view) waiting() string {
	switch h := v.health; {
	case v.stopped():
		return conditionOf(v.cluster, v1alpha1.PausedCondition).Message
	case !v.seen:
		return "not looked at yet"
	case !h.Found && len(v.applied) > 0:
		return "applied; waiting for Cluster API"
	case !h.Found:
		return "waiting to be applied"
	case len(v.applied) > 0:
		return "applied; waiting for Cluster API to act"
	case !h.Done:
		return strings.Join(h.Waiting, "; ")
	case v.record.open():
		return "carrying out the accepted plan"
	case h.Available != metav1.ConditionTrue:
		return ""
	case v.asked && plan.Rank(worst(v.pending)) > plan.Rank(v1alpha1.SeverityInPlace):
		return "live differs from what was accepted, and putting it back re-creates machines: waiting for the gate"
	}
	return ""
}

// comingUp says whether a cluster that is not available has not been so before, as far as its last phase tells. Between
// two steps of its birth nothing may be in progress.
func comingUp(last v1alpha1.Phase, progress string) bool {
	switch last {
	case "", v1alpha1.PhasePending, v1alpha1.PhaseProvisioning:
		return true
	case v1alpha1.PhaseRunning, v1alpha1.PhaseUpdating, v1alpha1.PhaseDegraded:
		return false
	default:
		return progress != ""
	}
}

// phase sums up in one word.
func phase(v *view, err error, progress string) v1alpha1.Phase {
	accepted := conditionOf(v.cluster, v1alpha1.SourceAcceptedCondition)
	h := v.health
	switch {
	case err == nil && h.Found && h.Available != metav1.ConditionTrue && comingUp(v.cluster.Status.Phase, progress):
		return v1alpha1.PhaseProvisioning
	case !h.Found && err == nil:
		return v1alpha1.PhasePending
	case err != nil && (accepted != nil && accepted.Status == metav1.ConditionFalse || is(v.cluster, v1alpha1.PreflightPassedCondition, metav1.ConditionFalse)):
		return v1alpha1.PhaseHeld
	case err != nil:
		return v1alpha1.PhaseFailed
	case h.Available != metav1.ConditionTrue:
		return v1alpha1.PhaseDegraded
	case progress != "":
		return v1alpha1.PhaseUpdating
	}
	return v1alpha1.PhaseRunning
}

// reportSync says whether live equals wanted. Changes that the accepted plan covers are no drift: they are under way.
func (r *ClusterReconciler) reportSync(v *view, machines []v1alpha1.DriftFinding, err error) {
	c := v.cluster
	var objects []v1alpha1.DriftFinding
	contested := r.contest.fields(client.ObjectKeyFromObject(c), r.Now())
	switch {
	case len(contested) > 0:
		objects = v.findings(contested, metav1.NewTime(r.Now()))
		set(c, v1alpha1.InSyncCondition, metav1.ConditionFalse, v1alpha1.ContestedReason, fmt.Sprintf(
			"%s keeps changing %s of %s; it is no longer put back for an hour or until the next change in Git. Stop that manager, or name the field in spec.driftIgnore", contested[0].Manager, contested[0].Field, contested[0].Object))
	case len(v.pending) > 0:
		objects = v.findings(v.edits, metav1.NewTime(r.Now()))
		set(c, v1alpha1.InSyncCondition, metav1.ConditionFalse, v1alpha1.DriftedReason, describe(objects, v.pending))
	case err == nil && (v.flow != nil || v.found != nil) && len(machines) > 0:
		sayMachines(c, machines)
	case err == nil && (v.flow != nil || v.found != nil):
		set(c, v1alpha1.InSyncCondition, metav1.ConditionTrue, v1alpha1.InSyncReason, "live objects are as wanted")
	case conditionOf(c, v1alpha1.InSyncCondition) == nil:
		set(c, v1alpha1.InSyncCondition, metav1.ConditionUnknown, v1alpha1.PendingReason, "nothing has been compared yet")
	default: // what was found about objects stands
		objects = slices.DeleteFunc(slices.Clone(c.Status.Drift), aboutVM)
	}
	all := slices.Concat(objects, machines)
	c.Status.Drift = all[:min(len(all), maxFailures)]
}

// findings lists edits in a stable order, keeping since when each has been seen.
func (v *view) findings(edits []kube.Edit, now metav1.Time) []v1alpha1.DriftFinding {
	since := map[string]metav1.Time{}
	for _, f := range v.cluster.Status.Drift {
		since[f.Object+" "+f.Field] = f.Since
	}
	var all []v1alpha1.DriftFinding
	for _, e := range edits {
		f := v1alpha1.DriftFinding{Object: e.Object.String(), Field: e.Field, Wanted: e.Old, Found: e.New, Manager: e.Manager, Since: now}
		if before, ok := since[f.Object+" "+f.Field]; ok {
			f.Since = before
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b v1alpha1.DriftFinding) int {
		return strings.Compare(a.Object+"\x00"+a.Field, b.Object+"\x00"+b.Field)
	})
	return all[:min(len(all), maxFailures)]
}

func describe(found []v1alpha1.DriftFinding, pending []plan.Change) string {
	if len(found) > 0 {
		f := found[0]
		return fmt.Sprintf("%s %s is %s and should be %s (changed by %s); %d differences in all, see status.drift", f.Object, f.Field, orNothing(f.Found), orNothing(f.Wanted), f.Manager, len(found))
	}
	return fmt.Sprintf("%s differs from what was accepted", pending[0].Object)
}

// publish writes both parts of the status.
func (r *ClusterReconciler) publish(ctx context.Context, before, after *v1alpha1.NutanixClusterSpec) error {
	// What a Fleet says is the Fleet's to write, unless there is none.
	if after.Annotations[v1alpha1.FleetAnnotation] == "" || sourceReason(after) == v1alpha1.FleetGoneReason {
		if err := publishSource(ctx, r.Client, before, after); err != nil {
			return err
		}
	}
	return publishCluster(ctx, r.Client, before, after)
}

// sourceReason is the reason that stands in SourceAccepted, "" when none does.
func sourceReason(c conditioned) string {
	if have := conditionOf(c, v1alpha1.SourceAcceptedCondition); have != nil {
		return have.Reason
	}
	return ""
}

// announce tells in events what changed for a person, after the status was saved.
func (r *ClusterReconciler) announce(before *v1alpha1.NutanixClusterSpec, v *view) {
	c := v.cluster
	if len(v.applied) > 0 {
		r.Recorder.Eventf(c, corev1.EventTypeNormal, "Applied", "%d of its objects written: %s", len(v.applied), v.flow.Plan.Summary())
	}
	r.announceMachines(before, c)
	for _, t := range []string{v1alpha1.StalledCondition, v1alpha1.PausedCondition} {
		was, is := conditionOf(before, t), conditionOf(c, t)
		if is != nil && is.Status == metav1.ConditionTrue && (was == nil || was.Reason != is.Reason || was.Message != is.Message) {
			r.Recorder.Event(c, corev1.EventTypeWarning, is.Reason, is.Message)
		}
	}
	was, is := conditionOf(before, v1alpha1.ReadyCondition), conditionOf(c, v1alpha1.ReadyCondition)
	if is != nil && is.Status == metav1.ConditionTrue && (was == nil || was.Status != is.Status) {
		r.Recorder.Event(c, corev1.EventTypeNormal, v1alpha1.SucceededReason, is.Message)
	}
}
