package machines

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/rig"
)

// young is the cluster whose life is looked at. Its name begins like the names of another cluster's VMs.
const young = aged + "-general"

// alive is a cluster, with what was ever shown about its machines.
type alive struct {
	*rig.Scene
	file rig.Cluster
	log  *seen.Log
}

// TestLife takes a cluster from its first commit to its last while Prism Central is read every second and all that
// machines can differ in is compared. Machines come, go and are replaced all the time, and that is never drift.
func TestLife(t *testing.T) {
	t.Parallel()
	s := shared.NewScene(t, "life")
	l := &alive{Scene: s, log: seen.Watch(s), file: rig.Cluster{
		Name: young, Endpoint: s.World.Endpoint(), ControlPlanes: 1, Workers: 1, DeletionPolicy: "Delete",
	}}
	s.Push("one cluster", map[string]string{
		"fleet/account.yaml":  rig.Account("pc-east", s.World.Prism.Host),
		"fleet/profile.yaml":  rig.Profile("1.0.0", "v1.33.4"),
		"fleet/profile2.yaml": rig.Profile("1.1.0", "v1.34.1"),
		l.path():              l.file.File(),
	})
	s.NewFleet("production", func(f *v1alpha1.Fleet) { f.Spec.Limits.RecreatedMachines = ptr.To[int32](30) })
	s.ClusterHas(young, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)

	l.step("Scaled", func() { l.file.Workers = 3 })
	l.step("Rolled", func() { l.file.WorkerMemory = "6Gi" })
	l.step("PoolAdded", func() { l.file.Pools = map[string]int{"extra": 1} })
	l.step("ScaledDown", func() { l.file.Workers = 1 })
	l.step("PoolRemoved", func() { l.file.Pools = nil })
	l.step("Upgraded", func() { l.file.Profile = "1.1.0" })
	l.step("ControlPlaneOfThree", func() { l.file.ControlPlanes = 3 })
	l.delete()
	l.log.Complete(t)
	for _, f := range l.log.Ever("") {
		t.Errorf("shown although nobody changed anything: %s", f)
	}
	for _, said := range l.log.Said(young, "MachineDrifted") {
		t.Errorf("said although nobody changed anything: %s", said)
	}
}

func (l *alive) path() string { return "fleet/" + l.file.Name + ".yaml" }

// step makes a change and waits until it is carried out and the machines have been compared since.
func (l *alive) step(name string, change func()) {
	l.T.Helper()
	change()
	hash := l.Push(name, map[string]string{l.path(): l.file.File()})
	l.Within(patience, name, func() error {
		c := l.Cluster(young)
		if !strings.HasSuffix(c.Annotations[v1alpha1.RevisionAnnotation], hash) {
			return fmt.Errorf("not accepted: %+v", c.Status.Conditions)
		}
		if err := rig.Has(c, v1alpha1.ReadyCondition, metav1.ConditionTrue, ""); err != nil {
			return err
		}
		want := l.file.ControlPlanes + l.file.Workers
		for _, n := range l.file.Pools {
			want += n
		}
		if have := len(seen.VMs(l.Scene, young)); have != want {
			return fmt.Errorf("%d VMs, want %d", have, want)
		}
		return nil
	})
	seen.Readings(l.Scene, 3)
}

// delete removes the file and approves what is then held.
func (l *alive) delete() {
	l.T.Helper()
	l.Push("remove the cluster", map[string]string{l.path(): ""})
	l.Within(patience, "the deletion is held for an approval, and approved", func() error {
		held := l.Fleet("production")
		if held.Status.Plan.Digest == "" {
			return fmt.Errorf("%+v", held.Status)
		}
		return l.Approve(held, held.Status.Plan.Digest)
	})
	l.Within(patience, "nothing is left of the cluster", func() error {
		if left := seen.VMs(l.Scene, young); len(left) > 0 || l.Cluster(young) != nil {
			return fmt.Errorf("%d VMs", len(left))
		}
		return nil
	})
}
