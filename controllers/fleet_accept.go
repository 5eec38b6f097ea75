package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/fleet"
)

// accept makes what passed the gate the accepted state: layers, profiles and accounts first, then the record, then the
// mirror. A crash in between leaves an accepted record whose mirror the next reconcile completes.
func (r *FleetReconciler) accept(ctx context.Context, s *scene) error {
	defer r.claims.done(s)
	s.together()
	for _, name := range slices.Sorted(maps.Keys(s.proposed)) {
		p := s.proposed[name]
		var err error
		switch {
		case p.held != nil:
			err = r.recordHeld(ctx, s, p)
		case p.declared != nil && s.mirrors[name] == nil:
			err = r.acceptNew(ctx, s, p)
		default:
			err = r.acceptOne(ctx, s, p)
		}
		switch {
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
			p.hold(err) // this one's own, and the others go on
		case err != nil:
			return fmt.Errorf("cluster %s: %w", name, err)
		}
	}
	return nil
}

// recordHeld keeps the plan that waits, so that what is approved is what was shown.
func (r *FleetReconciler) recordHeld(ctx context.Context, s *scene, p *proposal) error {
	if p.flow.Plan.Digest() == "" {
		return nil
	}
	rec := s.records[p.name]
	before := rec.shown(s.mirrors[p.name], r.Now())
	if before != nil && before.Digest == p.decision.Digest {
		p.recordedAt = &before.RecordedAt // the same in other words
		return nil
	}
	held, err := newEntry(p.flow.Plan, p.inputs, p.flow.Rendered, s.revision.String(), before, r.Now())
	if err != nil {
		return err
	}
	held.Fleet = s.fleet.Name
	p.recordedAt = &held.RecordedAt
	if before != nil && before.Digest == held.Digest && before.Inputs == held.Inputs {
		return nil
	}
	return r.records.put(ctx, s.key(p.name), map[string]any{keyHeld: held})
}

func (s *scene) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.fleet.Namespace, Name: name}
}

func (r *FleetReconciler) acceptOne(ctx context.Context, s *scene, p *proposal) error {
	mirror := s.mirrors[p.name]
	entry, err := s.entryOf(p, r.Now())
	if err != nil {
		return err
	}
	values := map[string]any{keyAccepted: entry, keyHeld: nil, keyWish: nil, keyRemoval: nil}
	if s.records[p.name].Gone {
		values[keyGone], values[keyApplied] = nil, nil // its re-creation was approved
	}
	if p.declared != nil {
		if err := r.mirrorReferences(ctx, s, p.declared); err != nil {
			return err
		}
		values[keySpec] = p.declared.Object.Spec
	}
	if err := r.records.put(ctx, s.key(p.name), values); err != nil {
		return fmt.Errorf("recording the accepted plan: %w", err)
	}
	if mirror != nil {
		if err := unapprove(ctx, r.Client, r.Reader, mirror); err != nil {
			return err
		}
	}
	if p.declared == nil {
		return nil
	}
	if err := r.mirror(ctx, s, mirror, p); err != nil {
		return fmt.Errorf("mirroring: %w", err)
	}
	if !p.flow.Plan.Empty() {
		r.Recorder.Eventf(s.fleet, corev1.EventTypeNormal, v1alpha1.AcceptedReason, "cluster %s: %s (%s)", p.name, p.flow.Plan.Summary(), s.revision)
	}
	return nil
}

// entryOf is what is recorded of an accepted plan. What a cluster asked for itself comes from where its spec came from.
func (s *scene) entryOf(p *proposal, now time.Time) (*entry, error) {
	mirror, rec := s.mirrors[p.name], s.records[p.name]
	e, err := newEntry(p.flow.Plan, p.inputs, p.flow.Rendered, s.revision.String(), nil, now)
	if err != nil {
		return nil, err
	}
	if open := rec.unfinished(); open != nil {
		e.Recreated, e.Removed = open.Recreated, open.Removed
	}
	if p.decision.Approved {
		e.ApprovedBy = s.approverOf(p, now)
	}
	e.Account = s.fleet.Spec.ServiceAccountName
	if p.declared == nil {
		e.Revision, e.Stamps = rec.Accepted.Revision, rec.Accepted.Stamps
	} else {
		e.Stamps = stampsOf(s.mirrorOf(mirror, p))
	}
	return e, nil
}

