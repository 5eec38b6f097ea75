package drift_test

import (
	"github.com/refract-dev/refract/render/drift"
	"github.com/refract-dev/refract/render/site"
)

const gib = int64(1) << 30

// world is one machine of edge-01 with the virtual machine that it asked for.
type world struct {
	in drift.Input
}

func (w *world) vm() *site.VM            { return &w.in.Site.VMs[0] }
func (w *world) machine() *drift.Machine { return &w.in.Machines[0] }
func (w *world) spec() map[string]any    { return w.in.Machines[0].Spec }
func (w *world) add(vm site.VM)          { w.in.Site.VMs = append(w.in.Site.VMs, vm) }
func (w *world) unknown(part site.Part)  { w.in.Site.Unknown = map[site.Part]string{part: "HTTP 500"} }

func newWorld() *world {
	inventory := &site.Inventory{
		Elements: []site.Element{
			{ExtID: "pe-1", Name: "PE-1", GPUs: []site.GPUProfile{{Name: "Tesla T4", DeviceID: 7864}}},
			{ExtID: "pe-2", Name: "PE-2"},
		},
		Subnets: []site.Subnet{
			{ExtID: "net-101", Name: "vlan-101", Elements: []string{"pe-1"}},
			{ExtID: "net-102", Name: "vlan-102", Elements: []string{"pe-1"}},
			{ExtID: "net-101b", Name: "vlan-101", Elements: []string{"pe-2"}},
		},
		Containers: []site.Container{
			{ExtID: "sc-fast", Name: "fast", Element: "pe-1"}, {ExtID: "sc-slow", Name: "slow", Element: "pe-1"},
		},
		Categories: []site.Category{
			{ExtID: "cat-own", Key: "KubernetesClusterName", Value: "edge-01"},
			{ExtID: "cat-prod", Key: "Environment", Value: "Production"},
			{ExtID: "cat-test", Key: "Environment", Value: "Test"},
		},
		Projects: []site.Project{{ExtID: "prj-1", Name: "platform"}, {ExtID: "prj-2", Name: "other"}},
		VMs: []site.VM{{
			ExtID: "vm-1", Name: "edge-01-workers-x7k2p-bcd2f", Element: "pe-1", Sockets: 4, CoresPerSocket: 1, MemoryBytes: 8 * gib,
			Disks: []site.Disk{
				{Bus: "SCSI", SizeBytes: 80 * gib, Image: "img-ubuntu", Container: "sc-slow"},
				{Bus: "SCSI", Index: 1, SizeBytes: 100 * gib, Container: "sc-fast"},
				{Bus: "SCSI", Index: 2, SizeBytes: 200 * gib, Container: "sc-slow"},
			},
			NICs:       []site.NIC{{Subnet: "net-101"}, {Subnet: "net-102"}},
			Categories: []string{"cat-own", "cat-prod"}, Project: "prj-1", Power: site.PowerOn, Boot: site.BootUEFI,
			GPUs:             []site.GPU{{Name: "Tesla T4", DeviceID: 7864}},
			CustomAttributes: []string{"providerid:vm-1"},
		}},
	}
	machine := drift.Machine{
		Name: "edge-01-workers-x7k2p-bcd2f", Infra: "edge-01-workers-x7k2p-bcd2f", ExtID: "vm-1", Settled: true,
		Spec: map[string]any{
			"vcpuSockets": int64(4), "vcpusPerSocket": int64(1), "memorySize": "8Gi", "systemDiskSize": "80Gi",
			"cluster":              byName("PE-1"),
			"subnet":               []any{byName("vlan-101"), byName("vlan-102")},
			"additionalCategories": []any{map[string]any{"key": "Environment", "value": "Production"}},
			"project":              byName("platform"),
			"bootType":             "uefi",
			"image":                byName("ubuntu"),
			"gpus":                 []any{map[string]any{"type": "name", "name": "Tesla T4"}},
			"dataDisks": []any{
				map[string]any{"diskSize": "100Gi", "storageConfig": map[string]any{"storageContainer": byName("fast")}},
				map[string]any{"diskSize": "200Gi"},
			},
		},
	}
	return &world{in: drift.Input{
		Cluster: "edge-01", Machines: []drift.Machine{machine}, Site: inventory, Owned: map[string]bool{"vm-1": true},
	}}
}

func byName(name string) map[string]any { return map[string]any{"type": "name", "name": name} }
func byUUID(uuid string) map[string]any { return map[string]any{"type": "uuid", "uuid": uuid} }
