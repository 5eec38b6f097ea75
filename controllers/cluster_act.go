package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// act asks why there is anything to do, and does what is covered: by the accepted plan, or because it re-creates no
// machine. Everything above that is somebody's to gate.
func (r *ClusterReconciler) act(ctx context.Context, v *view) error {
	if v.flow == nil {
		return nil // paused or moving
	}
	if err := v.obstacle(); err != nil {
		return err
	}
	if v.flow.Plan.Empty() {
		r.settle(v)
		if err := r.keepRendered(ctx, v); err != nil {
			return err
		}
		return r.finish(ctx, v)
	}
	cause, beyond := v.cause()
	if cause == plan.CauseDrift && r.contend(v) {
		return r.actAnew(ctx, v)
	}
	switch {
	case len(beyond) == 0:
		r.sayEdits(v, cause)
		return r.apply(ctx, v)
	case cause == plan.CauseGit:
		return r.gateItself(ctx, v)
	case plan.Rank(worst(beyond)) > plan.Rank(v1alpha1.SeverityInPlace):
		v.pending = beyond
		if v.managed() {
			return r.wish(ctx, v, cause)
		}
		return r.gateItself(ctx, v)
	case cause == plan.CauseDrift && v.cluster.Spec.Drift.Objects == v1alpha1.DriftReport && !v.record.open():
		v.pending = beyond
		return nil // compared again at the next look: it is not as wanted
	}
	r.sayDrift(v, cause)
	return r.apply(ctx, v)
}

// contend counts what other hands changed and says whether that made a field contested, which is left alone from then on.
func (r *ClusterReconciler) contend(v *view) bool {
	if v.cluster.Spec.Drift.Objects == v1alpha1.DriftReport {
		return false // nothing is put back, so nobody is fought with
	}
	key, contested := client.ObjectKeyFromObject(v.cluster), false
	for _, e := range v.edits {
		contested = r.contest.changed(key, e, r.Now()) || contested
	}
	return contested
}

// actAnew plans again without what has just become contested, and acts on that.
func (r *ClusterReconciler) actAnew(ctx context.Context, v *view) error {
	v.kube.Ignore = r.ignored(v.cluster)
	if err := r.propose(ctx, v); err != nil {
		return err
	}
	return r.act(ctx, v)
}

// ignored are the fields that we leave to others: those of the spec, and contested ones.
func (r *ClusterReconciler) ignored(c *v1alpha1.NutanixClusterSpec) []v1alpha1.DriftIgnore {
	return append(r.contest.ignored(client.ObjectKeyFromObject(c), r.Now()), c.Spec.DriftIgnore...)
}

// obstacle is what forbids to apply a plan as a whole.
func (v *view) obstacle() error {
	if foreign := v.flow.Plan.Foreign; len(foreign) > 0 {
		var names []string
		for _, f := range foreign {
			names = append(names, fmt.Sprintf("%s (managed by %s)", f.Object, strings.Join(f.Managers, ", ")))
		}
		return stall(v1alpha1.AlreadyExistsReason, "these objects exist and are not ours, and nothing was written: %s. Commit spec.adopt: true to take them over, or delete them", strings.Join(names, "; "))
	}
	for _, change := range v.flow.Plan.Changes {
		if change.Severity == v1alpha1.SeverityForbidden {
			return stall(v1alpha1.ForbiddenReason, "%s %s: %s", change.Object, change.Field, change.Reason)
		}
	}
	return nil
}

// cause tells why the plan is not empty, and which of its changes the accepted plan does not cover. An accepted plan
// that has been carried out covers nothing.
func (v *view) cause() (plan.Cause, []plan.Change) {
	rec := v.record
	if !rec.known() || rec.Accepted.Inputs != v.digest {
		return plan.CauseGit, v.flow.Plan.Changes
	}
	beyond := v.flow.Plan.Changes
	if rec.open() {
		if p := rec.Accepted.unpacked(); p != nil {
			beyond = v.flow.Plan.Beyond(*p)
		}
	}
	if rec.rendered() != v.flow.Rendered {
		return plan.CauseOperatorUpgrade, beyond
	}
	return plan.CauseDrift, beyond
}

func worst(changes []plan.Change) v1alpha1.Severity { return plan.Plan{Changes: changes}.Severity() }

