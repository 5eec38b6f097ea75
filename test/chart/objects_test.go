package chart

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// What people have in a namespace of clusters; the operator would have made the Cluster.
var sampleObjects = []string{`
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: edge-01, labels: {refract.dev/protect: "true"}}
spec: {controlPlaneEndpoint: {host: 10.20.0.10, port: 6443}}
`, `
apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: pc-east}
spec: {endpoint: {address: pc-east.example.com}, credentialsRef: {name: pc-east-credentials}}
`, `
apiVersion: refract.dev/v1alpha1
kind: Fleet
metadata: {name: production}
spec:
  git: {url: "https://git.example.com/platform/clusters.git", ref: {branch: main}, path: ./fleet}
`, `
apiVersion: v1
kind: ConfigMap
metadata: {name: edge-01-notes}
data: {a: b}
`}

// someClusters makes sample objects in a namespace of their own, the protected Cluster first.
func someClusters(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	namespace := "clusters"
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	objects := make([]*unstructured.Unstructured, 0, len(sampleObjects))
	for _, text := range sampleObjects {
		o := object(t, text)
		o.SetNamespace(namespace)
		create(t, o)
		objects = append(objects, o)
	}
	return objects
}

// states are UID and resource version of each object: any write would show.
func states(t *testing.T, objects []*unstructured.Unstructured) map[string][2]string {
	t.Helper()
	all := map[string][2]string{}
	for _, o := range objects {
		now := o.DeepCopy()
		get(t, client.ObjectKeyFromObject(o), now)
		all[o.GetKind()+" "+o.GetName()] = [2]string{string(now.GetUID()), now.GetResourceVersion()}
	}
	return all
}

// create creates an object as an administrator and deletes it when the test is over.
func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := release.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	made := o.DeepCopyObject().(client.Object)
	t.Cleanup(func() {
		free := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"refract.dev/protect":null}}}`))
		if made.GetLabels()["refract.dev/protect"] != "" {
			if err := release.Client.Patch(context.Background(), made, free); err != nil {
				t.Error(err)
			}
		}
		if err := client.IgnoreNotFound(release.Client.Delete(context.Background(), made)); err != nil {
			t.Error(err)
		}
	})
}

func get(t *testing.T, key client.ObjectKey, o client.Object) {
	t.Helper()
	if err := release.Client.Get(t.Context(), key, o); err != nil {
		t.Fatal(err)
	}
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(text), &o.Object); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return o
}

// decode gives an object its Go type.
func decode[T any](t *testing.T, o *unstructured.Unstructured) *T {
	t.Helper()
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, typed); err != nil {
		t.Fatal(err)
	}
	return typed
}

func gvk(apiVersion, kind string) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(apiVersion, kind)
}
