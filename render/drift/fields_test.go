package drift_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/drift"
	"github.com/refract-dev/refract/render/site"
)

// found is what a finding says, without the machine and the VM that all of these tests share.
type found struct{ Field, Wanted, Found string }

func fields(all []drift.Finding) []found {
	var out []found
	for _, f := range all {
		out = append(out, found{f.Field, f.Wanted, f.Found})
	}
	return out
}

func TestChangesAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   []found
	}{
		"Sockets":     {func(w *world) { w.vm().Sockets = 8 }, []found{{"vcpuSockets", "4", "8"}}},
		"Cores":       {func(w *world) { w.vm().CoresPerSocket = 2 }, []found{{"vcpusPerSocket", "1", "2"}}},
		"Memory":      {func(w *world) { w.vm().MemoryBytes = 12 * gib }, []found{{"memorySize", "8Gi", "12Gi"}}},
		"SystemGrown": {func(w *world) { w.vm().Disks[0].SizeBytes = 90 * gib }, []found{{"systemDiskSize", "80Gi", "90Gi"}}},
		"DataGrown":   {func(w *world) { w.vm().Disks[2].SizeBytes = 300 * gib }, []found{{"dataDisks[1].diskSize", "200Gi", "300Gi"}}},
		"DataAdded":   {func(w *world) { w.vm().Disks = append(w.vm().Disks, site.Disk{SizeBytes: gib}) }, []found{{"dataDisks", "100Gi, 200Gi", "100Gi, 200Gi, 1Gi"}}},
		"DataRemoved": {func(w *world) { w.vm().Disks = w.vm().Disks[:1] }, []found{{"dataDisks", "100Gi, 200Gi", "none"}}},
		"Container":   {func(w *world) { w.vm().Disks[1].Container = "sc-slow" }, []found{{"dataDisks[0].storageConfig.storageContainer", "fast", "slow"}}},
		"NICMoved":    {func(w *world) { w.vm().NICs[1].Subnet = "net-101" }, []found{{"subnet[1]", "vlan-102", "vlan-101"}}},
		"NICSameName": {func(w *world) { w.vm().NICs[0].Subnet = "net-101b" }, []found{{"subnet[0]", "vlan-101 (net-101)", "vlan-101 (net-101b)"}}},
		"NICUnlisted": {func(w *world) { w.vm().NICs[0].Subnet = "net-9" }, []found{{"subnet[0]", "vlan-101", "net-9"}}},
		"NICAdded":    {func(w *world) { w.vm().NICs = append(w.vm().NICs, site.NIC{Subnet: "net-9"}) }, []found{{"subnet", "vlan-101, vlan-102", "vlan-101, vlan-102, net-9"}}},
		"NICsRemoved": {func(w *world) { w.vm().NICs = nil }, []found{{"subnet", "vlan-101, vlan-102", "none"}}},
		"NICsSwapped": {func(w *world) { slices.Reverse(w.vm().NICs) }, []found{{"subnet[0]", "vlan-101", "vlan-102"}, {"subnet[1]", "vlan-102", "vlan-101"}}},
		"Project":     {func(w *world) { w.vm().Project = "prj-2" }, []found{{"project", "platform", "other"}}},
		"ProjectGone": {func(w *world) { w.vm().Project = "" }, []found{{"project", "platform", "none"}}},
		"PoweredOff":  {func(w *world) { w.vm().Power = site.PowerOff }, []found{{"power", "ON", "OFF"}}},
		"Paused":      {func(w *world) { w.vm().Power = "PAUSED" }, []found{{"power", "ON", "PAUSED"}}},
		"Boot":        {func(w *world) { w.vm().Boot = site.BootLegacy }, []found{{"bootType", "uefi", "legacy"}}},
		"GPURemoved":  {func(w *world) { w.vm().GPUs = nil }, []found{{"gpus", "Tesla T4", "none"}}},
		"GPUOther":    {func(w *world) { w.vm().GPUs[0] = site.GPU{Name: "A40", DeviceID: 1} }, []found{{"gpus", "Tesla T4", "A40"}}},
		"GPUByID":     {func(w *world) { w.spec()["gpus"] = []any{map[string]any{"type": "deviceID", "deviceID": int64(5)}} }, []found{{"gpus", "device 5", "Tesla T4"}}},
		"GPUAdded":    {func(w *world) { delete(w.spec(), "gpus") }, []found{{"gpus", "none", "Tesla T4"}}},
		"Element":     {func(w *world) { w.vm().Element = "pe-2"; w.spec()["dataDisks"] = nil; w.vm().Disks = w.vm().Disks[:1] }, []found{{"cluster", "PE-1", "PE-2"}}},
		"Renamed":     {func(w *world) { w.vm().Name = "mine" }, []found{{"name", "edge-01-workers-x7k2p-bcd2f", "mine"}}},
		"Category":    {func(w *world) { w.vm().Categories = []string{"cat-own", "cat-test"} }, []found{{"categories", "Environment=Production", "Environment=Test"}}},
		"AllRemoved":  {func(w *world) { w.vm().Categories = nil }, []found{{"categories", "Environment=Production, KubernetesClusterName=edge-01", "none"}}},
		"TwoAtOnce":   {func(w *world) { w.vm().Sockets = 1; w.vm().Power = "OFF" }, []found{{"power", "ON", "OFF"}, {"vcpuSockets", "4", "1"}}},
		"UUIDs": {func(w *world) {
			w.spec()["cluster"], w.spec()["subnet"] = byUUID("pe-2"), []any{byUUID("net-101"), byUUID("net-9")}
			w.spec()["dataDisks"] = nil
			w.vm().Disks = w.vm().Disks[:1]
		}, []found{{"cluster", "PE-2", "PE-1"}, {"subnet[1]", "net-9", "vlan-102"}}},
		"ProjectByUUID": {func(w *world) { w.spec()["project"] = byUUID("PRJ-2"); w.unknown(site.PartProjects) }, []found{{"project", "other", "platform"}}},
		"PlainNumbers":  {func(w *world) { w.spec()["vcpuSockets"], w.spec()["memorySize"] = 2.0, 4*gib }, []found{{"memorySize", "4Gi", "8Gi"}, {"vcpuSockets", "2", "4"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.change(w)
			if diff := cmp.Diff(c.want, fields(drift.Compare(w.in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is unknown, or Prism Central's own affair, is no difference.
func TestNothingIsMadeUp(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"Equal":             func(*world) {},
		"NoInventory":       func(w *world) { w.in.Site = nil },
		"Unsettled":         func(w *world) { w.machine().Settled = false; w.vm().Sockets = 9 },
		"NotListedNotGone":  func(w *world) { w.in.Site.VMs = nil },
		"VMsUnknown":        func(w *world) { w.vm().Sockets = 9; w.unknown(site.PartVMs) },
		"SubnetsUnknown":    func(w *world) { w.vm().NICs[0].Subnet = "net-9"; w.in.Site.Subnets = nil; w.unknown(site.PartSubnets) },
		"ElementsUnknown":   func(w *world) { w.vm().Element = "pe-2"; w.vm().NICs[0].Subnet = "net-9"; w.unknown(site.PartElements) },
		"CategoriesUnknown": func(w *world) { w.vm().Categories = nil; w.unknown(site.PartCategories) },
		"ProjectsUnknown":   func(w *world) { w.vm().Project = ""; w.unknown(site.PartProjects) },
		"ContainersUnknown": func(w *world) { w.vm().Disks[1].Container = "sc-9"; w.unknown(site.PartContainers) },
		"NameOfNothing":     func(w *world) { w.spec()["cluster"], w.spec()["project"] = byName("PE-9"), byName("none") },
		"NameOfSeveral":     func(w *world) { w.vm().Element = "pe-3"; w.in.Site.Elements[1].Name = "PE-1" },
		"CategoryDeleted": func(w *world) {
			w.vm().Categories = []string{"cat-own"}
			w.in.Site.Categories = w.in.Site.Categories[:1]
		},
		"MoreCategories":     func(w *world) { w.vm().Categories = append(w.vm().Categories, "cat-test", "cat-9") },
		"NoProjectWanted":    func(w *world) { delete(w.spec(), "project") },
		"NoBootTypeWanted":   func(w *world) { delete(w.spec(), "bootType"); w.vm().Boot = "legacy" },
		"BootTypeNotSaid":    func(w *world) { w.vm().Boot = "" },
		"PowerNotSaid":       func(w *world) { w.vm().Power = "UNDETERMINED" },
		"DisksInOtherOrder":  func(w *world) { slices.Reverse(w.vm().Disks) },
		"DisksReaddressed":   func(w *world) { w.vm().Disks[1].Bus, w.vm().Disks[1].Index = "PCI", 7 },
		"VolumeGroup":        func(w *world) { w.vm().Disks = append(w.vm().Disks, site.Disk{Bus: "SCSI", Index: 9}) },
		"RoundedMemory":      func(w *world) { w.spec()["memorySize"] = "8589934593" },
		"SizeNotSaid":        func(w *world) { w.vm().Sockets, w.vm().MemoryBytes = 0, 0 },
		"UnreadableQuantity": func(w *world) { w.spec()["memorySize"] = "much" },
		"WantedCDROM": func(w *world) {
			w.spec()["dataDisks"] = append(w.spec()["dataDisks"].([]any), map[string]any{
				"diskSize": "1Gi", "deviceProperties": map[string]any{"deviceType": "CDRom"},
			})
		},
		"GPUWithoutName":   func(w *world) { w.vm().GPUs[0].Name = "" },
		"GPUByID":          func(w *world) { w.spec()["gpus"] = []any{map[string]any{"type": "deviceID", "deviceID": int64(7864)}} },
		"GPUOfUnknownKind": func(w *world) { w.vm().GPUs[0] = site.GPU{DeviceID: 3}; w.unknown(site.PartGPUs) },
		"GPUsByIDAndName": func(w *world) {
			w.spec()["gpus"] = []any{map[string]any{"type": "name", "name": "Tesla T4"}, map[string]any{"type": "deviceID", "deviceID": int64(7864)}}
			w.vm().GPUs = append(w.vm().GPUs, site.GPU{Name: "Tesla T4", DeviceID: 9})
		},
		"NamedAsNutanixMachine": func(w *world) { w.machine().Name = "edge-01-workers-other" },
		"IDInUpperCase":         func(w *world) { w.machine().ExtID = "VM-1" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			change(w)
			if diff := cmp.Diff([]drift.Finding(nil), drift.Compare(w.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRepair(t *testing.T) {
	off := func(w *world) { w.vm().Power = site.PowerOff }
	for name, c := range map[string]struct {
		change     func(w *world)
		repair     drift.Repair
		categories []string
	}{
		"PowerOn":       {off, drift.PowerOn, nil},
		"Paused":        {func(w *world) { w.vm().Power = "PAUSED" }, drift.None, nil},
		"Categories":    {func(w *world) { w.vm().Categories = nil }, drift.AddCategories, []string{"cat-own", "cat-prod"}},
		"OneCategory":   {func(w *world) { w.vm().Categories = []string{"cat-own"} }, drift.AddCategories, []string{"cat-prod"}},
		"Resized":       {func(w *world) { w.vm().Sockets = 8 }, drift.None, nil},
		"HandsOff":      {func(w *world) { off(w); w.machine().HandsOff = true }, drift.None, nil},
		"Unhealthy":     {func(w *world) { off(w); w.machine().Unhealthy = true }, drift.None, nil},
		"HandsOffNoCat": {func(w *world) { w.vm().Categories = nil; w.machine().HandsOff = true }, drift.None, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.change(w)
			all := drift.Compare(w.in)
			if len(all) != 1 {
				t.Fatalf("want one finding, got %+v", all)
			}
			if all[0].Repair != c.repair || !slices.Equal(all[0].Categories, c.categories) || all[0].HandsOff != w.machine().HandsOff {
				t.Errorf("want repair %q with %v, got %+v", c.repair, c.categories, all[0])
			}
		})
	}
}
