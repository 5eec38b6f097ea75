package plan

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// path leads to a field. List items stand in brackets, and so do names with a dot or slash.
type path []string

func (p path) field(name string) path {
	if strings.ContainsAny(name, "./[]") || name == "" {
		return p.item(name)
	}
	return append(slices.Clip(p), name)
}

func (p path) item(name string) path { return append(slices.Clip(p), "["+name+"]") }

// String is "spec.template.metadata.labels[example.com/tier]".
func (p path) String() string { return strings.ReplaceAll(strings.Join(p, "."), ".[", "[") }

// under reports whether p is the named field or below it.
func (p path) under(names ...string) bool {
	return len(p) >= len(names) && slices.Equal(p[:len(names)], names)
}

// unownedMetadata is written by the API server or by others, never by us.
var unownedMetadata = []string{
	"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink", "deletionTimestamp",
	"deletionGracePeriodSeconds", "ownerReferences", "finalizers", "name", "namespace",
}

// unshownAnnotations are stamps on an object, not part of what it says.
var unshownAnnotations = []string{v1alpha1.ContentDigestAnnotation, "kubectl.kubernetes.io/last-applied-configuration"}

// substance is a canonical copy of what counts in o: no status, nothing that the API server or others own.
func substance(o *unstructured.Unstructured) map[string]any {
	content, _ := canon(o.Object).(map[string]any)
	without(content, "status", "apiVersion", "kind")
	if meta, ok := content["metadata"].(map[string]any); ok {
		without(meta, unownedMetadata...)
		if annotations, ok := meta["annotations"].(map[string]any); ok {
			without(annotations, unshownAnnotations...)
			if len(annotations) == 0 {
				delete(meta, "annotations")
			}
		}
	}
	return content
}

func without(m map[string]any, fields ...string) {
	for _, field := range fields {
		delete(m, field)
	}
}

// canon copies a value with one type per kind of number, so that what came from YAML equals what came from JSON.
func canon(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = canon(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = canon(item)
		}
		return out
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return v
	case nil, string, bool, int64:
		return v
	default:
		return canonOther(v)
	}
}

// canonOther takes the way over JSON, for values that were not decoded from it.
func canonOther(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		return nil
	}
	return canon(out)
}

// number reads an integer field; false when it is not set.
func number(o *unstructured.Unstructured, fields ...string) (int, bool) {
	n, ok := canon(lookup(o, fields...)).(int64)
	return int(n), ok
}

// text reads a string field, "" when it is not set.
func text(o *unstructured.Unstructured, fields ...string) string {
	s, _ := lookup(o, fields...).(string)
	return s
}

func lookup(o *unstructured.Unstructured, fields ...string) any {
	if o == nil {
		return nil
	}
	var v any = o.Object
	for _, f := range fields {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[f]
	}
	return v
}
