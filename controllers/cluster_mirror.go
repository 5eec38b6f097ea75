package controllers

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

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
