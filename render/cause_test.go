package render

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// fleetFile is the file of a golden cluster.
const fleetFile = "fleet.yaml"

// spread is a golden cluster whose file has one value a line, so that the line tells the field.
type spread struct {
	files fstest.MapFS
	docs  []tree
}

func spreadOut(t *testing.T, name string) spread {
	t.Helper()
	if name == selected {
		return selecting(t)
	}
	dir := filepath.Join("testdata", "clusters", name)
	s := spread{files: fstest.MapFS{}}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		s.files[name] = &fstest.MapFile{Data: data, Mode: 0o600}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := build.Split(fleetFile, s.files[fleetFile].Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		object, _ := d.Object()
		s.docs = append(s.docs, object)
	}
	return s
}

// with returns the text of the file in which document n is another one.
func (s spread) with(t *testing.T, n int, doc tree) string {
	t.Helper()
	var out bytes.Buffer
	for i, d := range s.docs {
		if i == n {
			d = doc
		}
		data, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.String()
}

func (s spread) decode(text string) (fleet.Cluster, error) {
	files := maps.Clone(s.files)
	files[fleetFile] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
	f, err := fleet.Decode(files, ".", fleet.Options{})
	if err != nil {
		return fleet.Cluster{}, err
	}
	return f.Clusters[0], nil
}

// leafOf is the form in which coverage_test.go names a field.
var roots = map[any]string{
	v1alpha1.CloudAccountKind: "account", v1alpha1.ClusterProfileKind: "profile", v1alpha1.NutanixClusterSpecKind: "cluster",
}

// edit is one change of one value, with the place that it has to be reported at.
type edit struct {
	leaf string
	doc  int
	path steps
	text string
	gone bool
}

// other are values for leaves that not every value fits.
var other = map[string][]any{
	"cluster.controlPlane.replicas":                        {int64(1), int64(3), int64(5)},
	"cluster.controlPlane.machine.dataDisks[].adapterType": {"SCSI", "SATA"},
	"cluster.nodePools[].machine.dataDisks[].adapterType":  {"SCSI", "SATA"},
	"cluster.nodePools[].taints[].effect":                  {"NoSchedule", "PreferNoSchedule"},
	"cluster.patches[].target.kind":                        {"NutanixCluster", ".*Cluster"},
	"cluster.patches[].target.group":                       {".*cluster.x-k8s.io"},
	"cluster.patches[].target.version":                     {".*"},
	"cluster.patches[].target.name":                        {".*"},
	"cluster.patches[].target.labelSelector":               {"!own0"},
	"cluster.patches[].target.annotationSelector":          {"!own1"},
	"profile.layers[].patches[].target.kind":               {"NutanixCluster", ".*Cluster"},
	"profile.layers[].patches[].target.group":              {".*cluster.x-k8s.io"},
	"profile.layers[].patches[].target.version":            {".*"},
	"profile.layers[].patches[].target.name":               {".*"},
	"profile.layers[].patches[].target.labelSelector":      {"!layer0"},
	"profile.layers[].patches[].target.annotationSelector": {"!layer1"},
	"profile.layers[].kubernetes.kubeVip.image":            {"ghcr.io/kube-vip/kube-vip:v1.0.9"},
}

// otherText makes other patches.
var otherText = strings.NewReplacer("platform", "site", `"yes"`, `"no"`, "edge}", "rim}", "600", "700", "8Q", "4Q", "enabled: true", "enabled: false",
	"value: edge", "value: rim")

// edits yields every change and removal of one value in the file.
func (s spread) edits(t *testing.T, declared map[string]bool) []edit {
	t.Helper()
	var out []edit
	for n, doc := range s.docs {
		root := roots[doc["kind"]]
		walk(steps{"spec"}, doc["spec"], func(path steps, v any) {
			leaf := root
			for _, step := range path[1:] {
				if _, err := strconv.Atoi(strings.Trim(step, "[]")); err == nil {
					leaf += "[]"
					continue
				}
				leaf += "." + strings.Trim(step, "[]")
			}
			if reflect.ValueOf(v).Kind() == reflect.Map || reflect.ValueOf(v).Kind() == reflect.Slice {
				out = append(out, edit{leaf: leaf, doc: n, path: path, gone: true, text: s.with(t, n, replace(doc, path, nil, true))})
				return
			}
			for ; !declared[leaf]; leaf = leaf[:max(0, strings.LastIndexAny(leaf, ".["))] {
				if leaf == "" {
					t.Fatalf("%s is of no leaf", path)
				}
			}
			values, ok := other[leaf]
			if !ok {
				values = []any{otherwise(v)}
			}
			if text, ok := v.(string); ok && strings.HasSuffix(leaf, ".patch") {
				values = []any{otherText.Replace(text)}
			}
			for _, value := range values {
				if !reflect.DeepEqual(value, v) {
					out = append(out, edit{leaf: leaf, doc: n, path: path, text: s.with(t, n, replace(doc, path, value, false))})
				}
			}
			out = append(out, edit{leaf: leaf, doc: n, path: path, gone: true, text: s.with(t, n, replace(doc, path, nil, true))})
		})
	}
	return few(out)
}

// few keeps the first and the last edit of a kind: the others would show nothing new.
func few(all []edit) []edit {
	last := map[string]int{}
	id := func(e edit) string { return fmt.Sprint(e.leaf, e.gone) }
	for i, e := range all {
		last[id(e)] = i
	}
	first := map[string]bool{}
	var out []edit
	for i, e := range all {
		if !first[id(e)] || last[id(e)] == i {
			out = append(out, e)
		}
		first[id(e)] = true
	}
	return out
}

func walk(at steps, v any, see func(steps, any)) {
	switch v.(type) {
	case tree, list:
		if len(at) > 1 {
			see(at, v)
		}
	}
	switch v := v.(type) {
	case tree:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			walk(at.child(k), v[k], see)
		}
	case list:
		for i, item := range v {
			walk(at.item(i), item, see)
		}
	default:
		see(at, v)
	}
}

