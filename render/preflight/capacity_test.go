package preflight_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// Each machine of the fixture has 4 vCPU, 8Gi and 80Gi of disk; each Prism Element two hosts of 32 cores and 64Gi.
func TestCapacityShort(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   []string // check, field, message
	}{
		"Memory": {
			func(w *world) { w.load(41, 4) },
			[]string{
				"Memory", "spec.nodePools[workers].machine",
				"Prism Element PE-1: 2 more of spec.nodePools[workers], 1 more of spec.controlPlane need 12 vCPU and 24Gi at the peak; " +
					"124 vCPU (4 to a core) and 23Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"CPU": {
			func(w *world) { w.load(1, 120) },
			[]string{
				"CPU", "spec.nodePools[workers].machine",
				"Prism Element PE-1: 2 more of spec.nodePools[workers], 1 more of spec.controlPlane need 12 vCPU and 24Gi at the peak; " +
					"8 vCPU (4 to a core) and 63Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"OnlyHost": {
			func(w *world) { w.load(41, 4); w.site().Elements[0].Hosts = w.site().Elements[0].Hosts[:1] },
			[]string{
				"Memory", "spec.nodePools[workers].machine",
				"Prism Element PE-1: 2 more of spec.nodePools[workers], 1 more of spec.controlPlane need 12 vCPU and 24Gi at the peak; " +
					"124 vCPU (4 to a core) and 23Gi are free on its only host: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"PatchedSize": {
			func(w *world) { w.machine(poolTemplate)["memorySize"] = "40Gi" },
			[]string{
				"Memory", "NutanixMachineTemplate/edge-01-workers-36890b35 spec.template.spec",
				"Prism Element PE-1: 2 more of spec.nodePools[workers], 1 more of spec.controlPlane need 12 vCPU and 88Gi at the peak; " +
					"128 vCPU (4 to a core) and 64Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"SurgeOfBothGroups": {
			func(w *world) {
				w.living()
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2, "KubeadmControlPlane/edge-01-kcp": 1}
				w.load(25, 4)
			},
			[]string{
				"Memory", "spec.controlPlane.machine",
				"Prism Element PE-1: 1 of spec.controlPlane while rolling, 1 of spec.nodePools[workers] while rolling need 8 vCPU and 16Gi at the peak; " +
					"112 vCPU (4 to a core) and 15Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"ScaleUpWhileRolling": {
			func(w *world) {
				w.living()
				w.pool(4, nil)
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 4}
				w.load(17, 4)
			},
			[]string{
				"Memory", "spec.nodePools[workers].machine",
				"Prism Element PE-1: 2 more of spec.nodePools[workers] and 1 while rolling need 12 vCPU and 24Gi at the peak; " +
					"112 vCPU (4 to a core) and 23Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"SurgeInPercent": {
			func(w *world) {
				w.living()
				w.pool(2, "51%")
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2}
				w.load(25, 4)
			},
			[]string{
				"Memory", "spec.nodePools[workers].machine",
				"Prism Element PE-1: 2 of spec.nodePools[workers] while rolling need 8 vCPU and 16Gi at the peak; " +
					"112 vCPU (4 to a core) and 15Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"GrownWhileSurging": {
			func(w *world) { // in the end two of 12Gi stand beside one of 8Gi, where two of 8Gi were
				w.living()
				w.machine(poolTemplate)["memorySize"] = "12Gi"
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2}
				w.load(25, 4)
			},
			[]string{
				"Memory", "NutanixMachineTemplate/edge-01-workers-36890b35 spec.template.spec",
				"Prism Element PE-1: 1 of spec.nodePools[workers] while rolling and what others grow by need 4 vCPU and 16Gi at the peak; " +
					"112 vCPU (4 to a core) and 15Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"GrownWithoutSurge": {
			func(w *world) {
				w.living()
				w.pool(2, int64(0))
				w.machine(poolTemplate)["memorySize"] = "12Gi"
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2}
				w.load(33, 4)
			},
			[]string{
				"Memory", "NutanixMachineTemplate/edge-01-workers-36890b35 spec.template.spec",
				"Prism Element PE-1: the new machines of spec.nodePools[workers] need 0 vCPU and 8Gi at the peak; " +
					"112 vCPU (4 to a core) and 7Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"SmallerStillSurges": {
			func(w *world) {
				w.living()
				w.both("memorySize", "4Gi")
				w.spec().NodePools[0].Machine.Memory = resource.MustParse("4Gi")
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2}
				w.load(37, 4)
			},
			[]string{
				"Memory", "spec.nodePools[workers].machine",
				"Prism Element PE-1: 1 of spec.nodePools[workers] while rolling need 4 vCPU and 4Gi at the peak; " +
					"112 vCPU (4 to a core) and 3Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"ReplacesPoweredOff": {
			func(w *world) {
				w.living()
				w.pool(2, int64(0))
				w.site().VMs[1].Power = site.PowerOff
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2}
				w.load(41, 4)
			},
			[]string{
				"Memory", "spec.nodePools[workers].machine",
				"Prism Element PE-1: the new machines of spec.nodePools[workers] need 4 vCPU and 8Gi at the peak; " +
					"116 vCPU (4 to a core) and 7Gi are free with one host lost: add hosts, free some, or take fewer or smaller machines",
			},
		},
		"Storage": {
			func(w *world) { w.site().Elements[0].FreeStorageBytes = new(239 * gib) },
			[]string{
				"Storage", "spec.nodePools[workers].machine",
				"Prism Element PE-1: the disks of 2 more of spec.nodePools[workers], 1 more of spec.controlPlane take up to 240Gi at the peak; 239Gi are free: free some, or take fewer machines or smaller disks",
			},
		},
		"DataDisks": {
			func(w *world) { w.disk("fast"); w.site().Elements[0].FreeStorageBytes = new(439 * gib) },
			[]string{
				"Storage", "spec.nodePools[workers].machine",
				"Prism Element PE-1: the disks of 2 more of spec.nodePools[workers], 1 more of spec.controlPlane take up to 440Gi at the peak; 439Gi are free: free some, or take fewer machines or smaller disks",
			},
		},
		"Addresses": {
			func(w *world) { w.site().Subnets[0].FreeIPs = new(int64(2)) },
			[]string{
				"Addresses", "spec.machineDefaults.subnets[0]",
				"subnet vlan-101: addresses needed at the peak: 3, free: 2. Enlarge its IP pools, or take another subnet",
			},
		},
		"GPUs": {
			func(w *world) { w.gpu("Tesla T4"); w.site().Elements[0].GPUs[0].Assignable = new(int64(1)) },
			[]string{
				"GPU", "spec.nodePools[workers].machine.gpus[0]",
				"Prism Element PE-1: GPUs Tesla T4 needed at the peak: 2, free: 1. Free some, or take fewer machines",
			},
		},
		"FailureDomains": {
			func(w *world) {
				w.domains()
				w.set(kcp, int64(3), "spec", "replicas")
				w.site().Elements[0].FreeStorageBytes = new(159 * gib) // for two of the three
			},
			[]string{
				"Storage", "spec.controlPlane.machine",
				"Prism Element PE-1: the disks of 2 more of spec.controlPlane take up to 160Gi at the peak; 159Gi are free: free some, or take fewer machines or smaller disks",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := check(t, c.change)
			want := []preflight.Finding{{Check: c.want[0], Class: preflight.Capacity, Verdict: preflight.Short, Field: c.want[1], Message: c.want[2]}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// load has other VMs take memory (in GiB) and virtual CPUs of PE-1.
func (w *world) load(memory, vcpus int64) {
	w.add(site.VM{ExtID: "load", Name: "load", Element: "pe-1", Sockets: vcpus, CoresPerSocket: 1, MemoryBytes: memory * gib, Power: site.PowerOn})
}

// pool sets the workers' number and surge.
func (w *world) pool(replicas int64, maxSurge any) {
	w.set(pool, replicas, "spec", "replicas")
	if maxSurge != nil {
		w.set(pool, maxSurge, "spec", "rollout", "strategy", "rollingUpdate", "maxSurge")
	}
}

// However much is free, no host takes a machine that is bigger than it.
func TestMachineFitsOnNoHost(t *testing.T) {
	got := check(t, func(w *world) {
		w.machine(kcpTemplate)["vcpuSockets"] = int64(65)
		w.spec().ControlPlane.Machine.VCPUSockets = 65
	})
	want := []preflight.Finding{{
		Check: "Memory", Class: preflight.Capacity, Verdict: preflight.Failed, Field: "spec.controlPlane.machine",
		Message: "a machine with 65 vCPU and 8Gi fits on no host of Prism Element PE-1, the biggest of which have 64 threads and 64Gi: take smaller machines",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRoomEnough(t *testing.T) {
	roll := func(w *world) {
		w.living()
		w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 2}
	}
	for name, change := range map[string]func(w *world){
		"ToTheLastByte": func(w *world) { w.load(40, 116) },
		"PoweredOff": func(w *world) {
			w.load(64, 128)
			w.site().VMs[0].Power = site.PowerOff
		},
		"OnAnotherElement": func(w *world) {
			w.load(64, 128)
			w.site().VMs[0].Element = "pe-2"
		},
		"OneAtATime": func(w *world) {
			roll(w)
			w.load(32, 4) // leaves 8Gi
			w.site().Subnets[0].FreeIPs = new(int64(1))
			w.site().Elements[0].FreeStorageBytes = new(80 * gib)
		},
		"NoSurge": func(w *world) {
			roll(w)
			w.pool(2, int64(0))
			w.load(64, 128)
			w.site().Subnets[0].FreeIPs = new(int64(0))
			w.site().Elements[0].FreeStorageBytes = new(int64(0))
		},
		"Smaller": func(w *world) {
			roll(w)
			w.machine(poolTemplate)["memorySize"] = "4Gi"
			w.load(36, 4)
		},
		"ScaledByAutoscaler": func(w *world) {
			roll(w)
			w.in.Objects[pool].Object["spec"].(map[string]any)["replicas"] = nil
			w.in.Objects[pool].SetAnnotations(map[string]string{"cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size": "2"})
			w.load(32, 4)
		},
		"UnmanagedSubnet": func(w *world) { w.site().Subnets[0].Pools, w.site().Subnets[0].FreeIPs = nil, nil },
		"SameElementTwice": func(w *world) {
			w.living()
			w.domains()
			w.set(6, byName("PE-1"), "spec", "prismElementCluster")
			w.set(6, []any{byName("vlan-101")}, "spec", "subnets")
			w.in.Machines = map[string]int{"KubeadmControlPlane/edge-01-kcp": 1}
			w.load(32, 4) // one surges, to either of the two domains
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]preflight.Finding(nil), check(t, change)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is unknown of one Prism Element leaves the checks of another as they are.
func TestUnknownElsewhere(t *testing.T) {
	for _, part := range []site.Part{site.PartHosts, site.PartStorage, site.PartGPUs} {
		if got := check(t, func(w *world) { w.gpu("Tesla T4"); w.lacks(1, part) }); len(got) != 0 {
			t.Errorf("%s of PE-2: %+v", part, got)
		}
		got := check(t, func(w *world) { w.gpu("Tesla T4"); w.lacks(1, part); w.load(41, 4) })
		if len(got) != 1 || got[0].Verdict != preflight.Short || got[0].Check != preflight.CheckMemory {
			t.Errorf("%s of PE-2: memory of PE-1 is short: %+v", part, got)
		}
	}
}

// A host in maintenance takes nothing, and is not the one that may be lost.
func TestMaintenance(t *testing.T) {
	shrink := func(w *world, hosts ...site.Host) { w.site().Elements[0].Hosts = hosts }
	free, away := site.Host{Cores: 32, Threads: 64, MemoryBytes: 32 * gib}, site.Host{Cores: 32, Threads: 64, MemoryBytes: 16 * gib, Maintenance: true}
	if got := check(t, func(w *world) { shrink(w, free, away) }); len(got) != 0 {
		t.Errorf("one free host of 32Gi is enough for 24Gi: %+v", got)
	}
	if got := check(t, func(w *world) { shrink(w, free, away); w.load(9, 1) }); len(got) != 1 || got[0].Check != "Memory" {
		t.Errorf("23Gi are not enough for 24Gi: %+v", got)
	}
}

// The findings do not depend on the order in which anything is listed.
func TestOrder(t *testing.T) {
	spoil := func(w *world) {
		w.both("image", byName("none"))
		w.both("project", byName("none"))
		w.both("cluster", byName("none"))
		w.in.Cluster.Spec.Profiles = append(w.in.Cluster.Spec.Profiles, v1alpha1.ProfileReference{Name: "more"})
	}
	turned := func(w *world) {
		spoil(w)
		for i, j := 0, len(w.in.Objects)-1; i < j; i, j = i+1, j-1 {
			w.in.Objects[i], w.in.Objects[j] = w.in.Objects[j], w.in.Objects[i]
		}
	}
	first := check(t, spoil)
	if len(first) != 5 { // the image belongs to the OS layer, once; all else is patched in both templates
		t.Errorf("want 5 findings, got %+v", first)
	}
	if diff := cmp.Diff(first, check(t, turned)); diff != "" {
		t.Error(diff)
	}
}
