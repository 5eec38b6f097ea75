package kube

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// InInventory says whether an object belongs to a cluster: it carries the cluster's label and an Apply entry of field
// manager "refract". Nothing else is ever written, and nothing is remembered instead.
func InInventory(o *unstructured.Unstructured, cluster string) bool {
	return o.GetLabels()[v1alpha1.ClusterLabel] == cluster && ourEntry(o) != nil
}

// anothers says whether an object belongs to another cluster: a label names one, or an owner is one. Such an object is
// foreign whatever spec.adopt says, and never pruned: machines of the other cluster may be made from it.
func anothers(o *unstructured.Unstructured, cluster string) bool {
	for _, label := range []string{v1alpha1.ClusterLabel, clusterv1.ClusterNameLabel} {
		if name := o.GetLabels()[label]; name != "" && name != cluster {
			return true
		}
	}
	return slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool {
		gv, err := schema.ParseGroupVersion(r.APIVersion)
		return err == nil && gv.Group == clusterKind.Group && r.Kind == clusterKind.Kind && r.Name != cluster
	})
}

// ourEntry is the managedFields entry of our applies, nil when there is none.
func ourEntry(o *unstructured.Unstructured) *metav1.ManagedFieldsEntry {
	for _, e := range o.GetManagedFields() {
		if isOurs(e) {
			return &e
		}
	}
	return nil
}

func isOurs(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == v1alpha1.FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
}

// Managers are the field managers of an object, sorted, each once. Never empty: an object without managedFields has
// manager "unknown".
func Managers(o *unstructured.Unstructured) []string {
	var names []string
	for _, e := range o.GetManagedFields() {
		names = append(names, e.Manager)
	}
	if len(names) == 0 {
		return []string{"unknown"}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// labelled lists every object that carries the cluster's label, over all kinds that an inventory may hold. One failed
// list fails it all: what could not be listed must not look absent.
func (c Cluster) labelled(ctx context.Context) (map[identity]*unstructured.Unstructured, error) {
	found := map[identity]*unstructured.Unstructured{}
	for _, kind := range kinds {
		items, err := c.list(ctx, kind, v1alpha1.ClusterLabel)
		if err != nil {
			return nil, err
		}
		for _, o := range items {
			found[identify(plan.RefOf(o))] = o
		}
	}
	return found, nil
}

// Inventory lists the cluster's objects that are in its inventory, in the order of application.
func (c Cluster) Inventory(ctx context.Context) ([]*unstructured.Unstructured, error) {
	all, err := c.labelled(ctx)
	if err != nil {
		return nil, err
	}
	var ours []*unstructured.Unstructured
	for _, o := range all {
		if InInventory(o, c.Name) {
			ours = append(ours, o)
		}
	}
	sortObjects(ours)
	return ours, nil
}

func sortObjects(objects []*unstructured.Unstructured) {
	slices.SortFunc(objects, func(a, b *unstructured.Unstructured) int { return compareRefs(plan.RefOf(a), plan.RefOf(b)) })
}
