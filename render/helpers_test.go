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
func goldenClusters(tb testing.TB) []string {
	tb.Helper()
	entries, err := os.ReadDir("testdata/clusters")
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// load decodes a golden cluster, as the Fleet controller does.
func load(tb testing.TB, name string) Inputs {
	tb.Helper()
	decoded, err := fleet.Decode(os.DirFS(filepath.Join("testdata", "clusters", name)), ".", fleet.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	if len(decoded.Clusters) != 1 {
		tb.Fatalf("%s declares %d clusters, want one", name, len(decoded.Clusters))
	}
	return FromFleet(decoded.Clusters[0])
}

// strict decodes JSON and fails on fields that T does not have.
func strict[T any](tb testing.TB, data []byte) *T {
	tb.Helper()
	out := new(T)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(out); err != nil {
		tb.Fatalf("%v in\n%s", err, data)
	}
	return out
}

// render renders in and fails the test when that does not work.
func render(tb testing.TB, in Inputs) Unit {
	tb.Helper()
	u, err := Cluster(in)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// all says that every object is being created.
func all(string, string) bool { return true }

// toYAML is how golden files hold objects.
func toYAML(tb testing.TB, objects []*unstructured.Unstructured) string {
	tb.Helper()
	var out bytes.Buffer
	for _, o := range objects {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			tb.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.String()
}

// get returns the object of a kind and name.
func get(tb testing.TB, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	tb.Helper()
	i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == kind && o.GetName() == name
	})
	if i < 0 {
		tb.Fatalf("no %s %s was rendered", kind, name)
	}
	return objects[i]
}
