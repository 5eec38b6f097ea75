package machines

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// remediate is the annotation by which people have a MachineHealthCheck replace a machine.
const remediate = "cluster.x-k8s.io/remediate-machine"

// repair shows what is repaired, what is not, and when not.
func repair(t *testing.T, s *site) {
	t.Helper()
	s.drift(v1alpha1.DriftRepair, "")
	t.Run("PowerAndCategories", func(t *testing.T) { repaired(t, s.in(t)) })
	t.Run("LeftAlone", func(t *testing.T) { leftAlone(t, s.in(t)) })
	s.drift(v1alpha1.DriftReport, "")
}

// repaired has a VM switched off and another one lose a category: both are shown, and put right.
func repaired(t *testing.T, s *site) {
	t.Helper()
	off, bare := s.vm("general"), s.vm("kcp")
	was := s.repairs()
	s.edit(off.ExtID, func(vm *simulator.VM) { vm.PowerState = simulator.PowerOff })
	s.edit(bare.ExtID, func(vm *simulator.VM) { category(vm, "Environment=Production", "Environment=Staging") })
	s.Within(patience, "both VMs are as they were", func() error {
		if vm := s.vm("general"); vm.PowerState != simulator.PowerOn {
			return fmt.Errorf("%s is %s", vm.Name, vm.PowerState)
		}
		if vm := s.vm("kcp"); !slices.Contains(vm.Categories, "Environment=Production") {
			return fmt.Errorf("%s has %q", vm.Name, vm.Categories)
		}
		return nil
	})
	if vm := s.vm("kcp"); !slices.Contains(vm.Categories, "Environment=Staging") {
		t.Errorf("a category was taken off %s: %q", vm.Name, vm.Categories)
	}
	s.drifted(off.Name, "power")
	s.drifted(bare.Name, "categories")
	s.inSync()
	s.Within(patience, "it is said and counted", func() error {
		said := strings.Join(s.log.Said(aged, "MachineRepaired"), "\n")
		if !strings.Contains(said, "VM "+off.Name+" power: was OFF; put back to ON") ||
			!strings.Contains(said, "VM "+bare.Name+" categories: was Environment=Staging; put back to Environment=Production") {
			return fmt.Errorf("said was %q", said)
		}
		if now := s.repairs(); now["PowerOn"] != was["PowerOn"]+1 || now["AddCategories"] != was["AddCategories"]+1 {
			return fmt.Errorf("counted were %v, and before %v", now, was)
		}
		return nil
	})
	s.edit(bare.ExtID, func(vm *simulator.VM) { category(vm, "Environment=Staging") })
}

// leftAlone has machines differ that must not be repaired: one that a person keeps, one that a MachineHealthCheck is at
// work on, all while the cluster is suspended or paused, and what no repair can mend. In the end what may be is.
func leftAlone(t *testing.T, s *site) {
	t.Helper()
	kcp, bare, general := s.vm("kcp"), s.vm("bare"), s.vm("general")
	s.annotate(bare.Name, v1alpha1.HandsOffAnnotation, `"maintenance"`)
	s.annotate(kcp.Name, remediate, `""`)
	s.Within(patience, "the MachineHealthCheck is at work", func() error {
		conditions, _, _ := unstructured.NestedSlice(s.Object("cluster.x-k8s.io/v1beta2", "Machine", kcp.Name).Object, "status", "conditions")
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["type"] == "HealthCheckSucceeded" && c["status"] == "False" {
				return nil
			}
		}
		return fmt.Errorf("%v", conditions)
	})
	seen.Readings(s.Scene, 2) // each takes notice of the machines
	for _, vm := range []simulator.VM{kcp, bare} {
		s.edit(vm.ExtID, func(vm *simulator.VM) { vm.PowerState = simulator.PowerOff })
	}
	s.edit(general.ExtID, func(vm *simulator.VM) { vm.MemoryBytes = gib(5) })
	s.drifted(bare.Name, "power")
	s.drifted(kcp.Name, "power")
	s.drifted(general.Name, "memorySize")
	s.untouched(t, "with hands off, and while a MachineHealthCheck is at work")

	s.drift(v1alpha1.DriftRepair, "suspend: true")
	s.annotate(bare.Name, v1alpha1.HandsOffAnnotation, "null")
	s.annotate(kcp.Name, remediate, "null")
	s.untouched(t, "suspended")
	s.drift(v1alpha1.DriftRepair, "paused: true")
	s.untouched(t, "paused")

	s.drift(v1alpha1.DriftRepair, "")
	s.Within(patience, "what may be repaired is", func() error {
		if a, b := s.vm("kcp"), s.vm("bare"); a.PowerState != simulator.PowerOn || b.PowerState != simulator.PowerOn {
			return fmt.Errorf("%s is %s, %s is %s", a.Name, a.PowerState, b.Name, b.PowerState)
		}
		return nil
	})
	if vm := s.vm("general"); vm.MemoryBytes != gib(5) {
		t.Errorf("the memory of %s was changed to %d", vm.Name, vm.MemoryBytes)
	}
	s.edit(general.ExtID, func(vm *simulator.VM) { vm.MemoryBytes = gib(4) })
	s.inSync()
}

// untouched reads Prism Central more often than it takes to repair, and fails if something was.
func (s *site) untouched(t *testing.T, when string) {
	t.Helper()
	was := s.repairs()
	seen.Readings(s.Scene, 5)
	for _, vm := range []simulator.VM{s.vm("kcp"), s.vm("bare")} {
		if vm.PowerState != simulator.PowerOff {
			t.Errorf("%s was switched on %s", vm.Name, when)
		}
	}
	if now := s.repairs(); fmt.Sprint(now) != fmt.Sprint(was) {
		t.Errorf("%s repairs counted are %v, and were %v", when, now, was)
	}
}

// drift pushes another policy, with one more line of the spec, and waits until it counts.
func (s *site) drift(policy, line string) {
	s.T.Helper()
	hash := s.Push(policy+" "+line, map[string]string{agedPath: agedFile(s.endpoint, policy) + "  " + line + "\n"})
	s.Within(patience, "the policy is "+policy+" "+line, func() error {
		if c := s.Cluster(aged); !strings.HasSuffix(c.Annotations[v1alpha1.RevisionAnnotation], hash) {
			return fmt.Errorf("%+v", c.Status.Conditions)
		}
		return nil
	})
}

func (s *site) annotate(machine, name, value string) {
	s.T.Helper()
	o := s.Object("cluster.x-k8s.io/v1beta2", "Machine", machine)
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, name, value)
	if err := s.Client.Patch(s.T.Context(), o, client.RawPatch(types.MergePatchType, patch)); err != nil {
		s.T.Fatal(err)
	}
}

// repairs are the counts of repairs of the cluster, by what was done.
func (s *site) repairs() map[string]float64 {
	s.T.Helper()
	families, err := metrics.Gather()
	if err != nil {
		s.T.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "refract_cluster_machines_repaired_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["name"] == aged {
				counts[labels["repair"]] += m.GetCounter().GetValue()
			}
		}
	}
	return counts
}