// approverOf is who approved a proposal. A plan that was accepted before, when the operator ended half-way, keeps its
// approver, whose word has been taken off since.
func (s *scene) approverOf(p *proposal, now time.Time) string {
	rec := s.records[p.name]
	if rec.open() && rec.Accepted.ApprovedBy != "" {
		if before := rec.Accepted.unpacked(); before != nil && p.flow.Plan.CoveredBy(*before) {
			return rec.Accepted.ApprovedBy
		}
	}
	if p.decision.ByReview {
		return s.reviewer(p.name, now)
	}
	return s.approver(s.mirrors[p.name])
}

// mirrorOf is the mirror as accepting a proposal would leave it.
func (s *scene) mirrorOf(have *v1alpha1.NutanixClusterSpec, p *proposal) *v1alpha1.NutanixClusterSpec {
	want := &v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Namespace: s.fleet.Namespace, Name: p.name}}
	if have != nil {
		want = have.DeepCopy()
	}
	want.Spec = *p.declared.Object.Spec.DeepCopy()
	want.Labels = merged(want.Labels, p.declared.Object.Labels)
	want.Annotations = merged(want.Annotations, p.declared.Object.Annotations)
	delete(want.Annotations, v1alpha1.DeleteAtAnnotation)
	delete(want.Annotations, v1alpha1.ReleaseAtAnnotation)
	stamps := map[string]string{
		v1alpha1.FleetAnnotation: s.fleet.Name, v1alpha1.SourceAnnotation: s.source, v1alpha1.FileAnnotation: place(p.declared.Place),
	}
	if have == nil || have.Annotations[v1alpha1.AcceptedDigestAnnotation] != p.inputs {
		stamps[v1alpha1.AcceptedDigestAnnotation] = p.inputs
		stamps[v1alpha1.RevisionAnnotation] = s.revision.String()
	}
	want.Annotations = merged(want.Annotations, stamps)
	return want
}

// stampsOf are the annotations that tell where a mirror came from.
func stampsOf(c *v1alpha1.NutanixClusterSpec) map[string]string {
	stamps := map[string]string{}
	for _, name := range []string{v1alpha1.FleetAnnotation, v1alpha1.SourceAnnotation, v1alpha1.FileAnnotation, v1alpha1.AcceptedDigestAnnotation, v1alpha1.RevisionAnnotation} {
		stamps[name] = c.Annotations[name]
	}
	return stamps
}

func place(p fleet.Place) string { return fmt.Sprintf("%s:%d", p.Path, p.Line) }

func merged(into, from map[string]string) map[string]string {
	if into == nil && len(from) > 0 {
		into = map[string]string{}
	}
	maps.Copy(into, from)
	return into
}

// mirror writes the accepted object. The whole spec is replaced, so that a field that another hand added goes, too.
func (r *FleetReconciler) mirror(ctx context.Context, s *scene, have *v1alpha1.NutanixClusterSpec, p *proposal) error {
	want := s.mirrorOf(have, p)
	if have == nil {
		if err := s.client.Create(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
			return err
		}
		s.mirrors[p.name] = want
		return nil
	}
	if equality.Semantic.DeepEqual(have, want) {
		return nil
	}
	// Read again for the resource version that removing an approval may have moved; the rest is replaced as accepted.
	now := &v1alpha1.NutanixClusterSpec{}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(have), now); err != nil {
		return err
	}
	if now.UID != have.UID {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("nutanixclusterspecs").GroupResource(), have.Name, fmt.Errorf("it was re-created meanwhile"))
	}
	want = s.mirrorOf(now, p)
	if err := s.client.Update(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
		return err
	}
	s.mirrors[p.name] = want
	if rec := s.records[p.name]; rec.known() && rec.Accepted.Inputs == p.inputs && rec.Spec != nil && !equality.Semantic.DeepEqual(have.Spec, *rec.Spec) {
		r.Recorder.Event(want, corev1.EventTypeWarning, v1alpha1.MirrorEditedReason,
			"the mirrored spec was edited by hand; what was accepted was restored and nothing was applied. Change it in Git instead")
	}
	return nil
}

