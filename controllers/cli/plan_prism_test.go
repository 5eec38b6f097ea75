package cli

import (
	"bytes"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/plan"
)

// TestPlanTellsOfPrismCentral shows what stands below a live plan, and that clusters without a finding have nothing there.
func TestPlanTellsOfPrismCentral(t *testing.T) {
	at := func(minute int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 11, 22, 15, minute, 0, 0, time.FixedZone("", 3600)))
	}
	mirror := func(account string, status v1alpha1.NutanixClusterSpecStatus) *v1alpha1.NutanixClusterSpec {
		return &v1alpha1.NutanixClusterSpec{Spec: v1alpha1.NutanixClusterSpecSpec{AccountRef: v1alpha1.LocalReference{Name: account}}, Status: status}
	}
	s := scene{
		mirrors: map[string]*v1alpha1.NutanixClusterSpec{
			"edge-01": mirror("pc-east", v1alpha1.NutanixClusterSpecStatus{
				Drift: []v1alpha1.DriftFinding{
					{Object: "MachineDeployment/edge-01-workers", Field: "spec.replicas", Wanted: "2", Found: "3", Since: at(1)},
					{Object: "VM edge-01-workers-a", Field: "memorySize", Wanted: "8Gi", Found: "16Gi", Since: at(2)},
					{Object: "VM edge-01-workers-b", Wanted: "a virtual machine", Since: at(3)},
				},
				Preflight: []v1alpha1.PreflightFinding{{
					Check: "Image", Verdict: v1alpha1.PreflightFailed, Field: "profile standard@1.0.1 layer ubuntu os.image", Message: "there is no image ubuntu-24.04-kube-v1.33.4",
				}},
				Conditions: []metav1.Condition{{
					Type: v1alpha1.PreflightPassedCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.PreflightFailedReason, LastTransitionTime: at(4),
				}},
			}),
			"edge-02": mirror("pc-east", v1alpha1.NutanixClusterSpecStatus{
				Conditions: []metav1.Condition{{Type: v1alpha1.PreflightPassedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.PreflightPassedReason}},
			}),
			"edge-03": mirror("pc-west", v1alpha1.NutanixClusterSpecStatus{}),
			"other":   mirror("pc-west", v1alpha1.NutanixClusterSpecStatus{Drift: []v1alpha1.DriftFinding{{Object: "VM other-a"}}}),
		},
		mirrored: flow.Mirrored{Accounts: []v1alpha1.CloudAccount{
			{ObjectMeta: metav1.ObjectMeta{Name: "pc-east"}},
			{
				ObjectMeta: metav1.ObjectMeta{Name: "pc-west"},
				Status:     v1alpha1.CloudAccountStatus{Unknown: []v1alpha1.UnknownPart{{Part: "virtual machines", Reason: "Prism Central pc-west.example.com:9440 does not answer"}}},
			},
		}},
	}
	p := proposed{live: true, plans: []plan.Plan{{Cluster: "edge-01"}, {Cluster: "edge-02"}, {Cluster: "edge-03"}, {Cluster: "new"}}}
	p.prism = s.onPrism(p.plans)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"plan-prism.txt":  func(b *bytes.Buffer) error { return p.writeText(b) },
		"plan-prism.json": func(b *bytes.Buffer) error { return p.writeJSON(b) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
		})
	}
	if err := p.code(); err != nil {
		t.Errorf("findings change the exit code: %v", err)
	}
}
