package view

import (
	"fmt"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// Rows of why machines roll, of one cluster: of one that has room, and of one for which little is left.
const (
	manyRows = 40
	fewRows  = 5
)

const clusterHead = "| Cluster | Machines re-created | Machines removed | Worst change | At the merge |\n| --- | --- | --- | --- | --- |\n"

// clusterRow is one cluster in the table of all.
func clusterRow(c ClusterReport) string {
	p := c.Plan
	return row(code(p.Cluster), counted(p, p.Recreated(), v1alpha1.SeverityRollout),
		counted(p, p.Removed(), v1alpha1.SeverityRemove, v1alpha1.SeverityDestroy), string(p.Severity()), c.say())
}

// details of one cluster, folded on the page unless it stands open.
func details(c ClusterReport, rows int, open, predicted bool) string {
	var b strings.Builder
	attribute := ""
	if open {
		attribute = " open"
	}
	fmt.Fprintf(&b, "<details%s><summary>%s: %s; %s</summary>\n\n", attribute, tag(c.Plan.Cluster), c.say(), c.Plan.Summary())
	stopped(&b, c)
	if c.Plan.Predicted && !predicted {
		b.WriteString("**Predicted in part:** the API server was not asked about every object.\n\n")
	}
	loud, quiet := grouped(c.Plan)
	whyTable(&b, loud, rows)
	quietTable(&b, quiet)
	list(&b, "Preflight", c.Findings, rows, Finding.markdown)
	list(&b, "Drift that is there now, beside this plan", c.Drift, rows, sentence)
	if c.PrismCentral != nil {
		list(&b, "In Prism Central, as the operator saw it last", c.PrismCentral.lines(), rows, sentence)
	}
	if d := c.Plan.Digest(); d != "" && c.Plan.Approvable() {
		b.WriteString("Digest of this plan: " + code(d) + "\n\n")
	}
	b.WriteString("</details>\n\n")
	return b.String()
}

// stopped says why nothing happens to a cluster, and how to go on.
func stopped(b *strings.Builder, c ClusterReport) {
	for _, f := range c.Plan.Foreign {
		b.WriteString("**In the way:** " + sentence(foreign(f)) + ".\n\n")
	}
	switch v := verdictOf(c); {
	case c.stands() && v != inTheWay:
		b.WriteString("**" + strings.ToUpper(words[v][:1]) + words[v][1:] + ":** " + sentence(c.Decision.Message) + "\n\n")
		if d := c.Decision.Digest; d != "" && !strings.Contains(c.Decision.Message, d) {
			b.WriteString("Trailer that approves it: " + code(v1alpha1.ApproveTrailer+": "+d) + "\n\n")
		}
	case v == refused:
		for _, change := range c.Plan.Changes {
			if change.Severity == v1alpha1.SeverityForbidden {
				b.WriteString("**Refused:** " + sentence(strings.TrimSpace(change.Object.String()+" "+change.Field)+": "+change.Reason) + "\n\n")
			}
		}
	}
	if c.Kept != "" {
		b.WriteString("**Kept:** " + sentence(c.Kept) + "\n\n")
	}
	if c.Pending {
		b.WriteString("**Pending already:** the base asks for the very same, and it has not been carried out.\n\n")
	}
}

// whyTable says of each control plane and pool why its machines roll or go.
func whyTable(b *strings.Builder, loud []group, rows int) {
	if len(loud) == 0 {
		return
	}
	b.WriteString("| Machines of | Effect | Field | From | To | File |\n| --- | --- | --- | --- | --- | --- |\n")
	told, left := 0, 0
	for _, g := range loud {
		effect := ""
		for _, c := range g.changes {
			if told == rows {
				left++
				continue
			}
			told++
			now := effectOf(c)
			b.WriteString(whyRow(g, c, now != effect))
			effect = now
		}
	}
	b.WriteString("\n")
	if left > 0 {
		fmt.Fprintf(b, "and %s more of these.\n\n", plural(left, "change"))
	}
}

func whyRow(g group, c plan.Change, withEffect bool) string {
	effect := ""
	if withEffect {
		effect = "**" + string(c.Severity) + "**"
		if c.Reason != "" {
			effect += ": " + sentence(c.Reason)
		}
	}
	what := c.Field
	if c.Object.String() != g.owner {
		what = strings.TrimSpace(c.Object.String() + " " + what)
	}
	from, to := c.Shown()
	if c.Field != "" && to == "" {
		to = gone
	}
	return row(code(g.owner), effect, code(what), code(from), code(to), code(c.Place))
}

// quietTable shows what touches no machine; where that is much, what says what it does, and counts the rest.
func quietTable(b *strings.Builder, quiet []plan.Change) {
	if len(quiet) == 0 {
		return
	}
	shows, rest := quiet, []plan.Change(nil)
	if len(quiet) > foldQuiet {
		shows, rest = speaking(quiet)
	}
	if len(shows) == 0 {
		b.WriteString("No machine re-created or removed: " + folded(rest) + ".\n\n")
		return
	}
	b.WriteString("No machine re-created or removed\n\n| Object | Effect | Field | From | To | File |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, c := range shows {
		b.WriteString(whyRow(group{owner: c.Object.String()}, c, true))
	}
	b.WriteString("\n")
	if len(rest) > 0 {
		b.WriteString("and " + folded(rest) + ".\n\n")
	}
}

func (f Finding) markdown() string {
	out := "**" + sentence(f.Check+" "+f.Verdict) + "**"
	if f.Holds {
		out += " (holds the cluster)"
	}
	if f.Place != "" {
		out += " " + code(f.Place)
	}
	return out + ": " + sentence(f.Message)
}

func list[T any](b *strings.Builder, title string, items []T, longest int, markdown func(T) string) {
	if len(items) == 0 {
		return
	}
	b.WriteString("**" + title + "**\n\n")
	for i, item := range items {
		if i == longest {
			fmt.Fprintf(b, "- and %d more\n", len(items)-i)
			break
		}
		b.WriteString("- " + markdown(item) + "\n")
	}
	b.WriteString("\n")
}
