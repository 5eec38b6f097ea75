package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// remove stamps and deletes the mirrors whose removal passed the gate. Only with that stamp the cluster controller
// touches what the cluster consists of.
func (r *FleetReconciler) remove(ctx context.Context, s *scene) error {
	if err := r.recall(ctx, s); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.removals)) {
		g := s.removals[name]
		if len(g.plan.Changes) == 0 {
			continue
		}
		if err := r.removeOne(ctx, s, name, g); err != nil {
			return fmt.Errorf("cluster %s: %w", name, err)
		}
	}
	return nil
}

func (r *FleetReconciler) removeOne(ctx context.Context, s *scene, name string, g *removal) error {
	rec := s.records[name]
	before := rec.shown(g.mirror, r.Now())
	entry, err := newEntry(g.plan, "", "", s.revision.String(), before, r.Now())
	if err != nil {
		return err
	}
	if g.keep != "" {
		g.recordedAt = &entry.RecordedAt
		if before != nil && before.Digest == entry.Digest {
			return nil
		}
		return r.records.put(ctx, s.key(name), map[string]any{keyHeld: entry})
	}
	switch d := s.gated.Decisions[name]; {
	case d.ByReview:
		entry.ApprovedBy = s.reviewer(name, r.Now())
	case d.Approved:
		entry.ApprovedBy = s.approver(g.mirror)
	}
	if err := r.records.put(ctx, s.key(name), map[string]any{keyRemoval: entry, keyHeld: nil, keyWish: nil}); err != nil {
		return err
	}
	stamp := v1alpha1.ReleaseAtAnnotation
	if g.mirror.Spec.DeletionPolicy == v1alpha1.DeletionDelete {
		stamp = v1alpha1.DeleteAtAnnotation
	}
	unstamped := g.mirror.DeepCopy()
	g.mirror.Annotations = merged(g.mirror.Annotations, map[string]string{stamp: s.revision.String()})
	if err := s.client.Patch(ctx, g.mirror, client.MergeFrom(unstamped), client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
		return fmt.Errorf("stamping: %w", err)
	}
	uid := g.mirror.UID
	if err := s.client.Delete(ctx, g.mirror, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	r.Recorder.Eventf(s.fleet, corev1.EventTypeNormal, v1alpha1.DeletingReason, "cluster %s: %s (%s)", name, g.plan.Summary(), s.revision)
	return nil
}

// recall takes back what removals left behind that were accepted, not carried out to the end, and are no longer wanted,
// as when the file came back: with their stamp, deleting the mirror by hand would delete the cluster.
func (r *FleetReconciler) recall(ctx context.Context, s *scene) error {
	if !s.read() {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.mirrors)) {
		mirror, g := s.mirrors[name], s.removals[name]
		if err := r.forgetHeld(ctx, s, name); err != nil {
			return err
		}
		goes := g != nil && g.keep == "" && len(g.plan.Changes) > 0
		stamped := mirror.Annotations[v1alpha1.DeleteAtAnnotation] != "" || mirror.Annotations[v1alpha1.ReleaseAtAnnotation] != ""
		if goes || !mirror.DeletionTimestamp.IsZero() || (!stamped && s.records[name].Removal == nil) {
			continue
		}
		if err := r.records.put(ctx, s.key(name), map[string]any{keyRemoval: nil}); err != nil {
			return fmt.Errorf("cluster %s: taking back its removal: %w", name, err)
		}
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null,%q:null}}}`, v1alpha1.DeleteAtAnnotation, v1alpha1.ReleaseAtAnnotation)
		bare := &v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Namespace: mirror.Namespace, Name: name}}
		err := s.client.Patch(ctx, bare, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner(v1alpha1.FleetFieldManager))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("cluster %s: taking back its removal: %w", name, err)
		}
	}
	return nil
}

// forgetHeld takes a held plan out of a record when nothing is held any more, as when its commit was reverted.
func (r *FleetReconciler) forgetHeld(ctx context.Context, s *scene, name string) error {
	if s.records[name].Held == nil || s.proposed[name] != nil || s.removals[name] != nil || !accepted(s.mirrors[name], s.records[name]) {
		return nil
	}
	if err := r.records.put(ctx, s.key(name), map[string]any{keyHeld: nil}); err != nil {
		return fmt.Errorf("cluster %s: forgetting the plan that was held: %w", name, err)
	}
	return nil
}

// approver names who approved a plan: the annotation's user, on the cluster or the Fleet, else the commit trailer.
func (s *scene) approver(mirror *v1alpha1.NutanixClusterSpec) string {
	for _, o := range []client.Object{mirror, s.fleet} {
		if mirror == nil && o != client.Object(s.fleet) {
			continue
		}
		if by := o.GetAnnotations()[v1alpha1.ApprovedByAnnotation]; by != "" {
			return by
		}
	}
	return "commit trailer in " + s.revision.String()
}

// spend takes off approvals that no longer serve: what they approved was accepted, is no longer held, or came too late.
// One word serves one plan, so none may lie about until its plan comes again. Only a complete look at the repository
// knows what is held; without one, as while Git is away, a word of the Fleet goes once it served.
func (r *FleetReconciler) spend(ctx context.Context, s *scene) error {
	if !s.read() && !s.served() {
		return nil
	}
	if !s.read() {
		return unapprove(ctx, r.Client, r.Reader, s.fleet)
	}
	waiting, open := s.waiting(), s.open()
	objects := []client.Object{s.fleet}
	for _, name := range slices.Sorted(maps.Keys(s.mirrors)) {
		objects = append(objects, s.mirrors[name])
	}
	for _, o := range objects {
		digest := o.GetAnnotations()[v1alpha1.ApprovedPlanAnnotation]
		undecided := open[o.GetName()] || (o == client.Object(s.fleet) && len(open) > 0)
		if digest == "" || ((waiting[digest] || undecided) && !s.late(o, r.Now())) {
			continue
		}
		if err := unapprove(ctx, r.Client, r.Reader, o); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// waiting are the digests of plans that wait for a word.
func (s *scene) waiting() map[string]bool {
	waiting := map[string]bool{}
	if s.gated.Digest != "" {
		waiting[s.gated.Digest] = true
	}
	for _, d := range s.gated.Decisions {
		if !d.Accepted && d.Digest != "" {
			waiting[d.Digest] = true
		}
	}
	return waiting
}

// open are the clusters about which this reconcile did not get to a word: what was approved of them still waits. They
// could not be planned for now, or were let go on and are held by others.
func (s *scene) open() map[string]bool {
	open := map[string]bool{}
	for name, p := range s.proposed {
		if p.held != nil && (p.held.kind == failed || p.decision.Accepted) {
			open[name] = true
		}
	}
	return open
}

// late says whether the plan that an object's approval names was first shown more than a week ago.
func (s *scene) late(o client.Object, now time.Time) bool {
	recordedAt := s.fleet.Status.Plan.RecordedAt
	if o != client.Object(s.fleet) {
		held := s.records[o.GetName()].Held
		if held == nil {
			return false
		}
		recordedAt = &held.RecordedAt
	}
	return recordedAt != nil && plan.Expired(recordedAt.Time, now)
}

// publish says on each mirror whether what Git declares is what it holds.
func (r *FleetReconciler) publish(ctx context.Context, s *scene) error {
	for _, name := range slices.Sorted(maps.Keys(s.mirrors)) {
		mirror := s.mirrors[name]
		before := mirror.DeepCopy()
		s.judge(mirror)
		if err := publishSource(ctx, r.Client, before, mirror); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	s.listFailures()
	return nil
}

// judge sets SourceAccepted, plan and failures of a mirror.
func (s *scene) judge(c *v1alpha1.NutanixClusterSpec) {
	p, g := s.proposed[c.Name], s.removals[c.Name]
	switch {
	case p != nil && p.held != nil:
		set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, p.held.reason, p.held.Error())
		c.Status.Plan = heldStatus(p)
		c.Status.Failures = p.failures[:min(len(p.failures), maxFailures)]
	case g != nil && g.keep != "":
		set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, g.reason, g.keep)
		c.Status.Plan, c.Status.Failures = v1alpha1.PlanStatus{Summary: "no change"}, nil
		if d := s.gated.Decisions[c.Name]; d.Digest != "" {
			c.Status.Plan = v1alpha1.PlanStatus{Digest: d.Digest, Severity: g.plan.Severity(), Summary: g.plan.Summary(), RecordedAt: g.recordedAt}
		}
	case g != nil:
		// being removed: the cluster controller has the word
	case p != nil && !s.read() && !gateSaid(c):
		// accepted without a look at Git, of which nothing new is known
	case p != nil || s.read():
		set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.AcceptedReason, "the spec is what Git declares")
		c.Status.Plan, c.Status.Failures = v1alpha1.PlanStatus{Severity: v1alpha1.SeverityNone, Summary: "no change"}, nil
	case is(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue) && accepted(c, s.records[c.Name]):
		set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.AcceptedReason, "the spec is what Git declares")
	case conditionOf(c, v1alpha1.SourceAcceptedCondition) == nil || sourceReason(c) == v1alpha1.FleetGoneReason:
		set(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionUnknown, v1alpha1.SourceUnknownReason, "the repository has not been read yet")
	}
}

// gateSaid says whether what stands in SourceAccepted came from the gate.
func gateSaid(c *v1alpha1.NutanixClusterSpec) bool {
	switch sourceReason(c) {
	case v1alpha1.LimitExceededReason, v1alpha1.ApprovalRequiredReason, v1alpha1.ForbiddenReason,
		v1alpha1.ReviewRequiredReason, v1alpha1.ReviewedPlanExceededReason:
		return true
	}
	return false
}

func heldStatus(p *proposal) v1alpha1.PlanStatus {
	status := v1alpha1.PlanStatus{Digest: p.decision.Digest, Severity: p.flow.Plan.Severity(), Summary: p.flow.Plan.Summary(), RecordedAt: p.recordedAt}
	if p.flow.Plan.Empty() {
		status = v1alpha1.PlanStatus{Summary: "could not be planned"}
	}
	return status
}

// listFailures lists what is wrong with files, and why clusters that are not mirrored yet are held.
func (s *scene) listFailures() {
	if !s.read() {
		return
	}
	for _, e := range s.declared.Errors {
		s.failures = append(s.failures, failureOf("", e))
	}
	for _, name := range slices.Sorted(maps.Keys(s.proposed)) {
		p := s.proposed[name]
		if p.held == nil || (p.declared != nil && p.declared.Err != nil) {
			continue // what is wrong with its files is listed already
		}
		if len(p.failures) > 0 {
			s.failures = append(s.failures, p.failures...)
		} else {
			s.failures = append(s.failures, v1alpha1.Failure{Cluster: name, Message: p.held.Error()})
		}
	}
}

// tidy removes mirrored profiles, accounts and layers that nothing uses any more.
func (r *FleetReconciler) tidy(ctx context.Context, s *scene) error {
	if !s.read() || !s.declared.Complete || len(s.proposed) > 0 {
		return nil // only in a settled fleet: what is pending may need them
	}
	for _, o := range s.unused() {
		if err := client.IgnoreNotFound(s.client.Delete(ctx, o)); err != nil {
			return fmt.Errorf("deleting %T %s, which nothing uses any more: %w", o, o.GetName(), err)
		}
	}
	if err := r.tidyRecords(ctx, s); err != nil {
		return err
	}
	return r.layers.collect(ctx, s.fleet.Namespace, r.Now())
}

// tidyRecords removes the records of clusters that never came or are gone for good: held newcomers whose file was taken
// back, and removals that were carried out. A cluster whose mirror was deleted by hand keeps its record.
func (r *FleetReconciler) tidyRecords(ctx context.Context, s *scene) error {
	living := map[string]bool{}
	for i := range s.all {
		if s.all[i].Namespace == s.fleet.Namespace {
			living[s.all[i].Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.records)) {
		rec := s.records[name]
		owner := rec.owner()
		if living[name] || (owner != s.fleet.Name && s.fleets[owner]) || (rec.Removal == nil && (rec.Applied || rec.Gone)) {
			continue
		}
		now := partial(v1alpha1.GroupVersion.WithKind(v1alpha1.NutanixClusterSpecKind))
		switch err := r.Reader.Get(ctx, s.key(name), now); {
		case err == nil:
			continue // it came since this reconcile began
		case client.IgnoreNotFound(err) != nil:
			return fmt.Errorf("cluster %s: looking whether it is gone: %w", name, err)
		}
		if err := r.records.removeAs(ctx, s.key(name), rec); err != nil {
			return fmt.Errorf("cluster %s: removing its record: %w", name, err)
		}
	}
	return nil
}

// unused are the mirrored profiles and accounts of this Fleet that no cluster of the namespace uses.
func (s *scene) unused() []client.Object {
	accounts := map[string]bool{}
	for i := range s.all {
		if c := &s.all[i]; c.Namespace == s.fleet.Namespace {
			accounts[c.Spec.AccountRef.Name] = true
		}
	}
	var all []client.Object
	for _, a := range s.entered {
		if a.Annotations[v1alpha1.FleetAnnotation] == s.fleet.Name && !accounts[a.Name] {
			all = append(all, a)
		}
	}
	for _, p := range s.used {
		if p.Annotations[v1alpha1.FleetAnnotation] == s.fleet.Name && len(s.users(p)) == 0 {
			all = append(all, p)
		}
	}
	return all
}
