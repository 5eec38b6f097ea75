package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render/plan"
)

// Edit is one field of ours that another hand changed.
type Edit struct {
	// Object that was edited.
	Object plan.Ref
	// Field as a path, "spec.replicas"; list items by key or position, "files[path=/etc/x].content".
	Field string
	// Manager that wrote it last; for a field that is gone, who wrote the object after us; "unknown" when nobody did.
	Manager string
	// Old is our value, as JSON. Secret, long and composite values are "changed". Empty when we have the field not set.
	Old string
	// New is the value found, in the same form. Empty when the field is gone.
	New string
	// At is when Manager wrote the object last, to the second; zero when not known.
	At metav1.Time
}

// Edits are the fields by which live differs, at another hand's doing, from what the API server would store for the
// wanted object: each with the manager that wrote it last, by field. Fields that still hold what we applied, so that
// only the wish changed, are left out; so are status and what the API server itself writes.
func Edits(live, dryRun *unstructured.Unstructured) []Edit {
	if live == nil || dryRun == nil {
		return nil
	}
	var found []difference
	diff(nil, nil, content(live), content(dryRun), &found)
	ours := ownedFields(live)
	edits := make([]Edit, 0, len(found))
	for _, d := range found {
		if d.live != nil && ours.covers(d.way) {
			continue
		}
		e := Edit{Object: plan.RefOf(live), Field: strings.TrimPrefix(strings.Join(d.field, ""), ".")}
		e.Manager, e.At = lastWriter(live, d)
		hidden := live.GetKind() == secretKind.Kind || slices.ContainsFunc(d.way, step.hidden)
		e.Old, e.New = text(d.want, hidden), text(d.live, hidden)
		edits = append(edits, e)
	}
	slices.SortFunc(edits, func(a, b Edit) int { return cmp.Compare(a.Field, b.Field) })
	return edits
}

// difference is one field that differs, with the way to it in managedFields.
type difference struct {
	field      []string
	way        []step
	live, want any
}

// step is one step down: a field of a map, or an item of a list (as found, live or else wanted).
type step struct {
	name string
	item any
}

// content is what an object says, without what the API server writes itself.
func content(o *unstructured.Unstructured) map[string]any {
	out := map[string]any{}
	for k, v := range o.Object {
		if k != "status" && k != "metadata" && k != "apiVersion" && k != "kind" {
			out[k] = v
		}
	}
	meta := map[string]any{}
	for k, v := range map[string]map[string]string{"labels": o.GetLabels(), "annotations": o.GetAnnotations()} {
		m := map[string]any{}
		for name, value := range v {
			m[name] = value
		}
		meta[k] = m
	}
	out["metadata"] = meta
	return out
}

func diff(field []string, way []step, live, want any, found *[]difference) {
	if reflect.DeepEqual(live, want) {
		return
	}
	lm, lok := live.(map[string]any)
	wm, wok := want.(map[string]any)
	if lok && wok {
		diffMaps(field, way, lm, wm, found)
		return
	}
	ll, lok := live.([]any)
	wl, wok := want.([]any)
	if lok && wok && len(ll) == len(wl) {
		for i := range ll {
			diff(append(slices.Clone(field), fmt.Sprintf("[%d]", i)), append(slices.Clone(way), step{item: ll[i]}), ll[i], wl[i], found)
		}
		return
	}
	*found = append(*found, difference{field: field, way: way, live: live, want: want})
}

func diffMaps(field []string, way []step, live, want map[string]any, found *[]difference) {
	names := map[string]bool{}
	for k := range live {
		names[k] = true
	}
	for k := range want {
		names[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		shown := "." + k
		if strings.ContainsAny(k, "./") {
			shown = "[" + k + "]"
		}
		diff(append(slices.Clone(field), shown), append(slices.Clone(way), step{name: k}), live[k], want[k], found)
	}
}

// lastWriter is the manager, other than our apply, that owns a field and wrote last, and when. A field that is gone has
// no owner: then it is whoever wrote the object after us, if anybody did.
func lastWriter(live *unstructured.Unstructured, d difference) (string, metav1.Time) {
	var since, at *metav1.Time
	if e := ourEntry(live); e != nil {
		since = e.Time
	}
	writer := "unknown"
	for _, e := range live.GetManagedFields() {
		if isOurs(e) || e.Subresource == "status" || e.Time == nil {
			continue
		}
		wrote := parseFields(e).covers(d.way)
		if d.live == nil {
			wrote = !e.Time.Before(since)
		}
		if wrote && (at == nil || at.Before(e.Time)) {
			writer, at = e.Manager, e.Time
		}
	}
	if at == nil {
		return writer, metav1.Time{}
	}
	return writer, *at
}

// covers says whether a set contains what a way leads to.
func (s fieldSet) covers(way []step) bool {
	if len(s) == 0 {
		return false
	}
	for _, st := range way {
		if s.whole() {
			return true
		}
		var ok bool
		if st.name != "" {
			s, ok = child(s, "f:"+st.name)
		} else {
			s, ok = s.item(st.item)
		}
		if !ok {
			return false
		}
	}
	return true
}

const (
	// longestValue that an event shows.
	longestValue = 128
	// changedValue stands for one that it does not.
	changedValue = "changed"
)

func (s step) hidden() bool { return plan.Hidden(s.name) }

// text shows a value: scalars as JSON, anything else, or what is hidden, as "changed".
func text(v any, hidden bool) string {
	switch v := v.(type) {
	case nil:
		return ""
	case map[string]any, []any:
		return changedValue
	default:
		b, err := json.Marshal(v)
		if err != nil || hidden || len(b) > longestValue {
			return changedValue
		}
		return string(b)
	}
}

// domain of a label or annotation key.
func domain(key string) string {
	d, _, ok := strings.Cut(key, "/")
	if !ok {
		return ""
	}
	return d
}
