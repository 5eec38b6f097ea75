package faults

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// Names of clusters that are not those of trials.
const (
	adopted     = "adopted"
	unreachable = "unreachable"
	exhausted   = "exhausted"
	reader      = "reader"
)

// held keeps CAPX from looking for workers, until what waits for them is set up.
func held(cluster string) simulator.Fault {
	f := failing(http.StatusInternalServerError)
	f.Method, f.Path, f.VM = http.MethodGet, vms, cluster+"-workers-*"
	return f
}

// A VM of the Machine's name is there before CAPX makes it: CAPX takes that, and would delete it with the Machine.
func foreignVM(t *testing.T) {
	t.Helper()
	s := newStage(t, adopted)
	s.let(held)
	s.declare(1, "")
	first := s.machine("workers")
	foreign, err := s.World.Prism.Server.AddVM(simulator.VM{
		Name: first, PrismElement: nearElement, Subnets: []string{subnet},
		Sockets: 1, CoresPerSocket: 1, MemoryBytes: 1 << 30, PowerState: simulator.PowerOn,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.mend()
	message := s.told("Machine "+first+" of MachineDeployment/", "has Adopted (NameTaken)", foreign.ExtID, "Do not delete the Machine yet: CAPX would delete that VM")
	told := commands(message)
	if len(told) < 3 {
		t.Fatalf("%q are not all that it takes", told)
	}
	s.run(told[0])
	if err := s.World.Prism.Server.EditVM(foreign.ExtID, func(vm *simulator.VM) { vm.Name = "somebody-elses" }); err != nil {
		t.Fatal(err)
	}
	s.run(told[1])
	s.run(told[2])
	s.ready()
	if second := s.machine("workers"); second == first {
		t.Errorf("%s is still there", first)
	}
	if !slices.ContainsFunc(s.World.Prism.Server.VMs(), func(vm simulator.VM) bool { return vm.ExtID == foreign.ExtID }) {
		t.Error("somebody else's VM was deleted")
	}
}

// A Prism Element goes away between the checks and the creation of a machine in a failure domain of it.
func elementAway(t *testing.T) {
	t.Helper()
	s := newStage(t, unreachable)
	s.let(held)
	s.declare(1, "rack-a")
	s.machine("workers")
	away := func(is bool) {
		if err := s.World.Prism.Server.SetElementAvailable(farElement, !is); err != nil {
			t.Fatal(err)
		}
	}
	away(true)
	s.mend()
	message := s.told("Machine {cluster}-workers-", "has Failed (CreateError)", farElement, "`kubectl delete machine {cluster}-workers-")
	away(false)
	s.run(commands(message)[0])
	s.ready()
}

// A subnet has one address left for two machines: it is said before, and the machine that gets none is given up.
func addressesExhausted(t *testing.T) {
	t.Helper()
	s := newStage(t, exhausted)
	pool := func(last byte) {
		err := s.World.Prism.Server.EditModel(func(m *simulator.Model) {
			i := slices.IndexFunc(m.Subnets, func(n simulator.Subnet) bool { return n.Name == narrowSubnet })
			m.Subnets[i].LastIP = address(last)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.declare(1, "")
	c := s.ClusterHas(exhausted, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue, v1alpha1.CapacityShortReason, patience)
	t.Log(messageOf(c, v1alpha1.PreflightPassedCondition))
	message := s.told("Machine {cluster}-workers-", "has Failed (CreateError)", "no free address", "`kubectl delete machine {cluster}-workers-")
	pool(99)
	s.run(commands(message)[0])
	s.ready()
}

// What goes wrong once a cluster is up is Refract's own reader's to bear: it says so of the account, and nothing of VMs.
func readersTrouble(t *testing.T) {
	t.Helper()
	at := newStage(t, reader)
	for i := range 110 { // more than a page
		_, err := at.World.Prism.Server.AddVM(simulator.VM{
			Name: filler(i), PrismElement: farElement, Sockets: 1, CoresPerSocket: 1, MemoryBytes: 1 << 30,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	at.declare(0, "")
	at.ready()
	for name, trouble := range map[string]struct {
		fault simulator.Fault
		says  string
	}{
		"WebPage":        {simulator.Fault{Effect: simulator.EffectHTML, Status: http.StatusOK}, "text/html"},
		"NoJSON":         {simulator.Fault{Effect: simulator.EffectNotJSON}, "JSON"},
		"Throttled":      {failing(http.StatusTooManyRequests), "too many requests"},
		"ConnectionLost": {simulator.Fault{Effect: simulator.EffectDrop}, ""},
		"Broken":         {simulator.Fault{Effect: simulator.EffectError, Status: http.StatusInternalServerError}, "Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := at.as(t)
			s.let(anything(trouble.fault))
			s.unknown(true, trouble.says)
			s.mend()
			s.unknown(false, "")
		})
	}
	t.Run("ListsThatMove", func(t *testing.T) {
		s := at.as(t)
		own := s.machine("kcp")
		for i := range 3 {
			s.let(listing(simulator.Fault{Effect: simulator.EffectVanish, VM: filler(i), Times: 1}))
		}
		s.let(listing(simulator.Fault{Effect: simulator.EffectHide, VM: own, Times: 4}))
		for _, rule := range s.rules {
			if err := rule.Wait(t.Context(), rule.Fault().Times); err != nil {
				t.Fatal(err)
			}
		}
		s.unknown(false, "")
	})
	if drifted := at.events("MachineDrifted"); len(drifted) > 0 {
		t.Errorf("false findings: %q", drifted)
	}
	at.ready()
}

func filler(i int) string { return fmt.Sprintf("filler-%03d", i) }

// listing is a fault of the list of VMs, as Refract reads it.
func listing(f simulator.Fault) fault {
	return func(cluster string) simulator.Fault {
		f.Method, f.Path, f.User = http.MethodGet, vms, cluster
		return f
	}
}

// unknown waits until the account says in these words that it cannot read something, or nothing any more. The cluster is
// well meanwhile.
func (s *stage) unknown(is bool, words string) {
	s.T.Helper()
	s.Within(patience, fmt.Sprintf("the account knows less: %v %q", is, words), func() error {
		a := s.account()
		said := fmt.Sprint(a.Status.Unknown, messageOf(a, v1alpha1.ReadyCondition))
		if (len(a.Status.Unknown) > 0) != is || !strings.Contains(said, words) {
			return fmt.Errorf("it says %s", said)
		}
		return nil
	})
	c := s.Cluster(s.Namespace)
	for _, condition := range []string{v1alpha1.ReadyCondition, v1alpha1.InSyncCondition} {
		if err := rig.Has(c, condition, metav1.ConditionTrue, ""); err != nil {
			s.T.Error(err)
		}
	}
}
