package render

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// template returns the template of a kind and base.
func template(t *testing.T, u Unit, kind, base string) Template {
	t.Helper()
	for _, candidate := range u.Templates() {
		if candidate.Object.GetKind() == kind && candidate.Base == base {
			return candidate
		}
	}
	t.Fatalf("no template %s %s", kind, base)
	return Template{}
}

// stringsAt returns the strings at a dotted path.
func stringsAt(o *unstructured.Unstructured, path string) []string {
	return values(o, strings.Split(path, "."))
}

func TestNamedFollowsChosenNames(t *testing.T) {
	u := render(t, load(t, "failure-domains"))
	objects := u.Named(map[string]string{
		"NutanixMachineTemplate/spread-kcp":   "from-before",
		"NutanixMachineTemplate/spread-in-a":  "from-before",
		"KubeadmConfigTemplate/spread-in-a":   "spread-in-a-00000000",
		"NutanixFailureDomain/spread-fd-a":    "pe-1",
		"NutanixFailureDomain/no-such":        "ignored",
		"NutanixMachineTemplate/spread-extra": "ignored",
	}, all)

	get(t, objects, kindNutanixMachineTemplate, "from-before")
	count := 0
	for _, o := range objects {
		if o.GetKind() == kindNutanixMachineTemplate {
			count++
		}
	}
	if count != 2 {
		t.Errorf("two templates with one name and one without: got %d objects, want 2", count)
	}
	kcp := get(t, objects, kindKubeadmControlPlane, "spread-kcp")
	pool := get(t, objects, kindMachineDeployment, "spread-in-a")
	infra := get(t, objects, kindNutanixCluster, "spread")
	hashed := template(t, u, kindNutanixFailureDomain, "spread-fd-b").Hashed
	for _, c := range []struct {
		object *unstructured.Unstructured
		path   string
		want   []string
	}{
		{kcp, "spec.machineTemplate.spec.infrastructureRef.name", []string{"from-before"}},
		{pool, "spec.template.spec.infrastructureRef.name", []string{"from-before"}},
		{pool, "spec.template.spec.bootstrap.configRef.name", []string{"spread-in-a-00000000"}},
		{pool, "spec.template.spec.failureDomain", []string{"pe-1"}},
		{infra, "spec.controlPlaneFailureDomains.*.name", []string{
			"pe-1", hashed, template(t, u, kindNutanixFailureDomain, "spread-fd-c").Hashed,
		}},
	} {
		if diff := cmp.Diff(c.want, stringsAt(c.object, c.path)); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", describe(c.object), c.path, diff)
		}
	}
}

func TestCurrent(t *testing.T) {
	u := render(t, load(t, "failure-domains"))
	live := map[string]*unstructured.Unstructured{}
	for _, o := range u.Named(map[string]string{"NutanixMachineTemplate/spread-kcp": "spread-mt-0"}, all) {
		live[o.GetKind()+"/"+o.GetName()] = o
	}
	// What CAPX's template or a person called a failure domain, between two of ours.
	set(live["NutanixCluster/spread"].Object, list{
		tree{"name": "spread-fd-b-00000001"}, tree{"name": "pe-two"}, tree{"name": "spread-fd-c"},
	}, "spec", "controlPlaneFailureDomains")
	set(live["MachineDeployment/spread-in-a"].Object, "spread-fd-a-00000002", "spec", "template", "spec", "failureDomain")
	lookup := func(_, kind, name string) *unstructured.Unstructured { return live[kind+"/"+name] }

	for _, c := range []struct{ kind, base, want string }{
		{kindNutanixMachineTemplate, "spread-kcp", "spread-mt-0"},
		{kindNutanixMachineTemplate, "spread-in-a", template(t, u, kindNutanixMachineTemplate, "spread-in-a").Hashed},
		{kindNutanixFailureDomain, "spread-fd-a", "spread-fd-a-00000002"},
		{kindNutanixFailureDomain, "spread-fd-b", "spread-fd-b-00000001"},
		{kindNutanixFailureDomain, "spread-fd-c", "spread-fd-c"},
	} {
		if got := u.Current(template(t, u, c.kind, c.base), lookup); got != c.want {
			t.Errorf("%s %s: current name %q, want %q", c.kind, c.base, got, c.want)
		}
	}

	// Adopted: no name has our form, so the place in the list says which is which.
	set(live["NutanixCluster/spread"].Object, list{
		tree{"name": "pe-one"}, tree{"name": "pe-two"}, tree{"name": "pe-three"},
	}, "spec", "controlPlaneFailureDomains")
	if got := u.Current(template(t, u, kindNutanixFailureDomain, "spread-fd-b"), lookup); got != "pe-two" {
		t.Errorf("adopted failure domain: %q, want pe-two", got)
	}
	nothing := func(_, _, _ string) *unstructured.Unstructured { return nil }
	for _, tmpl := range u.Templates() {
		if got := u.Current(tmpl, nothing); got != "" {
			t.Errorf("%s: current name %q of a cluster that does not exist", tmpl.Key(), got)
		}
	}
}

