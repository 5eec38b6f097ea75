package controllers

import (
	"cmp"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// freshInventory is how old an inventory may be for a check to fail by it without having it read again.
const freshInventory = 30 * time.Second

// preflight asks, before a plan is applied that makes machines, whether they can come up. While Prism Central cannot be
// asked, such a plan waits where existence is enforced: CAPX gives a machine up for good when one lookup of a Prism
// Element or subnet fails.
func (r *ClusterReconciler) preflight(v *view) error {
	c := v.cluster
	modes := v.preflightModes()
	coming := v.flow.Coming()
	if len(coming) == 0 || off(modes) {
		v.makesNothing()
		return nil
	}
	account := client.ObjectKey{Namespace: c.Namespace, Name: c.Spec.AccountRef.Name}
	known, last := r.sites.of(account), r.compared.last(account)
	in := v.flow.Needs(c, coming)
	in.Site, in.Owned, in.New = known.inventory, last.owned, !v.health.Found
	if !known.inventory.Knows(site.PartElements) || last.inventory == nil {
		in.Site, in.Why = nil, "Prism Central has not answered yet; CloudAccount "+c.Spec.AccountRef.Name+" says more"
		if modes.Existence == v1alpha1.PreflightEnforce {
			message := "what machines need cannot be checked: " + in.Why
			set(c, v1alpha1.PreflightPassedCondition, metav1.ConditionUnknown, v1alpha1.PreflightUnknownReason, message)
			return wait(v1alpha1.PreflightUnknownReason, whileMoving, "nothing is applied that makes machines, since %s", message)
		}
	}
	return r.judge(v, account, modes, preflight.Check(in))
}

// passed is what preflight says when it has nothing to say.
const passed = "no machine that is to be made lacks anything"

// makesNothing takes back what was said of a plan that is no more: what is to be done now makes no machine, or nobody
// wants it checked. It says the same as after a check that passed, so that a crash in between makes no difference.
func (v *view) makesNothing() {
	reason, message := v1alpha1.PreflightPassedReason, passed
	if off(v.preflightModes()) {
		reason, message = v1alpha1.PreflightOffReason, "spec.preflight of the Fleet turns the checks off"
	}
	have := conditionOf(v.cluster, v1alpha1.PreflightPassedCondition)
	if have != nil && have.Status != metav1.ConditionFalse && reason == v1alpha1.PreflightPassedReason {
		set(v.cluster, have.Type, have.Status, have.Reason, have.Message) // stands for this generation, too
		return
	}
	v.cluster.Status.Preflight = nil
	set(v.cluster, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue, reason, message)
}

func off(modes v1alpha1.Preflight) bool {
	return modes.Existence == v1alpha1.PreflightOff && modes.Capacity == v1alpha1.PreflightOff
}

// judge tells the findings and says whether they hold the change.
func (r *ClusterReconciler) judge(v *view, account client.ObjectKey, modes v1alpha1.Preflight, found []preflight.Finding) error {
	c := v.cluster
	c.Status.Preflight = nil
	var holds, warns, unknown *preflight.Finding
	for i := range found {
		f := &found[i]
		if flow.ModeOf(modes, f.Class) == v1alpha1.PreflightOff {
			continue
		}
		if len(c.Status.Preflight) < maxFailures {
			c.Status.Preflight = append(c.Status.Preflight, v1alpha1.PreflightFinding{Check: f.Check, Verdict: v1alpha1.PreflightVerdict(f.Verdict), Field: f.Field, Message: f.Message})
		}
		switch {
		case f.Verdict == preflight.Unknown:
			unknown = cmp.Or(unknown, f)
		case flow.ModeOf(modes, f.Class) == v1alpha1.PreflightEnforce:
			holds = cmp.Or(holds, f)
		default:
			warns = cmp.Or(warns, f)
		}
	}
	switch {
	case holds != nil:
		reason := v1alpha1.PreflightFailedReason
		if holds.Class == preflight.Capacity {
			reason = v1alpha1.CapacityShortReason
		}
		set(c, v1alpha1.PreflightPassedCondition, metav1.ConditionFalse, reason, v.placed(holds))
		r.sites.refresh(account, freshInventory)
		return stall(reason, "nothing is applied: %s", v.placed(holds))
	case warns != nil && warns.Class == preflight.Capacity:
		set(c, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue, v1alpha1.CapacityShortReason, v.placed(warns))
	case warns != nil:
		set(c, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue, v1alpha1.PreflightWarnedReason, v.placed(warns))
	case unknown != nil:
		set(c, v1alpha1.PreflightPassedCondition, metav1.ConditionUnknown, v1alpha1.PreflightUnknownReason, v.placed(unknown))
	default:
		set(c, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue, v1alpha1.PreflightPassedReason, passed)
	}
	return nil
}

// placed is a finding with the place of its cause.
func (v *view) placed(f *preflight.Finding) string {
	if file := v.cluster.Annotations[v1alpha1.FileAnnotation]; file != "" {
		return fmt.Sprintf("%s: %s: %s", file, f.Field, f.Message)
	}
	return fmt.Sprintf("%s: %s", f.Field, f.Message)
}

// preflightModes are the Fleet's, or the defaults.
func (v *view) preflightModes() v1alpha1.Preflight { return flow.Modes(v.fleet) }
