package accounts

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// TestAccountTells reads what an account tells of its Prism Central; while nothing changes there, nothing is written.
func TestAccountTells(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &shared)
	prism := newCentral(t, func(o *simulator.Options) {
		o.Model.VMs = []simulator.VM{
			{Name: "db-1", PrismElement: "PE-1", Subnets: []string{"vlan-101"}, Sockets: 4, CoresPerSocket: 2, MemoryBytes: 64 << 30, DiskBytes: 1 << 40, PowerState: simulator.PowerOn},
			{Name: "db-2", PrismElement: "PE-1", Subnets: []string{"vlan-101"}, Sockets: 4, CoresPerSocket: 2, MemoryBytes: 64 << 30, DiskBytes: 1 << 40},
		}
	})
	one := edge("told")
	files := s.Files(one)
	files["fleet/account.yaml"] = prism.file("pc-east", insecure)
	s.Push("a fleet", files)
	s.Start(fleets.Production, nil)
	s.Accepted(one)
	a := told(s, "pc-east")
	if err := speaks(a, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, []string{"the certificate of Prism Central is not checked (spec.insecure)"}); err != nil {
		t.Error(err)
	}
	if a.Status.PrismCentral != "7.5" || a.Status.Clusters != 1 || a.Status.InventoryAt == nil || len(a.Status.Unknown) > 0 ||
		a.Status.Credentials == nil || a.Status.Credentials.Secret != "pc-east-credentials" {
		t.Errorf("status is %+v", a.Status)
	}
	elements := map[string]string{}
	for _, e := range a.Status.Elements {
		if e.FreeStorage == nil || e.FreeStorage.Cmp(*e.Storage) >= 0 || e.FreeStorage.Sign() <= 0 {
			t.Errorf("%s: free storage is %v of %v", e.Name, e.FreeStorage, e.Storage) // it is rounded down
		}
		elements[e.Name] = fmt.Sprintf("AOS %s, available %t, %d hosts, %d cores, %d vCPUs, memory %s free %s, spare %d vCPUs and %s, storage %s, %d VMs", e.AOSVersion, *e.Available,
			*e.Hosts, *e.Cores, *e.VCPUs, e.Memory, e.FreeMemory, *e.SpareVCPUs, e.SpareMemory, e.Storage, *e.VMs)
	}
	want := map[string]string{
		"PE-1": "AOS 7.3, available true, 4 hosts, 256 cores, 8 vCPUs, memory 4Ti free 4032Gi, spare 760 vCPUs and 3008Gi, storage 120Ti, 2 VMs",
		"PE-2": "AOS 7.3, available true, 4 hosts, 256 cores, 0 vCPUs, memory 4Ti free 4Ti, spare 768 vCPUs and 3Ti, storage 120Ti, 0 VMs",
	}
	for name := range want {
		if elements[name] != want[name] {
			t.Errorf("%s: %s, want %s", name, elements[name], want[name])
		}
	}
	c := born(s, one.Name)
	prism.inventories(s, 3)
	if now := accountSays(s, "pc-east", metav1.ConditionTrue, ""); now.ResourceVersion != a.ResourceVersion {
		t.Errorf("written while nothing happens: was %+v, is %+v", a.Status, now.Status)
	}
	if now := s.Cluster(one.Name); now.ResourceVersion != c.ResourceVersion {
		t.Errorf("the cluster was written while nothing happens: was %+v, is %+v", c.Status, now.Status)
	}
	if err := prism.RemoveVM("db-2"); err != nil {
		t.Fatal(err)
	}
	s.Within(fleets.Soon, "a VM that is gone is no longer counted", func() error {
		if n := *account(s, "pc-east").Status.Elements[0].VMs; n != 1 {
			return fmt.Errorf("%d VMs", n)
		}
		return nil
	})
	lost(s, prism)
	quiet(t)
}

// born waits until a cluster says all that it can before Cluster API has done anything.
func born(s *fleets.Stage, name string) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	var c *v1alpha1.NutanixClusterSpec
	s.Within(fleets.Soon, name+" waits for Cluster API", func() error {
		c = s.Cluster(name)
		return speaks(c, v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.ProgressingReason, []string{"has not looked at the last change of MachineDeployment " + name + "-workers"})
	})
	return c
}

// lost shows a Prism Central that lets Refract in no more: the account says why, what was distributed stays, and what was
// known of it stays, too.
func lost(s *fleets.Stage, prism *central) {
	s.T.Helper()
	// Between two inventories: of one that breaks off in the middle the account tells what was read until then.
	begun := prism.fault(s.T, simulator.Fault{Path: "/api/prism/v4.2/config/domain-managers", Effect: simulator.EffectHang})
	if err := begun.Wait(s.T.Context(), 1); err != nil {
		s.T.Fatal(err)
	}
	before := accountSays(s, "pc-east", metav1.ConditionTrue, "")
	if err := prism.SetPassword("refract", "another"); err != nil {
		s.T.Fatal(err)
	}
	prism.ExpireSessions()
	begun.Remove()
	a := accountSays(s, "pc-east", metav1.ConditionFalse, v1alpha1.AuthenticationFailedReason, "were proved, but now", "does not accept the password", "Every cluster keeps them")
	if a.Status.Credentials == nil || len(a.Status.Elements) != 2 || !a.Status.InventoryAt.Equal(before.Status.InventoryAt) || len(a.Status.Unknown) == 0 {
		s.T.Errorf("what was known is lost: %+v", a.Status)
	}
	if err := prism.SetPassword("refract", password); err != nil {
		s.T.Fatal(err)
	}
	s.Within(fleets.Soon, "all is known again", func() error {
		a := account(s, "pc-east")
		if len(a.Status.Unknown) > 0 {
			return fmt.Errorf("unknown: %+v", a.Status.Unknown)
		}
		return rig.Has(a, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason)
	})
}
