package accounts

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// TestPrismCentralAway has one of two Prism Centrals hang. What needs it waits, and says so; all else goes on: the other account, its
// clusters, what Git brings, and changes that make no machine. The operator has one worker of each kind.
func TestPrismCentralAway(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &shared)
	hung, well := newCentral(t, nil), newCentral(t, nil)
	credentials(s, "pc-west")
	east, west, late := edge("east"), edge("west"), edge("late")
	west.Account = "pc-west"
	files := s.Files(east)
	files["fleet/account.yaml"] = hung.file("pc-east", insecure)
	s.Push("one account", files)
	s.Start(fleets.Production, nil)
	s.Accepted(east)

	hang := hung.fault(t, simulator.Fault{Effect: simulator.EffectHang})
	if err := hang.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.Push("another account", map[string]string{
		"fleet/west-account.yaml": well.file("pc-west", insecure), fleets.File(west): west.File(),
	})
	s.Accepted(west)
	west.Workers = 2
	s.Push("more in the west", map[string]string{fleets.File(west): west.File()})
	s.Replicas(west)
	accountSays(s, "pc-west", metav1.ConditionTrue, "")

	// From hanging to away, which is known at once.
	drop := hung.fault(t, simulator.Fault{Effect: simulator.EffectDrop})
	hang.Remove()
	accountSays(s, "pc-east", metav1.ConditionFalse, v1alpha1.PrismUnreachableReason, "were proved, but now")
	s.Push("a health check, and a new cluster", map[string]string{fleets.File(east): loosened(east), fleets.File(late): late.File()})
	s.Within(fleets.Soon, "a change that makes no machine is applied", func() error {
		check := s.Object(fleets.Core, "MachineHealthCheck", east.Name+"-workers")
		if bound, _, _ := unstructured.NestedString(check.Object, "spec", "remediation", "triggerIf", "unhealthyLessThanOrEqualTo"); bound != "55%" {
			return fmt.Errorf("it is %s; %+v", bound, s.Cluster(east.Name).Status.Conditions)
		}
		return nil
	})
	held := s.ClusterHas(late.Name, v1alpha1.PreflightPassedCondition, metav1.ConditionUnknown, v1alpha1.PreflightUnknownReason, fleets.Soon)
	if err := rig.Has(held, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.PreflightUnknownReason); err != nil {
		t.Error(err)
	}
	nothingApplied(s, late.Name)
	east.Workers = 3
	s.Push("more in the east", map[string]string{fleets.File(east): loosened(east)})
	s.ClusterHas(east.Name, v1alpha1.PreflightPassedCondition, metav1.ConditionUnknown, v1alpha1.PreflightUnknownReason, fleets.Soon)
	workers := s.Object(fleets.Core, "MachineDeployment", east.Name+"-workers")
	if n, _, _ := unstructured.NestedInt64(workers.Object, "spec", "replicas"); n != 1 {
		t.Errorf("Cluster API is asked for %d workers although Prism Central is away", n)
	}
	drop.Remove()
	accountSays(s, "pc-east", metav1.ConditionTrue, "")
	s.Replicas(east)
	s.Accepted(late)
	quiet(t)
}

// loosened is a cluster's file with another health check of its workers.
func loosened(c rig.Cluster) string {
	return strings.Replace(c.File(), "    - name: workers\n", "    - name: workers\n      healthCheck: {maxUnhealthyPercent: 55}\n", 1)
}
