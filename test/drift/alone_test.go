package drift

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
)

// TestWithoutAFleet shows that a cluster that kubectl applies gates itself and works, and that it has no files.
func TestWithoutAFleet(t *testing.T) {
	s := hand.NewScene(t, &shared, "alone")
	c := s.Small("alone-1")
	s.Apply(rig.Account("pc-east", "alone.example.com") + "---\n" + rig.Profile("1.0.0", "v1.33.4") + "---\n" + c.File())
	have := s.InSync("alone-1")
	if err := rig.Has(have, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.NoFleetReason); err != nil {
		t.Error(err)
	}
	s.Until("its credentials are there", "v1", "Secret", "alone-1-pc-credentials", func(hand.Live) error { return nil })
	s.Loosen("alone-1-workers", "51%")
	s.Tight("alone-1-workers")
	c.Workers = 2
	s.Apply(c.File())
	s.Until("scaled", hand.Core, "MachineDeployment", "alone-1-workers", func(o hand.Live) error { return o.Is("spec/replicas", "2") })
	s.InSync("alone-1")

	c.Extra = "  patches:\n    - {path: patch.yaml}\n"
	s.Apply(c.File())
	have = s.ClusterHas("alone-1", v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.PathNeedsFleetReason, hand.Soon)
	contains(t, message(have, v1alpha1.StalledCondition), "spec.patches[0].path", "patch.yaml", "inline")
	c.Extra = ""
	s.Apply(c.File())
	s.InSync("alone-1")
	s.KStatus(&v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Name: "alone-1"}})
}

// TestRestartAfterAcceptance stops the operator as soon as a push was accepted, and finds it carried out once.
func TestRestartAfterAcceptance(t *testing.T) {
	s := hand.NewScene(t, &shared, "restart")
	c := s.Small("restart-1")
	s.Declare(nil, c)
	s.InSync("restart-1")
	templates := len(s.Objects(hand.Infra, "NutanixMachineTemplate", "restart-1"))
	c.WorkerMemory = "8Gi"
	hash := s.Push("more memory", map[string]string{"fleet/restart-1.yaml": c.File()})
	s.Within(hand.Soon, "accepted", func() error {
		if at := s.Cluster("restart-1").Annotations[v1alpha1.RevisionAnnotation]; !strings.HasSuffix(at, hash) {
			return fmt.Errorf("at %s", at)
		}
		return nil
	})
	s.Restart(nil)
	s.Handled("production", hash, hand.Soon)
	s.Until("carried out", hand.Core, "MachineDeployment", "restart-1-workers", func(o hand.Live) error {
		if o.GetGeneration() != 2 {
			return fmt.Errorf("generation %d", o.GetGeneration())
		}
		return nil
	})
	s.InSync("restart-1")
	s.Restart(nil)
	s.Loosen("restart-1-workers", "55%") // once it is put back, all the rest has been compared, too
	s.Tight("restart-1-workers")
	if g := s.Now(hand.Core, "MachineDeployment", "restart-1-workers").GetGeneration(); g != 2 {
		t.Errorf("the pool was written %d times, want twice", g)
	}
	if n := len(s.Objects(hand.Infra, "NutanixMachineTemplate", "restart-1")); n > templates+1 {
		t.Errorf("%d templates, there were %d before one change", n, templates)
	}
}

// TestOneListingAnInterval shows what an idle fleet costs: one ref listing at the Git server in an interval, and at the
// API server not one request that writes, dry runs included.
func TestOneListingAnInterval(t *testing.T) {
	s := hand.NewScene(t, &shared, "idle")
	const interval = 4 * time.Second
	s.Declare(func(f *v1alpha1.Fleet) { f.Spec.Interval = metav1.Duration{Duration: interval} }, s.Small("idle-1"), s.Small("idle-2"))
	s.InSync("idle-1")
	s.InSync("idle-2")
	s.Idle(3)
}