func TestAutoscaledReplicasOnlyAtCreation(t *testing.T) {
	u := render(t, load(t, "autoscaled"))
	replicas := func(objects []*unstructured.Unstructured, name string) any {
		n, ok, err := unstructured.NestedInt64(get(t, objects, kindMachineDeployment, name).Object, "spec", "replicas")
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return nil
		}
		return n
	}
	creating := u.Named(nil, func(kind, name string) bool { return kind == kindMachineDeployment && name == "batch-burst" })
	if got := replicas(creating, "batch-burst"); got != int64(2) {
		t.Errorf("created with %v replicas, want autoscaling.min", got)
	}
	for name, objects := range map[string][]*unstructured.Unstructured{
		"existing": u.Named(nil, func(string, string) bool { return false }), "nil": u.Named(nil, nil), "objects": u.Objects(),
	} {
		if got := replicas(objects, "batch-burst"); got != nil {
			t.Errorf("%s: %v replicas rendered, and the autoscaler owns them", name, got)
		}
		if got := replicas(objects, "batch-drained"); got != int64(0) {
			t.Errorf("%s: %v replicas of a pool without autoscaling, want 0", name, got)
		}
	}
}

func TestDigestCoversContentOnly(t *testing.T) {
	in := load(t, "minimal")
	before := template(t, render(t, in), kindNutanixMachineTemplate, "edge-01-workers")

	other := copyOf(in)
	other.Cluster.Name = "edge-02"
	other.Cluster.Spec.DeletionPolicy = "Delete"
	if got := template(t, render(t, other), kindNutanixMachineTemplate, "edge-02-workers"); got.Digest != before.Digest {
		t.Error("the digest of a template depends on the cluster's name")
	}
	bigger := copyOf(in)
	bigger.Cluster.Spec.NodePools[0].Machine.Memory = resource.MustParse("8Gi")
	after := render(t, bigger)
	if got := template(t, after, kindNutanixMachineTemplate, "edge-01-workers"); got.Hashed == before.Hashed {
		t.Error("other memory, and the template keeps its name")
	}
	if got := template(t, after, kindNutanixMachineTemplate, "edge-01-kcp"); got.Hashed !=
		template(t, render(t, in), kindNutanixMachineTemplate, "edge-01-kcp").Hashed {
		t.Error("another pool's memory renames the control plane's template")
	}
	if after.Digest() == render(t, in).Digest() {
		t.Error("other memory, and the digest of all objects is the same")
	}
}

func TestUnitIsNotChangedByItsUsers(t *testing.T) {
	u := render(t, load(t, "layers"))
	want := u.Digest()
	for _, o := range append(u.Objects(), u.Named(nil, all)...) {
		clearTree(o.Object)
	}
	for _, tmpl := range u.Templates() {
		clearTree(tmpl.Object.Object)
	}
	if got := u.Digest(); got != want {
		t.Error("who changes what a Unit returned changes the Unit")
	}
}

func clearTree(v any) {
	switch v := v.(type) {
	case tree:
		for k, inner := range v {
			clearTree(inner)
			v[k] = nil
		}
	case list:
		for i, inner := range v {
			clearTree(inner)
			v[i] = nil
		}
	}
}

func TestOrigin(t *testing.T) {
	u := render(t, load(t, "layers"))
	objects := u.Named(map[string]string{"KubeadmConfigTemplate/shop-workers": "adopted"}, all)
	for _, c := range []struct{ kind, name, want string }{
		{kindKubeadmConfigTemplate, "adopted", "node pool workers of cluster shop, patched by layer ubuntu of profile standard@1.4.0"},
		{kindKubeadmControlPlane, "shop-kcp", "cluster shop, patched by layer kubernetes of profile standard@1.4.0"},
		{kindSecret, "shop-csi", "layer csi of profile standard@1.4.0"},
	} {
		if got := u.Origin(get(t, objects, c.kind, c.name)); got != c.want {
			t.Errorf("%s %s comes from %q, want %q", c.kind, c.name, got, c.want)
		}
	}
}

// TestParallel shows, under the race detector, that one input may be rendered by many at a time.
func TestParallel(t *testing.T) {
	in := load(t, "layers")
	want := render(t, in).Digest()
	digests := make(chan string)
	for range 8 {
		go func() {
			u, err := Cluster(in)
			if err != nil {
				digests <- err.Error()
				return
			}
			digests <- u.Digest()
		}()
	}
	for range 8 {
		if got := <-digests; got != want {
			t.Errorf("rendered at the same time: %s, want %s", got, want)
		}
	}
}
