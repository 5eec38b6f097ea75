package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// TextOptions of WriteText.
type TextOptions struct {
	// Color by SGR sequences. Default: none; the caller knows whether there is a terminal.
	Color bool
	// Width in columns that sentences are broken at. 0: they are not.
	Width int
	// Full shows each change. Default: long lists and changes that touch no machine fold to counts.
	Full bool
}

// What fits on a screen; the rest folds unless TextOptions.Full is set.
const (
	foldStopped  = 20  // sentences on what is refused and held
	foldDetails  = 20  // clusters change by change
	foldClusters = 100 // clusters in a line each
	foldChanges  = 12  // changes of one control plane or pool
	foldQuiet    = 8   // changes that touch no machine
)

// WriteText writes a report for people: a summary over all with what Prism Central has room for, what is refused and
// held, then each cluster, the worst first, in it first what touches machines, by control plane and pool, with why.
// Nothing in it moves a terminal's cursor, and it holds no secret value, not even a digest of one. An error is the
// writer's.
func WriteText(w io.Writer, r Report, o TextOptions) error {
	t := &textView{options: o}
	t.head(r)
	t.stopped(r)
	t.mistakes(r.Mistakes)
	t.clusters(r)
	t.onPrism(r)
	if _, err := io.WriteString(w, strings.TrimLeft(t.b.String(), "\n")); err != nil {
		return fmt.Errorf("write plan as text: %w", err)
	}
	return nil
}

// textView is one text in the making.
type textView struct {
	b       strings.Builder
	options TextOptions
}

// style is an SGR parameter.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

func (t *textView) paint(s style, text string) string {
	if !t.options.Color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// colorOf a severity: red takes machines away or is refused, yellow replaces them.
func colorOf(s v1alpha1.Severity) style {
	switch rank := plan.Rank(s); {
	case rank > plan.Rank(v1alpha1.SeverityRollout):
		return red
	case rank == plan.Rank(v1alpha1.SeverityRollout):
		return yellow
	default:
		return plain
	}
}

func (t *textView) line(indent, text string) { t.b.WriteString(indent + text + "\n") }

// sentence breaks text between words where it is wider than the view; what follows is indented by four more.
func (t *textView) sentence(indent string, s style, text string) {
	if t.options.Width <= 0 {
		t.line(indent, t.paint(s, text))
		return
	}
	at, line := indent, ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(at)+utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > t.options.Width {
			t.line(at, t.paint(s, line))
			at, line = indent+"    ", ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	t.line(at, t.paint(s, line))
}

// head is the summary, with what is free where that is one sentence.
func (t *textView) head(r Report) {
	first, rest := summary(r), capacities(r)
	if len(rest) == 1 && strings.HasSuffix(first, " re-created") {
		first, rest = strings.Replace(first, ": ", ", ", 1)+" "+rest[0], nil
	}
	switch {
	case first != nothing:
		t.sentence("", bold, first)
	case len(r.Mistakes) == 0: // else "no change" would mislead
		t.sentence("", bold, Headline(r))
	}
	for _, line := range rest {
		t.sentence("", plain, line)
	}
	if between := compared(r); between != "" {
		t.sentence("", dim, between)
	}
	if r.Predicted {
		t.sentence("", yellow, predicted)
	}
	if r.Note != "" {
		t.sentence("", yellow, prose(r.Note))
	}
}

const predicted = "predicted from the files: neither the management cluster nor Prism Central was asked"

// compared says between which revisions; "" when neither is known.
func compared(r Report) string {
	switch {
	case r.Head == "" && r.Base == "":
		return ""
	case r.Base == "":
		return "from what is live to " + printable(short(r.Head))
	case r.Head == "":
		return "from " + printable(short(r.Base)) + " to the files as they are"
	default:
		return "from " + printable(short(r.Base)) + " to " + printable(short(r.Head))
	}
}

// stopped says what is refused, held and kept, and how to go on.
func (t *textView) stopped(r Report) {
	var lines []ClusterReport
	for _, c := range worstFirst(r.Clusters) {
		if v := verdictOf(c); v.stopped() || v == kept {
			lines = append(lines, c)
		}
	}
	rest := 0
	if len(lines) > foldStopped && !t.options.Full {
		lines, rest = lines[:foldStopped], len(lines)-foldStopped
	}
	for _, c := range lines {
		t.b.WriteString("\n")
		t.sentence("", red, stopLine(c))
	}
	if rest > 0 {
		t.line("", fmt.Sprintf("\n%d more refused, held or kept; --full shows each", rest))
	}
}

// stopLine is why nothing happens to a cluster.
func stopLine(c ClusterReport) string {
	v, name := verdictOf(c), printable(c.Plan.Cluster)
	word := "held"
	if v == refused {
		word = words[refused]
	}
	switch {
	case v == kept:
		return "kept: " + name + ": " + prose(c.Kept)
	case v == waits:
		return "held: " + name + " (preflight): " + plural(blocking(c.Findings), "finding") + " below; nothing is made until that is mended"
	case c.Decision != nil:
		return fmt.Sprintf("%s: %s (%s): %s", word, name, c.Decision.Reason, prose(c.Decision.Message))
	case v == inTheWay:
		return word + ": " + name + ": an object that is not ours is in the way, see below"
	default:
		return word + ": " + name + ": see below what to commit instead"
	}
}

func blocking(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Holds {
			n++
		}
	}
	return n
}

func (t *textView) mistakes(all []Mistake) {
	if len(all) == 0 {
		return
	}
	t.b.WriteString("\n")
	t.sentence("", red, plural(len(all), "mistake")+" in the files")
	for i, m := range all {
		if i == foldClusters && !t.options.Full {
			t.line("  ", fmt.Sprintf("and %d more; --full shows each", len(all)-i))
			return
		}
		t.sentence("  ", plain, m.String())
	}
}

// String is "file:line: message".
func (m Mistake) String() string {
	if m.Place == "" {
		return prose(m.Message)
	}
	return prose(m.Place) + ": " + prose(m.Message)
}
