package render

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/render/fleet"
)

// goldenClusters are the directories below testdata/clusters.
func goldenClusters(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("testdata/clusters")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// load decodes a golden cluster, as the Fleet controller does.
func load(t testing.TB, name string) Inputs {
	t.Helper()
	decoded, err := fleet.Decode(os.DirFS(filepath.Join("testdata", "clusters", name)), ".", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(decoded.Clusters) != 1 {
		t.Fatalf("%s declares %d clusters, want one", name, len(decoded.Clusters))
	}
	return FromFleet(decoded.Clusters[0])
}

// strict decodes JSON and fails on fields that T does not have.
func strict[T any](t testing.TB, data []byte) *T {
	t.Helper()
	out := new(T)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(out); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return out
}

// render renders in and fails the test when that does not work.
func render(t testing.TB, in Inputs) Unit {
	t.Helper()
	u, err := Cluster(in)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// all says that every object is being created.
func all(string, string) bool { return true }

// toYAML is how golden files hold objects.
func toYAML(t testing.TB, objects []*unstructured.Unstructured) string {
	t.Helper()
	var out bytes.Buffer
	for _, o := range objects {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.String()
}

// get returns the object of a kind and name.
func get(t testing.TB, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == kind && o.GetName() == name
	})
	if i < 0 {
		t.Fatalf("no %s %s was rendered", kind, name)
	}
	return objects[i]
}
