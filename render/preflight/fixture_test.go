package preflight_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

const gib = int64(1) << 30

// world is a new cluster of one control-plane machine and two workers, and a Prism Central with room for it.
type world struct {
	in preflight.Input
}

func (w *world) site() *site.Inventory                  { return w.in.Site }
func (w *world) spec() *v1alpha1.NutanixClusterSpecSpec { return &w.in.Cluster.Spec }
func (w *world) add(vm site.VM)                         { w.in.Site.VMs = append(w.in.Site.VMs, vm) }

func (w *world) unknown(part site.Part) { w.in.Site.Unknown = map[site.Part]string{part: "HTTP 500"} }

// lacks makes a part of one Prism Element unknown, and empty.
func (w *world) lacks(element int, part site.Part) {
	e := &w.site().Elements[element]
	e.Hosts, e.GPUs, e.FreeStorageBytes, e.Unknown = nil, nil, nil, map[site.Part]string{part: "HTTP 500"}
	if part != site.PartHosts {
		e.Hosts = w.site().Elements[1-element].Hosts
	}
	if part != site.PartStorage {
		e.FreeStorageBytes = new(2000 * gib)
	}
}

// machine is spec.template.spec of the template of both groups.
func (w *world) machine(template int) map[string]any {
	m, _, _ := unstructured.NestedFieldNoCopy(w.in.Objects[template].Object, "spec", "template", "spec")
	return m.(map[string]any)
}

// Places of objects in world.in.Objects.
const (
	kcpTemplate = iota
	poolTemplate
	kcp
	pool
	cluster
)

// living makes the cluster an old one: its machines are there and owned.
func (w *world) living() {
	w.in.New, w.in.Owned = false, map[string]bool{}
	for i, name := range []string{"edge-01-kcp-bcd2f", "edge-01-workers-x7k2p-bbbbb", "edge-01-workers-x7k2p-ccccc"} {
		id := fmt.Sprint("vm-", i)
		w.in.Owned[id] = true
		w.add(site.VM{
			ExtID: id, Name: name, Element: "pe-1", Sockets: 4, CoresPerSocket: 1, MemoryBytes: 8 * gib, Power: site.PowerOn,
			Disks: []site.Disk{{SizeBytes: 80 * gib}}, Categories: []string{"cat-own"},
			NICs: []site.NIC{{Subnet: "net-101", IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 20, 0, byte(50 + i)})}}},
		})
	}
}

