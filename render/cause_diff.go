package render

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// steps lead to a field. Items of lists and names with dots or slashes are in brackets, as plans write them.
type steps []string

// stepsOf splits a readable path such as spec.template.spec.gpus[0].name.
func stepsOf(field string) steps {
	var out steps
	for field != "" {
		switch field[0] {
		case '.':
			field = field[1:]
		case '[':
			end := strings.Index(field, "]")
			if end < 0 {
				return append(out, field)
			}
			out, field = append(out, field[:end+1]), field[end+1:]
		default:
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			out, field = append(out, field[:end]), field[end:]
		}
	}
	return out
}

func (s steps) String() string { return strings.ReplaceAll(strings.Join(s, "."), ".[", "[") }

// within reports whether s is other or below it.
func (s steps) within(other steps) bool {
	return len(s) >= len(other) && slices.Equal(s[:len(other)], other)
}

// child adds the name of a field.
func (s steps) child(name string) steps {
	if strings.ContainsAny(name, "./[]") || name == "" {
		name = "[" + name + "]"
	}
	return append(slices.Clip(s), name)
}

func (s steps) item(i int) steps { return append(slices.Clip(s), "["+strconv.Itoa(i)+"]") }

// value returns what s leads to in v, nil when there is nothing.
func (s steps) value(v any) any {
	for _, step := range s {
		name := strings.TrimSuffix(strings.TrimPrefix(step, "["), "]")
		switch at := v.(type) {
		case tree:
			v = at[name]
		case list:
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

// changed lists the deepest fields in which two values differ. The numbers of items are those of now. What is gone from
// a list is the list.
func changed(at steps, was, now any) []steps {
	if reflect.DeepEqual(was, now) {
		return nil
	}
	wasMap, wasIsMap := was.(tree)
	nowMap, nowIsMap := now.(tree)
	if wasIsMap && nowIsMap {
		return changedFields(at, wasMap, nowMap)
	}
	wasList, wasIsList := was.(list)
	nowList, nowIsList := now.(list)
	if wasIsList && nowIsList {
		return changedItems(at, wasList, nowList)
	}
	return []steps{at}
}

func changedFields(at steps, was, now tree) []steps {
	names := slices.Collect(maps.Keys(now))
	for name := range was {
		if _, ok := now[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []steps
	for _, name := range names {
		out = append(out, changed(at.child(name), was[name], now[name])...)
	}
	return out
}

func changedItems(at steps, was, now list) []steps {
	if before, ok := byName(was); ok {
		if _, ok := byName(now); ok {
			return changedNamed(at, before, was, now)
		}
	}
	first, tail := 0, 0
	for first < min(len(was), len(now)) && reflect.DeepEqual(was[first], now[first]) {
		first++
	}
	for tail < min(len(was), len(now))-first && reflect.DeepEqual(was[len(was)-1-tail], now[len(now)-1-tail]) {
		tail++
	}
	was, count := was[first:len(was)-tail], len(now)-tail
	var out []steps
	for i := first; i < count; i++ {
		if i-first < len(was) {
			out = append(out, changed(at.item(i), was[i-first], now[i])...)
			continue
		}
		out = append(out, at.item(i))
	}
	if len(was) > count-first {
		out = append(out, at)
	}
	return out
}

func changedNamed(at steps, before map[string]any, was, now list) []steps {
	var out []steps
	kept := 0
	after, _ := byName(now)
	for i, item := range now {
		old, ok := before[nameOf(item)]
		if !ok && i < len(was) && after[nameOf(was[i])] == nil {
			old, ok = was[i], true // it has another name
		}
		if !ok {
			out = append(out, at.item(i))
			continue
		}
		kept++
		out = append(out, changed(at.item(i), old, item)...)
	}
	if kept < len(was) || len(out) == 0 {
		out = append(out, at) // items went, or only their order is another
	}
	return out
}

// byName maps items by their name; false when one has none, or two have the same.
func byName(items list) (map[string]any, bool) {
	out := make(map[string]any, len(items))
	for _, item := range items {
		name := nameOf(item)
		if _, twice := out[name]; twice || name == "" {
			return nil, false
		}
		out[name] = item
	}
	return out, true
}

func nameOf(item any) string {
	m, _ := item.(tree)
	name, _ := m["name"].(string)
	return name
}

// written lists the fields that a patch changed: those of maps each, lists as a whole.
func written(at steps, was, now any) []steps {
	if reflect.DeepEqual(was, now) {
		return nil
	}
	wasMap, _ := was.(tree)
	nowMap, isMap := now.(tree)
	if !isMap || was != nil && wasMap == nil || len(nowMap) == 0 {
		return []steps{at}
	}
	var out []steps
	for _, name := range slices.Sorted(maps.Keys(nowMap)) {
		out = append(out, written(at.child(name), wasMap[name], nowMap[name])...)
	}
	for _, name := range slices.Sorted(maps.Keys(wasMap)) {
		if _, ok := nowMap[name]; !ok {
			out = append(out, at.child(name))
		}
	}
	return out
}

// plain is v as what JSON is made of; nil when there is nothing.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil // types of the API always marshal
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		return nil
	}
	return out
}
