package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Gate decides for each cluster whether its plan may go on.
//
// First those are set apart that no sum decides: foreign objects and Forbidden changes hold their cluster; what an
// unfinished accepted plan covers, or a person approved, goes on and is not counted; what always needs a person's word is
// held; so is a cluster that passes a limit of its own. Then the rest is summed with what is unfinished: where the sum
// passes a limit, every cluster that adds to it is held and the others go on.
func Gate(in GateInput) GateResult {
	g := gate{
		in:     in,
		held:   map[string]holding{},
		result: GateResult{Decisions: map[string]Decision{}, Held: map[string]Plan{}},
	}
	g.clusters()
	g.removals()
	g.finish()
	return g.result
}

// gate is one run of Gate.
type gate struct {
	in     GateInput
	held   map[string]holding
	result GateResult
}

// holding is one held plan.
type holding struct {
	plan   Plan
	reason string
	why    string
	fleet  bool // only the Fleet's approvers may let it go on
	worse  bool // something beside the plan became worse since the review
	asked  bool // its review is asked about
}

func (g *gate) accept(name string, approved bool) {
	g.result.Decisions[name] = Decision{Accepted: true, Approved: approved, Reason: v1alpha1.AcceptedReason}
}

func (g *gate) clusters() {
	var rest []string
	var sum Limits
	for _, name := range slices.Sorted(maps.Keys(g.in.Clusters)) {
		c := g.in.Clusters[name]
		recreated, removed := c.unfinished()
		sum.RecreatedMachines += recreated
		sum.RemovedMachines += removed
		if g.settled(name, c) {
			continue
		}
		rest = append(rest, name)
		sum.RecreatedMachines += c.Plan.Recreated()
		sum.RemovedMachines += c.Plan.Removed()
	}
	for _, name := range rest {
		p := g.in.Clusters[name].Plan
		var over []string
		if n := p.Recreated(); n > 0 && sum.RecreatedMachines > g.in.Limits.RecreatedMachines {
			over = append(over, overFleet("re-creates", n, sum.RecreatedMachines, "recreatedMachines", g.in.Limits.RecreatedMachines))
		}
		if n := p.Removed(); n > 0 && sum.RemovedMachines > g.in.Limits.RemovedMachines {
			over = append(over, overFleet("removes", n, sum.RemovedMachines, "removedMachines", g.in.Limits.RemovedMachines))
		}
		if len(over) == 0 {
			g.accept(name, false)
			continue
		}
		g.held[name] = holding{plan: p, reason: v1alpha1.LimitExceededReason, why: sentences(over), asked: g.in.Clusters[name].asked()}
	}
}

// unfinished counts the machines still to come and to go of an accepted plan that nobody approved.
func (c ClusterInput) unfinished() (recreated, removed int) {
	if c.Unfinished == nil || c.Unfinished.Approved {
		return 0, 0
	}
	return c.Unfinished.Recreated, c.Unfinished.Removed
}

// settled decides what no sum over the Fleet can change.
func (g *gate) settled(name string, c ClusterInput) bool {
	p := c.Plan
	switch {
	case len(p.Foreign) > 0:
		g.held[name] = holding{plan: p, reason: v1alpha1.AlreadyExistsReason, why: foreignMessage(p)}
	case !p.Approvable():
		g.held[name] = holding{plan: p, reason: v1alpha1.ForbiddenReason, why: forbiddenMessage(p)}
	case p.Digest() == "":
		g.accept(name, false)
	case c.Unfinished != nil && p.CoveredBy(c.Unfinished.Plan) && !c.anew():
		g.accept(name, c.Unfinished.Approved)
	case approved(p, c.Recorded, c.Approved) || g.trailed(p, c.Recorded, c.Review) || g.fleetApproved(name, p, c.Review):
		g.accept(name, true)
	case c.asked() && g.settledByReview(name, p, c.Review, false):
	case mustAsk(p, c.Cause) != "":
		g.held[name] = holding{plan: p, reason: v1alpha1.ApprovalRequiredReason, why: mustAsk(p, c.Cause), asked: c.asked()}
	default:
		over := g.overOwn(c)
		if over == "" {
			return false
		}
		g.held[name] = holding{plan: p, reason: v1alpha1.LimitExceededReason, why: over, asked: c.asked()}
	}
	return true
}

// anew reports whether a plan may roll machines once more for another secret: it looks like the unfinished plan, and Git
// is not what it was.
func (c ClusterInput) anew() bool {
	return cmp.Or(c.Cause, CauseGit) == CauseGit && slices.ContainsFunc(c.Plan.Changes, func(ch Change) bool {
		return ch.Opaque && Rank(ch.Severity) >= Rank(v1alpha1.SeverityRollout)
	})
}

// mustAsk says why a plan needs a person's word whatever the limits; "" when it does not.
func mustAsk(p Plan, cause Cause) string {
	severity := Rank(p.Severity())
	switch {
	case severity >= Rank(v1alpha1.SeverityDestroy):
		return "This would destroy a cluster, which always needs an approval."
	case cause == CauseOperatorUpgrade && severity >= Rank(v1alpha1.SeverityRollout):
		return "Git did not change: a new version of Refract renders this cluster differently, and that would touch machines."
	}
	return ""
}

