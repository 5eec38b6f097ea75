package drift

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
)

// TestHandEditIsPutBack edits fields of ours one after another and finds each put back, with an event that names the
// manager, the field, and both values.
func TestHandEditIsPutBack(t *testing.T) {
	s := hand.NewScene(t, &shared, "edit")
	s.Declare(nil, s.Small("edit-1"))
	s.InSync("edit-1")
	cases := map[string]struct {
		apiVersion, kind, name string
		patch, field, value    string
		says                   []string
	}{
		"HealthCheck": {
			apiVersion: hand.Core, kind: "MachineHealthCheck", name: "edit-1-workers",
			patch: `{"spec":{"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":"91%"}}}}`, field: "spec/remediation/triggerIf/unhealthyLessThanOrEqualTo",
			says: []string{"MachineHealthCheck", "edit-1-workers", "spec.remediation.triggerIf.unhealthyLessThanOrEqualTo", "healthcheck changed it to \"91%\"", "put back to \"40%\""},
		},
		"Label": {
			apiVersion: hand.ControlPlane, kind: "KubeadmControlPlane", name: "edit-1-kcp",
			patch: `{"metadata":{"labels":{"cluster.x-k8s.io/cluster-name":"other"}}}`, field: "metadata/labels/cluster.x-k8s.io~1cluster-name",
			says: []string{"KubeadmControlPlane", "metadata.labels[cluster.x-k8s.io/cluster-name]", "label changed it to \"other\"", "put back to \"edit-1\""},
		},
		"Template": {
			apiVersion: hand.Bootstrap, kind: "KubeadmConfigTemplate", name: "",
			patch: `{"spec":{"template":{"spec":{"preKubeadmCommands":["mine"]}}}}`, field: "spec/template/spec/preKubeadmCommands",
			says: []string{"KubeadmConfigTemplate", "spec.template.spec.preKubeadmCommands", "template changed it to changed"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s.T = t
			if c.name == "" {
				c.name = s.Objects(c.apiVersion, c.kind, "edit-1")[0].GetName()
			}
			want := s.Now(c.apiVersion, c.kind, c.name).At(c.field)
			if want == "" {
				t.Fatalf("%s is not ours: %v", c.field, s.Now(c.apiVersion, c.kind, c.name).Object)
			}
			s.Edit(lower(name), c.apiVersion, c.kind, c.name, c.patch)
			s.Until("put back", c.apiVersion, c.kind, c.name, func(o hand.Live) error { return o.Is(c.field, want) })
			s.Said("edit-1", "DriftCorrected", c.says...)
		})
	}
}

