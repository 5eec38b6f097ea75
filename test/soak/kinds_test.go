package soak

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// kind of a change.
type kind struct {
	name string
	// do changes a VM, and finding is what is shown of it, but for the cluster.
	do      func(*soak, picked) error
	finding func(picked) seen.Finding
	// workers says that it can happen to workers only, repaired that Refract may put it right.
	workers, repaired bool
}

// last orders what is put right: 1 for what waits for a machine.
func (k kind) last() int {
	if k.name == "Deleted" {
		return 1
	}
	return 0
}

// kinds by name.
var kinds = map[string]kind{
	"Sockets":  edit("vcpuSockets", "2", "4", func(vm *simulator.VM) { vm.Sockets = 4 }),
	"Cores":    edit("vcpusPerSocket", "1", "2", func(vm *simulator.VM) { vm.CoresPerSocket = 2 }),
	"Memory":   edit("memorySize", "4Gi", "5Gi", func(vm *simulator.VM) { vm.MemoryBytes = 5 << 30 }),
	"Disk":     edit("dataDisks", "none", "3Gi", func(vm *simulator.VM) { vm.DataDisks = []simulator.Disk{{SizeBytes: 3 << 30}} }),
	"Subnet":   edit("subnet[0]", "vlan-101", "vlan-102", func(vm *simulator.VM) { vm.Subnets = []string{"vlan-102"} }),
	"NIC":      edit("subnet", "vlan-101", "vlan-101, vlan-102", func(vm *simulator.VM) { vm.Subnets = []string{"vlan-101", "vlan-102"} }),
	"Project":  edit("project", "platform", "none", func(vm *simulator.VM) { vm.Project = "" }),
	"Boot":     edit("bootType", "uefi", "legacy", func(vm *simulator.VM) { vm.BootType = simulator.BootLegacy }),
	"Element":  edit("cluster", "PE-1", "PE-2", func(vm *simulator.VM) { vm.PrismElement = "PE-2" }),
	"Off":      repairable(edit("power", "ON", "OFF", func(vm *simulator.VM) { vm.PowerState = simulator.PowerOff })),
	"Category": repairable(edit("categories", "Environment=Production", "none", func(vm *simulator.VM) { vm.Categories = without(vm.Categories, "Environment=Production") })),
	"Renamed": {
		do: func(s *soak, p picked) error {
			return s.World.Prism.Server.EditVM(p.vm.ExtID, func(vm *simulator.VM) { vm.Name = "my-" + vm.Name })
		},
		finding: func(p picked) seen.Finding {
			return seen.Finding{VM: "my-" + p.vm.Name, Field: "name", Wanted: p.vm.Name, Found: "my-" + p.vm.Name}
		},
	},
	"Deleted": {
		workers: true,
		do:      func(s *soak, p picked) error { return s.World.Prism.Server.RemoveVM(p.vm.ExtID) },
		finding: func(p picked) seen.Finding {
			return seen.Finding{VM: p.vm.Name, Wanted: "there", Found: "deleted"}
		},
	},
	"Orphan": {
		workers: true,
		do: func(s *soak, p picked) error {
			vm := p.vm
			vm.ExtID, vm.Name, vm.CustomAttributes, vm.PowerState = "", sibling(p), nil, simulator.PowerOff
			_, err := s.World.Prism.Server.AddVM(vm)
			return err
		},
		finding: func(p picked) seen.Finding {
			return seen.Finding{
				VM: sibling(p), Wanted: "owned by a machine, or gone",
				Found: "without a machine, with category KubernetesClusterName=" + p.cluster + " on PE-1",
			}
		},
	},
}

// deck draws kinds: each once in an order of the seed, then at random.
type deck struct {
	random *rand.Rand
	left   []string
}

func newDeck(random *rand.Rand) *deck {
	d := &deck{random: random, left: slices.Sorted(maps.Keys(kinds))}
	random.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	return d
}

func (d *deck) draw() string {
	if len(d.left) == 0 {
		names := slices.Sorted(maps.Keys(kinds))
		return names[d.random.IntN(len(names))]
	}
	name := d.left[0]
	d.left = d.left[1:]
	return name
}

// sibling is a name from the same MachineSet that no machine has.
func sibling(p picked) string {
	const letters = 5
	suffix := []byte(p.vm.Name[len(p.vm.Name)-letters:])
	for i, c := range suffix {
		suffix[i] = 'z'
		if c == 'z' {
			suffix[i] = 'x'
		}
	}
	return p.vm.Name[:len(p.vm.Name)-letters] + string(suffix)
}

func worker(p picked) bool { return strings.HasPrefix(p.vm.Name, p.cluster+"-workers-") }

func edit(field, wanted, found string, change func(*simulator.VM)) kind {
	return kind{
		do: func(s *soak, p picked) error { return s.World.Prism.Server.EditVM(p.vm.ExtID, change) },
		finding: func(p picked) seen.Finding {
			return seen.Finding{VM: p.vm.Name, Field: field, Wanted: wanted, Found: found}
		},
	}
}

func repairable(k kind) kind {
	k.repaired = true
	return k
}

func without(all []string, one string) []string {
	var rest []string
	for _, c := range all {
		if c != one {
			rest = append(rest, c)
		}
	}
	return rest
}