// overOwn says which limit of its own spec the cluster passes; "" when none.
func (g *gate) overOwn(c ClusterInput) string {
	own := g.in.Limits.Tighten(c.Limits)
	recreated, removed := c.unfinished()
	var over []string
	if n := c.Plan.Recreated(); n > 0 && own.RecreatedMachines < g.in.Limits.RecreatedMachines && n+recreated > own.RecreatedMachines {
		over = append(over, overSelf("re-creates", n, recreated, "recreatedMachines", own.RecreatedMachines))
	}
	if n := c.Plan.Removed(); n > 0 && own.RemovedMachines < g.in.Limits.RemovedMachines && n+removed > own.RemovedMachines {
		over = append(over, overSelf("removes", n, removed, "removedMachines", own.RemovedMachines))
	}
	return sentences(over)
}

// approved reports whether one of the digests names p, or the plan last recorded and p does no more than that.
func approved(p Plan, recorded *Plan, digests []string) bool {
	if has(digests, p.Digest()) {
		return true
	}
	return recorded != nil && has(digests, recorded.Digest()) && p.CoveredBy(*recorded)
}

// trailed reports whether a commit message approves p, by its digest, that of what was recorded, or that of what a
// review showed.
func (g *gate) trailed(p Plan, recorded *Plan, r ReviewInput) bool {
	trailers := g.trailers(len(r.Worse) > 0)
	return approved(p, recorded, trailers) || approved(p, r.Plan, trailers)
}

// fleetApproved reports whether the digest of all that was last recorded as held is approved, and p does no more than
// what was recorded for it.
func (g *gate) fleetApproved(name string, p Plan, r ReviewInput) bool {
	recorded, ok := g.in.Recorded[name]
	return ok && g.fleetSays(FleetDigest(g.in.Recorded), len(r.Worse) > 0) && p.CoveredBy(recorded)
}

func (g *gate) fleetSays(digest string, worse bool) bool {
	return has(g.in.Approved, digest) || has(g.trailers(worse), digest)
}

func has(digests []string, digest string) bool {
	return digest != "" && slices.Contains(digests, digest)
}

func (g *gate) removals() {
	var rest []string
	deleted, vanishing := g.in.Deleting, g.in.Vanishing
	for _, name := range slices.Sorted(maps.Keys(g.in.Removals)) {
		r := g.in.Removals[name]
		if g.removalSettled(name, r) {
			if g.result.Decisions[name].Approved {
				vanishing--
			}
			continue
		}
		rest = append(rest, name)
		if r.deletes() {
			deleted++
		}
	}
	for _, name := range rest {
		r := g.in.Removals[name]
		var over []string
		switch own := g.in.Limits.Tighten(r.Limits).DeletedClusters; {
		case !r.deletes():
		case deleted > g.in.Limits.DeletedClusters:
			over = append(over, overDeleted(deleted, g.in.Limits.DeletedClusters))
		case own == 0:
			over = append(over, overDeleted(1, own))
		}
		if vanishing*100 > g.in.Total*g.in.Limits.PrunedPercent {
			over = append(over, overPruned(vanishing, g.in.Total, g.in.Limits.PrunedPercent))
		}
		if len(over) == 0 {
			g.accept(name, false)
			continue
		}
		g.held[name] = holding{plan: r.Plan, reason: v1alpha1.LimitExceededReason, why: sentences(over), fleet: true, asked: true}
	}
}

// removalSettled decides what no sum over the Fleet can change.
func (g *gate) removalSettled(name string, r RemovalInput) bool {
	if g.removalApproved(name, r) {
		g.accept(name, true)
		return true
	}
	return g.settledByReview(name, r.Plan, r.Review, true)
}

func (g *gate) removalApproved(name string, r RemovalInput) bool {
	return approved(r.Plan, r.Recorded, g.in.Approved) || g.trailed(r.Plan, r.Recorded, r.Review) || g.fleetApproved(name, r.Plan, r.Review)
}

func (r RemovalInput) deletes() bool { return r.Plan.Severity() == v1alpha1.SeverityDestroy }

// shown is the plan to put before a person: the recorded one for as long as p says the same in other words, as when a
// template was pruned that is now made again. A digest that somebody is about to approve does not change under their hands.
func (g *gate) shown(name string, p Plan) Plan {
	recorded := g.in.Clusters[name].Recorded
	if r, ok := g.in.Removals[name]; ok {
		recorded = r.Recorded
	}
	if recorded != nil && p.CoveredBy(*recorded) && recorded.CoveredBy(p) {
		return *recorded
	}
	return p
}

// finish lets go on what the Fleet's digest approves and words the rest.
func (g *gate) finish() {
	worse := false
	for name, h := range g.held {
		h.plan = g.shown(name, h.plan)
		g.held[name] = h
		worse = worse || h.worse
		if h.plan.Approvable() {
			g.result.Held[name] = h.plan
		}
	}
	digest := FleetDigest(g.result.Held)
	if g.fleetSays(digest, worse) {
		for name := range g.result.Held {
			g.accept(name, true)
			delete(g.held, name)
		}
		g.result.Held, digest = map[string]Plan{}, ""
	}
	for name, h := range g.held {
		d := Decision{Reason: h.reason, Message: h.why}
		if h.plan.Approvable() {
			d.Digest = h.plan.Digest()
			d.Message += " " + g.howTo(name, h)
		}
		g.result.Decisions[name] = d
	}
	var plans []Plan
	g.result.Severity = v1alpha1.SeverityNone
	for _, name := range slices.Sorted(maps.Keys(g.result.Held)) {
		p := g.result.Held[name]
		plans = append(plans, p)
		if Rank(p.Severity()) > Rank(g.result.Severity) {
			g.result.Severity = p.Severity()
		}
	}
	g.result.Digest, g.result.Summary = digest, Summarize(plans)
	g.result.Message = g.fleetMessage(worse)
}
