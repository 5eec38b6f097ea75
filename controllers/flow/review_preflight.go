package flow

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/render/preflight"
)

// Modes are the Fleet's modes of preflight, or the defaults; f may be nil.
func Modes(f *v1alpha1.Fleet) v1alpha1.Preflight {
	modes := v1alpha1.Preflight{}
	if f != nil {
		modes = f.Spec.Preflight
	}
	modes.Existence = cmp.Or(modes.Existence, v1alpha1.PreflightEnforce)
	modes.Capacity = cmp.Or(modes.Capacity, v1alpha1.PreflightWarn)
	return modes
}

// ModeOf is the mode of a class of checks.
func ModeOf(modes v1alpha1.Preflight, class preflight.Class) v1alpha1.PreflightMode {
	if class == preflight.Capacity {
		return modes.Capacity
	}
	return modes.Existence
}

// Wanted are the objects of a proposal, changed or not.
func (p Proposal) Wanted() []*unstructured.Unstructured {
	if p.Pairs == nil {
		return p.Objects
	}
	var all []*unstructured.Unstructured
	for _, pair := range p.Pairs {
		if pair.Want != nil {
			all = append(all, pair.Want)
		}
	}
	return all
}

// Coming counts the machines that a proposal makes anew, by control plane or pool.
func (p Proposal) Coming() map[string]int {
	coming := map[string]int{}
	for _, change := range p.Plan.Changes {
		if plan.Rank(change.Severity) == plan.Rank(v1alpha1.SeverityRollout) && change.Machines > 0 {
			coming[change.Owner] = max(coming[change.Owner], change.Machines)
		}
	}
	for _, o := range p.Wanted() {
		if !ownsMachines(o) {
			continue
		}
		if n := added(p.liveOf(o), o); n > 0 {
			coming[kindName(o)] += n
		}
	}
	return coming
}

// liveOf is what is live of a wanted object; nil when nothing is.
func (p Proposal) liveOf(want *unstructured.Unstructured) *unstructured.Unstructured {
	for _, pair := range p.Pairs {
		if pair.Want == want {
			return pair.Live
		}
	}
	return nil
}

// added is how many machines more a control plane or pool is to have. Without a number that is an autoscaler's to say.
func added(live, want *unstructured.Unstructured) int {
	have := int64(0)
	if live != nil {
		have, _ = replicas(live)
	}
	n, given := replicas(want)
	switch {
	case !given && live != nil:
		return 0
	case !given:
		n = 1
	}
	return int(n - have)
}

// preflight checks what the plan of a cluster makes.
func (r *review) preflight(one *reviewed) {
	if one.declared == nil || !one.Plan.Approvable() {
		return
	}
	coming := one.proposal.Coming()
	if len(coming) == 0 {
		return
	}
	c := r.scene.inputs(*one.declared).Cluster
	account := c.Spec.AccountRef.Name
	in := preflight.Input{Cluster: c, Objects: one.proposal.Wanted(), Machines: coming, New: one.proposal.creates(), Why: notAsked}
	if r.scene.Owned != nil {
		in.Owned = r.scene.Owned(account)
	}
	if r.scene.Sites == nil {
		return
	}
	in.Site, in.Why = r.scene.Sites(account)
	one.Findings = findings(preflight.Check(in), Modes(r.scene.Fleet), one.declared.Place.Path, one.declared.Place.Line)
}

// notAsked is why nothing is known of a Prism Central.
const notAsked = "Prism Central was not asked"

// creates says whether the cluster does not exist yet.
func (p Proposal) creates() bool {
	for _, pair := range p.Pairs {
		if pair.Want != nil && pair.Want.GetKind() == "Cluster" {
			return pair.Live == nil
		}
	}
	return true
}

// findings of the classes that are not off, at the place of the cluster's file.
func findings(found []preflight.Finding, modes v1alpha1.Preflight, file string, line int) []view.Finding {
	var all []view.Finding
	for _, f := range found {
		mode := ModeOf(modes, f.Class)
		if mode == v1alpha1.PreflightOff {
			continue
		}
		place := f.Field
		if file != "" {
			place = fmt.Sprintf("%s:%d: %s", file, line, f.Field)
		}
		all = append(all, view.Finding{
			Check: f.Check, Verdict: string(f.Verdict), Place: place, Message: f.Message,
			Holds: mode == v1alpha1.PreflightEnforce && f.Verdict != preflight.Unknown,
		})
	}
	return all
}
