package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

// VCPUsPerCore is how many virtual CPUs a physical core may serve before CPU counts as short. Prism Central sets no
// limit; 4 is a common rule for mixed work.
const VCPUsPerCore = 4

// capacity compares what comes with what is free.
func (c *checks) capacity(coming []demand) {
	c.addresses(coming)
	c.freeGPUs(coming)
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
		s = s.plus(d.total(), 1)
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

// addresses checks subnets whose addresses Prism Central manages. Each NIC of a machine that comes takes one.
func (c *checks) addresses(coming []demand) {
	need, field := map[string]int{}, map[string]string{}
	for _, d := range coming {
		for i, id := range d.place.subnets {
			for _, s := range c.Site.FindSubnets(id, d.element.ExtID) {
				if len(s.Pools) > 0 {
					need[s.ExtID] += d.added + d.surging
					field[s.ExtID] = or(field[s.ExtID], d.place.subnetFields[i])
				}
			}
		}
	}
	for _, s := range c.Site.Subnets {
		switch n := need[s.ExtID]; {
		case n == 0 || !c.knows(site.PartSubnets, CheckAddresses, Capacity, field[s.ExtID]):
		case s.FreeIPs == nil:
			c.unknown(CheckAddresses, Capacity, field[s.ExtID], "Prism Central does not say how many addresses are free in subnet "+s.Name)
		case int64(n) > *s.FreeIPs:
			c.short(CheckAddresses, field[s.ExtID], fmt.Sprintf("subnet %s: addresses needed at the peak: %d, free: %d. Enlarge its IP pools, or take another subnet",
				s.Name, n, *s.FreeIPs))
		}
	}
}

// freeGPUs checks that enough GPUs can be given to machines that come.
func (c *checks) freeGPUs(coming []demand) {
	type kind struct{ element, gpu string }
	need, first := map[kind]int{}, map[kind]int{}
	var order []kind
	for n, d := range coming {
		if _, lacks := c.Site.Lacks(site.PartGPUs, d.element); lacks {
			continue // said by the check that they exist
		}
		for _, w := range d.group.spec.GPUs {
			k := kind{d.element.ExtID, wish(w)}
			if need[k] == 0 {
				first[k] = n
				order = append(order, k)
			}
			need[k] += d.machines()
		}
	}
	for _, k := range order {
		d := coming[first[k]]
		i := slices.IndexFunc(d.group.spec.GPUs, func(w site.GPUWish) bool { return wish(w) == k.gpu })
		free, known := assignable(profiles(d.element, d.group.spec.GPUs[i]))
		switch {
		case len(profiles(d.element, d.group.spec.GPUs[i])) == 0: // said by the check that they exist
		case !known && need[k] > 0:
			c.unknown(CheckGPU, Capacity, d.group.gpuField(i), fmt.Sprintf("Prism Central does not say how many GPUs %s are free on Prism Element %s", k.gpu, d.element.Name))
		case int64(need[k]) > free:
			c.short(CheckGPU, d.group.gpuField(i), fmt.Sprintf("Prism Element %s: GPUs %s needed at the peak: %d, free: %d. Free some, take fewer machines, or set maxSurge to 0",
				d.element.Name, k.gpu, need[k], free))
		}
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
		words := fmt.Sprintf("%d more of %s", d.added, d.group.path)
		switch {
		case d.machines() == 0:
			words = "the new machines of " + d.group.path
		case d.added == 0:
			words = fmt.Sprintf("%d of %s while rolling", d.surging, d.group.path)
		case d.surging > 0 && !d.again:
			words += fmt.Sprintf(" and %d while rolling", d.surging)
		}
		out = append(out, words)
	}
	return strings.Join(out, ", ")
}
