package render

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
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

// load reads the inputs of a golden cluster, with layers built.
func load(t testing.TB, name string) Inputs {
	t.Helper()
	files := os.DirFS(filepath.Join("testdata", "clusters", name))
	return loadFrom(t, files, "fleet.yaml")
}

func loadFrom(t testing.TB, files fs.FS, file string) Inputs {
	t.Helper()
	data, err := fs.ReadFile(files, file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := build.Split(file, data)
	if err != nil {
		t.Fatal(err)
	}
	var in Inputs
	for _, d := range docs {
		place := fleet.Place{Path: d.Path, Line: d.Line}
		switch d.Kind {
		case "CloudAccount":
			in.Account = decode[v1alpha1.CloudAccount](t, d)
		case "ClusterProfile":
			p := decode[v1alpha1.ClusterProfile](t, d)
			in.Profiles = append(in.Profiles, Profile{Object: p, Layers: buildLayers(t, files, file, p), Place: place})
		case "NutanixClusterSpec":
			in.Cluster, in.Place = decode[v1alpha1.NutanixClusterSpec](t, d), place
		default:
			t.Fatalf("%s:%d: kind %s", file, d.Line, d.Kind)
		}
	}
	return in
}

func decode[T any](t testing.TB, d build.Document) *T {
	t.Helper()
	value, mistakes := d.Object()
	if len(mistakes) > 0 {
		t.Fatal(build.Join(mistakes))
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strict[T](t, data)
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

func buildLayers(t testing.TB, files fs.FS, file string, p *v1alpha1.ClusterProfile) []fleet.Layer {
	t.Helper()
	var out []fleet.Layer
	for _, l := range p.Spec.Layers {
		var objects []build.Object
		var err error
		switch {
		case l.Kustomize != nil:
			objects, err = build.Directory(files, path.Join(path.Dir(file), l.Kustomize.Path))
		case l.Manifests != nil:
			objects, err = build.Manifests(files, l.Manifests.Paths)
		default:
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		built := fleet.Layer{Name: l.Name}
		for _, o := range objects {
			built.Objects = append(built.Objects, o.Unstructured)
		}
		out = append(out, built)
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
