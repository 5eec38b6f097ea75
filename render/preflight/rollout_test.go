package preflight_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// has replaces the VMs of the cluster: workers, or machines of the control plane, on a Prism Element each, in GiB.
func (w *world) has(name string, at map[string][]int64) {
	w.in.New, w.in.Owned, w.site().VMs = false, map[string]bool{}, nil
	for _, element := range []string{"pe-1", "pe-2"} {
		for _, memory := range at[element] {
			i := len(w.site().VMs)
			id := fmt.Sprint("vm-", i)
			w.in.Owned[id] = true
			w.add(site.VM{
				ExtID: id, Name: name + "-bbbb" + string("bcdfghjk"[i]), Element: element, Sockets: 4, CoresPerSocket: 1,
				MemoryBytes: memory * gib, Power: site.PowerOn, NICs: []site.NIC{{Subnet: "net-101"}},
			})
		}
	}
}

func (w *world) workers(memory ...int64) {
	w.has("edge-01-workers-x7k2p", map[string][]int64{"pe-1": memory})
	w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": max(len(memory), 2)}
}

// Each new machine has 4 vCPU; PE-1 and PE-2 have the room.
func TestPeakOfRollouts(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		change func(w *world)
		want   map[string]int64 // GiB by Prism Element
	}{
		"Mixed": {
			"the one that stays to the end is the biggest of the old ones: 2 x 12 and 10, where 8 and 10 were",
			func(w *world) { w.workers(8, 10); w.machine(poolTemplate)["memorySize"] = "12Gi" },
			map[string]int64{"PE-1": 16},
		},
		"Fewer": {
			"machines that are not to come back make room: 3 x 12 and 8, where 5 x 8 were",
			func(w *world) {
				w.workers(8, 8, 8, 8, 8)
				w.pool(3, nil)
				w.machine(poolTemplate)["memorySize"] = "12Gi"
			},
			map[string]int64{"PE-1": 4},
		},
		"SurgesAlready": {
			"a machine that surges already is not one more: 5 x 12 and 8, where 6 x 8 were",
			func(w *world) {
				w.workers(8, 8, 8, 8, 8, 8)
				w.pool(5, nil)
				w.machine(poolTemplate)["memorySize"] = "12Gi"
			},
			map[string]int64{"PE-1": 20},
		},
		"HalfWay": {
			"three are still to come: 5 x 12 and none, where 2 x 12 and 3 x 8 were, and one of 8 till the end",
			func(w *world) {
				w.workers(8, 8, 8, 12, 12)
				w.pool(5, nil)
				w.machine(poolTemplate)["memorySize"] = "12Gi"
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 3}
			},
			map[string]int64{"PE-1": 20},
		},
		"UnderWay": {
			"a rollout that is not over makes machines of 8 still: 2 x 10 and 8, where 2 x 6 were",
			func(w *world) {
				w.before()
				w.workers(6, 6)
				w.machine(poolTemplate)["memorySize"] = "10Gi"
			},
			map[string]int64{"PE-1": 16},
		},
		"OnlyMore": {
			"machines that stay are no news, whatever they were made of",
			func(w *world) {
				w.before()
				w.workers(6, 6)
				w.pool(3, nil)
				w.in.Machines = map[string]int{"MachineDeployment/edge-01-workers": 1}
			},
			map[string]int64{"PE-1": 8},
		},
		"OneIsOff": {
			"one that is off takes nothing before it is replaced: 2 x 10 and 8, where 8 was",
			func(w *world) {
				w.before()
				w.workers(8, 8)
				w.site().VMs[1].Power = site.PowerOff
				w.machine(poolTemplate)["memorySize"] = "10Gi"
			},
			map[string]int64{"PE-1": 20},
		},
		"Moved": {
			"old machines on another Prism Element make no room on this one",
			func(w *world) {
				w.workers(8, 8)
				w.machine(poolTemplate)["cluster"] = byName("PE-2")
			},
			map[string]int64{"PE-2": 16},
		},
		"MovedUnseen": {
			"nor where their files alone tell of them",
			func(w *world) {
				w.before()
				w.in.New, w.in.Machines = false, map[string]int{"MachineDeployment/edge-01-workers": 2}
				w.unknown(site.PartVMs)
				w.machine(poolTemplate)["cluster"] = byName("PE-2")
			},
			map[string]int64{"PE-2": 16},
		},
		"UnevenDomains": {
			"Cluster API may put the new ones where the fewer old ones were: 2 x 12, where 8 was; or 2 x 12 and 8, where 2 x 8 were",
			func(w *world) {
				w.domains()
				w.has("edge-01-kcp", map[string][]int64{"pe-1": {8, 8}, "pe-2": {8}})
				w.set(kcp, int64(3), "spec", "replicas")
				w.machine(kcpTemplate)["memorySize"] = "12Gi"
				w.in.Machines = map[string]int{"KubeadmControlPlane/edge-01-kcp": 3}
			},
			map[string]int64{"PE-1": 16, "PE-2": 16},
		},
		"EvenDomains": {
			"one stands beside the old one of its domain, wherever that is",
			func(w *world) {
				w.domains()
				w.has("edge-01-kcp", map[string][]int64{"pe-1": {8}, "pe-2": {8}})
				w.set(kcp, int64(2), "spec", "replicas")
				w.machine(kcpTemplate)["memorySize"] = "12Gi"
				w.in.Machines = map[string]int{"KubeadmControlPlane/edge-01-kcp": 2}
			},
			map[string]int64{"PE-1": 12, "PE-2": 12},
		},
		"NewDomain": {
			"a domain that is new gets its share",
			func(w *world) {
				w.domains()
				w.has("edge-01-kcp", map[string][]int64{"pe-1": {8, 8, 8}})
				w.set(kcp, int64(3), "spec", "replicas")
				w.in.Machines = map[string]int{"KubeadmControlPlane/edge-01-kcp": 3}
			},
			map[string]int64{"PE-1": 8, "PE-2": 16},
		},
		"AutoscaledInPercent": {
			"a percentage is of the machines that an autoscaled pool has now",
			func(w *world) {
				w.workers(8, 8, 8, 8)
				w.pool(0, "50%")
				delete(w.in.Objects[pool].Object["spec"].(map[string]any), "replicas")
			},
			map[string]int64{"PE-1": 16},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.change(w)
			got := map[string]int64{}
			for _, room := range preflight.Peak([]preflight.Input{w.in}) {
				got[room.Element] = room.Need.MemoryBytes / gib
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got): %s", c.reason, diff)
			}
		})
	}
}

