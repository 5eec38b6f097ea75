package kube

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// What will be hides what is, and nothing is written through it.
func TestOverlay(t *testing.T) {
	template := func(name, memory string) *unstructured.Unstructured {
		return fromYAML(t, `
apiVersion: v1
kind: ConfigMap
metadata: {name: `+name+`, namespace: ns}
data: {memory: `+memory+`}`)
	}
	live := fake.NewClientBuilder().WithObjects(template("kept", "1Gi"), template("changed", "1Gi")).Build()
	o := overlay{Client: live, reader: live, over: map[identity]*unstructured.Unstructured{}}
	for _, over := range []*unstructured.Unstructured{template("changed", "2Gi"), template("new", "3Gi")} {
		o.over[identity{kind: over.GetKind(), name: over.GetName()}] = over
	}
	for name, want := range map[string]string{"kept": "1Gi", "changed": "2Gi", "new": "3Gi", "none": ""} {
		got := &unstructured.Unstructured{}
		got.SetGroupVersionKind(configMapKind)
		err := o.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: name}, got)
		if want == "" {
			if !apierrors.IsNotFound(err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if memory, _, _ := unstructured.NestedString(got.Object, "data", "memory"); err != nil || memory != want {
			t.Errorf("%s: %s, %v", name, memory, err)
		}
	}
	writes := map[string]error{
		"Create": o.Create(t.Context(), template("x", "1Gi")),
		"Update": o.Update(t.Context(), template("kept", "9Gi")),
		"Patch":  o.Patch(t.Context(), template("kept", "9Gi"), client.Merge),
		"Apply":  o.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(template("kept", "9Gi"))),
		"Delete": o.Delete(t.Context(), template("kept", "1Gi")),
		"All":    o.DeleteAllOf(t.Context(), template("kept", "1Gi")),
	}
	for what, err := range writes {
		if !errors.Is(err, errReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
