package preflight_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// moving is how another endpoint is taken.
const moving = "An endpoint never changes in place: commit the other address, then run kubectl delete nutanixclusterspec edge-01, if there is one, in the Fleet's namespace; " +
	"nothing of the cluster is there yet, and the Fleet makes it anew from its file"

const osLayer = "spec.profiles[standard]: os.image of the layer of type OS"

// one is the only finding that a change makes, without its class: Existence.
type one struct {
	Check, Field, Message string
}

func TestExistenceFails(t *testing.T) {
	at := netip.MustParseAddr
	for name, c := range map[string]struct {
		change func(w *world)
		want   one
	}{
		"ElementMistyped": {
			func(w *world) { w.both("cluster", byName("PE1")); w.spec().MachineDefaults.PrismElement.Name = "PE1" },
			one{"PrismElement", "spec.machineDefaults.prismElement", `no Prism Element "PE1" in Prism Central: correct it, or make it there (did you mean "PE-1"?)`},
		},
		"ElementPatched": {
			func(w *world) { w.machine(poolTemplate)["cluster"] = byName("Elsewhere") },
			one{"PrismElement", "NutanixMachineTemplate/edge-01-workers-36890b35 spec.template.spec.cluster", `no Prism Element "Elsewhere" in Prism Central: correct it, or make it there (there is PE-1, PE-2)`},
		},
		"ElementUnreachable": {
			func(w *world) { w.site().Elements[0].Available = new(false) },
			one{"PrismElement", "spec.machineDefaults.prismElement", "Prism Central does not reach Prism Element PE-1: bring it back or take another one. CAPX would give up every machine for good that it tries to make there"},
		},
		"ElementTwice": {
			func(w *world) { w.site().Elements[1].Name = "PE-1" },
			one{"PrismElement", "spec.machineDefaults.prismElement", `2 Prism Elements are called "PE-1" in Prism Central, and CAPX takes none of them: name it by uuid`},
		},
		"SubnetMistyped": {
			func(w *world) {
				w.both("subnet", []any{byName("vlan-10")})
				w.spec().MachineDefaults.Subnets[0].Name = "vlan-10"
			},
			one{"Subnet", "spec.machineDefaults.subnets[0]", `no subnet "vlan-10" on Prism Element PE-1: correct it, or make it there (did you mean "vlan-101"?)`},
		},
		"SubnetElsewhere": {
			func(w *world) { w.machine(poolTemplate)["subnet"] = []any{byName("vlan-101"), byName("vlan-102")} },
			one{"Subnet", "NutanixMachineTemplate/edge-01-workers-36890b35 spec.template.spec.subnet[1]", `subnet "vlan-102" is not on Prism Element PE-1, but on PE-2: name one that PE-1 has`},
		},
		"SubnetElsewhereByUUID": {
			func(w *world) {
				w.machine(poolTemplate)["subnet"] = []any{map[string]any{"type": "uuid", "uuid": "net-102"}}
			},
			one{"Subnet", "NutanixMachineTemplate/edge-01-workers-36890b35 spec.template.spec.subnet[0]", `subnet "net-102" is not on Prism Element PE-1, but on PE-2: name one that PE-1 has`},
		},
		"SubnetTwice": {
			func(w *world) { w.site().Subnets[3].Name = "vlan-101" },
			one{"Subnet", "spec.machineDefaults.subnets[0]", `2 subnets are called "vlan-101" on Prism Element PE-1, and CAPX takes none of them: name it by uuid`},
		},
		"SubnetOfFailureDomain": {
			func(w *world) {
				w.domains()
				w.set(6, []any{byName("vlan-103")}, "spec", "subnets")
				w.spec().FailureDomains[1].Subnets[0].Name = "vlan-103"
			},
			one{"Subnet", "spec.failureDomains[b].subnets[0]", `no subnet "vlan-103" on Prism Element PE-2: correct it, or make it there (did you mean "vlan-102"?)`},
		},
		"FailureDomainPatched": {
			func(w *world) { w.domains(); w.set(6, byName("PE-9"), "spec", "prismElementCluster") },
			one{"PrismElement", "NutanixFailureDomain/edge-01-b-0a75a9e8 spec.prismElementCluster", `no Prism Element "PE-9" in Prism Central: correct it, or make it there (did you mean "PE-1"?)`},
		},
		"Image": {
			func(w *world) { w.both("image", byName("ubuntu-24.04-kube-v1.33.5")) },
			one{"Image", osLayer, `no image "ubuntu-24.04-kube-v1.33.5" in Prism Central: correct it, or make it there (did you mean "ubuntu-24.04-kube-v1.33.4"?)`},
		},
		"ImageTwice": {
			func(w *world) { w.site().Images[1].Name = w.site().Images[0].Name },
			one{"Image", osLayer, `2 images are called "ubuntu-24.04-kube-v1.33.4" in Prism Central, and CAPX takes none of them: name it by uuid`},
		},
		"ImageOfOtherVersion": {
			func(w *world) { w.machine(poolTemplate)["image"] = byName("ubuntu-24.04-kube-v1.32.1") },
			one{"Image", osLayer, `image "ubuntu-24.04-kube-v1.32.1" is made for Kubernetes v1.32.1 by its name, but machines of v1.33.4 use it: name an image of that version, or change the Kubernetes layer`},
		},
		"ImageElsewhere": {
			func(w *world) { w.site().Images[0].Elements = []string{"pe-2"} },
			one{"Image", osLayer, `image "ubuntu-24.04-kube-v1.33.4" is not on Prism Element PE-1, but on PE-2: place it there, too`},
		},
		"LookupOfNothing": {
			func(w *world) {
				w.lookup("rocky-9", "")
			},
			one{"Image", "spec.profiles[standard]: os.imageLookup of the layer of type OS", "no image in Prism Central has a name that matches capx-rocky-9-1.33.4-*: upload one for Kubernetes v1.33.4, or correct format or baseOS"},
		},
		"LookupOfLongerVersion": {
			func(w *world) {
				w.lookup("ubuntu-24.04", "{{.BaseOS}}-kube-v{{.K8sVersion}}")
				w.site().Images = append(w.site().Images, site.Image{ExtID: "img-3", Name: "ubuntu-24.04-kube-v1.33.40", Created: time.Unix(300, 0)})
			},
			one{"Image", "spec.profiles[standard]: os.imageLookup of the layer of type OS", `image "ubuntu-24.04-kube-v1.33.40" is made for Kubernetes v1.33.40 by its name, but machines of v1.33.4 use it: name an image of that version, or change the Kubernetes layer`},
		},
		"Project": {
			func(w *world) {
				w.both("project", byName("plattform"))
				w.spec().MachineDefaults.Project.Name = "plattform"
			},
			one{"Project", "spec.machineDefaults.project", `no project "plattform" in Prism Central: correct it, or make it there (did you mean "platform"?)`},
		},
		"Category": {
			func(w *world) { w.site().Categories[1].Value = "Prod" },
			one{"Category", "spec.machineDefaults.categories[0]", `no category "Environment=Production" in Prism Central: correct it, or make it there (did you mean "Environment=Prod"?)`},
		},
		"CategoryPatched": {
			func(w *world) {
				w.machine(kcpTemplate)["additionalCategories"] = []any{map[string]any{"key": "Environment", "value": "production"}}
			},
			one{"Category", "NutanixMachineTemplate/edge-01-kcp-20887232 spec.template.spec.additionalCategories[0]", `no category "Environment=production" in Prism Central: correct it, or make it there (did you mean "Environment=Production"?)`},
		},
		"Container": {
			func(w *world) { w.disk("slow") },
			one{"StorageContainer", "spec.nodePools[workers].machine.dataDisks[0].storageContainer", `no storage container "slow" on Prism Element PE-1: correct it, or make it there (there is fast)`},
		},
		"GPU": {
			func(w *world) { w.gpu("Tesla T40") },
			one{"GPU", "spec.nodePools[workers].machine.gpus[0]", `no GPU "Tesla T40" on Prism Element PE-1: correct it, or make it there (did you mean "Tesla T4"?)`},
		},
		"EndpointInUse": {
			func(w *world) {
				w.add(site.VM{ExtID: "vm-9", Name: "printer", Element: "pe-1", NICs: []site.NIC{{Subnet: "net-101", IPs: []netip.Addr{at("10.20.0.10")}}}})
			},
			one{"Endpoint", "spec.controlPlane.endpoint.host", "10.20.0.10 is used by VM printer (vm-9): free it, or take another address. " + moving},
		},
		"EndpointInPool": {
			func(w *world) { w.spec().ControlPlane.Endpoint.Host = "10.20.0.60" },
			one{"Endpoint", "spec.controlPlane.endpoint.host", "10.20.0.60 is in an IP pool of subnet vlan-101, so another machine may be given it: take it out of the pool, or take an address outside of the pools. " + moving},
		},
		"ForeignVMs": {
			func(w *world) {
				for _, name := range []string{"edge-01-kcp-bcd2f", "b", "c", "d"} {
					w.add(site.VM{ExtID: name, Name: name, Categories: []string{"cat-own"}})
				}
			},
			one{"Names", "metadata.name", "category KubernetesClusterName=edge-01 has VMs already (b, c, d and 1 more), and no machine of this management cluster owns them. They may be a living cluster's: give the new one another name, adopt the old one where it lives, or delete what is left of it in Prism Central"},
		},
		"EndpointInUseForEverybody": {
			func(w *world) {
				w.in.Public = true
				w.add(site.VM{ExtID: "vm-9", Name: "printer", Element: "pe-1", NICs: []site.NIC{{Subnet: "net-101", IPs: []netip.Addr{at("10.20.0.10")}}}})
			},
			one{"Endpoint", "spec.controlPlane.endpoint.host", "10.20.0.10 is used by another VM: free it, or take another address. " + moving},
		},
		"ForeignVMsForEverybody": {
			func(w *world) {
				w.in.Public = true
				w.add(site.VM{ExtID: "b", Name: "b", Categories: []string{"cat-own"}})
			},
			one{"Names", "metadata.name", "category KubernetesClusterName=edge-01 has VMs already (1), and no machine of this management cluster owns them. They may be a living cluster's: give the new one another name, adopt the old one where it lives, or delete what is left of it in Prism Central"},
		},
		"Namesake": {
			func(w *world) { w.add(site.VM{ExtID: "x", Name: "edge-01-workers-x7k2p-bcd2f"}) },
			one{"Names", "metadata.name", "there are VMs with names as of this cluster's machines (edge-01-workers-x7k2p-bcd2f), and no machine of this management cluster owns them. They may be a living cluster's: give the new one another name, adopt the old one where it lives, or delete what is left of it in Prism Central"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []one
			for _, f := range check(t, c.change) {
				if f.Class != preflight.Existence || f.Verdict != preflight.Failed {
					t.Errorf("want only failures of existence, got %+v", f)
				}
				got = append(got, one{f.Check, f.Field, f.Message})
			}
			if diff := cmp.Diff([]one{c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func (w *world) lookup(baseOS, format string) {
	for _, t := range []int{kcpTemplate, poolTemplate} {
		delete(w.machine(t), "image")
		w.machine(t)["imageLookup"] = map[string]any{"baseOS": baseOS, "format": format}
	}
}

// disk gives the workers a data disk in a container.
func (w *world) disk(container string) {
	w.machine(poolTemplate)["dataDisks"] = []any{map[string]any{"diskSize": "100Gi", "storageConfig": map[string]any{"storageContainer": byName(container)}}}
	w.spec().NodePools[0].Machine.DataDisks = []v1alpha1.DataDisk{{StorageContainer: &v1alpha1.Identifier{Name: container}}}
}

// gpu gives each worker a GPU.
func (w *world) gpu(name string) {
	w.machine(poolTemplate)["gpus"] = []any{map[string]any{"type": "name", "name": name}}
	w.spec().NodePools[0].Machine.GPUs = []v1alpha1.GPU{{Name: name}}
}

func TestNothingIsMadeUp(t *testing.T) {
	at := netip.MustParseAddr
	for name, change := range map[string]func(w *world){
		"AllThere":       func(*world) {},
		"FailureDomains": func(w *world) { w.domains() },
		"DeviceByID": func(w *world) {
			w.machine(poolTemplate)["gpus"] = []any{map[string]any{"type": "deviceID", "deviceID": int64(7864)}}
		},
		"ContainerThere": func(w *world) { w.disk("fast") },
		"Overlay":        func(w *world) { w.both("subnet", []any{byName("vpc")}) },
		"ByUUID": func(w *world) {
			w.both("cluster", map[string]any{"type": "uuid", "uuid": "PE-1"}) // ExtIDs are hexadecimal in any case
		},
		"Lookup":             func(w *world) { w.lookup("ubuntu-24.04", "{{.BaseOS}}-kube-v{{.K8sVersion}}") },
		"ImageNameTellsNone": func(w *world) { w.site().Images[0].Name = "golden"; w.both("image", byName("golden")) },
		"ImageNameOfOSVersion": func(w *world) {
			w.site().Images[0].Name = "rhel-9.1.20-1.33.4-2"
			w.both("image", byName("rhel-9.1.20-1.33.4-2"))
		},
		"VersionWithBuild":  func(w *world) { w.set(kcp, "v1.33.4+vendor.1", "spec", "version") },
		"ImagePlaceNotSaid": func(w *world) { w.site().Images[0].Elements = nil },
		"NothingComes":      func(w *world) { w.living(); w.in.Machines = map[string]int{}; w.site().Images = nil },
		"OnlyOtherGroupComes": func(w *world) {
			w.living()
			w.in.Machines = map[string]int{"KubeadmControlPlane/edge-01-kcp": 1}
			w.machine(poolTemplate)["image"] = byName("gone")
		},
		"EndpointInUseFarAway": func(w *world) {
			w.add(site.VM{ExtID: "far", Name: "far", Element: "pe-2", NICs: []site.NIC{{Subnet: "net-9", IPs: []netip.Addr{at("10.20.0.10")}}}})
			w.add(site.VM{ExtID: "vpc", Name: "vpc", Element: "pe-1", NICs: []site.NIC{{Subnet: "net-vpc", IPs: []netip.Addr{at("10.20.0.10")}}}})
		},
		"EndpointInPoolFarAway": func(w *world) {
			w.site().Subnets[2].Pools = []site.Range{{First: at("10.20.0.1"), Last: at("10.20.0.20")}}
		},
		"EndpointOfTheLiving": func(w *world) {
			w.living()
			w.site().VMs[0].NICs[0].IPs = append(w.site().VMs[0].NICs[0].IPs, at("10.20.0.10"))
		},
		"OwnMachinesWhileNew": func(w *world) {
			w.living()
			w.in.New = true
			w.site().VMs[0].NICs[0].IPs = append(w.site().VMs[0].NICs[0].IPs, at("10.20.0.10"))
		},
		"OtherClustersOfName": func(w *world) {
			w.add(site.VM{ExtID: "x", Name: "edge-01-kcp-2-kcp-bcd2f"})
			w.add(site.VM{ExtID: "y", Name: "edge-01-b"})
		},
		"StrangersOfTheLiving": func(w *world) { w.living(); w.add(site.VM{ExtID: "x", Name: "x", Categories: []string{"cat-own"}}) },
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]preflight.Finding(nil), check(t, change)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is unknown is said to be unknown, with the reason, and fails nothing.
func TestUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   []string
	}{
		"NothingKnown":     {func(w *world) { w.in.Site, w.in.Why = nil, "wrong password" }, []string{"Existence Inventory", "Capacity Inventory"}},
		"Elements":         {func(w *world) { w.unknown(site.PartElements) }, []string{"Existence PrismElement", "Capacity Memory"}},
		"Available":        {func(w *world) { w.site().Elements[0].Available = nil }, []string{"Existence PrismElement"}},
		"Subnets":          {func(w *world) { w.unknown(site.PartSubnets); w.site().Subnets = nil }, []string{"Existence Endpoint", "Existence Subnet"}},
		"Images":           {func(w *world) { w.unknown(site.PartImages); w.site().Images = nil }, []string{"Existence Image"}},
		"Projects":         {func(w *world) { w.unknown(site.PartProjects); w.site().Projects = nil }, []string{"Existence Project"}},
		"Categories":       {func(w *world) { w.unknown(site.PartCategories); w.site().Categories = nil }, []string{"Existence Category", "Existence Names"}},
		"Containers":       {func(w *world) { w.disk("fast"); w.unknown(site.PartContainers); w.site().Containers = nil }, []string{"Existence StorageContainer"}},
		"GPUs":             {func(w *world) { w.gpu("Tesla T4"); w.unknown(site.PartGPUs); w.site().Elements[0].GPUs = nil }, []string{"Existence GPU"}},
		"VMs":              {func(w *world) { w.unknown(site.PartVMs) }, []string{"Existence Endpoint", "Existence Names", "Capacity Memory"}},
		"Hosts":            {func(w *world) { w.unknown(site.PartHosts); w.site().Elements[0].Hosts = nil }, []string{"Capacity Memory"}},
		"HostsWithoutSize": {func(w *world) { w.site().Elements[0].Hosts = []site.Host{{ExtID: "h-1"}} }, []string{"Capacity Memory"}},
		"NoHosts":          {func(w *world) { w.site().Elements[0].Hosts = nil }, []string{"Capacity Memory"}},
		"Storage":          {func(w *world) { w.unknown(site.PartStorage); w.site().Elements[0].FreeStorageBytes = nil }, []string{"Capacity Storage"}},
		"ItsHosts":         {func(w *world) { w.lacks(0, site.PartHosts) }, []string{"Capacity Memory"}},
		"ItsStorage":       {func(w *world) { w.lacks(0, site.PartStorage) }, []string{"Capacity Storage"}},
		"ItsGPUs":          {func(w *world) { w.gpu("Tesla T4"); w.lacks(0, site.PartGPUs) }, []string{"Existence GPU"}},
		"ItsHostsOf":       {func(w *world) { w.domains(); w.lacks(1, site.PartHosts) }, []string{"Capacity Memory"}},
		"FreeStorage":      {func(w *world) { w.site().Elements[0].FreeStorageBytes = nil }, []string{"Capacity Storage"}},
		"FreeAddresses":    {func(w *world) { w.site().Subnets[0].FreeIPs = nil }, []string{"Capacity Addresses"}},
		"AssignableGPUs":   {func(w *world) { w.gpu("Tesla T4"); w.site().Elements[0].GPUs[0].Assignable = nil }, []string{"Capacity GPU"}},
		"ForeignDomain": {func(w *world) {
			w.set(cluster, []any{map[string]any{"name": "NutanixMetro/m"}}, "spec", "controlPlaneFailureDomains")
		}, []string{"Existence PrismElement"}},
		"VMsWhileRolling": {func(w *world) {
			w.living()
			w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2}
			w.unknown(site.PartVMs)
			w.site().VMs = nil
			w.site().Subnets[0].FreeIPs = new(int64(1))
		}, []string{"Capacity Memory"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range check(t, c.change) {
				if f.Verdict != preflight.Unknown || f.Field == "" || f.Message == "" {
					t.Errorf("want unknown with a field and a reason, got %+v", f)
				}
				if entry := string(f.Class) + " " + f.Check; len(got) == 0 || got[len(got)-1] != entry {
					got = append(got, entry)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The objects may be those of a cluster that is not known.
func TestWithoutCluster(t *testing.T) {
	got := check(t, func(w *world) { w.in.Cluster = nil; w.both("image", byName("ubuntu-24.04-kube-v1.33.5")) })
	if len(got) != 2 || got[0].Field != "NutanixMachineTemplate/edge-01-kcp-20887232 spec.template.spec.image" {
		t.Errorf("want the objects named, got %+v", got)
	}
	if got := preflight.Check(preflight.Input{Site: &site.Inventory{}, Objects: []*unstructured.Unstructured{}}); len(got) != 0 {
		t.Error(got)
	}
}
