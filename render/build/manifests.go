package build

import (
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Manifests reads the objects of plain YAML files, paths being relative to the snapshot's root, in their order. Lists
// are opened. Mistakes are *Error values, joined and sorted by place: files that do not exist, are too large or not
// YAML, documents that are not objects, keys set twice, the same object twice.
func Manifests(files fs.FS, paths []string) ([]Object, error) {
	var out []Object
	var errs []*Error
	size, nodes, expandedBytes := 0, 0, 0
	for _, name := range paths {
		data, err := ReadFile(files, name)
		if err != nil {
			errs = append(errs, At(name, 0, err))
			continue
		}
		if size += len(data); size > MaxBuildBytes {
			return nil, At(name, 0, fmt.Errorf("more than %d MiB of files in one layer", MaxBuildBytes>>20))
		}
		docs, err := Split(name, data)
		errs = append(errs, Flatten(name, err)...)
		for _, d := range docs {
			nodes, expandedBytes = nodes+d.nodes, expandedBytes+d.bytes
			if nodes > MaxBuildNodes || expandedBytes > MaxBuildBytes {
				return nil, At(name, d.Line, fmt.Errorf("more than %d values or %d MiB in one layer, with aliases expanded: split it", MaxBuildNodes, MaxBuildBytes>>20))
			}
			objs, wrong := d.objects()
			out, errs = append(out, objs...), append(errs, wrong...)
		}
		if len(out) > MaxObjects {
			return nil, At(name, 0, fmt.Errorf("more than %d objects in one layer: split it", MaxObjects))
		}
	}
	errs = append(errs, twice(out)...)
	if len(errs) > 0 {
		return nil, Join(Sort(errs))
	}
	return out, nil
}

// objects returns the object, or the items of the list, that a document holds.
func (d Document) objects() ([]Object, []*Error) {
	m, errs := d.Object()
	if len(errs) > 0 {
		return nil, errs
	}
	o := &unstructured.Unstructured{Object: m}
	if !o.IsList() {
		return d.one(m, d.Line)
	}
	var out []Object
	items, _ := m["items"].([]any) // IsList has looked
	for i, item := range items {
		line := d.LineOf(fmt.Sprintf("items[%d]", i))
		m, ok := item.(map[string]any)
		if !ok {
			errs = append(errs, At(d.Path, line, fmt.Errorf("items[%d] is not an object", i)))
			continue
		}
		one, wrong := d.one(m, line)
		out, errs = append(out, one...), append(errs, wrong...)
	}
	return out, errs
}

func (d Document) one(m map[string]any, line int) ([]Object, []*Error) {
	o := &unstructured.Unstructured{Object: m}
	if o.GetAPIVersion() == "" || o.GetKind() == "" || o.GetName() == "" {
		return nil, []*Error{At(d.Path, line, errors.New("not an object: apiVersion, kind and metadata.name are needed"))}
	}
	return []Object{{Unstructured: o, Origin: Origin{Path: d.Path, Line: line}}}, nil
}

func twice(objs []Object) []*Error {
	var errs []*Error
	first := map[string]Origin{}
	for _, o := range objs {
		id := o.GroupVersionKind().GroupKind().String() + " " + o.GetNamespace() + "/" + o.GetName()
		if at, ok := first[id]; ok {
			errs = append(errs, At(o.Origin.Path, o.Origin.Line,
				fmt.Errorf("%s %s is declared twice, first in %s: keep one", o.GetKind(), o.GetName(), at)))
			continue
		}
		first[id] = o.Origin
	}
	return errs
}
