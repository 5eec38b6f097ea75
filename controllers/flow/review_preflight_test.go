package flow_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/plan"
)

// poolOf is a pool of so many machines; -1: an autoscaler's number.
func poolOf(replicas int64) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"kind": "MachineDeployment", "spec": map[string]any{}}}
	o.SetName("edge-01-workers")
	if replicas >= 0 {
		o.Object["spec"].(map[string]any)["replicas"] = replicas
	}
	return o
}

// TestComing counts the machines that a pool gets.
func TestComing(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		pair   plan.Pair
		want   int
	}{
		"New":            {"all of them", plan.Pair{Want: poolOf(3)}, 3},
		"Grown":          {"what is more", plan.Pair{Want: poolOf(5), Live: poolOf(3), DryRun: poolOf(5)}, 2},
		"Shrunk":         {"none", plan.Pair{Want: poolOf(2), Live: poolOf(3), DryRun: poolOf(2)}, 0},
		"NewAutoscaled":  {"Cluster API begins with the lower bound", plan.Pair{Want: poolOf(-1), DryRun: poolOf(2)}, 2},
		"Autoscaled":     {"the autoscaler's number stays", plan.Pair{Want: poolOf(-1), Live: poolOf(4), DryRun: poolOf(4)}, 0},
		"BoundRaised":    {"Cluster API moves it to the new lower bound", plan.Pair{Want: poolOf(-1), Live: poolOf(1), DryRun: poolOf(2)}, 1},
		"PredictedBound": {"without a dry run nobody knows", plan.Pair{Want: poolOf(-1), Live: poolOf(1)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (flow.Proposal{Pairs: []plan.Pair{c.pair}}).Coming()["MachineDeployment/edge-01-workers"]; got != c.want {
				t.Errorf("%s: %d, want %d", c.reason, got, c.want)
			}
		})
	}
}
