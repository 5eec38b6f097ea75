package world

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Webhooks answer while no reconciler touches an object, but for one that carries the label watched for, which shows
// that the reconcilers would have had the time.
func TestNoReconcile(t *testing.T) {
	ctx := t.Context()
	w, err := Start(ctx, Options{Out: t.Output(), Managers: true, NoReconcile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, w) })
	admin, err := client.New(w.REST, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"})
		if missing := admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, o); missing != nil {
			t.Fatal(missing)
		}
		return o
	}
	if err = w.Apply(ctx, []byte(twoClusters)); err != nil {
		t.Fatal(err)
	}
	if err = eventually(ctx, func() error {
		if len(get("watched").GetFinalizers()) == 0 {
			return errors.New("the watched cluster has no finalizer")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if left := get("left-alone"); len(left.GetFinalizers()) > 0 || left.Object["status"] != nil {
		t.Errorf("reconciled: %v", left.Object)
	}
	err = w.Apply(ctx, []byte(strings.Replace(twoClusters, "kind: NutanixCluster", "kind: \"\"", 1)))
	if err == nil {
		t.Error("a reference without a kind was accepted")
	}
}

const twoClusters = `
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: left-alone, namespace: default}
spec:
  infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixCluster, name: left-alone}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: watched, namespace: default, labels: {cluster.x-k8s.io/watch-filter: refract-test-nothing}}
spec:
  infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixCluster, name: watched}
`
