package accounts

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// TestPreflightModes shows what a Fleet lets a lack do: hold the change, warn of it, or nothing. Existence is enforced unless the Fleet
// says otherwise, and of capacity it is warned.
func TestPreflightModes(t *testing.T) {
	t.Parallel()
	project := func(c rig.Cluster) string { return strings.Replace(c.File(), "platform", "payments", 1) }
	// Each fits on a host; together they need one more than are left when one is lost.
	huge := func(c rig.Cluster) string {
		c.Workers, c.WorkerMemory = 4, "900Gi"
		return c.File()
	}
	for name, c := range map[string]struct {
		preflight v1alpha1.Preflight
		file      func(rig.Cluster) string
		status    metav1.ConditionStatus
		reason    string
		words     []string
		verdict   v1alpha1.PreflightVerdict
		mend      func(m *simulator.Model)
	}{
		"ExistenceWarn": {
			preflight: v1alpha1.Preflight{Existence: v1alpha1.PreflightWarn}, file: project,
			status: metav1.ConditionTrue, reason: v1alpha1.PreflightWarnedReason, words: []string{"spec.machineDefaults.project", "payments"}, verdict: v1alpha1.PreflightFailed,
		},
		"AllOff": {
			preflight: v1alpha1.Preflight{Existence: v1alpha1.PreflightOff, Capacity: v1alpha1.PreflightOff}, file: project,
			status: metav1.ConditionTrue, reason: v1alpha1.PreflightOffReason,
		},
		"ExistenceOff": {
			preflight: v1alpha1.Preflight{Existence: v1alpha1.PreflightOff}, file: project,
			status: metav1.ConditionTrue, reason: v1alpha1.PreflightPassedReason,
		},
		"CapacityWarn": {
			file: huge, status: metav1.ConditionTrue, reason: v1alpha1.CapacityShortReason, words: []string{"PE-1", "one host lost"}, verdict: v1alpha1.PreflightShort,
		},
		"CapacityEnforce": {
			preflight: v1alpha1.Preflight{Capacity: v1alpha1.PreflightEnforce}, file: huge,
			status: metav1.ConditionFalse, reason: v1alpha1.CapacityShortReason, words: []string{"PE-1", "one host lost"}, verdict: v1alpha1.PreflightShort,
			mend: func(m *simulator.Model) {
				for i := range m.PrismElements[0].Hosts {
					m.PrismElements[0].Hosts[i].MemoryBytes = 4 << 40
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &shared)
			prism := newCentral(t, nil)
			one := edge("mode")
			files := s.Files(edge("first"))
			files["fleet/account.yaml"] = prism.file("pc-east", insecure)
			s.Push("an account that is used", files)
			s.Start(fleets.Production, func(f *v1alpha1.Fleet) { f.Spec.Preflight = c.preflight })
			told(s, "pc-east") // a Fleet that enforces nothing does not wait until Prism Central has answered
			s.Push("a cluster", map[string]string{fleets.File(one): c.file(one)})
			have := s.ClusterHas(one.Name, v1alpha1.PreflightPassedCondition, c.status, c.reason, fleets.Soon)
			if err := speaks(have, v1alpha1.PreflightPassedCondition, c.status, c.reason, c.words); err != nil {
				t.Error(err)
			}
			told := slices.ContainsFunc(have.Status.Preflight, func(f v1alpha1.PreflightFinding) bool { return f.Verdict == c.verdict })
			if told != (c.verdict != "") || (!told && len(have.Status.Preflight) > 0) {
				t.Errorf("status.preflight is %+v", have.Status.Preflight)
			}
			if c.status == metav1.ConditionFalse {
				s.Stalls(one.Name, c.reason, "nothing is applied")
				nothingApplied(s, one.Name)
				if err := prism.EditModel(c.mend); err != nil {
					t.Fatal(err)
				}
				passes(s, one.Name)
				return
			}
			passed(s, one.Name)
		})
	}
}
