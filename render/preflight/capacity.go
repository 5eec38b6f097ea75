package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

// VCPUsPerCore is how many virtual CPUs a physical core may serve before CPU counts as short. Prism Central sets no
// limit; 4 is a common rule for mixed work.
const VCPUsPerCore = 4

// capacity compares what comes with what is free.
func (c *checks) capacity(rollouts []*rollout) {
	c.addresses(rollouts)
	all := demands(rollouts)
	c.freeGPUs(all)
	coming := taking(all)
	var elements []string
	for _, d := range coming {
		elements = append(elements, d.element.ExtID)
	}
	slices.Sort(elements)
	for _, id := range slices.Compact(elements) {
		here := slices.DeleteFunc(slices.Clone(coming), func(d demand) bool { return d.element.ExtID != id })
		// The element's biggest demand is what a finding points at.
		slices.SortStableFunc(here, func(a, b demand) int { return cmp.Compare(b.total().memory, a.total().memory) })
		c.hosts(here[0].element, here)
		c.storage(here[0].element, here)
	}
}

// sum of demands.
func sum(all []demand) size {
	var s size
	for _, d := range all {
		s = s.plus(d.total())
	}
	return s
}

// hosts checks CPU and memory of a Prism Element.
func (c *checks) hosts(e site.Element, here []demand) {
	field := here[0].group.sizeField()
	if !c.knowsOf(e, site.PartHosts, CheckMemory, Capacity, field) || !c.knows(site.PartVMs, CheckMemory, Capacity, field) {
		return
	}
	free, oneLost, why := Free(c.Site, e)
	if why != "" {
		c.unknown(CheckMemory, Capacity, field, why)
		return
	}
	spare := "on its only host"
	if oneLost {
		spare = "with one host lost"
	}
	c.fits(e, here)
	need := sum(here)
	if need.vcpus <= free.VCPUs && need.memory <= free.MemoryBytes {
		return
	}
	message := fmt.Sprintf("Prism Element %s: %s need %d vCPU and %s at the peak; %d vCPU (%d to a core) and %s are free %s: add hosts, free some, or take fewer or smaller machines",
		e.Name, machines(here), need.vcpus, up(need.memory), free.VCPUs, VCPUsPerCore, down(free.MemoryBytes), spare)
	if need.memory > free.MemoryBytes {
		c.short(CheckMemory, field, message)
	} else {
		c.short(CheckCPU, field, message)
	}
}

// fits checks that a machine of each group fits on the biggest host, however much is free.
func (c *checks) fits(e site.Element, here []demand) {
	var threads, memory int64
	for _, h := range working(e) {
		threads, memory = max(threads, h.Threads, h.Cores), max(memory, h.MemoryBytes)
	}
	for _, d := range here {
		if s := d.group.size(); s.vcpus > threads || s.memory > memory {
			c.add(Finding{
				Check: CheckMemory, Class: Capacity, Verdict: Failed, Field: d.group.sizeField(),
				Message: fmt.Sprintf("a machine with %d vCPU and %s fits on no host of Prism Element %s, the biggest of which have %d threads and %s: take smaller machines",
					s.vcpus, up(s.memory), e.Name, threads, down(memory)),
			})
		}
	}
}

// storage compares disks at their full size with the free physical storage.
func (c *checks) storage(e site.Element, here []demand) {
	field := here[0].group.sizeField()
	if !c.knowsOf(e, site.PartStorage, CheckStorage, Capacity, field) {
		return
	}
	if e.FreeStorageBytes == nil {
		c.unknown(CheckStorage, Capacity, field, "Prism Central does not say how much storage is free on Prism Element "+e.Name)
		return
	}
	if need := sum(here).storage; need > *e.FreeStorageBytes {
		c.short(CheckStorage, field, fmt.Sprintf("Prism Element %s: the disks of %s take up to %s at the peak; %s are free: free some, or take fewer machines or smaller disks",
			e.Name, machines(here), up(need), down(*e.FreeStorageBytes)))
	}
}

// addresses checks subnets whose addresses Prism Central manages. Each NIC of a machine takes one.
func (c *checks) addresses(rollouts []*rollout) {
	for _, s := range c.Site.Subnets {
		if len(s.Pools) == 0 {
			continue
		}
		need, field := int64(0), ""
		for _, r := range rollouts {
			n, named := r.addresses(s)
			if n > 0 {
				need, field = need+n, or(field, named)
			}
		}
		switch {
		case need == 0 || !c.knows(site.PartSubnets, CheckAddresses, Capacity, field):
		case s.FreeIPs == nil:
			c.unknown(CheckAddresses, Capacity, field, "Prism Central does not say how many addresses are free in subnet "+s.Name)
		case need > *s.FreeIPs:
			c.short(CheckAddresses, field, fmt.Sprintf("subnet %s: addresses needed at the peak: %d, free: %d. Enlarge its IP pools, or take another subnet",
				s.Name, need, *s.FreeIPs))
		}
	}
}

