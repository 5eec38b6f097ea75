package render

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// FuzzCluster lays spec over the spec of a golden cluster, adds a patch on objects of a kind, and gives a variable a
// value. Whatever they are: the same input gives the same bytes or the same error, the input stays as it is, and nothing
// comes out that render may not yield.
func FuzzCluster(f *testing.F) {
	names := goldenClusters(f)
	var inputs []Inputs
	for i, name := range names {
		inputs = append(inputs, load(f, name))
		f.Add(uint8(i), []byte(`{}`), "", "", "")
	}
	f.Fuzz(func(t *testing.T, golden uint8, spec []byte, kind, patch, value string) {
		in := copyOf(inputs[int(golden)%len(inputs)])
		if err := json.Unmarshal(spec, &in.Cluster.Spec); err != nil {
			t.Skip("not a spec")
		}
		if patch != "" {
			in.Cluster.Spec.Patches = append(in.Cluster.Spec.Patches, json6902(kind, patch))
			in.Profiles[0].Object.Spec.Layers[0].Patches = []v1alpha1.Patch{{Patch: patch}}
		}
		for i, p := range in.Cluster.Spec.Profiles {
			if _, ok := p.Variables["zone"]; ok {
				in.Cluster.Spec.Profiles[i].Variables["zone"] = value
			}
		}
		before := copyOf(in)
		first, err := Cluster(in)
		second, again := Cluster(copyOf(in))
		if diff := cmp.Diff(message(err), message(again)); diff != "" {
			t.Fatalf("two errors of one input (-first +second):\n%s", diff)
		}
		if diff := cmp.Diff(string(toJSON(t, before)), string(toJSON(t, in))); diff != "" {
			t.Fatalf("the input was changed (-before +after):\n%s", diff)
		}
		if err != nil {
			return
		}
		objects := first.Named(nil, all)
		if diff := cmp.Diff(toYAML(t, objects), toYAML(t, second.Named(nil, all))); diff != "" {
			t.Fatalf("two results of one input (-first +second):\n%s", diff)
		}
		for _, o := range objects {
			if err := checkYield(in.Cluster, o); err != nil {
				t.Errorf("%s: %v", describe(o), err)
			}
			if o.GetLabels()[v1alpha1.ClusterLabel] != in.Cluster.Name {
				t.Errorf("%s: labels %v", describe(o), o.GetLabels())
			}
		}
	})
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
