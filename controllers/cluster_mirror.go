package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// trust reads what the cluster is rendered from and refuses to act on a mirror that is not what was accepted: it is
// restored, and no machine moves.
func (r *ClusterReconciler) trust(ctx context.Context, v *view) error {
	c := v.cluster
	if v.managed() {
		if !v.record.known() || v.record.Spec == nil {
			r.askFleet(v)
			return wait(v1alpha1.PendingReason, whileMoving, "waiting for the Fleet to record what it accepted")
		}
		if !accepted(c, v.record) {
			return r.restore(ctx, v)
		}
	}
	var err error
	if v.inputs, v.digest, err = r.inputs.of(ctx, c); err != nil {
		return r.missing(ctx, v, err)
	}
	if v.managed() && v.digest != v.record.Accepted.Inputs {
		r.askFleet(v)
		return wait(v1alpha1.MirrorEditedReason, whileMoving, "CloudAccount %s or a ClusterProfile of this cluster is not what was accepted: it was changed by another hand. Nothing is applied until the Fleet has put it back; change it in Git instead", c.Spec.AccountRef.Name)
	}
	return nil
}

// missing has the Fleet of a cluster put back what the cluster is rendered from.
func (r *ClusterReconciler) missing(ctx context.Context, v *view, err error) error {
	if broken := new(brokenLayerError); errors.As(err, &broken) {
		r.Recorder.Event(v.cluster, corev1.EventTypeWarning, v1alpha1.MirrorEditedReason, broken.Error())
		if gone := r.inputs.layers.discard(ctx, broken); gone != nil {
			return gone
		}
		err = wait(v1alpha1.MirrorEditedReason, whileMoving, "%w", err)
	}
	if !v.managed() {
		return err
	}
	r.askFleet(v)
	if f := asFailure(err); f.kind == stalled && v.fleet != nil {
		return wait(f.reason, whileMoving, "%w; nothing is applied until the Fleet has put it back", err)
	}
	return err
}

// restore puts the accepted spec back into a mirror that another hand edited.
func (r *ClusterReconciler) restore(ctx context.Context, v *view) error {
	edited := &metav1.PartialObjectMetadata{}
	edited.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.NutanixClusterSpecKind))
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(v.cluster), edited); err != nil {
		return fmt.Errorf("reading who edited the mirror: %w", err) // the cache leaves that out
	}
	want := v.cluster.DeepCopy()
	want.Spec = *v.record.Spec.DeepCopy()
	a := v.record.Accepted
	want.Annotations = merged(merged(want.Annotations, a.Stamps), map[string]string{v1alpha1.AcceptedDigestAnnotation: a.Inputs})
	if err := v.kube.Client.Update(ctx, want, client.FieldOwner(v1alpha1.FleetFieldManager)); err != nil {
		return retry(v1alpha1.MirrorEditedReason, fmt.Errorf("the mirrored spec is not what was accepted, and putting it back failed: %w", err))
	}
	if v.cluster.Annotations[v1alpha1.AcceptedDigestAnnotation] != a.Inputs && stampedByFleet(edited) {
		// Accepted, and the mirror was yet to follow: the operator ended in between, or the Fleet is at it.
		return wait(v1alpha1.PendingReason, soon, "the mirrored spec follows what was accepted")
	}
	r.Recorder.Eventf(v.cluster, corev1.EventTypeWarning, v1alpha1.MirrorEditedReason,
		"the mirrored spec or its stamps were edited by hand (%s last); what was accepted was restored and nothing was applied. Change it in Git instead", lastManager(edited))
	return wait(v1alpha1.MirrorEditedReason, time.Second, "the mirrored spec was edited by hand and has been restored; change it in Git instead")
}

// stampedByFleet says whether the accepted digest on a mirror is the Fleet's own word, if an older one.
func stampedByFleet(o metav1.Object) bool {
	return slices.ContainsFunc(o.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == v1alpha1.FleetFieldManager && e.FieldsV1 != nil && bytes.Contains(e.FieldsV1.GetRawBytes(), []byte(v1alpha1.AcceptedDigestAnnotation))
	})
}

// lastManager is who wrote an object's spec or metadata last.
func lastManager(o metav1.Object) string {
	writer, at := "unknown", (*metav1.Time)(nil)
	for _, e := range o.GetManagedFields() {
		if e.Subresource == "" && e.Time != nil && (at == nil || at.Before(e.Time)) {
			writer, at = e.Manager, e.Time
		}
	}
	return writer
}
