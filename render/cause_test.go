package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/test/leaf"
)

// TestPlacesOfEveryField changes every value of every golden cluster in its file, one at a time, and looks where the plan
// says that its changes come from.
func TestPlacesOfEveryField(t *testing.T) {
	seen := &observed{tried: map[string]bool{}, used: map[string]bool{}}
	t.Run("Clusters", func(t *testing.T) {
		for _, name := range append(goldenClusters(t), selected) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				spreadOut(t, name).try(t, name, seen)
			})
		}
	})
	declared := declaredLeaves()
	for _, at := range slices.Sorted(maps.Keys(declared)) {
		switch {
		case seen.tried[at] && together[at] != "":
			t.Errorf("%s was tried: take it out of together", at)
		case !seen.tried[at] && together[at] == "" && notRendered[at] == "":
			t.Errorf("no change of %s was tried", at)
		}
	}
	for at := range coarser {
		if !seen.used[at] {
			t.Errorf("%s always has its own line: take it out of coarser", at)
		}
	}
}

// observed are the leaves that changed something, and those that needed an entry of coarser.
type observed struct {
	mu          sync.Mutex
	tried, used map[string]bool
}

func (o *observed) note(at string, coarser bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tried[at] = true
	o.used[at] = o.used[at] || coarser
}

// try makes all edits of one golden cluster.
func (s spread) try(t *testing.T, name string, seen *observed) {
	t.Helper()
	base, err := s.decode(s.file.Text())
	if err != nil {
		t.Fatal(err)
	}
	was := FromFleet(base)
	before := render(t, was)
	edits, err := s.file.Edits(changesOf)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range edits {
		if s.only != "" && !slices.Contains(one.Path, s.only) {
			continue
		}
		head, err := s.decode(one.Text)
		if err != nil {
			continue // refused, and so without a plan
		}
		now := FromFleet(head)
		after, err := Cluster(now)
		if err != nil {
			continue
		}
		e := edit{Edit: one, docs: split(t, one.Text)}
		e.checkAlone(t, name, comparison(before, after, now))
		now.Was = &was
		e.check(t, name, comparison(before, after, now), s.file.Text(), seen)
	}
}

// check looks whether every change has the line that differs.
func (e edit) check(t *testing.T, name string, p plan.Plan, whole string, seen *observed) {
	t.Helper()
	want := e.place(whole)
	for _, c := range p.Changes {
		switch {
		case c.Place == want:
			seen.note(e.Leaf, false)
		case coarser[e.Leaf] != "" && slices.Contains(e.above(), c.Place):
			seen.note(e.Leaf, true)
		default:
			t.Errorf("%s: %s changes %s %s, and its place is %q, want %s", name, e, c.Object, c.Field, c.Place, want)
		}
	}
}

// checkAlone looks whether no change has a wrong line where it is not known what was before.
func (e edit) checkAlone(t *testing.T, name string, p plan.Plan) {
	t.Helper()
	if slices.Contains(e.Path, "patches") {
		return // a field that a patch writes is said in the patch, whatever else made the patch select it
	}
	right := append(e.above(), e.owners()...)
	for _, c := range p.Changes {
		if !slices.Contains(right, c.Place) {
			t.Errorf("%s: %s changes %s %s, and without what was before its place is %q, want one of %s", name, e, c.Object, c.Field, c.Place, right)
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
	s.only = "patches"
	for n, doc := range s.file.Docs() {
		at, prefix := "spec", "own"
		switch doc["kind"] {
		case v1alpha1.ClusterProfileKind:
			at, prefix = "spec.layers[0]", "layer"
		case v1alpha1.NutanixClusterSpecKind:
		default:
			continue
		}
		holder, _ := stepsOf(at).value(doc).(tree)
		set(holder, patches(prefix), "patches")
		if err := s.file.Set(n, doc); err != nil {
			t.Fatal(err)
		}
	}
	return s
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

// values are what a leaf is changed to.
func changesOf(at string, now any) []any {
	if text, ok := now.(string); ok && strings.HasSuffix(at, ".patch") {
		return []any{otherText.Replace(text)}
	}
	if known, ok := other[at]; ok {
		return known
	}
	return []any{leaf.Otherwise(now)}
}
