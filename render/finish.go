package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// finish checks that only allowed objects came out, labels them and puts them in the order of applyOrder, in place.
func finish(c *v1alpha1.NutanixClusterSpec, objects []object) error {
	seen := map[string]object{}
	for _, o := range objects {
		if err := checkYield(c, o.Unstructured); err != nil {
			return fmt.Errorf("%s, from %s: %w", describe(o.Unstructured), o.origin, err)
		}
		id := key(o.GetKind(), o.GetName())
		if other, ok := seen[id]; ok {
			return fmt.Errorf("two objects are called %s, one from %s and one from %s: rename the node pool, failure domain "+
				"or layer", describe(o.Unstructured), other.origin, o.origin)
		}
		seen[id] = o
	}
	for i := range objects {
		objects[i].Unstructured = labelled(c, objects[i].Unstructured)
	}
	slices.SortFunc(objects, func(a, b object) int {
		return cmp.Or(position(a.Unstructured)-position(b.Unstructured), strings.Compare(a.GetName(), b.GetName()))
	})
	return nil
}

// checkYield refuses what render may not yield: other kinds, other namespaces, and Secrets and ConfigMaps that are not
// called after the cluster.
func checkYield(c *v1alpha1.NutanixClusterSpec, o *unstructured.Unstructured) error {
	if position(o) < 0 {
		return fmt.Errorf("%s %s is not a kind that Refract renders", o.GetAPIVersion(), o.GetKind())
	}
	if o.GetNamespace() != c.Namespace {
		return fmt.Errorf("it is not in the cluster's namespace %s", c.Namespace)
	}
	if kind := o.GetKind(); kind == kindSecret || kind == kindConfigMap {
		if !strings.HasPrefix(o.GetName(), c.Name+"-") {
			return fmt.Errorf("the name does not begin with %s-", c.Name)
		}
	}
	return nil
}

// position in applyOrder; -1 for what may not be rendered.
func position(o *unstructured.Unstructured) int {
	return slices.Index(applyOrder, o.GroupVersionKind())
}

// labelled returns a copy with our labels and, on templates, the digest of the content.
func labelled(c *v1alpha1.NutanixClusterSpec, o *unstructured.Unstructured) *unstructured.Unstructured {
	out := o.DeepCopy()
	set(out.Object, c.Name, "metadata", "labels", v1alpha1.ClusterLabel)
	set(out.Object, c.Name, "metadata", "labels", clusterNameLabel)
	if out.GetKind() == kindCluster && cmp.Or(c.Spec.DeletionPolicy, v1alpha1.DeletionProtect) == v1alpha1.DeletionProtect {
		set(out.Object, "true", "metadata", "labels", v1alpha1.ProtectLabel)
	}
	if isTemplate(out.GetKind()) {
		set(out.Object, contentDigest(out), "metadata", "annotations", v1alpha1.ContentDigestAnnotation)
	}
	return out
}