// apply writes the plan. What the API server or a webhook refuses needs a person; what went stale is planned again.
func (r *ClusterReconciler) apply(ctx context.Context, v *view) error {
	if err := r.protect(ctx, v.cluster); err != nil {
		return err
	}
	applied, err := v.kube.Apply(ctx, v.flow.Plan)
	v.applied = len(applied.Objects)
	if err != nil {
		var foreign *kube.ForeignError
		var refused *kube.RefusedError
		switch {
		case errors.As(err, &foreign):
			return stall(v1alpha1.AlreadyExistsReason, "%w", err)
		case errors.As(err, &refused):
			return stall(v1alpha1.ApplyFailedReason, "%w", err)
		}
		return retry(v1alpha1.ApplyFailedReason, err)
	}
	r.metrics.undone(client.ObjectKeyFromObject(v.cluster), v.undoes)
	return r.keepRendered(ctx, v)
}

// keepRendered notes what this version of Refract renders once it is applied without re-creating anything: it is
// accepted from here on. In a key of its own, since the accepted entry is the Fleet's to write.
func (r *ClusterReconciler) keepRendered(ctx context.Context, v *view) error {
	if v.flow == nil || v.record.Accepted == nil || v.record.rendered() == v.flow.Rendered {
		return nil
	}
	v.record.Rendered = &rendered{ID: v.record.Accepted.ID, Digest: v.flow.Rendered}
	return r.records.put(ctx, client.ObjectKeyFromObject(v.cluster), map[string]any{keyRendered: v.record.Rendered})
}

// finish notes that an accepted plan has been carried out: nothing differs, old machines are gone and replacements
// ready. From then on it covers nothing. The caller knows that nothing differs.
func (r *ClusterReconciler) finish(ctx context.Context, v *view) error {
	values := map[string]any{}
	if v.record.Wish != nil {
		values[keyWish] = nil
	}
	if v.record.open() && v.health.Done {
		values[keyCarriedOut] = v.record.Accepted.ID
		v.record.CarriedOut = v.record.Accepted.ID
	}
	if !v.managed() && v.record.known() {
		sayAccepted(v.cluster)
	}
	if len(values) == 0 {
		return nil
	}
	return r.records.put(ctx, client.ObjectKeyFromObject(v.cluster), values)
}

// settle remembers that live equals wanted, so that nothing is compared again before something changes.
func (r *ClusterReconciler) settle(v *view) {
	r.settled.done(client.ObjectKeyFromObject(v.cluster), v.token(), v.flow.Pairs)
}

// wish asks the Fleet to gate what goes beyond the accepted plan: it alone sees the sum over its clusters.
func (r *ClusterReconciler) wish(ctx context.Context, v *view, cause plan.Cause) error {
	entry, err := newEntry(v.flow.Plan, v.digest, v.flow.Rendered, "", v.record.Wish, r.Now())
	if err != nil {
		return err
	}
	entry.Cause = string(cause)
	if old := v.record.Wish; old == nil || old.Digest != entry.Digest || old.Cause != entry.Cause {
		if err := r.records.put(ctx, client.ObjectKeyFromObject(v.cluster), map[string]any{keyWish: entry}); err != nil {
			return err
		}
	}
	r.askFleet(v)
	if v.record.Gone {
		return stall(v1alpha1.ClusterDeletedElsewhereReason, "Cluster %s was deleted by another hand, and its machines with it; nothing is applied. To have it created anew approve plan %s: %s; otherwise remove the cluster's file", v.cluster.Name, entry.Digest, plan.ApproveCommand(v.cluster.Namespace, "", v.cluster.Name, entry.Digest))
	}
	if v.fleet == nil {
		return stall(v1alpha1.ApprovalRequiredReason, "%s, and Fleet %s that would gate it is gone; create a Fleet in this namespace that declares the cluster", v.flow.Plan.Summary(), v.owner())
	}
	return nil
}

