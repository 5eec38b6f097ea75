package build

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// loss is a list that a strategic merge replaced or shortened.
type loss struct {
	path []string
	lost int
	of   int
}

// lostItems finds the first list of before, in the order of the fields, that has lost items in after.
func lostItems(before, after any, at []string) *loss {
	switch b := before.(type) {
	case map[string]any:
		a, _ := after.(map[string]any) // gone or another type: only its lists count
		return lostBelow(b, a, at)
	case []any:
		a, _ := after.([]any) // gone or another type: all items are lost
		lost := 0
		for i, item := range b {
			if !found(item, a, i) {
				lost++
			}
		}
		if lost = max(lost, len(b)-len(a)); lost > 0 {
			return &loss{path: at, lost: lost, of: len(b)}
		}
	}
	return nil
}

func lostBelow(before, after map[string]any, at []string) *loss {
	for _, key := range slices.Sorted(maps.Keys(before)) {
		_, isList := before[key].([]any)
		next, there := after[key]
		if !there && !isList {
			continue // a map or scalar taken away by name
		}
		if l := lostItems(before[key], next, append(slices.Clone(at), key)); l != nil {
			return l
		}
	}
	return nil
}

// found looks for item in list, near its old index first.
func found(item any, list []any, index int) bool {
	for i := range list {
		if kept(item, list[(index+i)%len(list)]) {
			return true
		}
	}
	return false
}

// identities are the fields by which items of Kubernetes' lists are told apart.
var identities = []string{
	"name", "key", "path", "mountPath", "devicePath", "containerPort", "port", "ip", "topologyKey", "type", "uid", "uuid",
}

// kept says whether other is item, with values changed or fields added but none taken away.
func kept(item, other any) bool {
	a, isMap := item.(map[string]any)
	b, bothMaps := other.(map[string]any)
	if !isMap || !bothMaps {
		return reflect.DeepEqual(item, other)
	}
	for _, id := range identities {
		if v, ok := a[id]; ok {
			return reflect.DeepEqual(v, b[id]) && hasFields(a, b)
		}
	}
	return reflect.DeepEqual(a, b)
}

// hasFields says whether b has every field of a, in lists too.
func hasFields(a, b map[string]any) bool {
	for key, v := range a {
		w, ok := b[key]
		if !ok {
			return false
		}
		inner, isMap := v.(map[string]any)
		other, bothMaps := w.(map[string]any)
		if isMap && (!bothMaps || !hasFields(inner, other)) {
			return false
		}
	}
	return lostItems(a, b, nil) == nil
}

// explain says what was lost and how to write the patch.
func (l *loss) explain(patch map[string]any) error {
	field, pointer := strings.Join(l.path, "."), ""
	for _, key := range l.path {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	var value any = patch
	for _, key := range l.path {
		m, _ := value.(map[string]any) // then there is no value to show
		value = m[key]
	}
	var operations []any
	items, _ := value.([]any) // then there is no value to show
	for _, item := range items {
		operations = append(operations, map[string]any{"op": "add", "path": pointer + "/-", "value": item})
	}
	if len(operations) == 0 {
		operations = []any{map[string]any{"op": "remove", "path": pointer + "/0"}}
	}
	example, err := yaml.Marshal(operations)
	if err != nil {
		return fmt.Errorf("write the example: %w", err)
	}
	return fmt.Errorf("the strategic-merge patch replaces list %s: %d of its %d items would be lost; write it as JSON6902 with a target, for example:\n%s",
		field, l.lost, l.of, strings.TrimSpace(string(example)))
}
