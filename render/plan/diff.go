package plan

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// delta is one place where two objects differ. A side that is absent has its flag unset.
type delta struct {
	path           path
	from, to       any
	hasFrom, hasTo bool
}

// differ compares canonical values (see canon).
type differ struct {
	// subset: what the wanted side leaves out of a map is somebody else's and does not count.
	subset bool
	deltas []delta
}

// side is one of two compared values, possibly absent.
type side struct {
	value any
	ok    bool
}

func (d *differ) report(at path, from, to side) {
	d.deltas = append(d.deltas, delta{path: at, from: from.value, to: to.value, hasFrom: from.ok, hasTo: to.ok})
}

func (d *differ) compare(at path, from, to side) {
	if from.ok == to.ok && reflect.DeepEqual(from.value, to.value) {
		return
	}
	fromMap, fromIsMap := asMap(from)
	toMap, toIsMap := asMap(to)
	if fromIsMap && toIsMap && len(fromMap)+len(toMap) > 0 {
		d.maps(at, fromMap, toMap)
		return
	}
	fromList, fromIsList := asList(from)
	toList, toIsList := asList(to)
	if fromIsList && toIsList && len(fromList)+len(toList) > 0 {
		d.lists(at, fromList, toList)
		return
	}
	d.report(at, from, to)
}

// asMap reads an absent side as an empty map, so that what comes or goes is shown field by field.
func asMap(s side) (map[string]any, bool) {
	if !s.ok {
		return nil, true
	}
	m, ok := s.value.(map[string]any)
	return m, ok
}

func asList(s side) ([]any, bool) {
	if !s.ok {
		return nil, true
	}
	l, ok := s.value.([]any)
	return l, ok
}

func (d *differ) maps(at path, from, to map[string]any) {
	keys := slices.Collect(maps.Keys(to))
	if !d.subset {
		for k := range from {
			if _, ok := to[k]; !ok {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		f, fok := from[k]
		t, tok := to[k]
		d.compare(at.field(k), side{f, fok}, side{t, tok})
	}
}

func (d *differ) lists(at path, from, to []any) {
	if key := listKey(from, to); key != "" {
		d.keyed(at, key, from, to)
		return
	}
	// What both ends share is not of interest: an item put in front does not change all the others.
	for len(from) > 0 && len(to) > 0 && d.same(from[len(from)-1], to[len(to)-1]) {
		from, to = from[:len(from)-1], to[:len(to)-1]
	}
	start := 0
	for start < len(from) && start < len(to) && d.same(from[start], to[start]) {
		start++
	}
	for i := start; i < max(len(from), len(to)); i++ {
		d.item(at.item(strconv.Itoa(i)), element(from, i), element(to, i))
	}
}

// keyed compares lists of maps by the value of key, and their order when nothing else differs.
func (d *differ) keyed(at path, key string, from, to []any) {
	was, is := byKey(from, key), byKey(to, key)
	names := keyOrder(to, key)
	for _, name := range keyOrder(from, key) {
		if _, ok := is[name]; !ok {
			names = append(names, name)
		}
	}
	before := len(d.deltas)
	for _, name := range names {
		f, fok := was[name]
		t, tok := is[name]
		d.item(at.item(name), side{f, fok}, side{t, tok})
	}
	if len(d.deltas) == before && len(from) == len(to) && !slices.Equal(keyOrder(from, key), keyOrder(to, key)) {
		d.report(at, side{anys(keyOrder(from, key)), true}, side{anys(keyOrder(to, key)), true})
	}
}

// item compares list items: those on both sides in depth, one that comes or goes as a whole.
func (d *differ) item(at path, from, to side) {
	if from.ok && to.ok {
		d.compare(at, from, to)
		return
	}
	d.report(at, from, to)
}

func (d *differ) same(from, to any) bool {
	probe := differ{subset: d.subset}
	probe.compare(nil, side{from, true}, side{to, true})
	return len(probe.deltas) == 0
}

func element(list []any, i int) side {
	if i < len(list) {
		return side{list[i], true}
	}
	return side{}
}

// listKey is the field that tells the items of both lists apart, or "".
func listKey(from, to []any) string {
	for _, key := range []string{"name", "path", "key"} {
		if len(byKey(from, key)) == len(from) && len(byKey(to, key)) == len(to) {
			return key
		}
	}
	return ""
}

// byKey maps items by a string field; items without it, or with one seen before, are left out.
func byKey(list []any, key string) map[string]any {
	out := make(map[string]any, len(list))
	for _, item := range list {
		if name, ok := keyOf(item, key); ok {
			if _, twice := out[name]; !twice {
				out[name] = item
			}
		}
	}
	return out
}

func keyOrder(list []any, key string) []string {
	out := make([]string, 0, len(list))
	for _, item := range list {
		if name, ok := keyOf(item, key); ok {
			out = append(out, name)
		}
	}
	return out
}

func keyOf(item any, key string) (string, bool) {
	m, ok := item.(map[string]any)
	if !ok {
		return "", false
	}
	name, ok := m[key].(string)
	return name, ok && name != ""
}

func anys(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}
