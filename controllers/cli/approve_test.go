package cli

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

var (
	digestHeld  = "sha256:" + strings.Repeat("1", 64)
	digestOther = "sha256:" + strings.Repeat("2", 64)
)

// hold makes cluster edge-01 hold a plan; an empty digest holds none.
func (m management) hold(t *testing.T, severity v1alpha1.Severity, digest, reason string, recorded time.Time) *v1alpha1.NutanixClusterSpec {
	t.Helper()
	d, err := readFleet("testdata/mistakes/fleet", "") // its cluster "right" is
	if err != nil {
		t.Fatal(err)
	}
	right, ok := d.find("right")
	if !ok {
		t.Fatal("no cluster right")
	}
	c := right.Object.DeepCopy()
	c.Namespace, c.Name = m.namespace, "edge-01"
	c.Annotations = map[string]string{v1alpha1.FleetAnnotation: "production"}
	create(t, m.admin, c)
	c.Status.Plan = v1alpha1.PlanStatus{
		Digest: digest, Severity: severity, Summary: "12 machines re-created", RecordedAt: new(metav1.NewTime(recorded)),
	}
	c.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.SourceAcceptedCondition, Status: metav1.ConditionFalse, Reason: reason,
		Message: "limit recreatedMachines of the Fleet is 10", LastTransitionTime: metav1.Now(),
	}}
	if err := m.admin.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (m management) approval(t *testing.T, o client.Object) (digest, by string) {
	t.Helper()
	if err := m.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	return o.GetAnnotations()[v1alpha1.ApprovedPlanAnnotation], o.GetAnnotations()[v1alpha1.ApprovedByAnnotation]
}

func TestApproveCluster(t *testing.T) {
	cases := map[string]struct {
		reason   string
		severity v1alpha1.Severity
		held     string
		why      string
		age      time.Duration
		args     []string
		role     string
		code     int
		want     []string
	}{
		"Held": {
			reason: "what is held is shown and approved under the user's name", held: digestHeld,
			args: []string{"cluster/edge-01"}, role: "refract-approver", code: 0,
			want: []string{digestHeld, "Rollout", "12 machines re-created", "approved by held", "kubectl get nutanixclusterspec edge-01"},
		},
		"ByDigest": {
			reason: "as the operator's messages say it", held: digestHeld,
			args: []string{"nutanixclusterspec/edge-01", digestHeld}, role: "refract-approver", code: 0, want: []string{"approved by bydigest"},
		},
		"ByFlag": {
			reason: "kind and name apart, the digest by flag", held: digestHeld,
			args: []string{"cluster", "edge-01", "--plan", digestHeld}, role: "refract-approver", code: 0, want: []string{"approved by byflag"},
		},
		"OtherDigest": {
			reason: "a plan that the person did not see is not approved", held: digestHeld,
			args: []string{"cluster/edge-01", digestOther}, role: "refract-approver", code: 1,
			want: []string{"holds plan " + digestHeld, "nothing was approved"},
		},
		"NothingHeld": {
			reason: "there must be a plan; its status says why there is none", held: "",
			args: []string{"cluster/edge-01"}, role: "refract-approver", code: 1,
			want: []string{"holds no plan", "limit recreatedMachines of the Fleet is 10"},
		},
		"Old": {
			reason: "an approval after a week would be void", held: digestHeld, age: 8 * 24 * time.Hour,
			args: []string{"cluster/edge-01"}, role: "refract-approver", code: 1, want: []string{"void 7 days later"},
		},
		"Removal": {
			reason: "a removal is the Fleet's to approve", held: digestHeld, severity: v1alpha1.SeverityDestroy, why: v1alpha1.LimitExceededReason,
			args: []string{"cluster/edge-01"}, role: "refract-approver", code: 1, want: []string{"refract approve fleet/production " + digestHeld},
		},
		"ReCreation": {
			reason: "a cluster that another hand deleted is its own matter", held: digestHeld, severity: v1alpha1.SeverityDestroy, why: v1alpha1.ApprovalRequiredReason,
			args: []string{"cluster/edge-01"}, role: "refract-approver", code: 0, want: []string{"approved by recreation"},
		},
		"MayNot": {
			reason: "without the verb the API server refuses", held: digestHeld,
			args: []string{"cluster/edge-01"}, role: "admin-but-approve", code: 3, want: []string{"the API server refuses the approval"},
		},
		"Unknown": {
			reason: "a mistyped name", held: digestHeld,
			args: []string{"cluster/edge-09"}, role: "refract-approver", code: 2, want: []string{"has no cluster edge-09"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			m := manage(t)
			if c.severity == "" {
				c.severity = v1alpha1.SeverityRollout
			}
			if c.why == "" {
				c.why = v1alpha1.LimitExceededReason
			}
			o := m.hold(t, c.severity, c.held, c.why, time.Now().Add(-c.age))
			if c.role == "admin-but-approve" {
				c.role = m.editor(t)
			}
			user := strings.ToLower(name)
			expect(t, m.as(t, user, c.role).command(t, append([]string{"approve"}, c.args...)...), c.code, c.want...)
			digest, by := m.approval(t, o)
			if approved := c.code == 0; approved && (digest != c.held || by != user) || !approved && digest+by != "" {
				t.Errorf("approved plan is %q by %q", digest, by)
			}
		})
	}
}

func TestApproveFleet(t *testing.T) {
	m := manage(t)
	removed := m.hold(t, v1alpha1.SeverityDestroy, digestOther, v1alpha1.LimitExceededReason, time.Now())
	f := m.fleet(t, v1alpha1.Limits{})
	m = m.as(t, "fleet-approver", "refract-approver")
	expect(t, m.command(t, "approve", "fleet/production", "sha256:none"), 1, "nothing was approved")

	f.Status.Plan = v1alpha1.PlanStatus{Digest: digestHeld, Severity: v1alpha1.SeverityDestroy, Summary: "2 clusters", RecordedAt: new(metav1.Now())}
	if err := m.admin.Status().Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	expect(t, m.command(t, "approve", "fleet/production"), 0, digestHeld, "2 clusters", "approved by fleet-approver")
	if digest, by := m.approval(t, f); digest != digestHeld || by != "fleet-approver" {
		t.Errorf("approved plan is %q by %q", digest, by)
	}
	// One removal of several, by the command that the cluster's status names.
	said := strings.Fields(plan.ApproveCommand(m.namespace, "production", "", digestOther))
	expect(t, m.command(t, said[1:]...), 0, "removal of cluster edge-01")
	if digest, _ := m.approval(t, f); digest != digestOther {
		t.Errorf("approved plan is %q", digest)
	}
	if digest, _ := m.approval(t, removed); digest != "" {
		t.Error("the cluster itself was approved")
	}
}
