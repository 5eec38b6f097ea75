package simulator_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// richVM has something of everything.
func richVM() simulator.VM {
	vm := runningVM("a", "PE-1", "NVIDIA A40")
	vm.Subnets = []string{"vlan-101", "vlan-102"}
	vm.DataDisks = []simulator.Disk{{SizeBytes: 10 << 30}, {SizeBytes: 20 << 30, StorageContainer: "fast-container", Bus: "SATA", Index: 3, Flash: true}}
	vm.Categories, vm.Project, vm.BootType = []string{"Team=Platform"}, "platform", simulator.BootUEFI
	return vm
}

func TestEverythingOfAVMCanChange(t *testing.T) {
	t.Parallel()
	// Identifiers and the place are checked where they matter.
	ignore := []cmp.Option{
		cmpopts.IgnoreFields(simulator.VM{}, "Host", "ProjectExtID", "ClusterExtID", "SubnetExtIDs"),
		cmpopts.IgnoreFields(simulator.Disk{}, "ExtID"), cmpopts.EquateEmpty(),
	}
	for name, c := range map[string]struct {
		edit func(*simulator.VM)
		// want changes the result further, where the server completes the edit.
		want func(*simulator.VM)
	}{
		"Name":       {edit: func(v *simulator.VM) { v.Name = "renamed" }},
		"Size":       {edit: func(v *simulator.VM) { v.Sockets, v.CoresPerSocket, v.MemoryBytes = 4, 2, 1<<30 }},
		"SystemDisk": {edit: func(v *simulator.VM) { v.DiskBytes, v.StorageContainer = 80<<30, "fast-container" }},
		"DataDiskGrows": {
			edit: func(v *simulator.VM) { v.DataDisks[0].SizeBytes *= 2 },
		},
		"DataDiskGoes": {edit: func(v *simulator.VM) { v.DataDisks = v.DataDisks[1:] }},
		"DataDiskComes": {
			edit: func(v *simulator.VM) { v.DataDisks = append(v.DataDisks, simulator.Disk{SizeBytes: 1 << 30}) },
			want: func(v *simulator.VM) {
				v.DataDisks[2] = simulator.Disk{SizeBytes: 1 << 30, StorageContainer: "default-container", Bus: "SCSI", Index: 2}
			},
		},
		"NICComes":  {edit: func(v *simulator.VM) { v.Subnets = append(v.Subnets, "vlan-101") }},
		"NICGoes":   {edit: func(v *simulator.VM) { v.Subnets = v.Subnets[:1] }},
		"NICsSwap":  {edit: func(v *simulator.VM) { v.Subnets = []string{"vlan-102", "vlan-101"} }, want: func(v *simulator.VM) { v.IP = "10.102.1.0" }},
		"NICMoves":  {edit: func(v *simulator.VM) { v.Subnets = []string{"vlan-102", "vlan-102"} }, want: func(v *simulator.VM) { v.IP = "10.102.1.0" }},
		"Category":  {edit: func(v *simulator.VM) { v.Categories = []string{"Environment=Staging"} }},
		"Project":   {edit: func(v *simulator.VM) { v.Project = "edge" }},
		"NoProject": {edit: func(v *simulator.VM) { v.Project = "" }},
		"Power":     {edit: func(v *simulator.VM) { v.PowerState = simulator.PowerOff }},
		"Boot":      {edit: func(v *simulator.VM) { v.BootType = simulator.BootLegacy }},
		"GPUGoes":   {edit: func(v *simulator.VM) { v.GPUs = nil }},
		"GPUComes":  {edit: func(v *simulator.VM) { v.GPUs = append(v.GPUs, "NVIDIA A40") }},
		"Attribute": {edit: func(v *simulator.VM) { v.CustomAttributes = []string{"a:b"} }},
		"Element":   {edit: func(v *simulator.VM) { v.PrismElement, v.GPUs = "PE-2", []string{"NVIDIA A16-4Q"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{richVM()} })
			want := s.VMs()[0]
			path := vmsPath + "/" + want.ExtID
			before := call(t, s, http.MethodGet, path, "").header.Get("ETag")
			if err := s.EditVM(want.ExtID, c.edit); err != nil {
				t.Fatal(err)
			}
			c.edit(&want)
			if c.want != nil {
				c.want(&want)
			}
			if diff := cmp.Diff(want, s.VMs()[0], ignore...); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if after := call(t, s, http.MethodGet, path, "").header.Get("ETag"); after == before {
				t.Errorf("the ETag is still %s", after)
			}
		})
	}
}

func TestEditThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{richVM()} })
	before := s.VMs()
	for name, edit := range map[string]func(*simulator.VM){
		"NoRoom":    func(v *simulator.VM) { v.MemoryBytes = 2 << 40 },
		"NoSpace":   func(v *simulator.VM) { v.DiskBytes = 200 << 40 },
		"NoSuchGPU": func(v *simulator.VM) { v.GPUs = []string{"NVIDIA A16-4Q"} },
		"TooManyGPUs": func(v *simulator.VM) {
			v.GPUs = []string{"NVIDIA A40", "NVIDIA A40", "NVIDIA A40", "NVIDIA A40", "NVIDIA A40"}
		},
		"NoSuchElement": func(v *simulator.VM) { v.PrismElement = "PE-9" },
		"GPUStays":      func(v *simulator.VM) { v.PrismElement = "PE-2" },
		"NoContainer":   func(v *simulator.VM) { v.DataDisks[0].StorageContainer = "none" },
		"SamePlace":     func(v *simulator.VM) { v.DataDisks[0].Bus, v.DataDisks[0].Index = "SATA", 3 },
		"DiskShrinks":   func(v *simulator.VM) { v.DataDisks[0].SizeBytes-- },
		"Server":        func(v *simulator.VM) { v.IP = "10.0.0.1" },
	} {
		if err := s.EditVM("a", edit); err == nil {
			t.Errorf("%s: the change was accepted", name)
		}
	}
	if diff := cmp.Diff(before, s.VMs()); diff != "" {
		t.Errorf("a refused change was made (-want +got):\n%s", diff)
	}
}

func TestDoubleAndOrphan(t *testing.T) {
	t.Parallel()
	var seen events
	s := newServer(t, func(o *simulator.Options) {
		o.Model.VMs, o.OnPowerOn, o.OnDelete = []simulator.VM{smallVM("a")}, seen.add("on"), seen.add("deleted")
	})
	double, err := s.AddVM(runningVM("a", "PE-2"))
	if err != nil {
		t.Fatal(err)
	}
	if double.ExtID == "" || double.IP == "" || double.Host == "" || double.PowerState != simulator.PowerOn {
		t.Errorf("added %+v", double)
	}
	if total := totalOf(call(t, s, http.MethodGet, vmsPath+"?$filter=name eq 'a'", "")); total != 2 {
		t.Errorf("%d VMs of the name, want 2", total)
	}
	if err := s.RemoveVM("a"); err == nil {
		t.Error("one of two VMs of a name was removed")
	}
	if err := s.RemoveVM(double.ExtID); err != nil {
		t.Error(err)
	}
	if _, err := s.AddVM(simulator.VM{Name: "b", PrismElement: "PE-1"}); err == nil {
		t.Error("a VM without memory was added")
	}
	taken := smallVM("c")
	taken.ExtID = s.VMs()[0].ExtID
	if _, err := s.AddVM(taken); err == nil {
		t.Error("two VMs have one extId")
	}
	s.Close()
	if got := seen.all(); len(got) != 1 || got[0] != "deleted a "+double.IP {
		t.Errorf("hooks saw %v", got)
	}
}
