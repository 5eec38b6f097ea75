package render

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// note records which fields of which objects patch i changed.
func (p patches) note(writes [][]write, i int, was, now []*unstructured.Unstructured) {
	if len(was) != len(now) || len(now) != len(writes) {
		return // refused anyway
	}
	patch := source{p.source.doc, append(slices.Clip(p.source.path), "patches").item(i)}
	for n := range now {
		if was[n] == now[n] {
			continue
		}
		for _, at := range written(nil, was[n].Object, now[n].Object) {
			_, list := at.value(now[n].Object).([]any)
			writes[n] = append(writes[n], write{at: at, patch: patch, part: list})
		}
	}
}

// writers are the patches that wrote a field: the one that alone says what it is, else those that said a part of it.
func (p *Places) writers(o *object, at steps) (sole, parts []source) {
	for _, w := range slices.Backward(o.writes) {
		switch {
		case at.within(w.at) && !w.part:
			return append([]source{w.patch}, p.variables(w.patch)...), parts
		case at.within(w.at) || w.at.within(at):
			parts = append(append(parts, w.patch), p.variables(w.patch)...)
		}
	}
	return nil, parts
}

// otherPatches are patches that went, or that select other objects than before, if one of them may have written a field:
// it is as it is now since they no longer do. To know that, what was before is rendered once more.
func (p *Places) otherPatches(o *object, at steps) []source {
	var out []source
	for doc, d := range p.docs {
		for _, path := range d.changed {
			i := slices.Index(path, "patches")
			if i >= 0 && (len(path) == i+1 || slices.Contains(path, "target")) {
				out = append(out, source{doc, path})
			}
		}
	}
	if len(out) == 0 || patched(p.unit, o, at) {
		return out
	}
	if p.before == nil {
		before, err := Cluster(*p.in.Was) // an error leaves no objects, and then nobody knows
		p.before = &before
		p.unknown = err != nil
	}
	old := p.before.find(o.GetKind(), o.GetName())
	if !p.unknown && (old == nil || !patched(*p.before, old, at)) {
		return nil
	}
	return out
}

// patched reports whether a patch wrote a field, or anything of what the field names.
func patched(u Unit, o *object, at steps) bool {
	wrote := func(w write) bool { return at.within(w.at) || w.at.within(at) }
	if slices.ContainsFunc(o.writes, wrote) {
		return true
	}
	for _, name := range causesOf(o, at) {
		kind, made := strings.CutPrefix(name, "made:")
		if made && slices.ContainsFunc(u.made(kind, o), func(other *object) bool { return len(other.writes) > 0 }) {
			return true
		}
	}
	return false
}

// made are the objects of a kind whose names o has.
func (u Unit) made(kind string, o *object) []*object {
	var out []*object
	for i := range u.objects {
		other := &u.objects[i]
		if other.GetKind() == kind && (kind == kindNutanixFailureDomain || slices.Equal(other.source.path, o.source.path)) {
			out = append(out, other)
		}
	}
	return out
}
