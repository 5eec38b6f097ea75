package review

import (
	"time"

	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// Reviewed is what a pull request showed of one state of a Fleet's files. It holds no secret value: plans have none.
type Reviewed struct {
	// Tree is the Git tree hash of the Fleet's path: the same after a merge, a squash or a rebase onto an unmoved base.
	Tree string
	// Number, URL and Title of the pull request.
	Number     int
	URL, Title string
	// Head and Base are the commits that were planned: the newest of the pull request, and the tip of the branch that it
	// goes to.
	Head, Base string
	// Digest over all that would be held, as it was shown; empty when nothing would.
	Digest string
	// Merged: the forge calls the pull request merged, and Approvals were read since. Merge sets it.
	Merged bool
	// Closed: no word at the forge counts any more, since the pull request was closed without a merge of these files onto
	// the Fleet's branch. Close sets it.
	Closed bool
	// Shown is when this was first shown. Put sets it; it stays while the same or less is shown.
	Shown time.Time
	// Clusters by name, all with a plan.
	Clusters map[string]Cluster
	// Capacity as it was shown.
	Capacity []view.Capacity
	// Approvals that stand. Approve and Merge set them.
	Approvals []Approval
}

// Cluster is what was shown of one cluster.
type Cluster struct {
	// Plan, without its steps.
	Plan plan.Plan
	// Removal: the cluster's file is gone, and the plan deletes it or lets go of it.
	Removal bool
	// Findings of preflight.
	Findings []view.Finding
	// Shown is when a plan was first shown here that covers this one. Put sets it.
	Shown time.Time
	// Spent: the revision was merged and this plan taken on, so that no approval of the pull request counts for it again.
	Spent bool
}

// Approval is the word of a user of the forge on a pull request.
type Approval struct {
	// Word is the forge's number of it: who approves once more gives another word. 0 where the forge has none.
	Word int64 `json:"word,omitempty"`
	// User of the forge, by login.
	User string `json:"user"`
	// AsUser or AsGroup of Kubernetes that the Fleet maps the user to; empty when it maps to none.
	AsUser  string `json:"asUser,omitempty"`
	AsGroup string `json:"asGroup,omitempty"`
	// Commit that was approved.
	Commit string `json:"commit"`
	// Proved: Kubernetes says that AsUser or AsGroup may approve the Fleet's plans.
	Proved bool `json:"proved"`
	// At is when it was given. Where the forge does not tell, leave it out: then it is when Approve was first told.
	At time.Time `json:"at"`
}

// Of takes from a report what is to be kept of it: the plans of clusters that it says would change.
func Of(r view.Report) Reviewed {
	kept := Reviewed{Clusters: map[string]Cluster{}, Capacity: r.Capacity, Digest: r.Digest}
	for _, c := range r.Clusters {
		if c.Plan.Empty() || c.Plan.Cluster == "" {
			continue
		}
		kept.Clusters[c.Plan.Cluster] = Cluster{Plan: c.Plan, Removal: removal(c.Plan), Findings: c.Findings}
	}
	return kept
}

// removal reports whether a plan is about a cluster whose file is gone: one change, of the Cluster as a whole.
func removal(p plan.Plan) bool {
	if len(p.Changes) != 1 || p.Changes[0].Object.Kind != "Cluster" {
		return false
	}
	return p.Changes[0].Action == plan.Delete || p.Changes[0].Action == plan.Release
}

// InForce is the approval that counts for a cluster at now; nil when none does. None counts before the forge called the
// pull request merged: until it was asked since the merge, an approval may have been taken back.
func (r *Reviewed) InForce(cluster string, now time.Time) *Approval {
	if r == nil || !r.Merged {
		return nil
	}
	return r.Stands(cluster, now)
}

// Stands is the approval that would count for a cluster if the pull request were merged now; nil when none would. One
// does when it was proved, is about the commit whose plan was shown, and was given after a plan was shown that covers
// this one and no later than a week after that; and until the plan was taken on.
func (r *Reviewed) Stands(cluster string, now time.Time) *Approval {
	if r == nil {
		return nil
	}
	c, ok := r.Clusters[cluster]
	if !ok || c.Spent || plan.Expired(c.Shown, now) {
		return nil
	}
	for i := range r.Approvals {
		a := &r.Approvals[i]
		if a.Proved && a.Commit == r.Head && !a.At.Before(c.Shown) {
			return a
		}
	}
	return nil
}

// after gives r the history of what the same pull request showed before: when its plans were first shown, who approved,
// what was taken on.
func (r *Reviewed) after(before *Reviewed, now time.Time) {
	now = now.UTC().Round(0)
	r.Shown, r.Approvals, r.Merged, r.Closed = now, nil, false, false
	clusters := make(map[string]Cluster, len(r.Clusters))
	kept := before != nil
	for name, c := range r.Clusters {
		c.Shown, c.Spent = now, false
		if was, ok := r.covered(before, name); ok && !plan.Expired(was.Shown, now) {
			c.Shown = was.Shown
			c.Spent = was.Spent && before.Tree == r.Tree
		} else {
			kept = false
		}
		clusters[name] = c
	}
	r.Clusters = clusters
	if before == nil {
		return
	}
	if kept && !plan.Expired(before.Shown, now) {
		r.Shown = before.Shown
	}
	if before.Head == r.Head {
		r.Approvals = before.Approvals
	}
	r.Merged = before.Merged && before.Tree == r.Tree
}

// Served says whether all that was shown was merged and taken on. If the same files come once more, as by a revert, or
// with what lies beside them changed, nobody was shown that.
func (r *Reviewed) Served() bool {
	for _, c := range r.Clusters {
		if !c.Spent {
			return false
		}
	}
	return len(r.Clusters) > 0
}

// covered gives what was shown before of a cluster, if it covers what is shown now. What was taken on from another base
// is another matter: the branch has left those files since, and would come back to them.
func (r *Reviewed) covered(before *Reviewed, name string) (Cluster, bool) {
	if before == nil {
		return Cluster{}, false
	}
	was, ok := before.Clusters[name]
	if was.Spent && before.Base != r.Base {
		return Cluster{}, false
	}
	return was, ok && r.Clusters[name].Plan.CoveredBy(was.Plan)
}

// merge puts approvals in the place of those that stood. One that stood keeps its time; the same user's next word for the
// same commit has its own.
func merge(stood, stand []Approval, now time.Time) []Approval {
	now = now.UTC().Round(0)
	var all []Approval
	for _, a := range stand {
		if a.At.IsZero() {
			a.At = now
			for _, b := range stood {
				if b.Word == a.Word && b.User == a.User && b.Commit == a.Commit {
					a.At = b.At
				}
			}
		}
		all = append(all, a)
	}
	return all
}