// addresses that machines of the group take in a subnet, and the field that names it.
func (r *rollout) addresses(subnet site.Subnet) (need int64, field string) {
	nics := map[string]int64{} // of one machine, by Prism Element
	for _, s := range r.spots {
		n := int64(0)
		for i, id := range s.place.subnets {
			if subnet.Meant(id, s.element.ExtID) {
				n++
				field = or(field, s.place.subnetFields[i])
			}
		}
		nics[s.element.ExtID] = max(nics[s.element.ExtID], n)
	}
	most := slices.Max(append(slices.Collect(maps.Values(nics)), 0))
	if most == 0 {
		return 0, ""
	}
	return r.peak(func(s spot) bool { return nics[s.element.ExtID] > 0 }, share{
		unit: func(g *group) int64 {
			if g != &r.group {
				return 0 // what it was before is told by the VMs
			}
			return most
		},
		held: func(vm site.VM) (n int64) {
			for _, nic := range vm.NICs {
				if nic.Subnet == subnet.ExtID {
					n++
				}
			}
			return n
		},
	}), field
}

// freeGPUs checks that enough GPUs can be given to machines that come.
func (c *checks) freeGPUs(all []demand) {
	type kind struct{ element, gpu string }
	type asked struct {
		demand
		wish int // of the first group that asks
		need int64
	}
	kinds := map[kind]*asked{}
	var order []*asked
	for _, d := range all {
		if _, lacks := c.Site.Lacks(site.PartGPUs, d.element); lacks {
			continue // said by the check that they exist
		}
		for i, w := range d.group.spec.GPUs {
			if slices.ContainsFunc(d.group.spec.GPUs[:i], func(o site.GPUWish) bool { return wish(o) == wish(w) }) {
				continue // counted with the first
			}
			n := d.gpus(w)
			if n == 0 {
				continue
			}
			k := kind{d.element.ExtID, wish(w)}
			if kinds[k] == nil {
				kinds[k] = &asked{demand: d, wish: i}
				order = append(order, kinds[k])
			}
			kinds[k].need += n
		}
	}
	for _, a := range order {
		c.enoughGPUs(a.demand, a.wish, a.need)
	}
}

// gpus of a kind that are taken.
func (d demand) gpus(w site.GPUWish) int64 {
	return d.peak(d.here, share{
		unit: func(g *group) (n int64) {
			for _, o := range g.spec.GPUs {
				if wish(o) == wish(w) {
					n++
				}
			}
			return n
		},
		held: func(vm site.VM) (n int64) {
			for _, g := range vm.GPUs {
				if running(vm) && w.Is(g.Name, g.DeviceID) {
					n++
				}
			}
			return n
		},
	})
}

// enoughGPUs checks one kind, which the i-th wish of the group names.
func (c *checks) enoughGPUs(d demand, i int, need int64) {
	w, field := d.group.spec.GPUs[i], d.group.gpuField(i)
	of := profiles(d.element, w)
	free, known := assignable(of)
	switch {
	case len(of) == 0: // said by the check that they exist
	case !known:
		c.unknown(CheckGPU, Capacity, field, fmt.Sprintf("Prism Central does not say how many GPUs %s are free on Prism Element %s", wish(w), d.element.Name))
	case need > free:
		advice := "Free some, or take fewer machines"
		if d.surging > 0 {
			advice = "Free some, take fewer machines, or set maxSurge to 0"
		}
		c.short(CheckGPU, field, fmt.Sprintf("Prism Element %s: GPUs %s needed at the peak: %d, free: %d. %s",
			d.element.Name, wish(w), need, free, advice))
	}
}

func assignable(profiles []site.GPUProfile) (free int64, known bool) {
	for _, p := range profiles {
		if p.Assignable == nil {
			return 0, false
		}
		free += *p.Assignable
	}
	return free, true
}

func (c *checks) short(check, field, message string) {
	c.add(Finding{Check: check, Class: Capacity, Verdict: Short, Field: field, Message: message})
}

// machines counts what comes, by group: "3 more of spec.nodePools[workers] and 1 while rolling".
func machines(here []demand) string {
	var out []string
	for _, d := range here {
		added := d.more()
		rolling := d.machines() - added
		words := fmt.Sprintf("%d more of %s", added, d.group.path)
		switch {
		case added+rolling == 0:
			words = "the new machines of " + d.group.path
		case added == 0:
			words = fmt.Sprintf("%d of %s while rolling", rolling, d.group.path)
		case rolling > 0:
			words += fmt.Sprintf(" and %d while rolling", rolling)
		}
		if added+rolling > 0 && d.total() != d.group.size().times(added+rolling) {
			words += " and what others grow by"
		}
		out = append(out, words)
	}
	return strings.Join(out, ", ")
}
