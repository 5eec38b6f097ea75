package render

import (
	"maps"
	"slices"
)

// tree and list are what unstructured objects are made of.
type (
	tree = map[string]any
	list = []any
)

// set puts value at path below m and makes the maps in between. What is in the way is replaced.
func set(m tree, value any, path ...string) {
	for _, k := range path[:len(path)-1] {
		inner, ok := m[k].(tree)
		if !ok {
			inner = tree{}
			m[k] = inner
		}
		m = inner
	}
	m[path[len(path)-1]] = value
}

// setUnlessZero is set for fields that stay unset when nobody has an opinion about them.
func setUnlessZero[T comparable](m tree, value T, path ...string) {
	var zero T
	if value != zero {
		set(m, value, path...)
	}
}

// setList puts a list of value at path below m, unless values is empty.
func setList[T any](m tree, values []T, convert func(T) any, path ...string) {
	if len(values) == 0 {
		return
	}
	out := make(list, len(values))
	for i, v := range values {
		out[i] = convert(v)
	}
	set(m, out, path...)
}

// number is how unstructured objects hold integers.
func number(n int32) int64 { return int64(n) }

// text converts any string for a list.
func text[S ~string](s S) any { return string(s) }

// setNumber puts *n at path below m, unless n is nil.
func setNumber(m tree, n *int32, path ...string) {
	if n != nil {
		set(m, number(*n), path...)
	}
}

// sorted yields the entries of m in the order of their keys.
func sorted[V any](m map[string]V, yield func(k string, v V)) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		yield(k, m[k])
	}
}

// or returns *p, or otherwise when p is nil.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
