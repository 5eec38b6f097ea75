package review

import (
	"slices"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// verdict is what the commit status says.
type verdict struct {
	state forge.State
	line  string
	// approvable: nothing but a person's word is missing, for the clusters in held.
	approvable bool
	held       []string
	headline   string
}

// verdictOf says what a report means for a merge: a failure where something would not go on by itself. What waits on the
// branch already is none of the pull request's.
func verdictOf(r view.Report, f *files) verdict {
	v := verdict{state: forge.Success, headline: view.Headline(r)}
	switch {
	case f.conflicts > 0:
		v.state, v.line = forge.Failure, "conflicts with the branch that it goes to; merge that branch into this one, and the plan follows"
		return v
	case unrelated(r, f):
		v.line = "nothing of this Fleet changes"
		return v
	}
	stopped := len(r.Mistakes) > 0
	for i := range r.Clusters {
		c := &r.Clusters[i]
		switch {
		case c.Pending || !stops(c):
		case approvable(c):
			v.held = append(v.held, c.Plan.Cluster)
		default:
			stopped = true
		}
	}
	switch {
	case stopped:
		v.state, v.line = forge.Failure, v.headline
	case len(v.held) > 0:
		v.approvable = true
		v.state, v.line = forge.Failure, "approval needed: "+v.headline
	case r.Predicted:
		v.line = "predicted from the files: " + v.headline
	default:
		v.line = v.headline
	}
	return v
}

// stops says whether a cluster would not go on after the merge.
func stops(c *view.ClusterReport) bool {
	return c.Decision != nil && !c.Decision.Accepted || refused(c)
}

// approvable says whether a person's word is all that a cluster that does not go on lacks.
func approvable(c *view.ClusterReport) bool {
	return c.Decision != nil && !c.Decision.Accepted && c.Decision.Digest != "" && !refused(c)
}

// refused says whether a cluster would not go on whoever approves.
func refused(c *view.ClusterReport) bool {
	return len(c.Plan.Foreign) > 0 || plan.Rank(c.Plan.Severity()) >= plan.Rank(v1alpha1.SeverityForbidden) ||
		slices.ContainsFunc(c.Findings, func(f view.Finding) bool { return f.Holds })
}

// approved is the verdict once by gave their word; nobody when by is empty.
func (v verdict) approved(by string) verdict {
	if by != "" {
		v.state, v.line = forge.Success, "approved by "+by+": "+v.headline
	}
	return v
}

// unrelated says whether a pull request is not about the Fleet: its files stay as they are, and so do all clusters.
func unrelated(r view.Report, f *files) bool {
	return f.sameTree && !slices.ContainsFunc(r.Clusters, func(c view.ClusterReport) bool { return !c.Pending })
}
