package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// What a message tells is bounded, and empty exactly when a plan is covered.
func TestSince(t *testing.T) {
	var many []Change
	for _, field := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		many = append(many, Change{Object: clusterRef("a"), Action: Update, Field: field, To: "1", Severity: v1alpha1.SeverityInPlace, Owner: "Cluster/a"})
	}
	for name, c := range map[string]struct {
		plan, shown Plan
		want        []string
	}{
		"Same": {rolling("a", 3).Plan, rolling("a", 3).Plan, nil},
		"Less": {rolling("a", 2).Plan, rolling("a", 3).Plan, nil},
		"Many": {planOf("a", many...), Plan{Cluster: "a"}, []string{
			"Cluster/a a changes, which was not shown", "Cluster/a b changes, which was not shown", "Cluster/a c changes, which was not shown",
			"Cluster/a d changes, which was not shown", "Cluster/a e changes, which was not shown", "and 2 more",
		}},
		"UpToMore": {
			planOf("a", Change{Object: clusterRef("a"), Severity: v1alpha1.SeverityRemove, Machines: 9, UpTo: true, Owner: "MachineDeployment/a"}),
			planOf("a", Change{Object: clusterRef("a"), Severity: v1alpha1.SeverityRemove, Machines: 6, UpTo: true, Owner: "MachineDeployment/a"}),
			[]string{"MachineDeployment/a loses up to 9 machines, 6 were shown"},
		},
		"OtherContent": {
			planOf("a", Change{Object: clusterRef("a"), Action: Create, To: "sha256:1", Severity: v1alpha1.SeverityInPlace}),
			planOf("a", Change{Object: clusterRef("a"), Action: Create, To: "sha256:2", Severity: v1alpha1.SeverityInPlace}),
			[]string{"Cluster/a has other content than was shown"},
		},
		"TakenAway": {
			planOf("a", Change{Object: clusterRef("a"), Action: Update, Field: "spec.x", Severity: v1alpha1.SeverityInPlace}),
			planOf("a", Change{Object: clusterRef("a"), Action: Update, Field: "spec.x", To: "2", Severity: v1alpha1.SeverityInPlace}),
			[]string{"Cluster/a spec.x becomes nothing, 2 was shown"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.plan.Since(c.shown)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if c.plan.CoveredBy(c.shown) != (len(got) == 0) {
				t.Errorf("covered %t, and says %v", c.plan.CoveredBy(c.shown), got)
			}
		})
	}
}
