package plan

import (
	"fmt"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// ApproveCommand is the command line that approves a plan: of a cluster, or with an empty cluster of the Fleet.
func ApproveCommand(namespace, fleet, cluster, digest string) string {
	target := "cluster/" + cluster
	if cluster == "" {
		target = "fleet/" + fleet
	}
	return fmt.Sprintf("refract approve %s %s --namespace %s", target, digest, namespace)
}

// howTo says how a person lets a held plan go on.
func (g *gate) howTo(name string, h holding) string {
	target, digest := name, h.plan.Digest()
	if h.fleet {
		target = ""
	}
	command := ApproveCommand(g.in.Namespace, g.in.Fleet, target, digest)
	if g.in.Fleet == "" {
		return fmt.Sprintf("To go on run `%s`, or ask for less.", command)
	}
	trailer := ""
	if g.in.Review.trailed(h.worse) {
		trailer = fmt.Sprintf(", or put the trailer `%s: %s` into a commit message", v1alpha1.ApproveTrailer, digest)
	}
	return fmt.Sprintf("%sTo go on run `%s`%s, or commit less.", g.atForge(h), command, trailer)
}

// atForge says what is known of the word that would let a plan go on by itself.
func (g *gate) atForge(h holding) string {
	r := g.in.Review
	switch {
	case !h.asked || !r.Approvers || r.Name == "" || (h.reason != v1alpha1.LimitExceededReason && h.reason != v1alpha1.ApprovalRequiredReason):
		return ""
	case r.Closed:
		return fmt.Sprintf("The forge says that %s was not merged with these files, so nobody's word there counts. ", r.Name)
	case r.Heard:
		return fmt.Sprintf("When %s was merged, none of spec.review.approvers of the Fleet had approved this. ", r.Name)
	}
	return fmt.Sprintf("Who approved %s counts once the forge calls it merged, which it is being asked; if one of spec.review.approvers of the Fleet did, this goes on by itself. ", r.Name)
}

func (g *gate) fleetMessage(worse bool) string {
	if g.result.Digest == "" || g.in.Fleet == "" {
		return ""
	}
	trailer := ""
	if g.in.Review.trailed(worse) {
		trailer = fmt.Sprintf(", or put the trailer `%s: %s` into a commit message", v1alpha1.ApproveTrailer, g.result.Digest)
	}
	return fmt.Sprintf("Held: %s. To let all of it go on run `%s`%s.",
		g.result.Summary, ApproveCommand(g.in.Namespace, g.in.Fleet, "", g.result.Digest), trailer)
}

func overFleet(verb string, own, sum int, limit string, allowed int) string {
	if own == sum {
		return fmt.Sprintf("This %s %s and limit %s of the Fleet is %d", verb, machines(own), limit, allowed)
	}
	return fmt.Sprintf("This %s %s, with what else is new or unfinished in the Fleet %d, and limit %s of the Fleet is %d",
		verb, machines(own), sum, limit, allowed)
}

func overSelf(verb string, own, unfinished int, limit string, allowed int) string {
	if unfinished == 0 {
		return fmt.Sprintf("This %s %s and limit %s of the cluster is %d", verb, machines(own), limit, allowed)
	}
	return fmt.Sprintf("This %s %s, with what is unfinished %d, and limit %s of the cluster is %d",
		verb, machines(own), own+unfinished, limit, allowed)
}

func overDeleted(n, allowed int) string {
	return fmt.Sprintf("This deletes the cluster, %s in all, and limit deletedClusters is %d", plural(n, "cluster"), allowed)
}

func overPruned(n, total, allowed int) string {
	return fmt.Sprintf("The files of %d of %s are gone, and limit prunedPercent is %d", n, plural(total, "cluster"), allowed)
}

func sentences(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ". ") + "."
}

func foreignMessage(p Plan) string {
	var parts []string
	for _, f := range p.Foreign {
		by := "no manager"
		if len(f.Managers) > 0 {
			by = strings.Join(f.Managers, ", ")
		}
		parts = append(parts, fmt.Sprintf("%s exists and is not ours (managed by %s)", f.Object, by))
	}
	return sentences(parts) + " Nothing was written. Commit spec.adopt: true to take it over, or another name."
}

// forbiddenMessage names each refused change and what to commit instead.
func forbiddenMessage(p Plan) string {
	var parts []string
	for _, c := range p.Changes {
		if c.Severity != v1alpha1.SeverityForbidden {
			continue
		}
		at := c.Object.String()
		if c.Field != "" {
			at += " " + c.Field
		}
		parts = append(parts, at+": "+strings.TrimSuffix(c.Reason, "."))
	}
	return sentences(parts)
}