// otherwise is another value of the same type.
func otherwise(v any) any {
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
				return fmt.Sprint(i+7) + v[len(n):]
			}
		}
		return v + "x"
	}
	return v
}

// replace copies v with another value at path, or without it.
func replace[T any](v T, path steps, value any, remove bool) T {
	out, _ := replaced(any(v), path, value, remove).(T)
	return out
}

func replaced(v any, path steps, value any, remove bool) any {
	if len(path) == 0 {
		return value
	}
	name := strings.TrimSuffix(strings.TrimPrefix(path[0], "["), "]")
	switch v := v.(type) {
	case tree:
		out := maps.Clone(v)
		if remove && len(path) == 1 {
			delete(out, name)
			return out
		}
		out[name] = replaced(v[name], path[1:], value, remove)
		return out
	case list:
		out := slices.Clone(v)
		i, _ := strconv.Atoi(name)
		if remove && len(path) == 1 {
			return slices.Delete(out, i, i+1)
		}
		out[i] = replaced(v[i], path[1:], value, remove)
		return out
	}
	return v
}

// comparison plans the step from one revision to the next, from the files alone.
func comparison(before, after Unit, now Inputs) plan.Plan {
	have := map[string]*unstructured.Unstructured{}
	for _, o := range before.Named(nil, nil) {
		have[key(o.GetKind(), o.GetName())] = o
	}
	bases := map[string]*unstructured.Unstructured{}
	for _, t := range before.Templates() {
		bases[t.Key()] = have[key(t.Object.GetKind(), t.Hashed)]
	}
	var pairs []plan.Pair
	wanted := map[string]bool{}
	for _, w := range after.Named(nil, nil) {
		id := key(w.GetKind(), w.GetName())
		p := plan.Pair{Want: w, Live: have[id]}
		wanted[id] = true
		if p.Live == nil && isTemplate(w.GetKind()) {
			p.Previous = bases[key(w.GetKind(), BaseName(w.GetName()))]
		}
		pairs = append(pairs, p)
	}
	for _, h := range before.Named(nil, nil) {
		if !wanted[key(h.GetKind(), h.GetName())] {
			pairs = append(pairs, plan.Pair{Live: h})
		}
	}
	places := after.Places(now)
	return plan.Compute(pairs, plan.Options{Rendered: true, Place: func(p plan.Pair, field string) string {
		if p.Want == nil {
			return places.Gone(p.Live)
		}
		return places.Of(p.Want, field)
	}})
}

// TestPlacesOfEveryField changes every value of every golden cluster in its file, one at a time, and looks where the plan
// says that its changes come from.
func TestPlacesOfEveryField(t *testing.T) {
	declared := map[string]bool{}
	leaves(reflect.TypeFor[v1alpha1.CloudAccountSpec](), "account", declared)
	leaves(reflect.TypeFor[v1alpha1.ClusterProfileSpec](), "profile", declared)
	leaves(reflect.TypeFor[v1alpha1.NutanixClusterSpecSpec](), "cluster", declared)
	tried, used := map[string]bool{}, map[string]bool{}
	for _, name := range append(goldenClusters(t), selected) {
		s := spreadOut(t, name)
		whole := s.with(t, -1, nil)
		base, err := s.decode(whole)
		if err != nil {
			t.Fatal(err)
		}
		was := FromFleet(base)
		before := render(t, was)
		for _, e := range s.edits(t, declared) {
			head, err := s.decode(e.text)
			if err != nil {
				continue
			}
			now := FromFleet(head)
			after, err := Cluster(now)
			if err != nil {
				continue
			}
			want := e.place(t, whole)
			for _, c := range comparison(before, after, now).Changes {
				// A field that a patch writes is said in the patch, whatever else made the patch select it.
				if above := append(e.above(t), e.owners(t)...); !slices.Contains(above, c.Place) && !slices.Contains(e.path, "patches") {
					t.Errorf("%s: %s (gone: %v) changes %s %s, and without what was before its place is %q, want one of %s", name, e.path, e.gone, c.Object, c.Field, c.Place, above)
				}
			}
			now.Was = &was
			for _, c := range comparison(before, after, now).Changes {
				tried[e.leaf] = true
				if c.Place == want {
					continue
				}
				if coarser[e.leaf] != "" && slices.Contains(e.above(t), c.Place) {
					used[e.leaf] = true
					continue
				}
				t.Errorf("%s: %s (gone: %v) changes %s %s, and its place is %q, want %s", name, e.path, e.gone, c.Object, c.Field, c.Place, want)
			}
		}
	}
	for _, leaf := range slices.Sorted(maps.Keys(declared)) {
		switch {
		case tried[leaf] && together[leaf] != "":
			t.Errorf("%s was tried: take it out of together", leaf)
		case !tried[leaf] && together[leaf] == "" && notRendered[leaf] == "":
			t.Errorf("no change of %s was tried", leaf)
		}
	}
	for leaf := range coarser {
		if !used[leaf] {
			t.Errorf("%s always has its own line: take it out of coarser", leaf)
		}
	}
}

