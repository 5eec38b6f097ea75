package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// clusters shows the worst change by change, then others in a line each, then a count.
func (t *textView) clusters(r Report) {
	var told []ClusterReport
	for _, c := range worstFirst(r.Clusters) {
		if c.tells() {
			told = append(told, c)
		}
	}
	details, lines := len(told), len(told)
	if !t.options.Full {
		details, lines = min(details, foldDetails), min(lines, foldClusters)
	}
	for _, c := range told[:details] {
		t.cluster(c, len(r.Clusters) > 1, r.Predicted)
	}
	if details < lines {
		t.b.WriteString("\n")
	}
	for _, c := range told[details:lines] {
		t.line("", clusterLine(c))
	}
	if rest := told[lines:]; len(rest) > 0 {
		t.line("", "and "+plan.Summarize(plansOf(Report{Clusters: rest})))
	}
	if details < len(told) {
		t.line("", "\n--full shows each change of every cluster")
	}
}

// tells reports whether there is anything to say of a cluster in detail.
func (c ClusterReport) tells() bool {
	return len(c.Plan.Changes)+len(c.Plan.Foreign)+len(c.Findings)+len(c.Drift) > 0 || c.Pending
}

func clusterLine(c ClusterReport) string {
	return printable(c.Plan.Cluster) + ": " + c.Plan.Summary() + " (" + c.say() + ")"
}

func (t *textView) cluster(c ClusterReport, summary, allPredicted bool) {
	p := c.Plan
	title := t.paint(bold, printable(p.Cluster))
	if summary {
		title += ": " + t.paint(colorOf(p.Severity()), p.Summary())
		if v := verdictOf(c); v.stopped() {
			title += " (" + words[v] + ")"
		}
	}
	t.line("\n", title)
	if p.Predicted && !allPredicted {
		t.sentence("  ", yellow, "predicted in part: the API server was not asked about every object")
	}
	if c.Pending {
		t.sentence("  ", yellow, pending)
	}
	if d := p.Digest(); d != "" && p.Approvable() {
		t.line("  ", "digest "+d) // of a refused plan there is nothing to approve
	}
	for _, f := range p.Foreign {
		t.b.WriteString("\n")
		t.sentence("  ", red, foreign(f))
	}
	loud, quiet := grouped(p)
	for _, g := range loud {
		t.group(g)
	}
	t.quiet(quiet)
	t.findings(c.Findings)
	t.drift(c.Drift)
}

const pending = "pending already: the base asks for the very same, and it has not been carried out"

func foreign(f plan.Foreign) string {
	return fmt.Sprintf("%s exists and is not ours (managed by %s): nothing is written to it; commit spec.adopt: true to take it over, or another name",
		prose(f.Object.String()), prose(managers(f)))
}

// group shows changes that have the same effect together, the worst effect first.
func (t *textView) group(g group) {
	title := t.paint(bold, printable(g.owner))
	if place := g.place(); place != "" {
		title += t.paint(dim, " ("+prose(place)+")")
	}
	t.line("\n  ", title)
	effect := ""
	for i, c := range g.changes {
		if i == foldChanges && !t.options.Full {
			t.line("      ", fmt.Sprintf("and %d more; --full shows each", len(g.changes)-i))
			return
		}
		if e := effectOf(c); e != effect {
			effect = e
			t.sentence("    ", colorOf(c.Severity), e)
		}
		subject := ""
		if c.Object.String() != g.owner {
			subject = c.Object.String()
		}
		place := ""
		if c.Place != "" && c.Place != g.place() {
			place = t.paint(dim, " ("+prose(c.Place)+")")
		}
		t.line("      ", t.change(c, subject)+place)
	}
}

func (t *textView) quiet(quiet []plan.Change) {
	if len(quiet) == 0 {
		return
	}
	t.line("\n  ", "No machine re-created or removed")
	shows, rest := quiet, []plan.Change(nil)
	if len(quiet) > foldQuiet && !t.options.Full {
		shows, rest = speaking(quiet)
	}
	for _, c := range shows {
		text := t.change(c, c.Object.String())
		if c.Reason != "" {
			text += " (" + prose(c.Reason) + ")"
		}
		t.line("    ", text)
	}
	if len(rest) > 0 {
		t.line("    ", "and "+folded(rest)+"; --full shows each")
	}
}

var signs = map[plan.Action]string{plan.Create: "+", plan.Update: "~", plan.Delete: "-", plan.Release: "!"}

func (t *textView) change(c plan.Change, subject string) string {
	sign := signs[c.Action]
	if c.Field != "" {
		sign = signs[plan.Update]
	}
	colors := map[string]style{"+": green, "~": yellow, "-": red, "!": yellow}
	parts := []string{t.paint(colors[sign], sign)}
	if subject != "" {
		parts = append(parts, printable(subject))
	}
	switch {
	case c.Field != "":
		parts = append(parts, printable(c.Field)+":", arrow(c))
	case c.Action == plan.Create && c.Severity != v1alpha1.SeverityForbidden:
		parts = append(parts, "created")
	default:
		parts = append(parts, arrow(c))
	}
	return strings.Join(parts, " ")
}

func (t *textView) findings(all []Finding) {
	if len(all) == 0 {
		return
	}
	t.line("\n  ", "Preflight")
	for _, f := range all {
		color := yellow
		if f.Holds {
			color = red
		}
		t.sentence("    ", color, f.say())
	}
}

// say is "Subnet Failed, clusters/edge-01.yaml:14: spec.network: no such subnet".
func (f Finding) say() string {
	out := prose(f.Check) + " " + prose(f.Verdict)
	if f.Holds {
		out += " (holds the cluster)"
	}
	if f.Place != "" {
		out += ", " + prose(f.Place)
	}
	return out + ": " + prose(f.Message)
}

func (t *textView) drift(all []string) {
	if len(all) == 0 {
		return
	}
	t.line("\n  ", "Drift that is there now, beside this plan")
	for i, d := range all {
		if i == foldChanges && !t.options.Full {
			t.line("    ", fmt.Sprintf("and %d more; --full shows each", len(all)-i))
			return
		}
		t.sentence("    ", plain, prose(d))
	}
}

// onPrism is what the operator saw last in Prism Central.
func (t *textView) onPrism(r Report) {
	for _, c := range r.Clusters {
		if o := c.PrismCentral; o != nil {
			t.line("\n", printable(o.Cluster)+" in Prism Central, as the operator saw it last:")
			for _, line := range o.lines() {
				t.sentence("  ", plain, line)
			}
		}
	}
}

func (o OnPrism) lines() []string {
	var out []string
	for _, m := range o.Machines {
		what := strings.TrimSpace(m.VM + " " + m.Field)
		out = append(out, fmt.Sprintf("VM %s: is %s, should be %s (since %s)", prose(what), orNothing(m.Found), orNothing(m.Wanted),
			m.Since.Format(time.RFC3339)))
	}
	if p := o.Preflight; p != nil {
		out = append(out, fmt.Sprintf("last preflight: %s (since %s)", prose(p.Reason), p.Since.Format(time.RFC3339)))
		for _, f := range p.Findings {
			out = append(out, fmt.Sprintf("  %s %s %s: %s", f.Check, f.Verdict, prose(f.Field), prose(f.Message)))
		}
	}
	for _, u := range o.Unknown {
		out = append(out, fmt.Sprintf("not known: %s: %s", prose(u.Part), prose(u.Reason)))
	}
	return out
}

func orNothing(value string) string {
	if value == "" {
		return "nothing"
	}
	return prose(value)
}
