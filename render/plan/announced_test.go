package plan

import (
	"testing"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// A template that was still there when a plan was accepted may be gone when it is carried out: making it again is part
// of what was accepted, and nothing else is.
func TestCoverageOfATemplateMadeAgain(t *testing.T) {
	pool := Ref{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "MachineDeployment", Name: "edge-workers"}
	template := Ref{APIVersion: "infrastructure.cluster.x-k8s.io/v1beta1", Kind: "NutanixMachineTemplate", Name: "edge-workers-875c559d"}
	refer := Change{Object: pool, Action: Update, Field: "spec.template.spec.infrastructureRef.name", From: "edge-workers-78871100", To: template.Name, Severity: v1alpha1.SeverityRollout, Machines: 1, Owner: "MachineDeployment/edge-workers"}
	create := Change{Object: template, Action: Create, Field: "spec.template.spec.memorySize", From: "6Gi", To: "4Gi", Severity: v1alpha1.SeverityRollout, Machines: 1, Owner: refer.Owner}
	other := create
	other.Object.Name = "edge-workers-00000000"
	more := create
	more.Machines = 2
	accepted := Plan{Cluster: "edge", Changes: []Change{refer}}
	cases := map[string]struct {
		changes []Change
		covered bool
	}{
		"ReferenceAlone":  {[]Change{refer}, true},
		"MadeAgain":       {[]Change{create, refer}, true},
		"AnotherTemplate": {[]Change{other, refer}, false},
		"MoreMachines":    {[]Change{more, refer}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := (Plan{Cluster: "edge", Changes: c.changes}).CoveredBy(accepted); got != c.covered {
				t.Errorf("covered: %t, want %t", got, c.covered)
			}
		})
	}
}

// The digest that was shown stays, and serves, for as long as the plan says the same in other words.
func TestGateKeepsTheDigestShown(t *testing.T) {
	pool := Ref{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "MachineDeployment", Name: "edge-workers"}
	template := Ref{APIVersion: "infrastructure.cluster.x-k8s.io/v1beta1", Kind: "NutanixMachineTemplate", Name: "edge-workers-875c559d"}
	refer := Change{Object: pool, Action: Update, Field: "spec.template.spec.infrastructureRef.name", To: template.Name, Severity: v1alpha1.SeverityRollout, Machines: 2, Owner: "MachineDeployment/edge-workers"}
	create := Change{Object: template, Action: Create, Field: "spec.template.spec.memorySize", To: "4Gi", Severity: v1alpha1.SeverityRollout, Machines: 2, Owner: refer.Owner}
	less := refer
	less.Machines = 1
	recorded := Plan{Cluster: "edge", Changes: []Change{refer}}
	gated := func(p Plan, approved ...string) Decision {
		return Gate(GateInput{Fleet: "f", Namespace: "n", Total: 1, Clusters: map[string]ClusterInput{"edge": {Plan: p, Recorded: &recorded, Approved: approved}}}).Decisions["edge"]
	}
	again := Plan{Cluster: "edge", Changes: []Change{create, refer}}
	if d := gated(again); d.Accepted || d.Digest != recorded.Digest() {
		t.Errorf("the same in other words is shown under another digest: %+v", d)
	}
	if d := gated(again, recorded.Digest()); !d.Accepted {
		t.Errorf("the digest that was shown does not serve: %+v", d)
	}
	smaller := Plan{Cluster: "edge", Changes: []Change{less}}
	if d := gated(smaller); d.Accepted || d.Digest != smaller.Digest() {
		t.Errorf("less than what was recorded is shown as that: %+v", d)
	}
}
