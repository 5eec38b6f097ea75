package preflight

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/site"
)

// A finding names the field of the cluster's file while that says what was rendered. If it does not, a patch wrote the
// field, and the object and its field are named.

// undivided is the place of machines without a failure domain.
func (g *group) undivided() place {
	p := place{element: g.spec.Element, elementField: "spec.machineDefaults.prismElement", subnets: g.spec.Subnets}
	var want []v1alpha1.Identifier
	if g.cluster != nil {
		defaults := g.cluster.Spec.MachineDefaults
		want = defaults.Subnets
		if !same(defaults.PrismElement, p.element) {
			p.elementField = g.rendered("cluster")
		}
	}
	for i, s := range p.subnets {
		field := fmt.Sprintf("spec.machineDefaults.subnets[%d]", i)
		if i >= len(want) || !same(want[i], s) {
			field = g.rendered(fmt.Sprintf("subnet[%d]", i))
		}
		p.subnetFields = append(p.subnetFields, field)
	}
	return p
}

// domain is the place that a NutanixFailureDomain tells.
func domain(cluster *v1alpha1.NutanixClusterSpec, o *unstructured.Unstructured) place {
	element, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "prismElementCluster")
	subnets, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "subnets")
	object := kindFailureDomain + "/" + o.GetName()
	p := place{element: site.ReadID(element), elementField: object + " spec.prismElementCluster", subnets: site.ReadIDs(subnets)}
	written := failureDomain(cluster, o.GetName())
	if written != nil && same(written.PrismElement, p.element) {
		p.elementField = "spec.failureDomains[" + written.Name + "].prismElement"
	}
	for i, s := range p.subnets {
		field := fmt.Sprintf("%s spec.subnets[%d]", object, i)
		if written != nil && i < len(written.Subnets) && same(written.Subnets[i], s) {
			field = fmt.Sprintf("spec.failureDomains[%s].subnets[%d]", written.Name, i)
		}
		p.subnetFields = append(p.subnetFields, field)
	}
	return p
}

// contentHash ends the name of a rendered template.
var contentHash = regexp.MustCompile(`-[0-9a-f]{8}$`)

// failureDomain finds the failure domain of the file that an object was rendered from.
func failureDomain(cluster *v1alpha1.NutanixClusterSpec, object string) *v1alpha1.FailureDomain {
	if cluster == nil {
		return nil
	}
	for i, d := range cluster.Spec.FailureDomains {
		name := cluster.Name + "-" + d.Name
		if object == name || contentHash.ReplaceAllString(object, "") == name {
			return &cluster.Spec.FailureDomains[i]
		}
	}
	return nil
}

func (g *group) projectField() string {
	if g.cluster != nil {
		if p := g.cluster.Spec.MachineDefaults.Project; p != nil && same(*p, g.spec.Project) {
			return "spec.machineDefaults.project"
		}
	}
	return g.rendered("project")
}

func (g *group) categoryField(i int) string {
	c := g.spec.Categories[i]
	if g.cluster != nil {
		for n, w := range g.cluster.Spec.MachineDefaults.Categories {
			if w.Key == c.Key && w.Value == c.Value {
				return fmt.Sprintf("spec.machineDefaults.categories[%d]", n)
			}
		}
	}
	return g.rendered(fmt.Sprintf("additionalCategories[%d]", i))
}

func (g *group) gpuField(i int) string {
	if g.machine != nil && i < len(g.machine.GPUs) {
		w, got := g.machine.GPUs[i], g.spec.GPUs[i]
		if w.Name == got.Name && (w.DeviceID == nil) == (got.DeviceID == nil) && (w.DeviceID == nil || *w.DeviceID == *got.DeviceID) {
			return fmt.Sprintf("%s.machine.gpus[%d]", g.path, i)
		}
	}
	return g.rendered(fmt.Sprintf("gpus[%d]", i))
}

func (g *group) containerField(d site.DataDisk) string {
	if g.machine != nil && d.Index < len(g.machine.DataDisks) {
		if w := g.machine.DataDisks[d.Index].StorageContainer; w != nil && same(*w, d.Container) {
			return fmt.Sprintf("%s.machine.dataDisks[%d].storageContainer", g.path, d.Index)
		}
	}
	return g.rendered(fmt.Sprintf("dataDisks[%d].storageConfig.storageContainer", d.Index))
}

// imageField is the OS layer's, which all machines share. A patch on it cannot be told: the layers are not part of the
// file that names them.
func (g *group) imageField() string {
	if g.cluster == nil {
		return g.rendered("image")
	}
	field := "image"
	if g.spec.LookupBaseOS != "" {
		field = "imageLookup"
	}
	if p := g.cluster.Spec.Profiles; len(p) == 1 {
		return "spec.profiles[" + p[0].Name + "]: os." + field + " of the layer of type OS"
	}
	return "spec.profiles: os." + field + " of the layer of type OS"
}

// sizeField is the machine's size, or where a patch wrote it.
func (g *group) sizeField() string {
	if g.machine != nil {
		cores := max(1, int64(g.machine.VCPUsPerSocket))
		if int64(g.machine.VCPUSockets)*cores == g.spec.Sockets*g.spec.CoresPerSocket && g.machine.Memory.Value() == g.spec.MemoryBytes {
			return g.path + ".machine"
		}
	}
	return g.rendered("")
}

// rendered names a field of the group's NutanixMachineTemplate.
func (g *group) rendered(field string) string {
	return strings.TrimSuffix(kindTemplate+"/"+g.template+" spec.template.spec."+field, ".")
}

// same says whether a file and a rendered object name the same entity.
func same(written v1alpha1.Identifier, id site.ID) bool {
	return written.Name == id.Name && strings.EqualFold(written.UUID, id.UUID)
}
