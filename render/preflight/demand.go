package preflight

import (
	"slices"

	"github.com/refract-dev/refract/render/site"
)

// demand is what the machines of a group take on one Prism Element, on top of what is there, while the rollout is at its
// peak.
type demand struct {
	*rollout
	element site.Element
}

// size of machines.
type size struct{ vcpus, memory, storage int64 }

func (s size) plus(o size) size {
	return size{s.vcpus + o.vcpus, s.memory + o.memory, s.storage + o.storage}
}

func (s size) times(n int) size {
	return size{int64(n) * s.vcpus, int64(n) * s.memory, int64(n) * s.storage}
}

// size of one machine of the group, its disks at full size.
func (g *group) size() size {
	s := size{g.spec.Sockets * max(1, g.spec.CoresPerSocket), g.spec.MemoryBytes, g.spec.SystemDiskBytes}
	for _, d := range g.spec.DataDisks {
		s.storage += d.SizeBytes
	}
	return s
}

// sizeOf is what a VM takes. One that is off takes storage alone.
func sizeOf(vm site.VM) size {
	var s size
	if running(vm) {
		s.vcpus, s.memory = vm.Sockets*vm.CoresPerSocket, vm.MemoryBytes
	}
	for _, d := range vm.Disks {
		s.storage += d.SizeBytes
	}
	return s
}

// demands of rollouts, by Prism Element.
func demands(rollouts []*rollout) []demand {
	var all []demand
	for _, r := range rollouts {
		for i, s := range r.spots {
			d := demand{r, s.element}
			if !slices.ContainsFunc(r.spots[:i], d.here) {
				all = append(all, d)
			}
		}
	}
	return all
}

// taking are the demands that take something of the hosts.
func taking(all []demand) []demand {
	return slices.DeleteFunc(slices.Clone(all), func(d demand) bool { return d.machines() == 0 && d.total() == size{} })
}

// here says whether a place is on the Prism Element.
func (d demand) here(s spot) bool { return s.element.ExtID == d.element.ExtID }

// total is what is taken; each resource has a peak of its own.
func (d demand) total() size {
	of := func(resource func(size) int64) int64 {
		return d.peak(d.here, share{
			unit: func(g *group) int64 { return resource(g.size()) },
			held: func(vm site.VM) int64 { return resource(sizeOf(vm)) },
		})
	}
	return size{
		vcpus:   of(func(s size) int64 { return s.vcpus }),
		memory:  of(func(s size) int64 { return s.memory }),
		storage: of(func(s size) int64 { return s.storage }),
	}
}

// machines are how many there are more than now.
func (d demand) machines() int {
	one := share{unit: func(*group) int64 { return 1 }, held: func(site.VM) int64 { return 1 }}
	return int(d.peak(d.here, one))
}

// more of them are there in the end, too.
func (d demand) more() int {
	n := 0
	for _, s := range d.spots {
		if d.here(s) {
			n += s.added
		}
	}
	return n
}
