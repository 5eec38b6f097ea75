package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Review is what a Fleet asks of the revision that is gated, and what is known of its review.
type Review struct {
	// Required: what nobody reviewed is held.
	Required bool
	// Name of the review for people, "pull request #7"; empty when nobody reviewed this revision.
	Name string
	// Approvers: the Fleet takes the word of some users of the forge for an approval.
	Approvers bool
	// Heard: the forge told since the merge who approved. Before, nobody's word at the forge counts.
	Heard bool
	// Closed: nobody's word at the forge will count, since it calls the pull request closed without a merge of this.
	Closed bool
	// Unreadable says why it is not known whether this revision was reviewed; empty when it is.
	Unreadable string
}

// ReviewInput is what was shown of one cluster or removal before the revision was merged.
type ReviewInput struct {
	// Plan that was shown; nil when the revision was not reviewed, an empty one when the review showed nothing of it.
	Plan *Plan
	// Approved: somebody approved the review who may approve plans. It counts for every plan that Plan covers. Leave it
	// out where it is spent or [Expired], or was given before what is Worse was known.
	Approved bool
	// Worse than was shown, beside the plan, in words: such as room that is gone. It takes the word of somebody who was
	// shown that; digests, which are over the plan alone, do not tell it from what was reviewed.
	Worse []string
}

// asked reports whether a review is asked about at all: drift and upgrades of Refract come from no revision.
func (c ClusterInput) asked() bool { return cmp.Or(c.Cause, CauseGit) == CauseGit }

// settledByReview decides what the review of a revision decides about a plan: held when it is required and there was none,
// or when the plan does more than was shown; on when it was approved. Removals are the Fleet's to approve.
func (g *gate) settledByReview(name string, p Plan, r ReviewInput, fleet bool) bool {
	switch {
	case r.Plan == nil && (g.in.Review.Required || g.in.Review.Unreadable != ""): // unknown is not unreviewed
		g.held[name] = holding{plan: p, reason: v1alpha1.ReviewRequiredReason, why: g.notReviewed(), fleet: fleet}
	case r.Plan == nil:
		return false
	case !p.CoveredBy(*r.Plan):
		g.held[name] = holding{plan: p, reason: v1alpha1.ReviewedPlanExceededReason, why: g.exceeds(p, *r.Plan), fleet: fleet}
	case len(r.Worse) > 0:
		g.held[name] = holding{plan: p, reason: v1alpha1.ReviewedPlanExceededReason, why: g.worse(r.Worse), fleet: fleet, worse: true}
	case r.Approved:
		g.result.Decisions[name] = Decision{Accepted: true, Approved: true, ByReview: true, Reason: v1alpha1.AcceptedReason}
	default:
		return false
	}
	return true
}

func (g *gate) notReviewed() string {
	why := "Nobody reviewed this: the files of this revision were not planned in a pull request, and spec.review.required of the Fleet is set."
	if g.in.Review.Unreadable != "" {
		why = "Whether this was reviewed is not known: " + g.in.Review.Unreadable + "."
	}
	if len(g.in.Trailers) > 0 && !g.in.Review.trailed(false) {
		why += " The trailer " + v1alpha1.ApproveTrailer + " does not count either: nobody reviewed that it is there."
	}
	return why + " Revert it and open a pull request with it."
}

func (g *gate) worse(what []string) string {
	return fmt.Sprintf("Since %s there is less room: %s. It goes on by itself once there is as much again.", cmp.Or(g.in.Review.Name, "the review"), strings.Join(what, "; "))
}

// trailed says whether commit messages approve anything. Where a review is required they do with files that a review
// showed; and none was written by somebody who knew what became worse since.
func (r Review) trailed(worse bool) bool { return !worse && (!r.Required || r.Name != "") }

// trailers are the digests in commit messages that count.
func (g *gate) trailers(worse bool) []string {
	if !g.in.Review.trailed(worse) {
		return nil
	}
	return g.in.Trailers
}

func (g *gate) exceeds(p, shown Plan) string {
	name := cmp.Or(g.in.Review.Name, "the review")
	if len(shown.Changes) == 0 {
		return fmt.Sprintf("%s showed no change of this cluster, and it would change now: %s. Revert it and have it planned again in a pull request.", upperFirst(name), strings.Join(p.Since(shown), "; "))
	}
	return fmt.Sprintf("This does more than %s showed: %s. Revert it and have it planned again in a pull request.", name, strings.Join(p.Since(shown), "; "))
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// maxSince is how many differences a message tells.
const maxSince = 5

// Since tells in words what p does beyond a plan that was shown before: more machines first, then changes that are new,
// become worse, or become something else. Empty when shown covers p.
func (p Plan) Since(shown Plan) []string {
	said := p.moreMachines(shown)
	for _, c := range p.Beyond(shown) {
		if words := c.since(shown); words != "" && !slices.Contains(said, words) {
			said = append(said, words)
		}
	}
	if rest := len(said) - maxSince; rest > 0 {
		said = append(said[:maxSince], fmt.Sprintf("and %d more", rest))
	}
	return said
}

func (p Plan) moreMachines(shown Plan) []string {
	mine, theirs := p.tally(), shown.tally()
	var said []string
	for _, owner := range slices.Sorted(maps.Keys(mine)) {
		m, t := mine[owner], theirs[owner]
		if m.recreated > t.recreated {
			said = append(said, fmt.Sprintf("%s re-creates %s, %d were shown", owner, bounded(m.recreated, m.upTo), t.recreated))
		}
		if m.removed > t.removed {
			said = append(said, fmt.Sprintf("%s loses %s, %d were shown", owner, bounded(m.removed, m.upTo), t.removed))
		}
	}
	return said
}

// since tells how one change differs from what was shown; "" when it does not, and only its machines do.
func (c Change) since(shown Plan) string {
	what := c.Object.String()
	if c.Field != "" {
		what += " " + c.Field
	}
	if c.announced(shown) {
		return ""
	}
	var same, other *Change
	for i := range shown.Changes {
		s := &shown.Changes[i]
		switch {
		case s.Object != c.Object || s.Field != c.Field:
		case s.To == c.To:
			same = s
		default:
			other = s
		}
	}
	switch {
	case same != nil && Rank(c.Severity) > Rank(same.Severity):
		return fmt.Sprintf("%s is a %s now, %s was shown", what, c.Severity, same.Severity)
	case same != nil:
		return ""
	case other != nil && c.Field != "":
		_, is := c.Shown()
		_, was := other.Shown()
		if is == was {
			return what + " has another value than was shown" // which is not for everybody
		}
		return fmt.Sprintf("%s becomes %s, %s was shown", what, orNothing(is), orNothing(was))
	case other != nil:
		return what + " has other content than was shown"
	}
	return what + " " + verbs[c.Action] + ", which was not shown"
}

var verbs = map[Action]string{Create: "is made", Update: "changes", Delete: "is deleted", Release: "is let go of"}

func orNothing(s string) string { return cmp.Or(s, "nothing") }
