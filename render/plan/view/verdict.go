package view

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// verdict is what becomes of a cluster at the merge, the worst first.
type verdict int

const (
	refused verdict = iota
	inTheWay
	blocked
	held
	waits
	kept
	unasked
	goesOn
	idle
)

// words that people read in lists and tables.
var words = map[verdict]string{
	refused: "refused", inTheWay: "object in the way", blocked: "blocked", held: "held", waits: "waits for preflight", kept: "kept",
	unasked: "limits not asked", goesOn: "goes on", idle: "no change",
}

func verdictOf(c ClusterReport) verdict {
	switch {
	case plan.Rank(c.Plan.Severity()) >= plan.Rank(v1alpha1.SeverityForbidden), c.stands() && c.Decision.Reason == v1alpha1.ForbiddenReason:
		return refused
	case len(c.Plan.Foreign) > 0:
		return inTheWay
	case c.stands() && c.Decision.Digest == "":
		return blocked // by what no approval could help
	case c.stands():
		return held
	case slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Holds }):
		return waits
	case c.Kept != "":
		return kept
	case c.Plan.Empty():
		return idle
	case c.Decision == nil:
		return unasked
	default:
		return goesOn
	}
}

// stands reports whether the gate holds the cluster.
func (c ClusterReport) stands() bool { return c.Decision != nil && !c.Decision.Accepted }

// stopped reports whether nothing happens to the cluster at the merge.
func (v verdict) stopped() bool { return v <= waits }

// say is the verdict in words, for one cluster.
func (c ClusterReport) say() string {
	word := words[verdictOf(c)]
	if c.Decision != nil && c.Decision.Approved {
		word += " (approved)"
	}
	if c.Pending {
		word += ", pending already"
	}
	return word
}

// worstFirst orders clusters by verdict, severity and number of machines, then by name.
func worstFirst(clusters []ClusterReport) []ClusterReport {
	return slices.SortedStableFunc(slices.Values(clusters), func(a, b ClusterReport) int {
		return cmp.Or(
			cmp.Compare(verdictOf(a), verdictOf(b)),
			cmp.Compare(plan.Rank(b.Plan.Severity()), plan.Rank(a.Plan.Severity())),
			cmp.Compare(b.Plan.Recreated()+b.Plan.Removed(), a.Plan.Recreated()+a.Plan.Removed()),
			cmp.Compare(a.Plan.Cluster, b.Plan.Cluster),
		)
	})
}

// tallied counts clusters by verdict.
func tallied(r Report) map[verdict]int {
	out := map[verdict]int{}
	for _, c := range r.Clusters {
		out[verdictOf(c)]++
	}
	return out
}

// Headline tells the worst of a report in one line of plain words: "1 cluster refused, 2 clusters held; 3 clusters: 5
// machines re-created". It holds no value from the files but names.
func Headline(r Report) string {
	var worst []string
	if n := len(r.Mistakes); n > 0 {
		worst = append(worst, plural(n, "mistake")+" in the files")
	}
	count := tallied(r)
	for _, v := range []verdict{refused, inTheWay, blocked, held, waits} {
		switch n := count[v]; {
		case n == 0:
		case v == inTheWay:
			worst = append(worst, plural(n, "cluster")+" with a foreign object in the way")
		case v == waits:
			worst = append(worst, plural(n, "cluster")+" held by preflight")
		default:
			worst = append(worst, plural(n, "cluster")+" "+words[v])
		}
	}
	changes := summary(r)
	switch {
	case len(worst) == 0:
		return changes
	case changes == nothing:
		return strings.Join(worst, ", ")
	default:
		return strings.Join(worst, ", ") + "; " + changes
	}
}

// nothing is what plan.Summarize says of plans that change nothing.
const nothing = "no change"

// summary over all plans in one line.
func summary(r Report) string { return plan.Summarize(plansOf(r)) }

func plansOf(r Report) []plan.Plan {
	plans := make([]plan.Plan, 0, len(r.Clusters))
	for _, c := range r.Clusters {
		plans = append(plans, c.Plan)
	}
	return plans
}

// long is a commit in full.
var long = regexp.MustCompile(`@(sha1|sha256):([0-9a-f]{10})[0-9a-f]{30,54}$`)

// short is a revision with as much of its commit as people read.
func short(revision string) string { return long.ReplaceAllString(revision, "@$1:$2") }

// counted is a number of machines of a plan, with "up to" where an autoscaler moves it.
func counted(p plan.Plan, n int, severities ...v1alpha1.Severity) string {
	if slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return c.UpTo && slices.Contains(severities, c.Severity) }) {
		return fmt.Sprintf("up to %d", n)
	}
	return fmt.Sprint(n)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
