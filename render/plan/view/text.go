package view

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// Text writes plans for people: a summary over all, then each cluster, in it first what touches machines, by control
// plane and pool, with why. An error is the writer's.
func Text(w io.Writer, plans ...plan.Plan) error {
	var b strings.Builder
	b.WriteString(plan.Summarize(plans) + "\n")
	for _, p := range plans {
		if len(p.Changes)+len(p.Foreign) > 0 {
			writeCluster(&b, p, len(plans) > 1)
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write plan as text: %w", err)
	}
	return nil
}

func writeCluster(b *strings.Builder, p plan.Plan, summary bool) {
	b.WriteString("\n" + p.Cluster)
	if summary {
		b.WriteString(": " + p.Summary())
	}
	b.WriteString("\n")
	if p.Predicted {
		b.WriteString("  predicted from the files; the API server was not asked\n")
	}
	if d := p.Digest(); d != "" && p.Approvable() {
		fmt.Fprintf(b, "  digest %s\n", d) // of a refused plan there is nothing to approve
	}
	for _, f := range p.Foreign {
		fmt.Fprintf(b, "\n  %s exists and is not ours (managed by %s): nothing is written to it\n", f.Object,
			strings.Join(f.Managers, ", "))
	}
	var quiet []plan.Change
	for _, g := range byOwner(p.Changes) {
		if g.loud() {
			g.write(b)
		} else {
			quiet = append(quiet, g.changes...)
		}
	}
	if len(quiet) == 0 {
		return
	}
	b.WriteString("\n  No machine re-created or removed\n")
	for _, c := range quiet {
		line(b, "    ", c, c.Object.String())
		if c.Reason != "" {
			b.WriteString(" (" + printable(c.Reason) + ")")
		}
		b.WriteString("\n")
	}
}

// group is what changes for one control plane or pool.
type group struct {
	owner   string
	changes []plan.Change
}

func byOwner(changes []plan.Change) []group {
	var out []group
	for _, c := range changes {
		i := slices.IndexFunc(out, func(g group) bool { return g.owner == c.Owner })
		if i < 0 {
			out = append(out, group{owner: c.Owner})
			i = len(out) - 1
		}
		out[i].changes = append(out[i].changes, c)
	}
	return out
}

func (g group) loud() bool {
	return slices.ContainsFunc(g.changes, func(c plan.Change) bool {
		return plan.Rank(c.Severity) >= plan.Rank(v1alpha1.SeverityRollout)
	})
}

// write shows changes that have the same effect together, the worst effect first.
func (g group) write(b *strings.Builder) {
	b.WriteString("\n  " + g.owner)
	if place := g.place(); place != "" {
		b.WriteString(" (" + place + ")")
	}
	b.WriteString("\n")
	changes := slices.Clone(g.changes)
	slices.SortStableFunc(changes, func(x, y plan.Change) int { return plan.Rank(y.Severity) - plan.Rank(x.Severity) })
	effect := ""
	for _, c := range changes {
		if g.repeats(c) {
			continue
		}
		if e := effectOf(c); e != effect {
			effect = e
			b.WriteString("    " + e + "\n")
		}
		subject := ""
		if c.Object.String() != g.owner {
			subject = c.Object.String()
		}
		line(b, "      ", c, subject)
		b.WriteString("\n")
	}
}

func (g group) place() string {
	for _, c := range g.changes {
		if c.Place != "" {
			return c.Place
		}
	}
	return ""
}

// repeats reports whether c only refers to an object by the new name under which another change already shows it.
func (g group) repeats(c plan.Change) bool {
	return c.Action == plan.Update && c.To != "" && slices.ContainsFunc(g.changes, func(other plan.Change) bool {
		return other.Action == plan.Create && other.Field != "" && other.Object.Name == c.To
	})
}

func effectOf(c plan.Change) string {
	if c.Reason == "" {
		return string(c.Severity)
	}
	return string(c.Severity) + ": " + printable(c.Reason)
}

var signs = map[plan.Action]string{plan.Create: "+", plan.Update: "~", plan.Delete: "-", plan.Release: "!"}

func line(b *strings.Builder, indent string, c plan.Change, subject string) {
	sign := signs[c.Action]
	if c.Field != "" {
		sign = signs[plan.Update]
	}
	parts := []string{sign}
	if subject != "" {
		parts = append(parts, subject)
	}
	switch {
	case c.Field != "":
		parts = append(parts, printable(c.Field)+":", values(c))
	case c.Action == plan.Create && c.Severity != v1alpha1.SeverityForbidden:
		parts = append(parts, "created")
	default:
		parts = append(parts, printable(c.To))
	}
	b.WriteString(indent + strings.Join(parts, " "))
}

func values(c plan.Change) string {
	switch {
	case c.From == "":
		return printable(c.To)
	case c.To == "":
		return printable(c.From) + " → (gone)"
	default:
		return printable(c.From) + " → " + printable(c.To)
	}
}

var longDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// printable shortens digests and quotes what could move a terminal's cursor.
func printable(s string) string {
	s = longDigest.ReplaceAllStringFunc(s, func(d string) string { return d[:len("sha256:")+12] })
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
