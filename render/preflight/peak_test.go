package preflight_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// second is another cluster of the same size on the same site.
func second(w *world) preflight.Input {
	other := newWorld().in
	other.Cluster.Name = "edge-02"
	other.Site, other.Owned = w.in.Site, w.in.Owned
	return other
}

// before are copies of the objects as they are now.
func (w *world) before() {
	for _, o := range w.in.Objects {
		w.in.Before = append(w.in.Before, o.DeepCopy())
	}
}

// Each machine of the fixture has 4 vCPU and 8Gi; each Prism Element two hosts of 32 cores and 64Gi: 128 vCPU at 4 to a
// core and 64Gi with one lost.
func TestPeak(t *testing.T) {
	known := func(element string, vcpus, memory int64, clusters ...string) preflight.Room {
		return preflight.Room{
			Account: "pc-east", Element: element, Clusters: clusters, Need: preflight.Resources{VCPUs: vcpus, MemoryBytes: memory * gib},
			Free: preflight.Resources{VCPUs: 128, MemoryBytes: 64 * gib}, OneHostLost: true, Known: true,
		}
	}
	unknown := func(vcpus, memory int64, why string) preflight.Room {
		return preflight.Room{
			Account: "pc-east", Element: "PE-1", Clusters: []string{"edge-01"}, Why: why,
			Need: preflight.Resources{VCPUs: vcpus, MemoryBytes: memory * gib},
		}
	}
	rolling := map[string]int{"MachineDeployment/edge-01-workers": 2}
	for name, c := range map[string]struct {
		reason string
		ins    func(w *world) []preflight.Input
		want   []preflight.Room
	}{
		"TwoClusters": {
			"what clusters take of one Prism Element adds up",
			func(w *world) []preflight.Input { return []preflight.Input{second(w), w.in} },
			[]preflight.Room{known("PE-1", 24, 48, "edge-01", "edge-02")},
		},
		"TwoElements": {
			"the one machine of the control plane comes to the first of its failure domains, the pool to the second",
			func(w *world) []preflight.Input { w.domains(); return []preflight.Input{w.in} },
			[]preflight.Room{known("PE-1", 4, 8, "edge-01"), known("PE-2", 8, 16, "edge-01")},
		},
		"Nothing": {
			"a cluster that makes no machine takes nothing",
			func(w *world) []preflight.Input { w.in.Machines = map[string]int{}; return []preflight.Input{w.in} },
			[]preflight.Room{},
		},
		"Load": {
			"running machines take from what is free",
			func(w *world) []preflight.Input { w.load(41, 4); return []preflight.Input{w.in} },
			[]preflight.Room{func() preflight.Room {
				r := known("PE-1", 12, 24, "edge-01")
				r.Free = preflight.Resources{VCPUs: 124, MemoryBytes: 23 * gib}
				return r
			}()},
		},
		"OnlyHost": {
			"one that has no other cannot be lost",
			func(w *world) []preflight.Input {
				w.site().Elements[0].Hosts = w.site().Elements[0].Hosts[:1]
				return []preflight.Input{w.in}
			},
			[]preflight.Room{func() preflight.Room { r := known("PE-1", 12, 24, "edge-01"); r.OneHostLost = false; return r }()},
		},
		"NotAsked": {
			"the files tell what is needed",
			func(w *world) []preflight.Input {
				w.in.Site, w.in.Why = nil, "nobody asked"
				return []preflight.Input{w.in}
			},
			[]preflight.Room{unknown(12, 24, "nobody asked")},
		},
		"HostsUnknown": {
			"what was not read is not said to be free",
			func(w *world) []preflight.Input { w.unknown(site.PartHosts); return []preflight.Input{w.in} },
			[]preflight.Room{unknown(12, 24, "HTTP 500")},
		},
		"ItsHostsUnknown": {
			"nor of the one Prism Element whose hosts are not known",
			func(w *world) []preflight.Input { w.lacks(0, site.PartHosts); return []preflight.Input{w.in} },
			[]preflight.Room{unknown(12, 24, "HTTP 500")},
		},
		"OthersHostsUnknown": {
			"what is unknown of another Prism Element takes nothing from what is known of this one",
			func(w *world) []preflight.Input { w.lacks(1, site.PartHosts); return []preflight.Input{w.in} },
			[]preflight.Room{known("PE-1", 12, 24, "edge-01")},
		},
		"BlindRoll": {
			"without VMs the objects before tell: in the end two of 10Gi stand beside the last of 8Gi, where two of 8Gi were",
			func(w *world) []preflight.Input {
				w.before()
				w.in.Site, w.in.New, w.in.Machines = nil, false, rolling
				w.machine(poolTemplate)["memorySize"] = "10Gi"
				return []preflight.Input{w.in}
			},
			[]preflight.Room{unknown(4, 12, "Prism Central has not been asked yet")},
		},
		"BlindScaleUp": {
			"nor is a machine that is added taken for one that surges",
			func(w *world) []preflight.Input {
				w.before()
				w.in.Site, w.in.New, w.in.Machines = nil, false, map[string]int{"MachineDeployment/edge-01-workers": 3}
				w.pool(5, nil)
				return []preflight.Input{w.in}
			},
			[]preflight.Room{unknown(12, 24, "Prism Central has not been asked yet")},
		},
		"BlindNewPool": {
			"all machines of a pool that was not there are added",
			func(w *world) []preflight.Input {
				w.in.Before = []*unstructured.Unstructured{}
				w.in.Site, w.in.New, w.in.Machines = nil, false, rolling
				return []preflight.Input{w.in}
			},
			[]preflight.Room{unknown(8, 16, "Prism Central has not been asked yet")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.spec().AccountRef.Name = "pc-east"
			ins := c.ins(w)
			for i := range ins {
				ins[i].Cluster.Spec.AccountRef.Name = "pc-east"
			}
			if diff := cmp.Diff(c.want, preflight.Peak(ins)); diff != "" {
				t.Errorf("%s (-want +got): %s", c.reason, diff)
			}
		})
	}
}