// What new machines take of a subnet or of GPUs, old ones give back only if they have it.
func TestShortOfWhatOldMachinesLack(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"AnotherSubnet": {
			func(w *world) {
				w.workers(8, 8, 8)
				w.pool(3, nil)
				for i := range w.site().VMs {
					w.site().VMs[i].NICs[0].Subnet = "net-102"
				}
				w.site().Subnets[0].FreeIPs = new(int64(2))
			},
			"subnet vlan-101: addresses needed at the peak: 3, free: 2. Enlarge its IP pools, or take another subnet",
		},
		"SameSubnet": {
			func(w *world) {
				w.workers(8, 8, 8)
				w.pool(3, nil)
				w.site().Subnets[0].FreeIPs = new(int64(0))
			},
			"subnet vlan-101: addresses needed at the peak: 1, free: 0. Enlarge its IP pools, or take another subnet",
		},
		"GPUAdded": {
			func(w *world) {
				w.workers(8, 8, 8)
				w.pool(3, int64(0))
				w.gpu("Tesla T4")
				w.site().Elements[0].GPUs[0].Assignable = new(int64(2))
			},
			"Prism Element PE-1: GPUs Tesla T4 needed at the peak: 3, free: 2. Free some, or take fewer machines",
		},
		"GPUSurging": {
			func(w *world) {
				w.workers(8, 8, 8)
				w.pool(3, nil)
				for i := range w.site().VMs {
					w.site().VMs[i].GPUs = []site.GPU{{Name: "Tesla T4", DeviceID: 7864}}
				}
				w.gpu("Tesla T4")
				w.site().Elements[0].GPUs[0].Assignable = new(int64(0))
			},
			"Prism Element PE-1: GPUs Tesla T4 needed at the peak: 1, free: 0. Free some, take fewer machines, or set maxSurge to 0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := check(t, c.change)
			if len(got) != 1 || got[0].Verdict != preflight.Short || got[0].Message != c.want {
				t.Errorf("want %q, got %+v", c.want, got)
			}
		})
	}
}
