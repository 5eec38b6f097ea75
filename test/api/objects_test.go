package api

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// fields sets fields of an object by paths such as spec/nodePools/0/replicas; nil removes the field, and an index one
// past the end appends.
type fields map[string]any

// sample reads a valid object from testdata and changes it.
func sample(t *testing.T, kind string, changes ...fields) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(kind)+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(text, &o.Object); err != nil {
		t.Fatal(err)
	}
	for _, f := range changes {
		change(t, o, f)
	}
	return o
}

// change sets fields in the order of their paths.
func change(t *testing.T, o *unstructured.Unstructured, f fields) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(f)) {
		o.Object = set(t, o.Object, strings.Split(path, "/"), f[path]).(map[string]any)
	}
}

func set(t *testing.T, in any, path []string, value any) any {
	t.Helper()
	if len(path) == 0 {
		return plain(t, value)
	}
	// ~1 stands for a slash in a name, as in a JSON pointer.
	name := strings.ReplaceAll(path[0], "~1", "/")
	if list, ok := in.([]any); ok {
		i, err := strconv.Atoi(name)
		if err != nil || i > len(list) {
			t.Fatalf("%q is no index into a list of %d", name, len(list))
		}
		if i == len(list) {
			list = append(list, nil)
		}
		list[i] = set(t, list[i], path[1:], value)
		return list
	}
	object, ok := in.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	if len(path) == 1 && value == nil {
		delete(object, name)
		return object
	}
	object[name] = set(t, object[name], path[1:], value)
	return object
}

// plain turns a Go value into what JSON knows.
func plain(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
