package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/test/rig"
)

const approvalPage = "docs/guides/limits-and-approval.md"

// TestReviewTable holds the table of what a review and the limits come to against the gate.
func TestReviewTable(t *testing.T) {
	within, beyond := rolls(3), rolls(30)
	less := rolls(1)
	shown := func(p plan.Plan, as plan.Plan) plan.ClusterInput {
		return plan.ClusterInput{Plan: p, Review: plan.ReviewInput{Plan: &as}}
	}
	approved := shown(beyond, beyond)
	approved.Review.Approved = true
	roomless := shown(within, within)
	roomless.Review.Worse = []string{"PE-1: needs 40 vCPU, 96 GiB at peak"}
	arrives := map[string][]plan.ClusterInput{ // by the first two columns
		"what a pull request showed | within":                                       {shown(within, within)},
		"what a pull request showed, approved there by an approver | passed":        {approved},
		"more than a pull request showed | within":                                  {shown(within, less)},
		"what nobody reviewed | within":                                             {{Plan: within}},
		"what a pull request showed to fit, and there is no room any more | within": {roomless},
		"either | passed, not approved":                                             {shown(beyond, beyond), {Plan: beyond}},
	}
	rows := table(t, "what arrives | limits | `required: false` | `required: true`")
	if len(rows) != len(arrives) {
		t.Errorf("%d rows, and %d are tried", len(rows), len(arrives))
	}
	for _, row := range rows {
		key := row[0] + " | " + row[1]
		if len(arrives[key]) == 0 {
			t.Errorf("nothing is tried for the row %q", key)
		}
		for i, required := range []bool{false, true} {
			for _, c := range arrives[key] {
				in := plan.GateInput{
					Limits: plan.LimitsFrom(v1alpha1.Limits{}), Clusters: map[string]plan.ClusterInput{"edge-01": c},
					Review: plan.Review{Required: required, Approvers: true},
				}
				said := "held"
				if plan.Gate(in).Decisions["edge-01"].Accepted {
					said = "goes on"
				}
				if said != row[2+i] {
					t.Errorf("%s: the page says %q and the gate %q, required %t", key, row[2+i], said, required)
				}
			}
		}
	}
}

// TestDefaultLimits holds the numbers that the page gives as defaults against those in force.
func TestDefaultLimits(t *testing.T) {
	page, is := approvalText(t), plan.LimitsFrom(v1alpha1.Limits{})
	for name, n := range map[string]int{
		"recreatedMachines": is.RecreatedMachines, "removedMachines": is.RemovedMachines, "deletedClusters": is.DeletedClusters, "prunedPercent": is.PrunedPercent,
	} {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^    %s: %d +#`, name, n)).MatchString(page) {
			t.Errorf("%s does not say that %s is %d by default", approvalPage, name, n)
		}
	}
}

// rolls is a plan that re-creates machines.
func rolls(machines int) plan.Plan {
	return plan.Plan{Cluster: "edge-01", Changes: []plan.Change{{
		Object: plan.Ref{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "MachineDeployment", Namespace: "clusters", Name: "edge-01-workers"},
		Action: plan.Update, Field: "spec.template.spec.version", From: "v1.33.4", To: "v1.34.1", Severity: v1alpha1.SeverityRollout,
		Machines: machines, Owner: "MachineDeployment/edge-01-workers",
	}}}
}

func approvalText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root(), approvalPage))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// table gives the cells of the rows below a head.
func table(t *testing.T, head string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(approvalText(t), "\n| "+head+" |\n")
	if !ok {
		t.Fatalf("%s has no table with the head %q", approvalPage, head)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		cells, isRow := strings.CutPrefix(strings.TrimSpace(line), "| ")
		if !isRow {
			break
		}
		if !strings.HasPrefix(cells, "---") {
			rows = append(rows, strings.Split(strings.TrimSuffix(cells, " |"), " | "))
		}
	}
	return rows
}
