package machines

import (
	"slices"
	"strings"
	"testing"

	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// change is one thing that somebody does to a VM in Prism Central, and what is shown of it.
type change struct {
	edit func(*simulator.VM)
	// field, wanted and found are what status.drift says.
	field, wanted, found string
}

// changes by name; each can be taken back.
var changes = map[string]change{
	"Sockets":         {func(vm *simulator.VM) { vm.Sockets = 4 }, "vcpuSockets", "2", "4"},
	"Cores":           {func(vm *simulator.VM) { vm.CoresPerSocket = 3 }, "vcpusPerSocket", "1", "3"},
	"Memory":          {func(vm *simulator.VM) { vm.MemoryBytes = gib(5) }, "memorySize", "4Gi", "5Gi"},
	"Renamed":         {func(vm *simulator.VM) { vm.Name = "renamed-" + vm.Name }, "name", "", "renamed-"},
	"OtherSubnet":     {func(vm *simulator.VM) { vm.Subnets = []string{"vlan-102"} }, "subnet[0]", "vlan-101", "vlan-102"},
	"OneMoreNIC":      {func(vm *simulator.VM) { vm.Subnets = []string{"vlan-101", "vlan-102"} }, "subnet", "vlan-101", "vlan-101, vlan-102"},
	"NoNIC":           {func(vm *simulator.VM) { vm.Subnets = nil }, "subnet", "vlan-101", "none"},
	"OneMoreDisk":     {func(vm *simulator.VM) { vm.DataDisks = append(vm.DataDisks, simulator.Disk{SizeBytes: gib(7)}) }, "dataDisks", "10Gi", "10Gi, 7Gi"},
	"NoDataDisk":      {func(vm *simulator.VM) { vm.DataDisks = nil }, "dataDisks", "10Gi", "none"},
	"OtherContainer":  {func(vm *simulator.VM) { vm.DataDisks[0].StorageContainer = "default-container" }, "dataDisks[0].storageConfig.storageContainer", "fast-container", "default-container"},
	"OtherProject":    {func(vm *simulator.VM) { vm.Project = "edge" }, "project", "platform", "edge"},
	"NoProject":       {func(vm *simulator.VM) { vm.Project = "" }, "project", "platform", "none"},
	"OtherCategory":   {func(vm *simulator.VM) { category(vm, "Environment=Production", "Environment=Staging") }, "categories", "Environment=Production", "Environment=Staging"},
	"ClusterCategory": {func(vm *simulator.VM) { category(vm, "KubernetesClusterName="+aged) }, "categories", "KubernetesClusterName=" + aged, "none"},
	"Off":             {func(vm *simulator.VM) { vm.PowerState = simulator.PowerOff }, "power", "ON", "OFF"},
	"BootType":        {func(vm *simulator.VM) { vm.BootType = simulator.BootLegacy }, "bootType", "uefi", "legacy"},
	"GPU":             {func(vm *simulator.VM) { vm.GPUs = []string{"NVIDIA A40"} }, "gpus", "none", "NVIDIA A40"},
}

// category takes one off a VM and puts others on it.
func category(vm *simulator.VM, without string, with ...string) {
	vm.Categories = append(slices.DeleteFunc(slices.Clone(vm.Categories), func(c string) bool { return c == without }), with...)
}

// fields has each thing that machines can differ in changed, and taken back.
func fields(t *testing.T, s *site) {
	t.Helper()
	names := make([]string, 0, len(changes))
	for name := range changes {
		names = append(names, name)
	}
	slices.Sort(names)
	vms := s.vms()
	for i, vm := range vms {
		// The machines one beside the other, and at each one change after the other.
		t.Run(strings.TrimPrefix(vm.Name, aged+"-"), func(t *testing.T) {
			t.Parallel()
			for n, name := range names {
				if n%len(vms) == i {
					t.Run(name, func(t *testing.T) { s.in(t).changed(vm, changes[name]) })
				}
			}
		})
	}
}

// changed makes one change, waits until it is shown, takes it back and waits until it is not shown any more.
func (s *site) changed(vm simulator.VM, c change) {
	s.T.Helper()
	s.edit(vm.ExtID, c.edit)
	name, wanted, found := vm.Name, c.wanted, c.found
	if c.field == "name" {
		name, wanted, found = c.found+vm.Name, vm.Name, c.found+vm.Name
	}
	s.shows(name, c.field, wanted, found)
	s.drifted(name, c.field)
	s.edit(vm.ExtID, func(now *simulator.VM) { seen.Restore(now, vm) })
	s.shownNoMore(name)
	if n, _ := s.log.Times(seen.Finding{Cluster: aged, VM: name, Field: c.field, Wanted: wanted, Found: found}); n != 1 {
		s.T.Errorf("it was shown %d times anew", n)
	}
}
