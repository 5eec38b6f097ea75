package drift

import (
	"slices"
	"strconv"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

// none is found where something is wanted and nothing is there, and the other way round.
const none = "none"

// comparison of one machine with its VM.
type comparison struct {
	index
	machine Machine
	want    site.MachineSpec
	vm      site.VM
	// element is the ExtID of the wanted Prism Element, or empty when not known.
	element string
	found   []Finding
}

// differ adds a finding, with what repairs it unless somebody else is at work.
func (c *comparison) differ(field, wanted, found string, repair Repair, categories ...string) {
	f := Finding{
		Kind: Changed, Machine: c.machine.Name, VM: c.vm.Name, ExtID: c.vm.ExtID,
		Field: field, Wanted: wanted, Found: found, HandsOff: c.machine.HandsOff,
	}
	if !c.machine.HandsOff && !c.machine.Unhealthy {
		f.Repair, f.Categories = repair, categories
	}
	c.found = append(c.found, f)
}

// differEntity names two entities, with their ExtIDs where the names are the same.
func (c *comparison) differEntity(field, wanted, found string, name func(string) string) {
	w, f := or(name(wanted), wanted), or(name(found), or(found, none))
	if w == f {
		w, f = w+" ("+wanted+")", f+" ("+found+")"
	}
	c.differ(field, w, f, None)
}

func (c *comparison) name() {
	if !slices.Contains(names(c.machine), c.vm.Name) {
		c.differ("name", c.machine.Name, c.vm.Name, None)
	}
}

func (c *comparison) size() {
	c.number("vcpuSockets", c.want.Sockets, c.vm.Sockets)
	c.number("vcpusPerSocket", c.want.CoresPerSocket, c.vm.CoresPerSocket)
	c.bytes("memorySize", c.want.MemoryBytes, c.vm.MemoryBytes)
}

// number compares counts; 0 is not known.
func (c *comparison) number(field string, wanted, found int64) {
	if wanted != found && wanted > 0 && found > 0 {
		c.differ(field, strconv.FormatInt(wanted, 10), strconv.FormatInt(found, 10), None)
	}
}

// bytes compares sizes to the MiB, as Prism Central may round; 0 is not known.
func (c *comparison) bytes(field string, wanted, found int64) {
	if wanted > 0 && found > 0 && !sameSize(wanted, found) {
		c.differ(field, quantity(wanted), quantity(found), None)
	}
}

func (c *comparison) project() {
	if wanted := c.resolveProject(c.want.Project); wanted != "" && !strings.EqualFold(wanted, c.vm.Project) {
		c.differEntity("project", wanted, c.vm.Project, c.projectName)
	}
}

func (c *comparison) place() {
	if c.element != "" && c.vm.Element != "" && !strings.EqualFold(c.element, c.vm.Element) {
		c.differEntity("cluster", c.element, c.vm.Element, c.elementName)
	}
}

func (c *comparison) boot() {
	if c.want.Boot != "" && c.vm.Boot != "" && c.want.Boot != c.vm.Boot {
		c.differ("bootType", c.want.Boot, c.vm.Boot, None)
	}
}

// power wants a VM that is on. What Prism Central is not sure about is no difference.
func (c *comparison) power() {
	switch c.vm.Power {
	case site.PowerOn, "", "UNKNOWN", "$UNKNOWN", "REDACTED", "$REDACTED", "UNDETERMINED":
	case site.PowerOff:
		c.differ("power", site.PowerOn, c.vm.Power, PowerOn)
	default:
		c.differ("power", site.PowerOn, c.vm.Power, None)
	}
}

// categories wants the cluster's own and those of the template; more are welcome.
func (c *comparison) categories() {
	if !c.Site.Knows(site.PartCategories) {
		return
	}
	own := site.Category{Key: site.ClusterCategory, Value: c.Cluster}
	var missing, instead, ids []string
	for _, w := range append([]site.Category{own}, c.want.Categories...) {
		known := c.Site.FindCategories(w.Key, w.Value)
		if len(known) == 0 || slices.ContainsFunc(known, func(k site.Category) bool { return slices.Contains(c.vm.Categories, k.ExtID) }) {
			continue
		}
		missing = append(missing, w.Key+"="+w.Value)
		ids = append(ids, known[0].ExtID)
		instead = append(instead, c.valuesOf(w.Key)...)
	}
	if len(missing) == 0 {
		return
	}
	slices.Sort(missing)
	slices.Sort(instead)
	slices.Sort(ids)
	found := strings.Join(slices.Compact(instead), ", ")
	c.differ("categories", strings.Join(slices.Compact(missing), ", "), or(found, none), AddCategories, slices.Compact(ids)...)
}

// valuesOf are the VM's categories with a key.
func (c *comparison) valuesOf(key string) []string {
	var out []string
	for _, id := range c.vm.Categories {
		if k := c.tags[id]; k.Key == key {
			out = append(out, k.Key+"="+k.Value)
		}
	}
	return out
}
