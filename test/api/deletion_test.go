package api

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/config"
)

// TestDeletion asks an administrator's client to delete what is protected.
func TestDeletion(t *testing.T) {
	cluster := schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"}
	namespace := corev1.SchemeGroupVersion.WithKind("Namespace")
	crd := apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")
	protect := map[string]string{v1alpha1.ProtectLabel: "true"}
	moving := map[string]string{"clusterctl.cluster.x-k8s.io/delete-for-move": ""}
	cases := map[string]struct {
		reason      string
		kind        schema.GroupVersionKind
		name        string
		labels      map[string]string
		annotations map[string]string
		exists      bool // part of the world
		many        bool // by deletecollection
		refuse      string
	}{
		"Cluster":               {reason: "its machines would go", kind: cluster, name: "a", labels: protect, refuse: "Cluster default/a is protected by Refract: to delete it, set deletionPolicy: Delete in its file"},
		"ClusterAmongMany":      {reason: "deleting all is deleting each", kind: cluster, name: "b", labels: protect, many: true, refuse: "Cluster default/b is protected by Refract"},
		"ClusterMoved":          {reason: "clusterctl move has taken it to another management cluster", kind: cluster, name: "c", labels: protect, annotations: moving},
		"ClusterFree":           {reason: "not ours, or deletion policy Delete", kind: cluster, name: "d"},
		"ClusterOtherwise":      {reason: "only true protects", kind: cluster, name: "e", labels: map[string]string{v1alpha1.ProtectLabel: "false"}},
		"Namespace":             {reason: "every cluster in it would go", kind: namespace, name: "guarded", labels: protect, refuse: "Namespace guarded is protected by Refract"},
		"NamespaceFree":         {reason: "nothing in it is protected", kind: namespace, name: "free"},
		"CRD":                   {reason: "every object of that kind would go", kind: crd, name: "fleets.refract.dev", exists: true, refuse: "CustomResourceDefinition fleets.refract.dev is protected by Refract"},
		"CRDOfAnother":          {reason: "not ours", kind: crd, name: "clusterresourcesets.addons.cluster.x-k8s.io", exists: true},
		"NamespaceAnnotatedToo": {reason: "delete-for-move is for clusters only", kind: namespace, name: "moving", labels: protect, annotations: moving, refuse: "Namespace moving is protected by Refract"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := &unstructured.Unstructured{}
			o.SetGroupVersionKind(c.kind)
			o.SetName(c.name)
			if c.kind == cluster {
				o.SetNamespace("default")
				change(t, o, fields{"spec": fields{"controlPlaneEndpoint": fields{"host": "10.20.0.10", "port": 6443}}})
			}
			o.SetLabels(c.labels)
			o.SetAnnotations(c.annotations)
			if !c.exists {
				if err := admin.Create(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				unprotectAfter(t, o)
			}
			if c.many {
				all := &unstructured.Unstructured{}
				all.SetGroupVersionKind(c.kind)
				judge(t, c.reason, admin.DeleteAllOf(t.Context(), all, client.InNamespace("default")), c.refuse)
				return
			}
			judge(t, c.reason, admin.Delete(t.Context(), o, client.DryRunAll), c.refuse)
		})
	}
}

// TestEveryCRDIsProtected holds the label that the policy looks for against what is installed.
func TestEveryCRDIsProtected(t *testing.T) {
	crds, err := config.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	if len(crds) != 4 {
		t.Errorf("there are %d CRDs, want 4", len(crds))
	}
	for _, crd := range crds {
		if crd.Labels[v1alpha1.ProtectLabel] != "true" {
			t.Errorf("%s lacks label %s=true", crd.Name, v1alpha1.ProtectLabel)
		}
	}
}

// unprotectAfter takes the label off, which an administrator may, and deletes the object when the test is over.
func unprotectAfter(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		free := o.DeepCopy()
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"refract.dev/protect":null}}}`))
		if err := client.IgnoreNotFound(admin.Patch(ctx, free, patch)); err != nil {
			t.Error(err)
		}
		if err := client.IgnoreNotFound(admin.Delete(ctx, o)); err != nil {
			t.Error(err)
		}
	})
}