func newWorld() *world {
	hosts := []site.Host{
		{ExtID: "h-1", Cores: 32, Threads: 64, MemoryBytes: 64 * gib}, {ExtID: "h-2", Cores: 32, Threads: 64, MemoryBytes: 64 * gib},
	}
	pools := []site.Range{{First: netip.MustParseAddr("10.20.0.50"), Last: netip.MustParseAddr("10.20.0.99")}}
	inventory := &site.Inventory{
		Elements: []site.Element{
			{ExtID: "pe-1", Name: "PE-1", Available: new(true), Hosts: hosts, FreeStorageBytes: new(2000 * gib), GPUs: []site.GPUProfile{
				{Name: "Tesla T4", DeviceID: 7864, Assignable: new(int64(3))},
			}},
			{ExtID: "pe-2", Name: "PE-2", Available: new(true), Hosts: hosts, FreeStorageBytes: new(2000 * gib)},
		},
		Subnets: []site.Subnet{
			{ExtID: "net-101", Name: "vlan-101", Elements: []string{"pe-1"}, Pools: pools, FreeIPs: new(int64(20))},
			{ExtID: "net-102", Name: "vlan-102", Elements: []string{"pe-2"}},
			{ExtID: "net-9", Name: "lab", Elements: []string{"pe-2"}},
			{ExtID: "net-vpc", Name: "vpc"},
		},
		Images: []site.Image{
			{ExtID: "img-1", Name: "ubuntu-24.04-kube-v1.33.4", Elements: []string{"pe-1", "pe-2"}, Created: time.Unix(100, 0)},
			{ExtID: "img-2", Name: "ubuntu-24.04-kube-v1.32.1", Elements: []string{"pe-1"}, Created: time.Unix(200, 0)},
		},
		Containers: []site.Container{{ExtID: "sc-1", Name: "fast", Element: "pe-1"}, {ExtID: "sc-2", Name: "slow", Element: "pe-2"}},
		Categories: []site.Category{
			{ExtID: "cat-own", Key: "KubernetesClusterName", Value: "edge-01"}, {ExtID: "cat-prod", Key: "Environment", Value: "Production"},
		},
		Projects: []site.Project{{ExtID: "prj-1", Name: "platform"}},
	}
	size := v1alpha1.Machine{VCPUSockets: 4, VCPUsPerSocket: 1, Memory: resource.MustParse("8Gi"), SystemDisk: resource.MustParse("80Gi")}
	spec := v1alpha1.NutanixClusterSpecSpec{
		Profiles:     []v1alpha1.ProfileReference{{Name: "standard", Version: "1.4.x"}},
		ControlPlane: v1alpha1.ControlPlane{Endpoint: v1alpha1.Endpoint{Host: "10.20.0.10"}, Replicas: 1, Machine: size},
		NodePools:    []v1alpha1.NodePool{{Name: "workers", Replicas: new(int32(2)), Machine: size}},
		MachineDefaults: v1alpha1.MachineDefaults{
			PrismElement: v1alpha1.Identifier{Name: "PE-1"}, Subnets: []v1alpha1.Identifier{{Name: "vlan-101"}},
			Categories: []v1alpha1.Category{{Key: "Environment", Value: "Production"}}, Project: &v1alpha1.Identifier{Name: "platform"},
		},
		FailureDomains: []v1alpha1.FailureDomain{
			{Name: "a", PrismElement: v1alpha1.Identifier{Name: "PE-1"}, Subnets: []v1alpha1.Identifier{{Name: "vlan-101"}}},
			{Name: "b", PrismElement: v1alpha1.Identifier{Name: "PE-2"}, Subnets: []v1alpha1.Identifier{{Name: "vlan-102"}}},
		},
	}
	objects := []*unstructured.Unstructured{
		rendered("NutanixMachineTemplate", "edge-01-kcp-20887232", map[string]any{"template": map[string]any{"spec": template()}}),
		rendered("NutanixMachineTemplate", "edge-01-workers-36890b35", map[string]any{"template": map[string]any{"spec": template()}}),
		rendered("KubeadmControlPlane", "edge-01-kcp", map[string]any{
			"replicas": int64(1), "version": "v1.33.4",
			"machineTemplate": map[string]any{"spec": map[string]any{"infrastructureRef": map[string]any{"name": "edge-01-kcp-20887232"}}},
		}),
		rendered("MachineDeployment", "edge-01-workers", map[string]any{
			"replicas": int64(2),
			"template": map[string]any{"spec": map[string]any{
				"version": "v1.33.4", "infrastructureRef": map[string]any{"name": "edge-01-workers-36890b35"},
			}},
		}),
		rendered("NutanixCluster", "edge-01", map[string]any{}),
	}
	return &world{preflight.Input{
		Cluster: &v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Name: "edge-01"}, Spec: spec},
		Objects: objects, Site: inventory, New: true,
	}}
}

func rendered(kind, name string, spec map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"kind": kind, "spec": spec}}
	o.SetName(name)
	return o
}

func template() map[string]any {
	return map[string]any{
		"vcpuSockets": int64(4), "vcpusPerSocket": int64(1), "memorySize": "8Gi", "systemDiskSize": "80Gi",
		"cluster": byName("PE-1"), "subnet": []any{byName("vlan-101")}, "project": byName("platform"),
		"image":                byName("ubuntu-24.04-kube-v1.33.4"),
		"additionalCategories": []any{map[string]any{"key": "Environment", "value": "Production"}},
	}
}

func byName(name string) map[string]any { return map[string]any{"type": "name", "name": name} }

// domains puts the control plane into failure domains a and b, and the pool into b.
func (w *world) domains() {
	w.in.Objects = append(w.in.Objects,
		rendered("NutanixFailureDomain", "edge-01-a-349c59a1", map[string]any{"prismElementCluster": byName("PE-1"), "subnets": []any{byName("vlan-101")}}),
		rendered("NutanixFailureDomain", "edge-01-b-0a75a9e8", map[string]any{"prismElementCluster": byName("PE-2"), "subnets": []any{byName("vlan-102")}}),
	)
	w.set(cluster, []any{map[string]any{"name": "edge-01-a-349c59a1"}, map[string]any{"name": "edge-01-b-0a75a9e8"}}, "spec", "controlPlaneFailureDomains")
	w.set(pool, "edge-01-b-0a75a9e8", "spec", "template", "spec", "failureDomain")
	for _, t := range []int{kcpTemplate, poolTemplate} {
		delete(w.machine(t), "cluster")
		delete(w.machine(t), "subnet")
	}
}

func (w *world) set(object int, v any, path ...string) {
	if err := unstructured.SetNestedField(w.in.Objects[object].Object, v, path...); err != nil {
		panic(err)
	}
}

// both sets a field of both templates.
func (w *world) both(field string, v any) {
	w.machine(kcpTemplate)[field], w.machine(poolTemplate)[field] = v, v
}

func check(t *testing.T, change func(w *world)) []preflight.Finding {
	t.Helper()
	w := newWorld()
	change(w)
	return preflight.Check(w.in)
}
