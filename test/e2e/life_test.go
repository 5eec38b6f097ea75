package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
)

// patience bounds how long the real controllers may take for one change on a busy machine.
const patience = 6 * time.Minute

// life is one cluster under test, with its file.
type life struct {
	*rig.Scene
	file rig.Cluster
}

// TestLife takes one cluster from its first commit to the last by the real controllers: created, scaled, rolled,
// upgraded, a pool removed, deleted by two commits and an approval.
func TestLife(t *testing.T) {
	s := shared.NewScene(t, "life")
	l := &life{Scene: s, file: rig.Cluster{
		Name: "edge-01", Endpoint: s.World.Endpoint(), ControlPlanes: 3, Workers: 2, Pools: map[string]int{"extra": 1},
	}}
	s.Push("one cluster", map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.World.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		"fleet/edge-01.yaml": l.file.File(),
	})
	s.NewFleet("production", func(f *v1alpha1.Fleet) { f.Spec.Limits.RecreatedMachines = ptr.To[int32](30) })
	s.ClusterHas("edge-01", v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
	l.vms(6)

	l.run("ScaleUpMovesNoMachine", 6, 7, func() { l.file.Workers = 3 })
	l.run("MoreMemoryRollsThePoolAlone", 4, 7, func() { l.file.WorkerMemory = "6Gi" })
	l.run("KubernetesUpgradeRollsEverything", 0, 7, func() {
		l.file.Profile = "1.1.0"
		s.Push("next minor", map[string]string{"fleet/profile-1.1.yaml": rig.Profile("1.1.0", "v1.34.1")})
	})
	if v := s.Cluster("edge-01").Status.KubernetesVersion; v != "v1.34.1" {
		t.Errorf("the status says version %s after the upgrade to v1.34.1", v)
	}
	replicas[0].Kill() // the other goes on
	l.run("RemovedPoolTakesItsMachines", 6, 6, func() { l.file.Pools = nil })
	l.run("DeletionPolicyMovesNoMachine", 6, 6, func() { l.file.DeletionPolicy = "Delete" })
	t.Run("DeletionTakesTwoCommitsAndAnApproval", func(t *testing.T) { l.delete(t) })
	if refused := s.World.Prism.Server.Refused(); len(refused) > 0 {
		t.Errorf("Prism Central refused %q", refused)
	}
}

// run changes the cluster's file, pushes it and waits until the change is carried out. Then exactly so many of the
// machines that were there are still there, and so many VMs.
func (l *life) run(name string, kept, vms int, change func()) {
	l.T.Run(name, func(t *testing.T) {
		before := l.Machines("edge-01")
		change()
		hash := l.Push(name, map[string]string{"fleet/edge-01.yaml": l.file.File()})
		l.Within(time.Minute, "the change is accepted", func() error {
			if c := l.Cluster("edge-01"); !strings.HasSuffix(c.Annotations[v1alpha1.RevisionAnnotation], hash) {
				return fmt.Errorf("%+v", c.Status.Conditions)
			}
			return nil
		})
		l.ClusterHas("edge-01", v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
		if have := survivors(before, l.Machines("edge-01")); have != kept {
			t.Errorf("%d of %d machines survived, want %d", have, len(before), kept)
		}
		l.outcome(hash, int32(len(before)-kept))
		l.vms(vms)
	})
}

// outcome waits until cluster and Fleet say that so many machines went, and that this is what was predicted.
func (l *life) outcome(hash string, gone int32) {
	l.T.Helper()
	l.Within(time.Minute, fmt.Sprintf("%d machines went as predicted", gone), func() error {
		for of, o := range map[string]*v1alpha1.MachineOutcome{"cluster": l.Cluster("edge-01").Status.Outcome, "Fleet": l.Fleet("production").Status.Outcome} {
			switch {
			case o == nil || !o.CarriedOut || !strings.HasSuffix(o.Revision, hash):
				return fmt.Errorf("the %s says %+v", of, o)
			case o.Recreated+o.Removed != gone, o.PredictedRecreated != o.Recreated, o.PredictedRemoved != o.Removed, o.Difference != 0:
				return fmt.Errorf("the %s says %+v", of, o)
			}
		}
		return nil
	})
}

func survivors(before, after map[types.UID]string) int {
	n := 0
	for uid := range before {
		if _, ok := after[uid]; ok {
			n++
		}
	}
	return n
}

func (l *life) vms(n int) {
	l.T.Helper()
	l.Within(time.Minute, fmt.Sprintf("Prism Central has %d VMs", n), func() error {
		if have := len(l.World.Prism.Server.VMs()); have != n {
			return fmt.Errorf("%d VMs", have)
		}
		return nil
	})
}

// delete removes the file, approves the deletion that is then held, and waits until nothing is left.
func (l *life) delete(t *testing.T) {
	t.Helper()
	l.Push("remove the cluster", map[string]string{"fleet/edge-01.yaml": ""})
	l.ClusterHas("edge-01", v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.LimitExceededReason, time.Minute)
	var held *v1alpha1.Fleet
	l.Within(time.Minute, "the Fleet shows what is held", func() error {
		if held = l.Fleet("production"); held.Status.Plan.Digest == "" {
			return fmt.Errorf("%+v", held.Status)
		}
		return nil
	})
	if held.Status.Plan.Severity != v1alpha1.SeverityDestroy {
		t.Errorf("severity %s, want Destroy", held.Status.Plan.Severity)
	}
	l.vms(6)
	if err := l.Approve(held, held.Status.Plan.Digest); err != nil {
		t.Fatal(err)
	}
	l.Within(patience, "nothing is left of the cluster", l.gone)
	l.vms(0)
}

func (l *life) gone() error {
	if c := l.Cluster("edge-01"); c != nil {
		return fmt.Errorf("the NutanixClusterSpec: %+v", c.Status.Conditions)
	}
	for kind, apiVersion := range map[string]string{
		"Cluster": "cluster.x-k8s.io/v1beta2", "Machine": "cluster.x-k8s.io/v1beta2", "MachineHealthCheck": "cluster.x-k8s.io/v1beta2",
		"NutanixCluster": "infrastructure.cluster.x-k8s.io/v1beta1", "NutanixMachineTemplate": "infrastructure.cluster.x-k8s.io/v1beta1",
		"KubeadmConfigTemplate": "bootstrap.cluster.x-k8s.io/v1beta2", "ClusterResourceSet": "addons.cluster.x-k8s.io/v1beta2",
		"Secret": "v1", "ConfigMap": "v1",
	} {
		if left := l.Objects(apiVersion, kind, "edge-01"); len(left) > 0 {
			return fmt.Errorf("%s %s", kind, left[0].GetName())
		}
	}
	if left := l.Object("v1", "Secret", "refract-record-edge-01"); left != nil {
		return fmt.Errorf("the record")
	}
	return nil
}
