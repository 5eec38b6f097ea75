package render

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// notRendered are the fields of the API that do not change rendered objects, each with the reason. An entry that is not
// needed fails the test.
var notRendered = map[string]string{
	"account.cloud":                       "there is one cloud",
	"account.credentialsRef.name":         "the account controller copies the credentials",
	"account.workloadCredentialsRef.name": "the account controller copies the credentials",
	"account.trustBundleRef.kind":         "the account controller copies the bundle into a ConfigMap of its own",
	"account.trustBundleRef.name":         "the account controller copies the bundle into a ConfigMap of its own",
	"profile.cloud":                       "there is one cloud",
	"profile.version":                     "for messages and the plan",
	"profile.type":                        "render looks at the types of layers",
	"profile.variables[].format":          "Decode judges values",
	"profile.variables[].description":     "for people",
	"profile.layers[].kustomize.path":     "layers are built before they are rendered",
	"profile.layers[].manifests.paths":    "layers are built before they are rendered",
	"profile.layers[].patches[].path":     "inlined into patch before",
	"cluster.accountRef.name":             "the account is passed in",
	"cluster.profiles[].version":          "the profile is passed in; see TestErrors for its messages",
	"cluster.patches[].path":              "inlined into patch before",
	"cluster.adopt":                       "for the cluster controller",
	"cluster.suspend":                     "for the cluster controller",
	"cluster.drift.objects":               "for the cluster controller",
	"cluster.drift.machines":              "for the cluster controller",
	"cluster.driftIgnore[].kind":          "for the plan",
	"cluster.driftIgnore[].name":          "for the plan",
	"cluster.driftIgnore[].paths":         "for the plan",
	"cluster.limits.deletedClusters":      "for the gate",
	"cluster.limits.removedMachines":      "for the gate",
	"cluster.limits.recreatedMachines":    "for the gate",
	"cluster.limits.prunedPercent":        "for the gate",
}

// TestEveryField walks the API and fails on a field that no golden cluster sets, or that changes nothing in any golden
// cluster that sets it.
func TestEveryField(t *testing.T) {
	declared := declaredLeaves()
	set, effective := map[string]bool{}, map[string]bool{}
	for _, name := range goldenClusters(t) {
		in := load(t, name)
		whole := toYAML(t, render(t, in).Named(nil, all))
		for leaf := range declared {
			without, ok := unset(t, in, leaf)
			if !ok {
				continue
			}
			set[leaf] = true
			u, err := Cluster(without)
			if err != nil || toYAML(t, u.Named(nil, all)) != whole {
				effective[leaf] = true
			}
		}
	}
	for _, leaf := range slices.Sorted(maps.Keys(declared)) {
		reason, listed := notRendered[leaf]
		switch {
		case listed && effective[leaf]:
			t.Errorf("%s changes what is rendered: take it out of notRendered", leaf)
		case listed && reason == "":
			t.Errorf("%s: say why it is not rendered", leaf)
		case listed:
		case !set[leaf]:
			t.Errorf("no golden cluster sets %s", leaf)
		case !effective[leaf]:
			t.Errorf("%s is set and changes nothing that is rendered", leaf)
		}
	}
	for leaf := range notRendered {
		if !declared[leaf] {
			t.Errorf("notRendered has %s, and the API has not", leaf)
		}
	}
}

// unset returns a copy of in without a field, everywhere it is set; false when it is set nowhere.
func unset(t *testing.T, in Inputs, leaf string) (Inputs, bool) {
	t.Helper()
	root, path, _ := strings.Cut(leaf, ".")
	parts := strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".")
	out := copyOf(in)
	found := false
	switch root {
	case "account":
		out.Account.Spec, found = without(t, out.Account.Spec, parts)
	case "cluster":
		out.Cluster.Spec, found = without(t, out.Cluster.Spec, parts)
	default:
		for _, p := range out.Profiles {
			var here bool
			p.Object.Spec, here = without(t, p.Object.Spec, parts)
			found = found || here
		}
	}
	return out, found
}

func without[T any](t *testing.T, spec T, path []string) (T, bool) {
	t.Helper()
	var m tree
	if err := json.Unmarshal(toJSON(t, spec), &m); err != nil {
		t.Fatal(err)
	}
	found := remove(m, path)
	return *strict[T](t, toJSON(t, m)), found
}

// remove deletes a field wherever it has a value.
func remove(v any, path []string) bool {
	found := false
	switch v := v.(type) {
	case list:
		for _, item := range v {
			found = remove(item, path[1:]) || found
		}
	case tree:
		inner, ok := v[path[0]]
		if !ok {
			return false
		}
		if len(path) > 1 {
			return remove(inner, path[1:])
		}
		found = inner != nil
		delete(v, path[0])
	}
	return found
}

// copyOf returns a deep copy of in.
func copyOf(in Inputs) Inputs {
	out := in
	out.Account, out.Cluster, out.Profiles = in.Account.DeepCopy(), in.Cluster.DeepCopy(), nil
	for _, p := range in.Profiles {
		c := Profile{Object: p.Object.DeepCopy(), Place: p.Place}
		for _, l := range p.Layers {
			built := l
			built.Objects = nil
			for _, o := range l.Objects {
				built.Objects = append(built.Objects, o.DeepCopy())
			}
			c.Layers = append(c.Layers, built)
		}
		out.Profiles = append(out.Profiles, c)
	}
	return out
}
