package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// Release lets go of objects and leaves them as they are (deletion policy Orphan): our entry is taken out of
// managedFields, and with it our labels and annotations. Never by an empty apply, which would take the fields along.
// Objects that are gone, or not in the inventory, are passed over.
//
// Each object is let go of in one request, so that after a crash it is ours or it is not: one without our entry that
// still had our label would be nobody's to clean.
func (c Cluster) Release(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, o := range objects {
		if err := c.release(ctx, plan.RefOf(o)); err != nil {
			return fmt.Errorf("release %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
		}
	}
	return nil
}

// release carries the resource version, so that no entry written meanwhile is lost; a conflict is retried by the caller.
func (c Cluster) release(ctx context.Context, r plan.Ref) error {
	live, err := c.get(ctx, r)
	if err != nil || live == nil || !InInventory(live, c.Name) {
		return err
	}
	before := live.DeepCopy()
	live.SetManagedFields(withoutOurEntry(live.GetManagedFields()))
	live.SetLabels(withoutOurs(live.GetLabels()))
	live.SetAnnotations(withoutOurs(live.GetAnnotations()))
	from := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(c.Client.Patch(ctx, live, from, client.FieldOwner(ReleaseManager)))
}

func withoutOurEntry(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	kept := []metav1.ManagedFieldsEntry{}
	for _, e := range entries {
		if !isOurs(e) {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		// An empty list would reset all ownership; one empty entry says that nobody owns anything.
		kept = append(kept, metav1.ManagedFieldsEntry{})
	}
	return kept
}

// ReleaseManager writes while letting go, so that no entry of the inventory's manager comes back.
const ReleaseManager = "refract-release"

func withoutOurs(values map[string]string) map[string]string {
	kept := map[string]string{}
	for k, v := range values {
		if domain(k) != v1alpha1.MetadataDomain {
			kept[k] = v
		}
	}
	return kept
}
