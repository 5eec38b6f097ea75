package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		v.makesNothing()
		if err := r.keepRendered(ctx, v); err != nil {
			return err
		}
		if err := r.finish(ctx, v); err != nil {
			return err
		}
		r.settle(v, finding{})
		return nil
	}
	cause, beyond := v.cause()
	if cause == plan.CauseDrift && r.contend(v) {
		return r.actAnew(ctx, v)
	}
	switch {
	case len(beyond) == 0:
		return r.correct(ctx, v, cause, r.sayEdits)
	case cause == plan.CauseGit:
		return r.gateItself(ctx, v)
	case cause == plan.CauseDrift && v.reports():
		v.pending = beyond
		r.leave(v, nil)
		return nil
	case plan.Rank(worst(beyond)) > plan.Rank(v1alpha1.SeverityInPlace):
		v.pending = beyond
		if v.managed() {
			return r.wish(ctx, v, cause)
		}
		return r.gateItself(ctx, v)
	}
	return r.correct(ctx, v, cause, r.sayDrift)
}

// correct applies the plan and tells what was put back, also when that failed half-way.
func (r *ClusterReconciler) correct(ctx context.Context, v *view, cause plan.Cause, say func(*view, plan.Cause)) error {
	err := r.apply(ctx, v)
	if len(v.applied) > 0 {
		say(v, cause)
	}
	return err
}

// reports says whether drift is reported and no more: nothing is put back and no gate is asked. A Cluster that is gone is
// another matter, and so is a plan that is being carried out.
func (v *view) reports() bool {
	return v.cluster.Spec.Drift.Objects == v1alpha1.DriftReport && !v.record.open() && !v.record.Gone
}

// leave remembers differences that are not ours to mend now, so that they are not compared anew at every look.
func (r *ClusterReconciler) leave(v *view, err error) {
	v.left = true
	r.settle(v, finding{differs: true, pending: v.pending, edits: v.edits, asked: v.asked, err: err, until: r.Now().Add(whileSettled)})
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

// vanished says whether the Cluster was there at the beginning of this look and is gone now: it must not be made again as
// if it had never come. The next look finds who took it.
func (v *view) vanished() bool {
	return v.health.Found && slices.ContainsFunc(v.flow.Pairs, func(p plan.Pair) bool {
		return p.Want != nil && p.Live == nil && p.Want.GroupVersionKind() == clusterGVK
	})
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
	if err := r.preflight(v); err != nil {
		return err
	}
	applied, err := v.kube.Apply(ctx, v.flow.Plan)
	v.applied = map[plan.Ref]bool{}
	for _, o := range applied.Objects {
		v.applied[o.Object] = true
	}
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
	if err := r.noteApplied(ctx, v); err != nil {
		return err
	}
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
		if v.record.Held != nil {
			values[keyHeld] = nil // it was taken back
		}
		if err := unapprove(ctx, r.Client, r.Reader, v.cluster); err != nil {
			return err
		}
		sayAccepted(v.cluster)
	}
	if len(values) == 0 {
		return nil
	}
	return r.records.put(ctx, client.ObjectKeyFromObject(v.cluster), values)
}

// settle remembers what the comparison came to, so that nothing is compared again before something changes.
func (r *ClusterReconciler) settle(v *view, f finding) {
	f.inUse = v.health.InUse
	r.settled.done(client.ObjectKeyFromObject(v.cluster), v.token(), v.flow.Pairs, f)
}

// wish asks the Fleet to gate what goes beyond the accepted plan: it alone sees the sum over its clusters.
func (r *ClusterReconciler) wish(ctx context.Context, v *view, cause plan.Cause) error {
	entry, err := newEntry(v.flow.Plan, v.digest, v.flow.Rendered, "", v.record.Wish, r.Now())
	if err != nil {
		return err
	}
	entry.Cause = string(cause)
	if old := v.record.Wish; old == nil || old.Digest != entry.Digest || old.Cause != entry.Cause {
		if err = r.records.put(ctx, client.ObjectKeyFromObject(v.cluster), map[string]any{keyWish: entry}); err != nil {
			return err
		}
	}
	r.askFleet(v)
	v.asked = true
	err = v.unanswered(entry.Digest)
	r.leave(v, err)
	return err
}

