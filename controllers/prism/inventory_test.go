package prism_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/site"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// names turns a part of an inventory around: names by ExtID.
func names[T any](of []T, entry func(T) (id, name string)) map[string]string {
	all := map[string]string{}
	for _, e := range of {
		id, name := entry(e)
		all[id] = name
	}
	return all
}

func TestInventoryOfASite(t *testing.T) {
	t.Parallel()
	vm := aVM("one")
	vm.PrismElement, vm.Categories = "PE-2", []string{"Environment=Staging", "Team=Platform"}
	vm.GPUs = []string{"NVIDIA A16-4Q"}
	vm.DataDisks = []simulator.Disk{{SizeBytes: 100 << 30, StorageContainer: "fast-container"}}
	vm.CustomAttributes = []string{"providerid:abc"}
	// What a CSI driver attaches is not a disk of the machine.
	vm.VolumeGroups = []string{"pvc-1"}
	model := modelWith(vm, aVM("two"))
	model.VolumeGroups = []simulator.VolumeGroup{{Name: "pvc-1", PrismElement: "PE-2"}}
	model.PrismElements[0].Hosts[0].Maintenance = true
	model.PrismElements[0].Unavailable = true
	central := newCentral(t, model, nil)
	found := open(t, central.endpoint(t), prism.Options{}).Inventory(t.Context())

	if len(found.Unknown) != 0 {
		t.Fatalf("unknown: %v", found.Unknown)
	}
	if found.Version != "7.5" || found.At.IsZero() {
		t.Errorf("version %q at %v", found.Version, found.At)
	}
	elements := names(found.Elements, func(e site.Element) (string, string) { return e.ExtID, e.Name })
	subnets := names(found.Subnets, func(s site.Subnet) (string, string) { return s.ExtID, s.Name })
	images := names(found.Images, func(i site.Image) (string, string) { return i.ExtID, i.Name })
	containers := names(found.Containers, func(c site.Container) (string, string) {
		return c.ExtID, elements[c.Element] + "/" + c.Name
	})
	categories := names(found.Categories, func(c site.Category) (string, string) { return c.ExtID, c.Key + "=" + c.Value })
	projects := names(found.Projects, func(p site.Project) (string, string) { return p.ExtID, p.Name })

	// Identifiers are replaced by names to compare.
	got := found.VMs[0]
	got.Element, got.Project = elements[got.Element], projects[got.Project]
	for i := range got.Categories {
		got.Categories[i] = categories[got.Categories[i]]
	}
	for i := range got.Disks {
		got.Disks[i].Image, got.Disks[i].Container = images[got.Disks[i].Image], containers[got.Disks[i].Container]
	}
	for i := range got.NICs {
		got.NICs[i].Subnet = subnets[got.NICs[i].Subnet]
	}
	want := site.VM{
		Name: "one", Element: "PE-2", Sockets: 2, CoresPerSocket: 1, MemoryBytes: 4 << 30,
		Disks: []site.Disk{
			{Bus: "SCSI", Index: 0, SizeBytes: 40 << 30, Image: "ubuntu-24.04-kube-v1.33.5", Container: "PE-2/default-container"},
			{Bus: "SCSI", Index: 1, SizeBytes: 100 << 30, Container: "PE-2/fast-container"},
		},
		NICs:       []site.NIC{{Subnet: "vlan-101", IPs: []netip.Addr{netip.MustParseAddr("10.101.1.0")}}},
		Categories: []string{"Environment=Staging", "Team=Platform"}, Project: "platform",
		Power: site.PowerOn, Boot: site.BootUEFI,
		GPUs:             []site.GPU{{Name: "NVIDIA A16-4Q", DeviceID: 1703, Mode: site.GPUVirtual}},
		CustomAttributes: []string{"providerid:abc"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(site.VM{}, "ExtID"),
		cmpopts.SortSlices(func(a, b string) bool { return a < b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("virtual machine (-want +got):\n%s", diff)
	}

	// Prism Central's own cluster is not among them.
	if len(found.Elements) != 2 {
		t.Fatalf("elements: %v", elements)
	}
	first, second := found.Elements[0], found.Elements[1]
	if diff := cmp.Diff(site.Host{Name: "PE-1-host-1", Cores: 64, Threads: 128, MemoryBytes: 1 << 40, Maintenance: true},
		first.Hosts[0], cmpopts.IgnoreFields(site.Host{}, "ExtID")); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
	if len(first.Hosts) != 4 || first.Hosts[1].Maintenance {
		t.Errorf("hosts: %+v", first.Hosts)
	}
	if diff := cmp.Diff(new(false), first.Available); diff != "" || first.AOSVersion != "7.3" {
		t.Errorf("first element: %+v", first)
	}
	// What Prism Central has no figures of is unknown, not 0.
	if first.StorageBytes != nil || first.FreeStorageBytes != nil {
		t.Errorf("storage of an element out of reach: %v, %v", *first.StorageBytes, *first.FreeStorageBytes)
	}
	if diff := cmp.Diff(new(int64(120)<<40), second.StorageBytes); diff != "" {
		t.Errorf("storage (-want +got):\n%s", diff)
	}
	if second.FreeStorageBytes == nil || *second.FreeStorageBytes >= *second.StorageBytes {
		t.Errorf("free storage: %v", second.FreeStorageBytes)
	}
	if len(second.GPUs) == 0 || second.GPUs[0].Mode != site.GPUVirtual || second.GPUs[0].Assignable == nil {
		t.Errorf("GPUs: %+v", second.GPUs)
	}
	subnet := found.Subnets[0]
	pool := site.Range{First: netip.MustParseAddr("10.101.1.0"), Last: netip.MustParseAddr("10.101.2.255")}
	if subnet.Prefix != netip.MustParsePrefix("10.101.0.0/22") || len(subnet.Pools) != 1 || subnet.Pools[0] != pool || len(subnet.Elements) != 2 {
		t.Errorf("subnet: %+v", subnet)
	}
	if diff := cmp.Diff(new(int64(510)), subnet.FreeIPs); diff != "" {
		t.Errorf("free addresses (-want +got):\n%s", diff)
	}
	if image := found.Images[0]; image.SizeBytes != 4<<30 || image.Created.IsZero() || len(image.Elements) != 2 {
		t.Errorf("image: %+v", image)
	}
	if refused := central.Refused(); len(refused) != 0 {
		t.Errorf("the simulator refused: %v", refused)
	}
}

// crowd is a site of many virtual machines that are off, without limits of memory.
func crowd(n int) simulator.Model {
	m := simulator.DefaultModel()
	for i := range m.PrismElements {
		m.PrismElements[i].Hosts = nil
	}
	for i := range n {
		vm := aVM(fmt.Sprintf("vm-%04d", i))
		vm.PowerState, vm.DiskBytes, vm.Subnets = simulator.PowerOff, 20<<30, []string{[]string{"vlan-101", "vlan-102"}[i%2]}
		m.VMs = append(m.VMs, vm)
	}
	return m
}

func TestInventoryCostsPagesOfLists(t *testing.T) {
	t.Parallel()
	// Version, Prism Elements, subnets, images, containers, categories and projects, and for each of the two Prism
	// Elements its hosts, storage and both kinds of GPUs.
	const lists = 7 + 2*4
	for name, c := range map[string]struct{ vms, pages int }{
		"None": {0, 1}, "Ten": {10, 1}, "OneHundred": {100, 1}, "OneHundredAndOne": {101, 2}, "OneThousand": {1000, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, crowd(c.vms), nil)
			d := open(t, central.endpoint(t), prism.Options{})
			found := d.Inventory(t.Context())
			if len(found.VMs) != c.vms || len(found.Unknown) != 0 {
				t.Fatalf("%d machines, unknown: %v", len(found.VMs), found.Unknown)
			}
			if got := d.Requests(); got != int64(lists+c.pages) {
				t.Errorf("%d requests for %d machines, not %d: %v", got, c.vms, lists+c.pages, central.Requests())
			}
		})
	}
}
