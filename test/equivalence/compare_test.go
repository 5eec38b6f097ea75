package equivalence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/render"
)

// objects by kind, in the order of their names. What a ClusterResourceSet delivers is there under workload/ and its kind.
type objects map[string][]*unstructured.Unstructured

// field is one that differs; nil is nothing.
type field struct {
	object, path string // kind and our name of the object, JSON pointer
	theirs, ours any
}

func (f field) String() string { return f.object + " " + f.path }

// readBack lists all kinds that Refract may render, in the version that it writes.
func readBack(t *testing.T, c client.Client, namespace string) objects {
	t.Helper()
	found := objects{}
	for _, kind := range render.Kinds() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind + "List"})
		if err := c.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if o := &list.Items[i]; o.GetName() != "kube-root-ca.crt" {
				found[kind.Kind] = append(found[kind.Kind], o)
			}
		}
	}
	for _, set := range found["ClusterResourceSet"] {
		found.unpack(t, set)
	}
	for _, all := range found {
		slices.SortFunc(all, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	}
	return found
}

// unpack puts what a ClusterResourceSet delivers in the place of the ConfigMaps and Secrets that hold it.
func (o objects) unpack(t *testing.T, set *unstructured.Unstructured) {
	t.Helper()
	resources, _, _ := unstructured.NestedSlice(set.Object, "spec", "resources")
	for _, r := range resources {
		kind, name := r.(map[string]any)["kind"].(string), r.(map[string]any)["name"].(string)
		i := slices.IndexFunc(o[kind], func(h *unstructured.Unstructured) bool { return h.GetName() == name })
		if i < 0 {
			continue // the account controller would write it
		}
		data, _, _ := unstructured.NestedStringMap(o[kind][i].Object, "data")
		o[kind] = slices.Delete(o[kind], i, i+1)
		for _, key := range slices.Sorted(maps.Keys(data)) {
			text := []byte(data[key])
			if kind == "Secret" {
				var err error
				if text, err = base64.StdEncoding.DecodeString(data[key]); err != nil {
					t.Fatal(err)
				}
			}
			for _, inner := range parse(t, text) {
				o["workload/"+inner.GetKind()] = append(o["workload/"+inner.GetKind()], inner)
			}
		}
	}
}

func parse(t *testing.T, text []byte) []*unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	for d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		o := &unstructured.Unstructured{}
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			found = append(found, o)
		}
	}
}

// compare returns every field that differs. Where one side has one object of a kind for several of the other, it is
// compared with each.
func compare(theirs, ours objects) []field {
	kinds := maps.Clone(theirs)
	maps.Copy(kinds, ours)
	all := map[string][]pair{}
	for kind := range kinds {
		all[kind] = pairs(theirs[kind], ours[kind])
	}
	var found []field
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		for _, p := range all[kind] {
			for _, f := range p.compare(kind) {
				if !sameReference(f, p, all) {
					found = append(found, f)
				}
			}
		}
	}
	return found
}

// sameReference tells whether a field refers to two objects that are compared with each other.
func sameReference(f field, p pair, all map[string][]pair) bool {
	of, ok := strings.CutSuffix(f.path, "Ref/name")
	if !ok || p.theirs == nil || p.ours == nil {
		return false
	}
	kind, ok := fields(p.ours)[of+"Ref/kind"].(string)
	return ok && slices.ContainsFunc(all[kind], func(target pair) bool {
		return target.theirs != nil && target.ours != nil && target.theirs.GetName() == f.theirs && target.ours.GetName() == f.ours
	})
}

// pair is two objects that mean the same; nil is none.
type pair struct{ theirs, ours *unstructured.Unstructured }

// pairs puts objects together that mean the same: by name, and the only one of a kind with all others.
func pairs(theirs, ours []*unstructured.Unstructured) []pair {
	var found []pair
	if len(theirs) == 1 && len(ours) > 0 {
		for _, o := range ours {
			found = append(found, pair{theirs[0], o})
		}
		return found
	}
	byName := map[string]pair{}
	for _, o := range theirs {
		byName[o.GetName()] = pair{theirs: o}
	}
	for _, o := range ours {
		byName[o.GetName()] = pair{byName[o.GetName()].theirs, o}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		found = append(found, byName[name])
	}
	return found
}

func (p pair) compare(kind string) []field {
	if p.theirs == nil {
		return []field{{object: kind + "/" + p.ours.GetName(), ours: "the object"}}
	}
	if p.ours == nil {
		return []field{{object: kind + "/" + p.theirs.GetName(), theirs: "the object"}}
	}
	theirs, ours := fields(p.theirs), fields(p.ours)
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	var found []field
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if theirs[path] != ours[path] {
			found = append(found, field{object: kind + "/" + p.ours.GetName(), path: path, theirs: theirs[path], ours: ours[path]})
		}
	}
	return found
}

// fields are the leaves of an object by JSON pointer, without status and what the API server and controllers write.
func fields(o *unstructured.Unstructured) map[string]any {
	clean := o.DeepCopy()
	delete(clean.Object, "status")
	if o.GetUID() != "" {
		clean.SetNamespace("") // each side has its own; in the cluster it is the same
	}
	for _, own := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers", "ownerReferences"} {
		unstructured.RemoveNestedField(clean.Object, "metadata", own)
	}
	leaves := map[string]any{}
	flatten(leaves, "", clean.Object)
	return leaves
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

func flatten(into map[string]any, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			flatten(into, at+"/"+escape.Replace(key), inner)
		}
		if len(v) == 0 {
			into[at] = "{}"
		}
	case []any:
		for i, inner := range v {
			flatten(into, fmt.Sprintf("%s/%d", at, i), inner)
		}
		if len(v) == 0 {
			into[at] = "[]"
		}
	case string:
		// A file in JSON is compared as what it says.
		var file map[string]any
		if strings.HasPrefix(v, "{") && json.Unmarshal([]byte(v), &file) == nil {
			flatten(into, at, file)
			return
		}
		into[at] = v
	case int64:
		into[at] = float64(v)
	default:
		into[at] = v
	}
}