// gateItself is the gate of a cluster without a Fleet: its own limits, no sum.
func (r *ClusterReconciler) gateItself(ctx context.Context, v *view) error {
	c, key := v.cluster, client.ObjectKeyFromObject(v.cluster)
	if v.managed() {
		r.askFleet(v)
		return wait(v1alpha1.PendingReason, whileMoving, "what differs goes beyond the accepted plan; waiting for the Fleet")
	}
	cause, _ := v.cause()
	held := v.record.Held
	in := plan.ClusterInput{Plan: v.flow.Plan, Cause: cause, Unfinished: v.record.unfinished(), Limits: c.Spec.Limits, Recorded: held.unpacked()}
	if held != nil {
		in.Approved = approved(c, &held.RecordedAt, r.Now())
	}
	decision := plan.Gate(plan.GateInput{
		Namespace: c.Namespace, Limits: plan.LimitsFrom(v1alpha1.Limits{}), Clusters: map[string]plan.ClusterInput{c.Name: in}, Total: 1,
	}).Decisions[c.Name]
	entry, err := newEntry(v.flow.Plan, v.digest, v.flow.Rendered, "", v.record.shown(c, r.Now()), r.Now())
	if err != nil {
		return err
	}
	if open := v.record.unfinished(); open != nil {
		entry.Recreated, entry.Removed = open.Recreated, open.Removed
	}
	if !decision.Accepted {
		c.Status.Plan = v1alpha1.PlanStatus{Digest: decision.Digest, Severity: v.flow.Plan.Severity(), Summary: v.flow.Plan.Summary(), RecordedAt: &entry.RecordedAt}
		set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, decision.Reason, decision.Message)
		if held == nil || held.Digest != decision.Digest {
			return r.records.put(ctx, key, map[string]any{keyHeld: entry})
		}
		return nil
	}
	if decision.Approved {
		entry.ApprovedBy = c.Annotations[v1alpha1.ApprovedByAnnotation]
		if err := unapprove(ctx, r.Client, c); err != nil {
			return err
		}
	}
	values := map[string]any{keyAccepted: entry, keySpec: c.Spec, keyHeld: nil}
	if v.record.Gone {
		values[keyGone], values[keyApplied] = nil, nil
	}
	if err := r.records.put(ctx, key, values); err != nil {
		return err
	}
	r.metrics.planned(key, v.flow.Plan)
	v.record.Accepted = entry
	sayAccepted(c)
	return r.apply(ctx, v)
}

func sayAccepted(c *v1alpha1.NutanixClusterSpec) {
	set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.NoFleetReason, "applied without a Fleet: the cluster gates itself")
	c.Status.Plan = v1alpha1.PlanStatus{Severity: v1alpha1.SeverityNone, Summary: "no change"}
}

// sayDrift tells in events what is put back, and why.
func (r *ClusterReconciler) sayDrift(v *view, cause plan.Cause) {
	if cause != plan.CauseDrift {
		r.Recorder.Eventf(v.cluster, corev1.EventTypeNormal, "OperatorUpgrade", "%s", v.flow.Plan.Summary())
		return
	}
	r.sayEdits(v, cause)
	for _, step := range v.flow.Plan.Objects {
		if step.Action == plan.Create {
			v.undoes = append(v.undoes, step.Object.Kind)
			r.Recorder.Eventf(v.cluster, corev1.EventTypeNormal, "DriftCorrected", "%s was deleted by another hand; created again", step.Object)
		}
	}
}

// sayEdits tells who changed what and what it is put back to. What is taken over by spec.adopt was nobody's edit.
func (r *ClusterReconciler) sayEdits(v *view, cause plan.Cause) {
	if cause != plan.CauseDrift || v.cluster.Spec.Adopt {
		return
	}
	for _, e := range v.edits {
		v.undoes = append(v.undoes, e.Object.Kind)
		r.Recorder.Eventf(v.cluster, corev1.EventTypeNormal, "DriftCorrected", "%s %s: %s changed it to %s; put back to %s", e.Object, e.Field, e.Manager, orNothing(e.New), orNothing(e.Old))
	}
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// protect labels the namespace of a cluster with deletion policy Protect, so that the admission policy refuses its
// deletion: that would take the Machines along.
func (r *ClusterReconciler) protect(ctx context.Context, c *v1alpha1.NutanixClusterSpec) error {
	if c.Spec.DeletionPolicy != v1alpha1.DeletionProtect && c.Spec.DeletionPolicy != "" {
		return nil
	}
	ns := &corev1.Namespace{}
	if err := r.Reader.Get(ctx, client.ObjectKey{Name: c.Namespace}, ns); err != nil {
		return fmt.Errorf("reading namespace %s: %w", c.Namespace, err)
	}
	if ns.Labels[v1alpha1.ProtectLabel] == "true" {
		return nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"true"}}}`, v1alpha1.ProtectLabel)
	if err := r.Patch(ctx, ns, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner(v1alpha1.ClusterFieldManager)); err != nil {
		return fmt.Errorf("protecting namespace %s: %w", c.Namespace, err)
	}
	return nil
}
