package preflight

import (
	"slices"

	"github.com/refract-dev/refract/render/site"
)

// demand is what machines of a group take on one Prism Element, on top of what is there, while the rollout is at its
// peak: those that are added, those that surge, and what those that are replaced grow by.
type demand struct {
	group   group
	place   place
	element site.Element
	// added machines, and those that surge, which may come to any place of the group. again: another demand counts the
	// surge for this Prism Element already.
	added, surging int
	again          bool
	// grown is by how much each machine that may be replaced grows.
	grown []size
}

// size of machines.
type size struct{ vcpus, memory, storage int64 }

func (s size) plus(o size, times int) size {
	n := int64(times)
	return size{s.vcpus + n*o.vcpus, s.memory + n*o.memory, s.storage + n*o.storage}
}

// less is what s is more than another, and nothing less.
func (s size) less(o size) size {
	return size{max(0, s.vcpus-o.vcpus), max(0, s.memory-o.memory), max(0, s.storage-o.storage)}
}

// size of one machine of the group, its disks at full size.
func (g *group) size() size {
	s := size{g.spec.Sockets * max(1, g.spec.CoresPerSocket), g.spec.MemoryBytes, g.spec.SystemDiskBytes}
	for _, d := range g.spec.DataDisks {
		s.storage += d.SizeBytes
	}
	return s
}

// total is the peak: when the last of the old machines, as many as surge, stand beside all of the new ones. Which are the
// last is not known, so those count that grow least.
func (d demand) total() size {
	return d.growth(d.machines()-d.added).plus(d.group.size(), d.machines())
}

// growth of all replaced machines but a few, of each resource the least.
func (d demand) growth(but int) size {
	of := func(resource func(size) int64) int64 {
		var all []int64
		for _, s := range d.grown {
			all = append(all, resource(s))
		}
		slices.Sort(all)
		var sum int64
		for _, n := range all[min(but, len(all)):] {
			sum += n
		}
		return sum
	}
	return size{
		vcpus:   of(func(s size) int64 { return s.vcpus }),
		memory:  of(func(s size) int64 { return s.memory }),
		storage: of(func(s size) int64 { return s.storage }),
	}
}

// machines that come to the Prism Element at the peak.
func (d demand) machines() int {
	if d.again {
		return d.added
	}
	return d.added + d.surging
}

// coming is what the machines take that the plan makes.
func (c *checks) coming() []demand {
	var coming []demand
	for _, g := range groups(c.Input) {
		if n := g.coming(c.Machines); n > 0 {
			coming = append(coming, c.demands(g, n)...)
		}
	}
	return slices.DeleteFunc(coming, func(d demand) bool { return d.added+d.surging == 0 && d.growth(0) == size{} })
}

// demands says where n machines of a group come, and how many at a time. Which of them are replaced is told by the VMs
// that the group has; if those are not known, by what it was made of before; and if that is not known either, all are, so
// that nothing is called short without reason.
func (c *checks) demands(g group, n int) []demand {
	out := c.placed(g)
	if len(out) == 0 {
		return nil
	}
	have, added := c.machinesOf(g), n
	blind := !c.Site.Knows(site.PartVMs) && !c.New
	before := c.groupBefore(g)
	switch {
	case blind && c.Before == nil:
		added = 0
	case blind && before != nil:
		added = min(n, max(0, g.replicas-before.replicas))
	case len(have) > 0:
		added = min(n, max(0, g.replicas-len(have)))
	}
	spread(out, have, added)
	if n > added {
		replace(out, have, min(n-added, g.surge))
	}
	if blind && before != nil {
		outgrow(out, *before, min(n-added, before.replicas))
	}
	return out
}

// groupBefore is a group as it was before; nil when there was none.
func (c *checks) groupBefore(g group) *group {
	for _, b := range groups(Input{Objects: c.Before}) {
		if b.kind == g.kind && b.name == g.name {
			return &b
		}
	}
	return nil
}

// outgrow lets n machines grow from what the group was made of before. Where they are is not known: anywhere in turn.
func outgrow(places []demand, before group, n int) {
	was := before.size()
	for i := range n {
		d := &places[i%len(places)]
		d.grown = append(d.grown, d.group.size().less(was))
	}
}

// placed are the places of a group that are known.
func (c *checks) placed(g group) []demand {
	if !c.knows(site.PartElements, CheckMemory, Capacity, g.sizeField()) {
		return nil
	}
	var out []demand
	for _, p := range g.places {
		if found := c.Site.FindElements(p.element); len(found) == 1 {
			again := slices.ContainsFunc(out, func(d demand) bool { return d.element.ExtID == found[0].ExtID })
			out = append(out, demand{group: g, place: p, element: found[0], again: again})
		}
	}
	return out
}

// spread adds machines where the fewest are, as Cluster API does.
func spread(places []demand, have []site.VM, added int) {
	count := make([]int, len(places))
	for _, vm := range have {
		count[holder(places, vm)]++
	}
	for range added {
		i := slices.Index(count, slices.Min(count))
		count[i]++
		places[i].added++
	}
}

// replace lets machines surge at any of the places, and grow where they are.
func replace(places []demand, have []site.VM, surging int) {
	for i := range places {
		places[i].surging = surging
	}
	for _, vm := range have {
		i := holder(places, vm)
		places[i].grown = append(places[i].grown, growth(places[i].group.size(), vm))
	}
}

// holder is the place that a VM is at; the first, if at none of them.
func holder(places []demand, vm site.VM) int {
	return max(0, slices.IndexFunc(places, func(d demand) bool { return d.element.ExtID == vm.Element }))
}

// machinesOf are the VMs that a group has now.
func (c *checks) machinesOf(g group) []site.VM {
	var out []site.VM
	for _, vm := range c.Site.VMs {
		if c.owned(vm) && g.names.MatchString(vm.Name) {
			out = append(out, vm)
		}
	}
	return out
}

// growth is what a machine of this size takes more than a VM that it replaces, and nothing less.
func growth(s size, vm site.VM) size {
	now := size{vm.Sockets * vm.CoresPerSocket, vm.MemoryBytes, 0}
	if !running(vm) {
		now = size{}
	}
	for _, d := range vm.Disks {
		now.storage += d.SizeBytes
	}
	return s.less(now)
}

// running says whether a VM takes CPU and memory: all but those that are off, since Prism Central is not always sure.
func running(vm site.VM) bool { return vm.Power != site.PowerOff }
