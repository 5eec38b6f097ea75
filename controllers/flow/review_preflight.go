package flow

import (
	"cmp"
	"fmt"
	"slices"

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
		if n := added(p.pairOf(o), o); n > 0 {
			coming[kindName(o)] += n
		}
	}
	return coming
}

// pairOf is the pair of a wanted object; empty when nothing was asked about it.
func (p Proposal) pairOf(want *unstructured.Unstructured) plan.Pair {
	for _, pair := range p.Pairs {
		if pair.Want == want {
			return pair
		}
	}
	return plan.Pair{}
}

// added is how many machines more a control plane or pool is to have. Of an autoscaled pool, which wants no number, a dry
// run tells: Cluster API moves it between new bounds. Without one that is an autoscaler's to say.
func added(pair plan.Pair, want *unstructured.Unstructured) int {
	have := int64(0)
	if pair.Live != nil {
		have, _ = replicas(pair.Live)
	}
	n, given := replicas(want)
	if !given && pair.DryRun != nil {
		n, given = replicas(pair.DryRun)
	}
	switch {
	case !given && pair.Live != nil:
		return 0
	case !given:
		n = 1
	}
	return int(n - have)
}

// preflight checks what the plans make, each by itself, and sums what they need. Files that are compared with nothing
// are not summed: all that they declare would count.
func (r *review) preflight() {
	if !r.scene.live() && r.base == nil {
		return
	}
	var ins []preflight.Input
	for _, one := range r.clusters {
		if one.err != nil || one.declared == nil || !one.Plan.Approvable() {
			continue
		}
		coming := one.proposal.Coming()
		if len(coming) == 0 {
			continue
		}
		in := r.look(one, coming)
		ins = append(ins, in)
		switch {
		case !r.scene.live():
		case r.scene.Sites == nil:
			in.Site = elementsOf(r.account(in.Cluster.Spec.AccountRef.Name), in.Objects)
			one.Findings = r.findings(one, sure(in))
		default:
			one.Findings = r.findings(one, preflight.Check(in))
		}
	}
	r.capacity(ins)
	if r.scene.live() && r.scene.Sites == nil && len(ins) > 0 {
		r.note("Whether Prism Central has all that new machines name is checked by the operator, before anything is applied.")
	}
}

// look is what is known to check the coming machines of a cluster by.
func (r *review) look(one *reviewed, coming map[string]int) preflight.Input {
	in := one.proposal.Needs(r.scene.inputs(*one.declared).Cluster, coming)
	in.Why, in.Public = notAsked, r.scene.Public
	account := in.Cluster.Spec.AccountRef.Name
	if r.scene.Owned != nil {
		in.Owned = r.scene.Owned(account)
	}
	switch {
	case r.scene.Sites != nil:
		in.Site, in.Why = r.scene.Sites(account)
	case r.scene.live():
		in.Why = "the status of CloudAccount " + account + " does not tell"
	}
	return in
}

// Needs is what the coming machines of a cluster need, to be held against a Prism Central.
func (p Proposal) Needs(c *v1alpha1.NutanixClusterSpec, coming map[string]int) preflight.Input {
	return preflight.Input{Cluster: c, Objects: p.Wanted(), Machines: coming, New: p.creates(), Before: p.before()}
}

// sure checks by what little a status tells: what that does not know is no finding.
func sure(in preflight.Input) []preflight.Finding {
	if in.Site == nil {
		return nil
	}
	return slices.DeleteFunc(preflight.Check(in), func(f preflight.Finding) bool { return f.Verdict == preflight.Unknown })
}

// before are the objects that machines are made of now. Never nil, since none is known to be there then.
func (p Proposal) before() []*unstructured.Unstructured {
	all := []*unstructured.Unstructured{}
	for _, pair := range p.Pairs {
		for _, o := range []*unstructured.Unstructured{pair.Live, pair.Previous} {
			if o != nil {
				all = append(all, o)
			}
		}
	}
	return all
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
func (r *review) findings(one *reviewed, found []preflight.Finding) []view.Finding {
	modes := Modes(r.scene.Fleet)
	var all []view.Finding
	for _, f := range found {
		mode := ModeOf(modes, f.Class)
		if mode == v1alpha1.PreflightOff {
			continue
		}
		place := f.Field
		if at := one.declared.Place; at.Path != "" {
			place = fmt.Sprintf("%s:%d: %s", at.Path, at.Line, f.Field)
		}
		all = append(all, view.Finding{
			Check: f.Check, Verdict: string(f.Verdict), Place: place, Message: f.Message,
			Holds: mode == v1alpha1.PreflightEnforce && f.Verdict != preflight.Unknown,
		})
	}
	return all
}