// mirrorReferences mirrors what an accepted cluster uses: its account, its profiles and their layers.
func (r *FleetReconciler) mirrorReferences(ctx context.Context, s *scene, c *fleet.Cluster) error {
	if err := r.mirrorAccount(ctx, s, c.Account); err != nil {
		return fmt.Errorf("mirroring CloudAccount %s: %w", c.Account.Object.Name, err)
	}
	for _, p := range c.Profiles {
		if err := r.mirrorProfile(ctx, s, p); err != nil {
			return fmt.Errorf("mirroring ClusterProfile %s: %w", p.Object.Name, err)
		}
	}
	return nil
}

func (s *scene) stamped(have, declared metav1.ObjectMeta, at fleet.Place) metav1.ObjectMeta {
	have.Namespace, have.Name = s.fleet.Namespace, declared.Name
	have.Labels = merged(have.Labels, declared.Labels)
	have.Annotations = merged(merged(have.Annotations, declared.Annotations), map[string]string{
		v1alpha1.FleetAnnotation: s.fleet.Name, v1alpha1.FileAnnotation: place(at),
	})
	return have
}

func (r *FleetReconciler) mirrorAccount(ctx context.Context, s *scene, a *fleet.Account) error {
	have := s.entered[a.Object.Name]
	if have == nil {
		want := &v1alpha1.CloudAccount{ObjectMeta: s.stamped(metav1.ObjectMeta{}, a.Object.ObjectMeta, a.Place), Spec: *a.Object.Spec.DeepCopy()}
		if err := s.client.Create(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
			return err // and the next cluster that uses it is refused the same
		}
		s.entered[a.Object.Name] = want
		return nil
	}
	if equality.Semantic.DeepEqual(have.Spec, a.Object.Spec) {
		return nil
	}
	want := have.DeepCopy()
	want.ObjectMeta = s.stamped(want.ObjectMeta, a.Object.ObjectMeta, a.Place)
	want.Spec = *a.Object.Spec.DeepCopy() // the answer is read into it
	if err := s.client.Update(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
		return err
	}
	s.entered[a.Object.Name] = want
	return nil
}

func (r *FleetReconciler) mirrorProfile(ctx context.Context, s *scene, p *fleet.Profile) error {
	have := s.used[p.Object.Name]
	if s.holds(p) {
		return nil
	}
	status := v1alpha1.ClusterProfileStatus{ContentDigest: p.ContentDigest}
	for _, layer := range p.Layers {
		built, err := r.layers.store(ctx, s.fleet.Namespace, layer)
		if err != nil {
			return err
		}
		status.Layers = append(status.Layers, built)
		for _, name := range built.Secrets {
			s.stored[name] = true
		}
	}
	want := &v1alpha1.ClusterProfile{ObjectMeta: s.stamped(metav1.ObjectMeta{}, p.Object.ObjectMeta, p.Place), Spec: *p.Object.Spec.DeepCopy()}
	if have == nil {
		if err := s.client.Create(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
			return err
		}
	} else {
		want = have.DeepCopy()
		want.ObjectMeta = s.stamped(want.ObjectMeta, p.Object.ObjectMeta, p.Place)
		want.Spec = *p.Object.Spec.DeepCopy()
		if err := s.client.Update(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
			return err
		}
	}
	before := want.DeepCopy()
	status.ObservedGeneration = want.Generation
	want.Status = status
	set(want, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, "in use")
	s.used[p.Object.Name] = want
	return applyWhole(ctx, r.Client, want, v1alpha1.ClusterProfileKind, "", before.Status, want.Status)
}
