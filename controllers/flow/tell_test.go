package flow

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// TestTell takes from the status what the operator saw last, and says nothing of a cluster of which there is nothing.
func TestTell(t *testing.T) {
	at := func(minute int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 11, 22, 15, minute, 0, 0, time.FixedZone("", 3600)))
	}
	found := []v1alpha1.PreflightFinding{{Check: "Image", Verdict: v1alpha1.PreflightFailed, Field: "profile standard@1.0.1", Message: "no image"}}
	unknown := v1alpha1.UnknownPart{Part: "virtual machines", Reason: "Prism Central does not answer"}
	r := review{scene: Scene{
		Gather: func(*v1alpha1.NutanixClusterSpec) Gatherer { return nil },
		Mirrored: Mirrored{Namespace: "here", Accounts: []v1alpha1.CloudAccount{
			{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "east"}},
			{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "west"}, Status: v1alpha1.CloudAccountStatus{Unknown: []v1alpha1.UnknownPart{unknown}}},
		}},
	}}
	passed := metav1.Condition{Type: v1alpha1.PreflightPassedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.PreflightPassedReason}
	for name, c := range map[string]struct {
		account string
		status  v1alpha1.NutanixClusterSpecStatus
		drift   []string
		prism   *view.OnPrism
	}{
		"Everything": {
			account: "east",
			status: v1alpha1.NutanixClusterSpecStatus{
				Drift: []v1alpha1.DriftFinding{
					{Object: "MachineDeployment/edge-01-workers", Field: "spec.replicas", Wanted: "2", Found: "3", Since: at(1)},
					{Object: "VM edge-01-workers-a", Field: "memorySize", Wanted: "8Gi", Found: "16Gi", Since: at(2)},
					{Object: "Cluster/edge-01", Wanted: "a Cluster", Since: at(2)},
				},
				Preflight: found,
				Conditions: []metav1.Condition{{
					Type: v1alpha1.PreflightPassedCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.PreflightFailedReason, LastTransitionTime: at(4),
				}},
			},
			drift: []string{"MachineDeployment/edge-01-workers spec.replicas: is 3, should be 2", "Cluster/edge-01: is nothing, should be a Cluster"},
			prism: &view.OnPrism{
				Cluster:   "edge-01",
				Machines:  []view.MachineDiffers{{VM: "edge-01-workers-a", Field: "memorySize", Wanted: "8Gi", Found: "16Gi", Since: at(2).UTC()}},
				Preflight: &view.LastPreflight{Passed: "False", Reason: v1alpha1.PreflightFailedReason, Since: at(4).UTC(), Findings: found},
				Unknown:   []v1alpha1.UnknownPart{},
			},
		},
		"Nothing": {account: "east", status: v1alpha1.NutanixClusterSpecStatus{Conditions: []metav1.Condition{passed}}},
		"UnknownPart": {
			account: "west",
			prism:   &view.OnPrism{Cluster: "edge-01", Machines: []view.MachineDiffers{}, Unknown: []v1alpha1.UnknownPart{unknown}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			mirror := living("here", "edge-01", "", "production")
			mirror.Spec.AccountRef.Name, mirror.Status = c.account, c.status
			one := &reviewed{name: "edge-01", mirror: &mirror}
			r.tell(one)
			if diff := cmp.Diff(c.drift, one.Drift); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.prism, one.PrismCentral); diff != "" {
				t.Error(diff)
			}
			if said := one.says(); said != (c.prism != nil) {
				t.Errorf("says %t", said)
			}
		})
	}
}

// TestPublicTell keeps what a status says of others' virtual machines from everybody, and all of it from nobody who asks.
func TestPublicTell(t *testing.T) {
	mirror := living("here", "edge-01", "", "production")
	mirror.Status.Conditions = []metav1.Condition{{Type: v1alpha1.PreflightPassedCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.PreflightFailedReason}}
	mirror.Status.Preflight = []v1alpha1.PreflightFinding{
		{Check: "Endpoint", Message: "used by VM payroll"}, {Check: "Names", Message: "has VMs already (payroll)"}, {Check: "Image", Message: "no image"},
	}
	for public, want := range map[bool][]string{
		false: {"used by VM payroll", "has VMs already (payroll)", "no image"}, true: {plan.Unshown, plan.Unshown, "no image"},
	} {
		var got []string
		for _, f := range (Scene{Public: public}).preflightOf(&mirror).Findings {
			got = append(got, f.Message)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("public %t: %s", public, diff)
		}
	}
	if mirror.Status.Preflight[0].Message != "used by VM payroll" {
		t.Error("the status itself was changed")
	}
}
