package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// Release lets go of objects and leaves them as they are (deletion policy Orphan): our entry is taken out of
// managedFields, then our labels and annotations. Never by an empty apply, which would take the fields along. Objects
// that are gone, or not in the inventory, are passed over.
//
// The label goes in a second request: until then a crash leaves an object that Inventory no longer lists but Managers
// still explains, and no field of it is ever lost.
func (c Cluster) Release(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, o := range objects {
		if err := c.release(ctx, plan.RefOf(o)); err != nil {
			return fmt.Errorf("release %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
		}
	}
	return nil
}

func (c Cluster) release(ctx context.Context, r plan.Ref) error {
	live, err := c.get(ctx, r)
	if err != nil || live == nil {
		return err
	}
	if live.GetLabels()[v1alpha1.ClusterLabel] != c.Name {
		return nil
	}
	if ourEntry(live) != nil {
		if live, err = c.disown(ctx, live); err != nil || live == nil {
			return err
		}
	}
	return c.unlabel(ctx, live)
}

// disown takes our Apply entry out of managedFields. The resource version makes sure that no entry written meanwhile is
// lost; a conflict is retried by the caller.
func (c Cluster) disown(ctx context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	before := live.DeepCopy()
	entries := []metav1.ManagedFieldsEntry{}
	for _, e := range live.GetManagedFields() {
		if !isOurs(e) {
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		// An empty list would reset all ownership; one empty entry says that nobody owns anything.
		entries = append(entries, metav1.ManagedFieldsEntry{})
	}
	live.SetManagedFields(entries)
	return c.patch(ctx, live, before)
}

// unlabel takes away the labels and annotations in our domain.
func (c Cluster) unlabel(ctx context.Context, live *unstructured.Unstructured) error {
	before := live.DeepCopy()
	live.SetLabels(withoutOurs(live.GetLabels()))
	live.SetAnnotations(withoutOurs(live.GetAnnotations()))
	_, err := c.patch(ctx, live, before)
	return err
}

func (c Cluster) patch(ctx context.Context, after, before *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	from := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := c.Client.Patch(ctx, after, from, client.FieldOwner(releaseManager))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return after, err
}

// releaseManager writes while letting go, so that no entry of the inventory's manager comes back.
const releaseManager = "refract-release"

func withoutOurs(values map[string]string) map[string]string {
	kept := map[string]string{}
	for k, v := range values {
		if domain(k) != v1alpha1.MetadataDomain {
			kept[k] = v
		}
	}
	return kept
}
