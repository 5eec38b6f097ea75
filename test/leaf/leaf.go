// Package leaf changes every value of a fleet's file, one at a time: for tests that show something for each field of the
// API.
package leaf

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// File is the documents of one YAML file.
type File struct {
	docs  []map[string]any
	texts []string
}

// Edit is a change of one value of a File.
type Edit struct {
	// Leaf is the field of the API: "cluster.nodePools[].machine.memory".
	Leaf string
	// Doc is the number of the document in the file.
	Doc int
	// Path to the value: "spec", "nodePools", "[0]", "machine", "memory".
	Path []string
	// Value is the new one. Gone: the field, or the item of a list, was taken out.
	Value any
	Gone  bool
	// Text of the whole file.
	Text string
}

// String names the edit for people.
func (e Edit) String() string {
	if e.Gone {
		return e.Field() + " gone"
	}
	return fmt.Sprintf("%s to %.60q", e.Field(), fmt.Sprint(e.Value))
}

// Field is Path in readable form: "spec.nodePools[0].machine.memory".
func (e Edit) Field() string { return Field(e.Path) }

// Field joins the steps of a path.
func Field(path []string) string { return strings.ReplaceAll(strings.Join(path, "."), ".[", "[") }

// Read splits a file.
func Read(data []byte) (File, error) {
	docs, err := build.Split("", data)
	if err != nil {
		return File{}, err
	}
	f := File{}
	for _, d := range docs {
		object, wrong := d.Object()
		if len(wrong) > 0 {
			return File{}, build.Join(wrong)
		}
		f.docs, f.texts = append(f.docs, object), append(f.texts, "")
	}
	for i := range f.docs {
		if err := f.Set(i, f.docs[i]); err != nil {
			return File{}, err
		}
	}
	return f, nil
}

// Docs are the documents; they are not to be changed.
func (f File) Docs() []map[string]any { return f.docs }

// Set replaces a document.
func (f File) Set(doc int, object map[string]any) error {
	text, err := yaml.Marshal(object)
	f.docs[doc], f.texts[doc] = object, string(text)
	return err
}

// Text of the file, with one value a line.
func (f File) Text() string { return "---\n" + strings.Join(f.texts, "---\n") }

// with is Text with another document.
func (f File) with(doc int, object map[string]any) (string, error) {
	text, err := yaml.Marshal(object)
	texts := slices.Clone(f.texts)
	texts[doc] = string(text)
	return "---\n" + strings.Join(texts, "---\n"), err
}

// prefixes are how leaves of a kind begin.
var prefixes = map[string]string{
	v1alpha1.CloudAccountKind: "account", v1alpha1.ClusterProfileKind: "profile", v1alpha1.NutanixClusterSpecKind: "cluster",
}

// Declared are all leaves of the API that files hold.
func Declared() map[string]bool {
	out := map[string]bool{}
	leaves(reflect.TypeFor[v1alpha1.CloudAccountSpec](), "account", out)
	leaves(reflect.TypeFor[v1alpha1.ClusterProfileSpec](), "profile", out)
	leaves(reflect.TypeFor[v1alpha1.NutanixClusterSpecSpec](), "cluster", out)
	return out
}

// leaves collects the paths of all fields of t that hold no further struct: "nodePools[].machine.memory".
func leaves(t reflect.Type, path string, out map[string]bool) {
	switch kind := t.Kind(); {
	case kind == reflect.Pointer:
		leaves(t.Elem(), path, out)
	case kind == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		leaves(t.Elem(), path+"[]", out)
	case kind == reflect.Struct && t != reflect.TypeFor[resource.Quantity]():
		for field := range t.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			leaves(field.Type, path+"."+name, out)
		}
	default:
		out[path] = true
	}
}

