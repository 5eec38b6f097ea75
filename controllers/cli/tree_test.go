package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
)

var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

// readScene is what the lists of a management cluster hold.
func readScene(t *testing.T) ground {
	t.Helper()
	text, err := os.ReadFile("testdata/tree/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var g ground
	for one := range strings.SplitSeq(string(text), "\n---\n") {
		o := &unstructured.Unstructured{}
		asJSON, err := yaml.YAMLToJSON([]byte(one))
		if err == nil {
			err = o.UnmarshalJSON(asJSON)
		}
		if err != nil {
			t.Fatal(err)
		}
		switch o.GetKind() {
		case "Fleet":
			g.fleets = append(g.fleets, as[v1alpha1.Fleet](t, o))
		case "CloudAccount":
			g.accounts = append(g.accounts, as[v1alpha1.CloudAccount](t, o))
		case "NutanixClusterSpec":
			g.clusters = append(g.clusters, as[v1alpha1.NutanixClusterSpec](t, o))
		default:
			g.capi = append(g.capi, o)
		}
	}
	return g
}

func as[T any](t *testing.T, o *unstructured.Unstructured) T {
	t.Helper()
	var v T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &v, true); err != nil {
		t.Fatal(err)
	}
	return v
}

func drawn(t *testing.T, g ground, target treeTarget, format string) string {
	t.Helper()
	tree, err := grow(g, target)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tree.write(&b, format, noon); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTreeGolden(t *testing.T) {
	for name, tc := range map[string]struct {
		target treeTarget
		format string
	}{
		"tree-all.txt":      {format: outputText},
		"tree-edge-02.txt":  {target: treeTarget{name: "edge-02"}, format: outputText},
		"tree-edge-01.yaml": {target: treeTarget{kind: nodeCluster, name: "edge-01"}, format: outputYAML},
		"tree-edge-01.json": {target: treeTarget{kind: nodeCluster, name: "edge-01"}, format: outputJSON},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, drawn(t, readScene(t), tc.target, tc.format)) })
	}
}

// What is told in full at a machine is not told again as the cluster's own trouble.
func TestTreeTellsACauseOnce(t *testing.T) {
	got := drawn(t, readScene(t), treeTarget{name: "edge-02"}, outputText)
	if n := strings.Count(got, "subnet vlan-101 has no free address"); n != 1 {
		t.Errorf("told %d times:\n%s", n, got)
	}
}

func TestTreeShowsWhatIsAskedFor(t *testing.T) {
	both := func(g *ground) { g.clusters[2].Name = "production" }
	for name, tc := range map[string]struct {
		change func(*ground)
		target treeTarget
		want   []string
	}{
		"Everything":          {want: []string{"Account pc-east", "Account pc-lab", "Fleet production", "Cluster lab-01"}},
		"Fleet":               {target: treeTarget{kind: nodeFleet, name: "production"}, want: []string{"Account pc-east", "Fleet production"}},
		"ClusterOfAFleet":     {target: treeTarget{name: "edge-01"}, want: []string{"Account pc-east", "Cluster edge-01"}},
		"ClusterWithoutFleet": {target: treeTarget{name: "lab-01"}, want: []string{"Account pc-lab", "Cluster lab-01"}},
		"OneNameForBoth":      {change: both, target: treeTarget{name: "production"}, want: []string{"Account pc-east", "Account pc-lab", "Fleet production", "Cluster production"}},
		"KindSaid":            {change: both, target: treeTarget{kind: nodeCluster, name: "production"}, want: []string{"Account pc-lab", "Cluster production"}},
		"FleetGone":           {change: func(g *ground) { g.fleets = nil }, want: []string{"Account pc-east", "Account pc-lab", "Cluster edge-01", "Cluster edge-02", "Cluster lab-01"}},
		"Nothing":             {target: treeTarget{name: "edge-77"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := readScene(t)
			if tc.change != nil {
				tc.change(&g)
			}
			tree, err := grow(g, tc.target)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range tree.Roots {
				got = append(got, n.Kind+" "+n.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What could not be listed is not shown as absent.
func TestTreeSaysWhatItCouldNotRead(t *testing.T) {
	g := readScene(t)
	g.capi = nil
	g.unread = []string{"Machines: you may not list them"}
	if got := drawn(t, g, treeTarget{}, outputText); !strings.Contains(got, "\nnot shown: Machines: you may not list them\n") {
		t.Error(got)
	}
}

func TestTreeOfAPausedAndDeletedCluster(t *testing.T) {
	g := readScene(t)
	c := &g.clusters[0]
	c.Status.Phase = v1alpha1.PhaseDeleting
	c.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.PausedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.PausedByOtherReason, Message: "night-shift set spec.paused"},
		{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionUnknown, Reason: v1alpha1.DeletingReason, Message: "2 Machines are left"},
	}
	now := metav1.NewTime(noon)
	for _, o := range g.capi[:5] {
		if slices.Contains([]string{kindMachine, kindNutanixMachine}, o.GetKind()) {
			o.SetDeletionTimestamp(&now)
		}
	}
	got := drawn(t, g, treeTarget{name: "edge-01"}, outputText)
	for _, want := range []string{"Cluster edge-01  Deleting", "! PausedByOther: night-shift set spec.paused", "! Deleting: 2 Machines are left", "Machine edge-01-kcp-bbbbb  Deleting", "VM edge-01-kcp-bbbbb  Deleting"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

// TestTreeLive looks through the eyes of a viewer, who may read no Secrets, and of somebody who may read less.
func TestTreeLive(t *testing.T) {
	m := manage(t)
	m.apply(t, filepath.Join(repository(t, "good"), "fleet"))
	m.fleet(t, v1alpha1.Limits{})
	m.broken(t, "edge-01-workers-x7k2p", "edge-01")

	got := m.as(t, "viewer", "refract-viewer").command(t, "tree")
	expect(t, got, 0, "Fleet production", "Cluster edge-01", "ControlPlane edge-01-kcp", "Pool edge-01-workers", "VM edge-01-workers-x7k2p  not created", "! Failed (CreateError)", "Cluster edge-02")
	if strings.Contains(got.out, "not shown") {
		t.Errorf("a viewer does not see all:\n%s", got.out)
	}
	expect(t, m.as(t, "editor-only", m.editor(t)).command(t, "tree", "edge-01"), 0,
		"Cluster edge-01", "not shown: CloudAccounts: you may not list them", "not shown: Machines: you may not list them")
	expect(t, m.command(t, "tree", "fleet/staging"), 2, "no Fleet staging in namespace "+m.namespace)
	expect(t, m.command(t, "tree", "edge-77"), 2, "no Fleet and no cluster edge-77")
	expect(t, m.as(t, "nobody-at-all", "").command(t, "tree"), 2, "listing Fleets", "forbidden")
}

func TestTreeRefusesArguments(t *testing.T) {
	for name, args := range map[string][]string{
		"TwoNames":  {"tree", "a", "b"},
		"OtherKind": {"tree", "machine/a"},
		"Output":    {"tree", "-o", "wide"},
		"BothWays":  {"tree", "--all", "-n", "clusters"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, run(t, args...), 2, "see `refract tree --help`") })
	}
}
