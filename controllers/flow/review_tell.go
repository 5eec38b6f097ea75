package flow

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/render/preflight"
)

// tell adds what the operator saw last of a cluster: it is about what was accepted before, not about the files.
func (r *review) tell(one *reviewed) {
	if one.mirror == nil || !r.scene.live() {
		return
	}
	for _, f := range one.mirror.Status.Drift {
		if !strings.HasPrefix(f.Object, virtualMachine) {
			one.Drift = append(one.Drift, fmt.Sprintf("%s: is %s, should be %s", strings.TrimSpace(f.Object+" "+f.Field), orNothing(f.Found), orNothing(f.Wanted)))
		}
	}
	one.PrismCentral = r.onPrism(one.name, one.mirror)
}

// virtualMachine begins the object of a finding about a VM in a status.
const virtualMachine = "VM "

// onPrism is what is known in Prism Central of a cluster; nil when there is nothing to say.
func (r *review) onPrism(name string, mirror *v1alpha1.NutanixClusterSpec) *view.OnPrism {
	o := &view.OnPrism{Cluster: name, Machines: []view.MachineDiffers{}, Preflight: r.scene.preflightOf(mirror), Unknown: []v1alpha1.UnknownPart{}}
	for i := range r.scene.Mirrored.Accounts {
		a := &r.scene.Mirrored.Accounts[i]
		if a.Namespace == mirror.Namespace && a.Name == mirror.Spec.AccountRef.Name {
			o.Unknown = append(o.Unknown, a.Status.Unknown...)
		}
	}
	for _, f := range mirror.Status.Drift {
		if vm, ok := strings.CutPrefix(f.Object, virtualMachine); ok {
			o.Machines = append(o.Machines, view.MachineDiffers{VM: vm, Field: f.Field, Wanted: f.Wanted, Found: f.Found, Since: f.Since.UTC()})
		}
	}
	if len(o.Machines)+len(o.Unknown) == 0 && o.Preflight == nil {
		return nil
	}
	return o
}

// preflightOf is the last preflight of a cluster that found something; nil otherwise.
func (s Scene) preflightOf(c *v1alpha1.NutanixClusterSpec) *view.LastPreflight {
	said := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.PreflightPassedCondition)
	if said == nil || len(c.Status.Preflight) == 0 {
		return nil
	}
	found := slices.Clone(c.Status.Preflight)
	for i := range found {
		if s.Public && slices.Contains(namesStrangers, found[i].Check) {
			found[i].Message = plan.Unshown
		}
	}
	return &view.LastPreflight{Passed: string(said.Status), Reason: said.Reason, Since: said.LastTransitionTime.UTC(), Findings: found}
}

// namesStrangers are the checks whose findings in a status name VMs of others.
var namesStrangers = []string{preflight.CheckEndpoint, preflight.CheckNames}

func orNothing(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}
