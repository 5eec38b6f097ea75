package render

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	addonsv1 "sigs.k8s.io/cluster-api/api/addons/v1beta2"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// TestTyped decodes what was rendered into Cluster API's own types: a misspelt field would be dropped by the API server
// without a word.
func TestTyped(t *testing.T) {
	types := map[string]func(testing.TB, []byte) any{
		kindCluster:               typed[clusterv1.Cluster],
		kindMachineDeployment:     typed[clusterv1.MachineDeployment],
		kindMachineHealthCheck:    typed[clusterv1.MachineHealthCheck],
		kindKubeadmControlPlane:   typed[controlplanev1.KubeadmControlPlane],
		kindKubeadmConfigTemplate: typed[bootstrapv1.KubeadmConfigTemplate],
		kindClusterResourceSet:    typed[addonsv1.ClusterResourceSet],
	}
	seen := map[string]bool{}
	for _, name := range goldenClusters(t) {
		for _, o := range render(t, load(t, name)).Named(nil, all) {
			decode, ok := types[o.GetKind()]
			if !ok {
				continue
			}
			seen[o.GetKind()] = true
			decoded := decode(t, toJSON(t, o.Object))
			// Nothing is lost on the way there and back, so numbers are numbers and lists are lists.
			back := map[string]any{}
			if err := json.Unmarshal(toJSON(t, decoded), &back); err != nil {
				t.Fatal(err)
			}
			if lost := missing(o.Object["spec"], back["spec"], "spec"); lost != "" {
				t.Errorf("%s: %s: %s does not survive Cluster API's types", name, describe(o), lost)
			}
		}
	}
	for kind := range types {
		if !seen[kind] {
			t.Errorf("no golden cluster yields a %s", kind)
		}
	}
}

// typed is strict for a table of types.
func typed[T any](tb testing.TB, data []byte) any {
	tb.Helper()
	return strict[T](tb, data)
}

// missing returns the path of a scalar of a that b lacks, "" when there is none.
func missing(a, b any, path string) string {
	switch a := a.(type) {
	case tree:
		bm, _ := b.(tree)
		for k := range a {
			if lost := missing(a[k], bm[k], path+"."+k); lost != "" {
				return lost
			}
		}
	case list:
		bl, _ := b.(list)
		if len(a) != len(bl) {
			return path
		}
		for i := range a {
			if lost := missing(a[i], bl[i], path+"[]"); lost != "" {
				return lost
			}
		}
	case int64:
		if b != float64(a) {
			return path
		}
	default:
		if !cmp.Equal(a, b) {
			return path
		}
	}
	return ""
}

func toJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestYield holds what DESIGN.md promises of every rendered object.
func TestYield(t *testing.T) {
	for _, name := range goldenClusters(t) {
		in := load(t, name)
		u := render(t, in)
		last := -1
		for _, o := range u.Named(nil, all) {
			if err := checkYield(in.Cluster, o); err != nil {
				t.Errorf("%s: %s: %v", name, describe(o), err)
			}
			labels := o.GetLabels()
			if labels["refract.dev/cluster"] != in.Cluster.Name || labels["cluster.x-k8s.io/cluster-name"] != in.Cluster.Name {
				t.Errorf("%s: %s has labels %v", name, describe(o), labels)
			}
			if u.Origin(o) == "" {
				t.Errorf("%s: %s has no origin", name, describe(o))
			}
			if position(o) < last {
				t.Errorf("%s: %s comes too late", name, describe(o))
			}
			last = position(o)
			if provider := find(o, "providerID"); provider {
				t.Errorf("%s: %s has a providerID", name, describe(o))
			}
		}
	}
}

// find tells whether a key is anywhere in o.
func find(o *unstructured.Unstructured, wanted string) bool {
	var walk func(v any) bool
	walk = func(v any) bool {
		switch v := v.(type) {
		case tree:
			for k, inner := range v {
				if k == wanted || walk(inner) {
					return true
				}
			}
		case list:
			return slices.ContainsFunc(v, walk)
		}
		return false
	}
	return walk(o.Object)
}
