package preflight_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// What is really rendered is traced back to the file: a Prism Central that has nothing yields a finding for each thing
// that the file names.
func TestCausesOfRenderedClusters(t *testing.T) {
	for name, want := range map[string][]string{
		"minimal": {
			"Image spec.profiles[bare]: os.image of the layer of type OS", "PrismElement spec.machineDefaults.prismElement",
		},
		"failure-domains": {
			"Image spec.profiles[spread]: os.imageLookup of the layer of type OS", "PrismElement spec.failureDomains[fd-a].prismElement",
			"PrismElement spec.failureDomains[fd-b].prismElement", "PrismElement spec.failureDomains[fd-c].prismElement",
			"PrismElement spec.machineDefaults.prismElement",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := renderedCluster(t, name)
			in.Site = &site.Inventory{}
			var got []string
			for _, f := range preflight.Check(in) {
				got = append(got, f.Check+" "+f.Field)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Where a file sets everything, only what its patches wrote is laid at the door of an object.
func TestCausesOfEverything(t *testing.T) {
	in := renderedCluster(t, "everything")
	in.Site = &site.Inventory{Elements: []site.Element{{ExtID: "pe-1", Name: "PE-1", Available: new(true)}}}
	fields := map[string]bool{}
	for _, f := range preflight.Check(in) {
		fields[hash.ReplaceAllString(f.Field, "")] = true
	}
	for _, want := range []string{
		"spec.controlPlane.machine.dataDisks[0].storageContainer",
		"spec.controlPlane.machine.gpus[0]",
		"spec.machineDefaults.categories[0]",
		"spec.machineDefaults.project",
		"spec.machineDefaults.subnets[0]",
		"NutanixMachineTemplate/hard-kcp spec.template.spec.gpus[2]", // a layer's patch adds this GPU
	} {
		if !fields[want] {
			t.Errorf("want %s, got %v", want, slices.Sorted(maps.Keys(fields)))
		}
	}
}

// hash ends the name of a rendered template.
var hash = regexp.MustCompile(`-[0-9a-f]{8}\b`)

func renderedCluster(t *testing.T, name string) preflight.Input {
	t.Helper()
	decoded, err := fleet.Decode(os.DirFS("../testdata/clusters/"+name), ".", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cluster := decoded.Clusters[0]
	unit, err := render.Cluster(render.FromFleet(cluster))
	if err != nil {
		t.Fatal(err)
	}
	objects := unit.Named(nil, func(string, string) bool { return true })
	return preflight.Input{Cluster: cluster.Object, Objects: objects, New: true}
}