// Edits change each value and take it out again, and take out each map and list. values are what a leaf is changed to;
// without them it is something of the same type. Of edits that differ only in the item of a list, the first and the last
// are kept.
func (f File) Edits(values func(leaf string, now any) []any) ([]Edit, error) {
	declared := Declared()
	var out []Edit
	for n, doc := range f.docs {
		prefix, ours := prefixes[fmt.Sprint(doc["kind"])]
		if !ours {
			continue
		}
		walk([]string{"spec"}, doc["spec"], func(path []string, v any) {
			at, scalar := leafOf(prefix, path, v, declared)
			if scalar {
				out = append(out, changed(Edit{Leaf: at, Doc: n, Path: path}, v, values(at, v))...)
			}
			out = append(out, Edit{Leaf: at, Doc: n, Path: path, Gone: true})
		})
	}
	out = few(out)
	for i, e := range out {
		var err error
		if out[i].Text, err = f.with(e.Doc, Replace(f.docs[e.Doc], e.Path, e.Value, e.Gone)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// changed is an edit to each of the values that are not there already.
func changed(e Edit, now any, values []any) []Edit {
	var out []Edit
	for _, value := range values {
		if !reflect.DeepEqual(value, now) {
			e.Value = value
			out = append(out, e)
		}
	}
	return out
}

// leafOf is the field of the API that a value belongs to; scalar is false for a map or list of fields.
func leafOf(prefix string, path []string, v any, declared map[string]bool) (leaf string, scalar bool) {
	leaf = prefix
	for _, step := range path[1:] {
		if _, err := strconv.Atoi(strings.Trim(step, "[]")); err == nil {
			leaf += "[]"
		} else {
			leaf += "." + strings.Trim(step, "[]")
		}
	}
	switch v.(type) {
	case map[string]any, []any:
		return leaf, false
	}
	// Maps and lists of plain values are leaves as a whole.
	for at := leaf; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if declared[at] {
			return at, true
		}
	}
	return leaf, true
}

func few(all []Edit) []Edit {
	last, first := map[string]int{}, map[string]bool{}
	id := func(e Edit) string { return fmt.Sprint(e.Leaf, " ", e.Gone, " ", e.Value) }
	for i, e := range all {
		last[id(e)] = i
	}
	var out []Edit
	for i, e := range all {
		if !first[id(e)] || last[id(e)] == i {
			out = append(out, e)
		}
		first[id(e)] = true
	}
	return out
}

// walk shows every value below the first field, maps and lists before what they hold.
func walk(at []string, v any, see func([]string, any)) {
	if len(at) > 1 {
		see(at, v)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			step := k
			if strings.ContainsAny(k, "./[]") {
				step = "[" + k + "]"
			}
			walk(append(slices.Clip(at), step), v[k], see)
		}
	case []any:
		for i, item := range v {
			walk(append(slices.Clip(at), "["+strconv.Itoa(i)+"]"), item, see)
		}
	}
}

// Otherwise is another value of the same type: another digit at the end, another size, another word.
func Otherwise(v any) any {
	switch v := v.(type) {
	case bool:
		return !v
	case int64:
		return v + 1
	case float64:
		return v + 1
	case string:
		if i, err := strconv.Atoi(v[max(0, len(v)-1):]); err == nil {
			return v[:len(v)-1] + strconv.Itoa((i+1)%10)
		}
		if n := strings.TrimRight(v, "GiMT"); n != v {
			if i, err := strconv.Atoi(n); err == nil {
				return strconv.Itoa(i+7) + v[len(n):]
			}
		}
		return v + "x"
	}
	return v
}

// Replace copies a document with another value at path, or without it.
func Replace(doc map[string]any, path []string, value any, gone bool) map[string]any {
	out, _ := replaced(doc, path, value, gone).(map[string]any)
	return out
}

func replaced(v any, path []string, value any, gone bool) any {
	if len(path) == 0 {
		return value
	}
	name := strings.TrimSuffix(strings.TrimPrefix(path[0], "["), "]")
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		if gone && len(path) == 1 {
			delete(out, name)
			return out
		}
		out[name] = replaced(v[name], path[1:], value, gone)
		return out
	case []any:
		out := slices.Clone(v)
		i, err := strconv.Atoi(name)
		switch {
		case err != nil:
		case gone && len(path) == 1:
			return slices.Delete(out, i, i+1)
		default:
			out[i] = replaced(v[i], path[1:], value, gone)
		}
		return out
	}
	return v
}

// Value is what a path leads to; nil when there is nothing.
func Value(doc map[string]any, path []string) any {
	var v any = doc
	for _, step := range path {
		name := strings.TrimSuffix(strings.TrimPrefix(step, "["), "]")
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}