// unanswered is what a person has to be told while the Fleet has not gated what it was asked for.
func (v *view) unanswered(digest string) error {
	if v.record.Gone {
		return stall(v1alpha1.ClusterDeletedElsewhereReason, "Cluster %s was deleted by another hand, and its machines with it; nothing is applied. To have it created anew approve plan %s: %s; otherwise remove the cluster's file", v.cluster.Name, digest, plan.ApproveCommand(v.cluster.Namespace, "", v.cluster.Name, digest))
	}
	if v.fleet == nil {
		return stall(v1alpha1.ApprovalRequiredReason, "%s, and Fleet %s that would gate it is gone; create a Fleet in this namespace that declares the cluster", v.flow.Plan.Summary(), v.owner())
	}
	return nil
}

// gateItself is the gate of a cluster without a Fleet: its own limits, no sum.
func (r *ClusterReconciler) gateItself(ctx context.Context, v *view) error {
	c := v.cluster
	if v.managed() {
		r.askFleet(v)
		return wait(v1alpha1.PendingReason, whileMoving, "what differs goes beyond the accepted plan; waiting for the Fleet")
	}
	cause, _ := v.cause()
	held := v.record.Held
	if held == nil {
		// Nothing was shown, so nothing can have been approved: this word served another plan.
		if err := unapprove(ctx, r.Client, r.Reader, c); err != nil {
			return err
		}
	}
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
		return r.holdItself(ctx, v, decision, entry)
	}
	if decision.Approved {
		entry.ApprovedBy = c.Annotations[v1alpha1.ApprovedByAnnotation]
	}
	return r.acceptItself(ctx, v, entry)
}

// holdItself shows a plan that waits for a person's word.
func (r *ClusterReconciler) holdItself(ctx context.Context, v *view, decision plan.Decision, entry *entry) error {
	c, held := v.cluster, v.record.Held
	c.Status.Plan = v1alpha1.PlanStatus{Digest: decision.Digest, Severity: v.flow.Plan.Severity(), Summary: v.flow.Plan.Summary(), RecordedAt: &entry.RecordedAt}
	set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, decision.Reason, decision.Message)
	if held == nil || held.Digest != decision.Digest {
		if err := r.records.put(ctx, client.ObjectKeyFromObject(c), map[string]any{keyHeld: entry}); err != nil {
			return err
		}
	}
	r.leave(v, nil)
	return nil
}

// acceptItself records a plan as accepted and applies it.
func (r *ClusterReconciler) acceptItself(ctx context.Context, v *view, entry *entry) error {
	c, key := v.cluster, client.ObjectKeyFromObject(v.cluster)
	values := map[string]any{keyAccepted: entry, keySpec: c.Spec, keyHeld: nil}
	if v.record.Gone {
		values[keyGone], values[keyApplied] = nil, nil
	}
	if err := r.records.put(ctx, key, values); err != nil {
		return err
	}
	v.record.Accepted, v.record.Held, v.record.Gone = entry, nil, false
	if err := r.beginTally(ctx, v); err != nil {
		return err
	}
	// Last, since an approval that is taken off before what it approved was recorded would be lost.
	if err := unapprove(ctx, r.Client, r.Reader, c); err != nil {
		return err
	}
	sayAccepted(c)
	if err := r.protect(ctx, v); err != nil {
		return err
	}
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
		if step.Action == plan.Create && v.applied[step.Object] {
			r.metrics.undone(client.ObjectKeyFromObject(v.cluster), step.Object.Kind)
			r.Recorder.Eventf(v.cluster, corev1.EventTypeNormal, "DriftCorrected", "%s was deleted by another hand; created again", step.Object)
		}
	}
}

// sayEdits tells who changed what and what it is put back to.
func (r *ClusterReconciler) sayEdits(v *view, cause plan.Cause) {
	if cause != plan.CauseDrift {
		return
	}
	for _, e := range v.edits {
		if !v.applied[e.Object] {
			continue
		}
		r.metrics.undone(client.ObjectKeyFromObject(v.cluster), e.Object.Kind)
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
// deletion: that would take the Machines along. The label is looked up in the cache, and is put back when it is taken off.
func (r *ClusterReconciler) protect(ctx context.Context, v *view) error {
	c := v.cluster
	if v.stopped() || !v.record.known() || !protected(c) {
		return nil
	}
	ns := partial(namespaceGVK)
	if err := r.Get(ctx, client.ObjectKey{Name: c.Namespace}, ns); err != nil {
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

// protected says whether a cluster's deletion policy is Protect.
func protected(c *v1alpha1.NutanixClusterSpec) bool {
	return c.Spec.DeletionPolicy == v1alpha1.DeletionProtect || c.Spec.DeletionPolicy == ""
}
