package preflight

import (
	"cmp"
	"slices"

	"github.com/refract-dev/refract/render/site"
)

// rollout is how the machines of a group come and go.
type rollout struct {
	group group
	// spots are the places of the group that are known.
	spots []spot
	// have are the machines that it has, before is what it was made of; nil when that is not known, or it was not there.
	have   []site.VM
	before *group
	// coming machines, of which added were not there; the others are replaced. wanted are all in the end.
	coming, added, wanted int
	// surging is how many more than wanted there may be.
	surging int
}

// spot is a place of a group, and how many of the machines that are added come to it.
type spot struct {
	place   place
	element site.Element
	added   int
}

// rollouts are those of all groups that get machines.
func (c *checks) rollouts() []*rollout {
	var all []*rollout
	for _, g := range groups(c.Input) {
		if n := g.coming(c.Machines); n > 0 && c.knows(site.PartElements, CheckMemory, Capacity, g.sizeField()) {
			all = append(all, c.rollout(g, n))
		}
	}
	return all
}

// rollout of a group to which n machines come. Which of them are replaced is told by the VMs that the group has; if those
// are not known, by what it was made of before; and if that is not known either, all are, so that nothing is called short
// without reason.
func (c *checks) rollout(g group, n int) *rollout {
	r := &rollout{group: g, coming: n, added: n, have: c.machinesOf(g), before: c.groupBefore(g)}
	for _, p := range g.places {
		if found := c.Site.FindElements(p.element); len(found) == 1 {
			r.spots = append(r.spots, spot{place: p, element: found[0]})
		}
	}
	if !c.Site.Knows(site.PartVMs) && !c.New {
		r.have = c.imaginedMachines(g, r.spots)
	}
	if len(r.have) > 0 {
		r.added = min(n, max(0, g.replicas-len(r.have)))
	}
	r.wanted = max(g.replicas, r.added)
	if g.autoscaled {
		r.wanted = max(r.wanted, len(r.have))
	}
	r.surging = min(n-r.added, surge(g.maxSurge, r.wanted))
	r.spread()
	return r
}

// spread adds machines where the fewest are, as Cluster API does.
func (r *rollout) spread() {
	if len(r.spots) == 0 {
		return
	}
	count := make([]int, len(r.spots))
	for _, vm := range r.have {
		if i := slices.IndexFunc(r.spots, func(s spot) bool { return s.element.ExtID == vm.Element }); i >= 0 {
			count[i]++
		}
	}
	for range r.added {
		i := slices.Index(count, slices.Min(count))
		count[i]++
		r.spots[i].added++
	}
}

// share of a resource that one machine takes.
type share struct {
	// unit is for a machine of a group.
	unit func(*group) int64
	// held is what a VM has.
	held func(site.VM) int64
}

// peak is what the group takes of a resource at some of its places on top of what it has taken there, when that is most.
//
// Old machines make room for new ones one by one, and in an order that is not known: so those stay longest that hold the
// most. A rollout that is under way may first exchange them for what the group was made of before. New ones are spread
// evenly, whatever the old ones were.
func (r *rollout) peak(at func(spot) bool, of share) int64 {
	unit := of.unit(&r.group)
	old, now := r.old(at, of)
	fresh, together := r.bounds(at, len(old))
	var most int64
	for n := 1; n <= fresh; n++ {
		taken := int64(n) * unit
		for _, held := range old[:min(len(old), max(0, together-n))] {
			taken += held
		}
		most = max(most, taken-now)
	}
	return most
}

// rolls says whether machines are replaced.
func (r *rollout) rolls() bool { return r.coming > r.added }

// old is what the machines at some places may hold while they are among the last, the most first, and what all hold now.
func (r *rollout) old(at func(spot) bool, of share) (old []int64, now int64) {
	former := int64(0)
	if r.rolls() && r.before != nil {
		former = of.unit(r.before)
	}
	for _, vm := range r.have {
		if !slices.ContainsFunc(r.spots, func(s spot) bool { return s.element.ExtID == vm.Element && at(s) }) {
			continue
		}
		held := of.held(vm)
		now += held
		if running(vm) {
			held = max(held, former)
		}
		old = append(old, held)
	}
	slices.SortFunc(old, func(a, b int64) int { return cmp.Compare(b, a) })
	return old, now
}

// bounds are how many new machines come to some places where so many old ones are, and how many there may be of both.
func (r *rollout) bounds(at func(spot) bool, old int) (fresh, together int) {
	places, added := 0, 0
	for _, s := range r.spots {
		if at(s) {
			places++
			added += s.added
		}
	}
	if places == 0 || !r.rolls() {
		return added, old + added
	}
	known := len(r.spots)
	even := places*(r.wanted/known) + min(places, r.wanted%known)
	return min(r.coming, max(added, even)), min(r.wanted+r.surging, max(old+added+r.surging, even))
}

// imaginedMachines are those of a group whose VMs are not known: of what it was made before, or as it is to be.
func (c *checks) imaginedMachines(g group, spots []spot) []site.VM {
	before := &g
	if c.Before != nil {
		if before = c.groupBefore(g); before == nil {
			return nil
		}
	}
	var kinds []site.VM
	for _, p := range before.places {
		kinds = append(kinds, c.imagine(before, p))
	}
	if len(kinds) == 0 { // their failure domains are gone: anywhere
		for _, s := range spots {
			kinds = append(kinds, c.imagine(before, s.place))
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	var all []site.VM
	for i := range before.replicas {
		all = append(all, kinds[i%len(kinds)])
	}
	return all
}

// imagine is a machine of a group at a place.
func (c *checks) imagine(g *group, p place) site.VM {
	size := g.size()
	vm := site.VM{
		Sockets: size.vcpus, CoresPerSocket: 1, MemoryBytes: size.memory, Power: site.PowerOn,
		Disks: []site.Disk{{SizeBytes: size.storage}},
	}
	for _, e := range c.Site.FindElements(p.element) {
		vm.Element = e.ExtID
	}
	for _, id := range p.subnets {
		for _, s := range c.Site.FindSubnets(id, vm.Element) {
			vm.NICs = append(vm.NICs, site.NIC{Subnet: s.ExtID})
		}
	}
	for _, w := range g.spec.GPUs {
		gpu := site.GPU{Name: w.Name}
		if w.DeviceID != nil {
			gpu.DeviceID = *w.DeviceID
		}
		vm.GPUs = append(vm.GPUs, gpu)
	}
	return vm
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

// running says whether a VM takes CPU and memory: all but those that are off, since Prism Central is not always sure.
func running(vm site.VM) bool { return vm.Power != site.PowerOff }
