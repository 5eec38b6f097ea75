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
	review := ""
	if g.in.Review.Approvers && g.in.Review.Name != "" && (h.reason == v1alpha1.LimitExceededReason || h.reason == v1alpha1.ApprovalRequiredReason) {
		review = " or have " + g.in.Review.Name + " approved by one of spec.review.approvers of the Fleet,"
	}
	return fmt.Sprintf("To go on run `%s`,%s or put the trailer `%s: %s` into a commit message, or commit less.",
		command, review, v1alpha1.ApproveTrailer, digest)
}

func (g *gate) fleetMessage() string {
	if g.result.Digest == "" || g.in.Fleet == "" {
		return ""
	}
	return fmt.Sprintf("Held: %s. To let all of it go on run `%s`, or put the trailer `%s: %s` into a commit message.",
		g.result.Summary, ApproveCommand(g.in.Namespace, g.in.Fleet, "", g.result.Digest), v1alpha1.ApproveTrailer,
		g.result.Digest)
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