// coarser are the leaves whose changes are not always reported at their own line, each with the reason.
var coarser = map[string]string{
	"cluster.patches[].patch":          "a text of many lines has the line of its field",
	"profile.layers[].patches[].patch": "a text of many lines has the line of its field",
}

// together are the leaves that are not changed alone, each with the reason.
var together = map[string]string{
	"cluster.failureDomains[].name": "pools and the control plane refer to it",
	"cluster.profiles[].name":       "the profile has the same",
	"profile.profile":               "clusters refer to it",
	"profile.layers[].type":         "each type has fields of its own",
	"profile.variables[].name":      "layers and clusters refer to it",
}

// selected is the name of a cluster whose patches select in every way.
const selected = "selected"

func selecting(t *testing.T) spread {
	t.Helper()
	s := spreadOut(t, "everything")
	patches := func(prefix string) list {
		var out list
		for i, target := range []tree{
			{"group": "infrastructure.cluster.x-k8s.io", "name": "hard"},
			{"kind": "NutanixCluster", "name": "hard"},
			{"version": "v1beta1", "name": "hard"},
			{"labelSelector": prefix + "0=yes"},
			{"annotationSelector": prefix + "1=yes"},
		} {
			mark := fmt.Sprintf("{%s%d: \"yes\"}", prefix, i)
			out = append(out, tree{"target": target, "patch": "metadata: {labels: " + mark + ", annotations: " + mark + "}"})
		}
		return out
	}
	for _, doc := range s.docs {
		spec, _ := doc["spec"].(tree)
		switch doc["kind"] {
		case v1alpha1.ClusterProfileKind:
			set(steps{"layers", "[0]"}.value(spec).(tree), patches("layer"), "patches")
		case v1alpha1.NutanixClusterSpecKind:
			set(spec, patches("own"), "patches")
		}
	}
	return s
}

// above are the places of the changed field and of all that hold it.
func (e edit) above(t *testing.T) []string {
	t.Helper()
	docs, err := build.Split(fleetFile, []byte(e.text))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for n := range e.path {
		out = append(out, fmt.Sprintf("%s:%d", fleetFile, docs[e.doc].LineOf(e.path[:n+1].String())))
	}
	return out
}

// owners are the places of what objects are rendered for, which are named where fields of several files make a value.
func (e edit) owners(t *testing.T) []string {
	t.Helper()
	docs, err := build.Split(fleetFile, []byte(e.text))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range docs {
		for n := range 6 {
			out = append(out, fmt.Sprintf("%s:%d", fleetFile, d.LineOf(layerPath(n).String())))
		}
	}
	cluster := docs[len(docs)-1]
	fields := []string{"", "spec.controlPlane", "spec.nodePools", "spec.failureDomains", "spec.profiles"}
	for n := range 4 {
		fields = append(fields, fmt.Sprintf("spec.nodePools[%d]", n), fmt.Sprintf("spec.failureDomains[%d]", n))
	}
	for _, f := range fields {
		out = append(out, fmt.Sprintf("%s:%d", fleetFile, cluster.LineOf(f)))
	}
	return out
}

// place is the line that differs, or for a value that is gone the line of what held it.
func (e edit) place(t *testing.T, whole string) string {
	t.Helper()
	if !e.gone {
		was, now := strings.Split(whole, "\n"), strings.Split(e.text, "\n")
		for i := range now {
			if was[i] != now[i] {
				return fmt.Sprintf("%s:%d", fleetFile, i+1)
			}
		}
	}
	docs, err := build.Split(fleetFile, []byte(e.text))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s:%d", fleetFile, docs[e.doc].LineOf(e.path[:len(e.path)-1].String()))
}
