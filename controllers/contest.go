package controllers

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
)

// contest counts how often the same manager changed a field of ours. It is kept in memory: after a restart
// the count begins anew, which costs a few corrections and loses nothing.
type contest struct {
	mu     sync.Mutex
	by     map[client.ObjectKey]map[contestKey]*contestState
	inputs map[client.ObjectKey]string
}

type contestKey struct{ kind, name, field, manager string }

type contestState struct {
	edit  kube.Edit
	at    []time.Time
	until time.Time
}

// A field that one manager changes 3 times in 10 minutes is contested for an hour.
const (
	contestTimes  = 3
	contestWindow = 10 * time.Minute
	contestPause  = time.Hour
)

// under ends the contests of a cluster when its accepted inputs are others than before: at the next revision everything
// is put back again.
func (t *contest) under(cluster client.ObjectKey, inputs string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inputs == nil {
		t.inputs = map[client.ObjectKey]string{}
	}
	if t.inputs[cluster] != inputs {
		delete(t.by, cluster)
		t.inputs[cluster] = inputs
	}
}

// changed counts an edit, once however often it is seen, and says whether its field is contested from now on. A change
// of which nobody knows who made it, or when, is not counted.
func (t *contest) changed(cluster client.ObjectKey, e kube.Edit, now time.Time) bool {
	if e.At.IsZero() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[client.ObjectKey]map[contestKey]*contestState{}
	}
	if t.by[cluster] == nil {
		t.by[cluster] = map[contestKey]*contestState{}
	}
	key := contestKey{e.Object.Kind, e.Object.Name, e.Field, e.Manager}
	state := t.by[cluster][key]
	if state == nil {
		state = &contestState{}
		t.by[cluster][key] = state
	}
	if state.edit.At.Equal(&e.At) && state.edit.New == e.New {
		return false
	}
	state.edit = e
	var recent []time.Time
	for _, at := range append(state.at, now) {
		if now.Sub(at) < contestWindow {
			recent = append(recent, at)
		}
	}
	state.at = recent
	if len(recent) < contestTimes {
		return false
	}
	state.until = now.Add(contestPause)
	state.at = nil
	return true
}

// fields are the contested fields of a cluster now.
func (t *contest) fields(cluster client.ObjectKey, now time.Time) []kube.Edit {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []kube.Edit
	for _, state := range t.by[cluster] {
		if now.Before(state.until) {
			all = append(all, state.edit)
		}
	}
	slices.SortFunc(all, func(a, b kube.Edit) int {
		return cmp.Or(cmp.Compare(a.Object.String(), b.Object.String()), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Manager, b.Manager))
	})
	return all
}

// forget drops what is known of a cluster that is gone.
func (t *contest) forget(cluster client.ObjectKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, cluster)
	delete(t.inputs, cluster)
}

// ignored are the contested fields of a cluster as rules: neither applied nor compared for now.
func (t *contest) ignored(cluster client.ObjectKey, now time.Time) []v1alpha1.DriftIgnore {
	var rules []v1alpha1.DriftIgnore
	for _, e := range t.fields(cluster, now) {
		rules = append(rules, v1alpha1.DriftIgnore{Kind: e.Object.Kind, Name: e.Object.Name, Paths: []string{pointer(e.Field)}})
	}
	return rules
}

// pointer turns the readable path of an edit into a JSON pointer: names stand between dots, names with dots or slashes
// and positions in brackets. It ends before the first position: a list whose items others change is given up as a whole.
func pointer(field string) string {
	var out strings.Builder
	add := func(name string) {
		if name != "" {
			out.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"))
		}
	}
	for field != "" {
		end := strings.IndexAny(field, ".[")
		switch {
		case end < 0:
			add(field)
			field = ""
		case field[end] == '.':
			add(field[:end])
			field = field[end+1:]
		default:
			add(field[:end])
			inner, rest, _ := strings.Cut(field[end+1:], "]")
			if _, err := strconv.Atoi(inner); err == nil {
				return out.String()
			}
			add(inner)
			field = strings.TrimPrefix(rest, ".")
		}
	}
	return out.String()
}