func lower(name string) string {
	b := []byte(name)
	for i := range b {
		if b[i] >= 'A' && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// TestOthersFieldsStay shows that what others add beside our fields is theirs, also when ours are put back.
func TestOthersFieldsStay(t *testing.T) {
	s := hand.NewScene(t, &shared, "others")
	s.Declare(nil, s.Small("others-1"))
	s.InSync("others-1")
	s.Kubectl("label", "machinedeployment", "others-1-workers", "team=blue")
	s.Kubectl("annotate", "machinedeployment", "others-1-workers", "example.com/note=mine")
	s.Kubectl("patch", "machinehealthcheck", "others-1-workers", "--type=merge", "-p", `{"spec":{"checks":{"nodeStartupTimeoutSeconds":4242},"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":"91%"}}}}`)
	s.Until("our field is put back", hand.Core, "MachineHealthCheck", "others-1-workers", func(o hand.Live) error {
		if err := o.Is("spec/checks/nodeStartupTimeoutSeconds", "4242"); err != nil {
			t.Fatal("a field that we do not render was taken away: ", err)
		}
		return o.Is("spec/remediation/triggerIf/unhealthyLessThanOrEqualTo", `"40%"`)
	})
	s.Said("others-1", "DriftCorrected", "kubectl-patch changed it to \"91%\"")
	s.InSync("others-1")
	md := s.Now(hand.Core, "MachineDeployment", "others-1-workers")
	if md.GetLabels()["team"] != "blue" || md.GetAnnotations()["example.com/note"] != "mine" {
		t.Errorf("taken away: labels %v, annotations %v", md.GetLabels(), md.GetAnnotations())
	}
}

// TestDeletedObjectIsCreatedAgain shows that an object of ours that another hand deletes comes back at once.
func TestDeletedObjectIsCreatedAgain(t *testing.T) {
	s := hand.NewScene(t, &shared, "deleted")
	s.Declare(nil, s.Small("deleted-1"))
	s.InSync("deleted-1")
	was := s.Now(hand.Core, "MachineHealthCheck", "deleted-1-workers").GetUID()
	s.Kubectl("delete", "machinehealthcheck", "deleted-1-workers", "--wait=false")
	s.Until("created again", hand.Core, "MachineHealthCheck", "deleted-1-workers", func(o hand.Live) error {
		if o.GetUID() == was {
			return fmt.Errorf("not deleted yet")
		}
		return nil
	})
	s.InSync("deleted-1")
}

// TestDriftIgnore shows that a field in spec.driftIgnore belongs to whoever changes it.
func TestDriftIgnore(t *testing.T) {
	s := hand.NewScene(t, &shared, "ignore")
	c := s.Small("ignore-1")
	c.Extra = "  driftIgnore:\n    - {kind: MachineHealthCheck, name: ignore-1-workers, paths: [/spec/remediation/triggerIf/unhealthyLessThanOrEqualTo]}\n"
	s.Declare(nil, c)
	s.InSync("ignore-1")
	s.Loosen("ignore-1-workers", "42%")
	// A second edit, of a field that is not ignored, shows that the operator has looked.
	s.Loosen("ignore-1-kcp", "43%")
	s.Said("ignore-1", "DriftCorrected", "43%")
	s.InSync("ignore-1")
	if err := s.Looseness("ignore-1-workers", "42%"); err != nil {
		t.Error(err)
	}
}

// TestAutoscaledReplicasAreNobodysOfOurs shows that the replicas of an autoscaled pool are written at creation alone.
func TestAutoscaledReplicasAreNobodysOfOurs(t *testing.T) {
	s := hand.NewScene(t, &shared, "scaled")
	c := s.Small("scaled-1")
	file := c.File()
	s.Declare(nil)
	s.Push("autoscaled", map[string]string{"fleet/scaled-1.yaml": replace(t, file, "      replicas: 1\n", "      autoscaling: {min: 2, max: 9}\n")})
	s.InSync("scaled-1")
	if err := s.Now(hand.Core, "MachineDeployment", "scaled-1-workers").Is("spec/replicas", "2"); err != nil {
		t.Fatal(err)
	}
	s.Edit("cluster-autoscaler", hand.Core, "MachineDeployment", "scaled-1-workers", `{"spec":{"replicas":7}}`)
	s.Loosen("scaled-1-workers", "42%")
	s.Said("scaled-1", "DriftCorrected", "42%")
	// Also a commit that changes the pool leaves them.
	commit := s.Push("more for the autoscaler", map[string]string{"fleet/scaled-1.yaml": replace(t, file, "      replicas: 1\n", "      autoscaling: {min: 2, max: 10}\n")})
	s.Handled("production", commit, hand.Soon)
	s.InSync("scaled-1")
	s.Until("the new maximum is there, the replicas stay", hand.Core, "MachineDeployment", "scaled-1-workers", func(o hand.Live) error {
		if err := o.Is("spec/replicas", "7"); err != nil {
			t.Fatal(err)
		}
		return o.Is("metadata/annotations/cluster.x-k8s.io~1cluster-api-autoscaler-node-group-max-size", `"10"`)
	})
}

// TestPaused shows that spec.paused reaches Cluster API, and that a pause by another hand stops us.
func TestPaused(t *testing.T) {
	s := hand.NewScene(t, &shared, "paused")
	c := s.Small("paused-1")
	s.Declare(nil, c)
	s.InSync("paused-1")

	s.Kubectl("patch", "cluster.cluster.x-k8s.io", "paused-1", "--type=merge", "-p", `{"spec":{"paused":true}}`)
	have := s.ClusterHas("paused-1", v1alpha1.PausedCondition, metav1.ConditionTrue, v1alpha1.PausedByOtherReason, hand.Soon)
	contains(t, message(have, v1alpha1.PausedCondition), "spec.paused", "kubectl-patch")
	s.Loosen("paused-1-workers", "42%")
	s.Kubectl("annotate", "nutanixclusterspec", "paused-1", "reconcile.fluxcd.io/requestedAt=now")
	s.Within(hand.Soon, "the request is handled", func() error {
		if s.Cluster("paused-1").Status.LastHandledReconcileAt != "now" {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if err := s.Looseness("paused-1-workers", "42%"); err != nil {
		t.Error("healed although paused by another hand:", err)
	}
	s.Kubectl("patch", "cluster.cluster.x-k8s.io", "paused-1", "--type=merge", "-p", `{"spec":{"paused":null}}`)
	s.Said("paused-1", "DriftCorrected", "42%")
	s.ClusterHas("paused-1", v1alpha1.PausedCondition, metav1.ConditionFalse, v1alpha1.NotPausedReason, hand.Soon)

	c.Extra = "  paused: true\n"
	s.Change("pause", c)
	s.ClusterHas("paused-1", v1alpha1.PausedCondition, metav1.ConditionTrue, v1alpha1.PausedBySpecReason, hand.Soon)
	s.Until("Cluster API is paused", hand.Core, "Cluster", "paused-1", func(o hand.Live) error { return o.Is("spec/paused", "true") })
	c.Extra = ""
	s.Change("go on", c)
	s.ClusterHas("paused-1", v1alpha1.PausedCondition, metav1.ConditionFalse, v1alpha1.NotPausedReason, hand.Soon)
	if at := s.Now(hand.Core, "Cluster", "paused-1").At("spec/paused"); at != "" {
		t.Errorf("spec.paused is rendered as %s; it is to be absent", at)
	}
}

// TestSuspend shows that a suspended cluster is left alone until it is resumed.
func TestSuspend(t *testing.T) {
	s := hand.NewScene(t, &shared, "suspend")
	c := s.Small("suspend-1")
	s.Declare(nil, c)
	s.InSync("suspend-1")
	c.Extra = "  suspend: true\n"
	s.Change("suspend", c)
	s.Within(hand.Soon, "suspended", func() error {
		have := s.Cluster("suspend-1")
		if !have.Spec.Suspend || have.Status.ObservedGeneration != have.Generation {
			return fmt.Errorf("not mirrored, or not looked at")
		}
		return nil
	})
	s.Loosen("suspend-1-workers", "42%")
	s.Kubectl("annotate", "nutanixclusterspec", "suspend-1", "reconcile.fluxcd.io/requestedAt=now")
	s.Within(hand.Soon, "the request is handled", func() error {
		if s.Cluster("suspend-1").Status.LastHandledReconcileAt != "now" {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if err := s.Looseness("suspend-1-workers", "42%"); err != nil {
		t.Error("healed although suspended:", err)
	}
	c.Extra = ""
	s.Change("resume", c)
	s.Said("suspend-1", "DriftCorrected", "42%")
}
