package kube

import (
	"encoding/json"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// fieldSet is a set of fields as managedFields write it (FieldsV1): "f:name" leads to a field, "k:{…}" to a list item
// by its keys, "v:…" to one by its value, "." is the thing itself; an empty set at the end means all of it.
type fieldSet map[string]any

func parseFields(e metav1.ManagedFieldsEntry) fieldSet {
	if e.FieldsV1 == nil {
		return nil
	}
	var s fieldSet
	if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &s); err != nil {
		return nil
	}
	return s
}

func ownedFields(o *unstructured.Unstructured) fieldSet {
	if e := ourEntry(o); e != nil {
		return parseFields(*e)
	}
	return nil
}

// whole says that the set stands for all that is below it.
func (s fieldSet) whole() bool {
	return s != nil && len(s) == 0
}

func child(s fieldSet, key string) (fieldSet, bool) {
	m, ok := s[key].(map[string]any)
	return m, ok
}

// item finds what a set says about one item of a list.
func (s fieldSet) item(item any) (fieldSet, bool) {
	for key := range s {
		rest, byKeys := strings.CutPrefix(key, "k:")
		if byKeys && matches(rest, item) {
			return child(s, key)
		}
		if value, byValue := strings.CutPrefix(key, "v:"); byValue && sameJSON(value, item) {
			return child(s, key)
		}
	}
	return nil, false
}

// matches says whether a list item has the keys that an associative key names.
func matches(keys string, item any) bool {
	var want map[string]any
	have, ok := item.(map[string]any)
	if !ok || json.Unmarshal([]byte(keys), &want) != nil {
		return false
	}
	for k, v := range want {
		if b, err := json.Marshal(v); err != nil || !sameJSON(string(b), have[k]) {
			return false
		}
	}
	return true
}

func sameJSON(text string, v any) bool {
	b, err := json.Marshal(v)
	if err != nil {
		return false
	}
	var x, y any
	return json.Unmarshal([]byte(text), &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// at descends one JSON pointer token in both the set and the value.
func (s fieldSet) at(in any, token string) (fieldSet, any, bool) {
	m, _ := in.(map[string]any)
	next, ok := m[token]
	if !ok {
		return nil, nil, false
	}
	if s.whole() {
		return fieldSet{}, next, true
	}
	sub, ok := child(s, "f:"+token)
	return sub, next, ok
}

// ownedAt is the part, of what a pointer leads to, that a set owns; nil when it owns nothing there.
func ownedAt(s fieldSet, in any, pointer []string) any {
	if s == nil {
		return nil
	}
	for i, token := range pointer {
		// An owned root is written as a set without fields only when nothing is owned at all.
		if i == 0 && len(s) == 0 {
			return nil
		}
		var ok bool
		if s, in, ok = s.at(in, token); !ok {
			return nil
		}
	}
	return extract(s, in)
}

// extract is the part of a value that a set owns, with the keys of list items so that it can be applied.
func extract(s fieldSet, in any) any {
	if s.whole() {
		return runtime.DeepCopyJSONValue(in)
	}
	switch in := in.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range in {
			if sub, ok := child(s, "f:"+name); ok {
				out[name] = extract(sub, value)
			}
		}
		return out
	case []any:
		var out []any
		for _, v := range in {
			if sub, ok := s.item(v); ok {
				out = append(out, extractItem(s, sub, v))
			}
		}
		return out
	}
	return in
}

func extractItem(list, item fieldSet, in any) any {
	value := extract(item, in)
	m, isMap := value.(map[string]any)
	have, _ := in.(map[string]any)
	if !isMap {
		return value
	}
	for key := range list {
		rest, ok := strings.CutPrefix(key, "k:")
		if !ok || !matches(rest, in) {
			continue
		}
		var keys map[string]any
		if json.Unmarshal([]byte(rest), &keys) == nil {
			for k := range keys {
				m[k] = runtime.DeepCopyJSONValue(have[k])
			}
		}
	}
	return m
}
