package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/refract-dev/refract/render/plan/view"
)

// write prints the explanation; now is for ages, which only the text has.
func (e explanation) write(out io.Writer, format string, now time.Time) error {
	if format == outputJSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(e)
	}
	t := explainText{now: now}
	t.answer(e)
	for _, l := range layers {
		t.layer(e, l.name, l.title)
	}
	for i, u := range e.Unread {
		if i == 0 {
			t.buffer.WriteString("\nNot read\n")
		}
		t.line(u)
	}
	_, err := out.Write(t.buffer.Bytes())
	return err
}

type explainText struct {
	buffer bytes.Buffer
	now    time.Time
	// told is what was said already: conditions repeat each other.
	told []string
	// above is the Machine that the line before was about.
	above string
}

// answer is the paragraph that comes first.
func (t *explainText) answer(e explanation) {
	fmt.Fprintf(&t.buffer, "Cluster %s is %s%s", e.Cluster, e.State, t.since(", for", e.Since))
	if e.Healthy {
		t.buffer.WriteString(": what Git declares is accepted, applied and healthy.\n")
		return
	}
	fmt.Fprintf(&t.buffer, ": %s Next: %s\n", sentence(e.Cause), sentence(e.Next))
	t.told = append(t.told, e.Cause, e.Next)
	for _, a := range e.Also {
		fmt.Fprintf(&t.buffer, "Also: %s\n", sentence(a))
		t.told = append(t.told, a)
	}
}

// sentence ends a text with one stop.
func sentence(s string) string {
	s = strings.TrimRight(s, ".; ")
	if strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!") {
		return s
	}
	return s + "."
}

// once is a message, or that it was told above.
func (t *explainText) once(message string) string {
	const long = 40 // What is shorter may be said twice.
	repeats := func(before string) bool {
		return len(message) > long && (strings.Contains(before, message) || len(before) > long && strings.Contains(message, before))
	}
	if slices.ContainsFunc(t.told, repeats) {
		return "as told above"
	}
	t.told = append(t.told, message)
	return message
}

// since is how long ago something was.
func (t *explainText) since(word string, at *time.Time) string {
	if at == nil {
		return ""
	}
	return word + " " + duration.HumanDuration(t.now.Sub(*at)) + " (" + at.Format("2006-01-02 15:04") + " UTC)"
}

func (t *explainText) layer(e explanation, name, title string) {
	head := "\n" + title + "\n"
	for _, one := range e.Evidence {
		if one.Layer != name {
			continue
		}
		t.buffer.WriteString(head)
		head = ""
		switch name {
		case layerGit:
			t.git(one)
		case layerMachine:
			t.machine(one)
		default:
			t.plain(one)
		}
	}
	if name == layerPlan && e.Plan != nil {
		t.plan(e.report)
	}
}

func (t *explainText) line(s string) { t.buffer.WriteString("  " + s + "\n") }

// git tells where something stands: "accepted: fleet/edge-01.yaml:3 at main@sha1:… “More memory” by Ada".
func (t *explainText) git(e evidence) {
	if e.Reason != "" || e.Revision == "" {
		t.plain(e)
		return
	}
	words := []string{e.Message + ":"}
	if e.Place != "" {
		words = append(words, e.Place, "at")
	}
	words = append(words, e.Revision)
	if e.Author != "" {
		words = append(words, fmt.Sprintf("%q by %s %s", e.Subject, e.Author, t.ago(e.Since)))
	}
	t.line(strings.Join(words, " "))
}

func (t *explainText) ago(at *time.Time) string {
	if at == nil {
		return ""
	}
	return duration.HumanDuration(t.now.Sub(*at)) + " ago"
}

// plain is "condition (reason) object place 3h ago: message".
func (t *explainText) plain(e evidence) {
	var words []string
	reason := ""
	if e.Reason != "" {
		reason = "(" + e.Reason + ")"
	}
	for _, w := range []string{e.Condition, reason, e.Object, e.Place, t.ago(e.Since)} {
		if w != "" {
			words = append(words, w)
		}
	}
	t.line(strings.Join(words, " ") + ": " + t.once(e.Message))
}

// machine goes down from what owns a Machine to the task.
func (t *explainText) machine(e evidence) {
	indent := ""
	for _, step := range []string{e.Owner, "Machine/" + e.Machine} {
		if e.Machine == "" || step == "" || step == e.Object && t.above != e.Machine {
			continue
		}
		if t.above != e.Machine {
			t.line(indent + step)
		}
		indent += "  "
	}
	t.above = e.Machine
	ago := t.ago(e.Since)
	if ago != "" {
		ago = " " + ago
	}
	t.line(fmt.Sprintf("%s%s %s (%s)%s: %s", indent, e.Object, e.Condition, e.Reason, ago, t.once(strings.TrimRight(e.Message, "; "))))
	if e.Task != "" {
		t.line(indent + "  task in Prism Central: " + e.Task)
	}
	if e.Help != "" {
		t.line(indent + "  what helps: " + t.once(e.Help))
	}
}

func (t *explainText) plan(r view.Report) {
	var b bytes.Buffer
	if err := view.WriteText(&b, r, view.TextOptions{}); err != nil {
		return // Into memory.
	}
	for l := range strings.SplitSeq(strings.TrimSpace(b.String()), "\n") {
		t.line(strings.TrimRight(l, " "))
	}
}
