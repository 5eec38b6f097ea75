package view

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// MarkdownOptions of WriteMarkdown.
type MarkdownOptions struct {
	// Limit of the whole in bytes. 0: 60000, which GitHub and Gitea take. One of less than 4000 may be passed by the totals.
	Limit int
	// Marker that a comment is found by, see [MarkerComment]. Empty: none.
	Marker string
	// Reviewed: the operator keeps the plan of this report, so that at the merge anything worse is held. Default: only
	// limits decide then.
	Reviewed bool
}

const (
	defaultLimit = 60000
	// longestList of mistakes, which stand above all clusters.
	longestList = 20
)

// WriteMarkdown writes a report for a pull request, as GitHub and Gitea show it: the worst in words, a row for each
// cluster, what Prism Central has room for, what happens at the merge, then each cluster, the worst first, with why each
// machine rolls. What comes from files pings nobody, refers to nothing, and breaks out of nothing. What does not fit under
// the limit is left out from the end, totals never, and a sentence says so. It holds no secret value, not even a digest
// of one. An error is the writer's.
func WriteMarkdown(w io.Writer, r Report, o MarkdownOptions) error {
	if _, err := io.WriteString(w, markdown(r, o)); err != nil {
		return fmt.Errorf("write plan as markdown: %w", err)
	}
	return nil
}

// MarkerComment is the HTML comment that WriteMarkdown begins with for a marker, as it stands in the body: what to look
// for to find the comment again. A marker that is such a comment already stays as it is.
func MarkerComment(marker string) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(marker), "<!--"), "-->")
	inner = strings.Join(strings.FieldsFunc(inner, func(r rune) bool {
		return r == '<' || r == '>' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if inner == "" {
		return ""
	}
	return "<!-- " + inner + " -->"
}

// opening is what stands above the clusters and is never cut.
func opening(r Report, o MarkdownOptions, limit int) string {
	var b strings.Builder
	if marker := MarkerComment(o.Marker); marker != "" {
		b.WriteString(marker + "\n")
	}
	b.WriteString("### Refract plan: " + Headline(r) + "\n\n")
	if r.Predicted {
		b.WriteString("> **Predicted from the files.** Neither the management cluster nor Prism Central was asked: what is live there, and whether it fits, is not known.\n")
	}
	if r.Note != "" {
		b.WriteString("> **Note:** " + sentence(r.Note) + "\n")
	}
	if r.Predicted || r.Note != "" {
		b.WriteString("\n")
	}
	if about := about(r); about != "" {
		b.WriteString(about + "\n\n")
	}
	b.WriteString(merge(r, o.Reviewed) + "\n")
	mistakes(&b, r.Mistakes, limit/3)
	return b.String()
}

// about says what was compared, and of which Fleet.
func about(r Report) string {
	var parts []string
	if r.Fleet != "" {
		parts = append(parts, "Fleet "+code(r.Fleet))
	}
	switch {
	case r.Base != "" && r.Head != "":
		parts = append(parts, "from "+code(short(r.Base))+" to "+code(short(r.Head)))
	case r.Head != "":
		parts = append(parts, "from what is live to "+code(short(r.Head)))
	case r.Base != "":
		parts = append(parts, "from "+code(short(r.Base))+" to the files as they are")
	}
	if r.Unchanged > 0 {
		parts = append(parts, plural(r.Unchanged, "cluster")+" unchanged")
	}
	if len(parts) == 0 {
		return ""
	}
	about := strings.Join(parts, ", ") + "."
	return strings.ToUpper(about[:1]) + about[1:]
}

// merge says what a merge does.
func merge(r Report, reviewed bool) string {
	count := tallied(r)
	var b strings.Builder
	add := func(n int, one, several string) {
		if n == 1 {
			b.WriteString("- 1 cluster " + one + "\n")
		} else if n > 1 {
			fmt.Fprintf(&b, "- %d clusters %s\n", n, several)
		}
	}
	add(count[refused], "is refused: it stays as it is until its files are mended", "are refused: they stay as they are until their files are mended")
	add(count[inTheWay], "waits: an object that is not ours is in the way, so nothing is written", "wait: objects that are not ours are in the way, so nothing is written")
	add(count[blocked], "is blocked: it stays as it is until what stands below is mended", "are blocked: they stay as they are until what stands below is mended")
	add(count[held], "is held: it stays as it is until somebody approves, or the files ask for less", "are held: they stay as they are until somebody approves, or the files ask for less")
	add(count[waits], "is held by preflight: nothing is made until what it found is mended", "are held by preflight: nothing is made until what it found is mended")
	add(count[kept], "is kept although its file is gone", "are kept although their files are gone")
	add(count[unasked], "changes as shown, as far as the limits let it", "change as shown, as far as the limits let them")
	add(count[goesOn], "changes as shown", "change as shown")
	if len(r.Mistakes) > 0 {
		b.WriteString("- what the mistakes are about stays as it was accepted last\n")
	}
	if b.Len() == 0 {
		return "**At the merge** nothing changes.\n"
	}
	again := "Refract plans again then, and the limits decide."
	if reviewed {
		again = "Refract plans again then: what is shown here goes on under the limits, anything worse is held."
	}
	if count[goesOn]+count[unasked] > 0 {
		b.WriteString("\n" + again + "\n")
	}
	return "**At the merge**\n\n" + b.String()
}

// mistakes lists as many as fit.
func mistakes(b *strings.Builder, all []Mistake, space int) {
	if len(all) == 0 {
		return
	}
	b.WriteString("**" + plural(len(all), "mistake") + " in the files**\n\n")
	for i, m := range all {
		line := "- Mistake: " + sentence(m.Message) + "\n"
		if m.Place != "" {
			line = "- " + code(m.Place) + ": " + sentence(m.Message) + "\n"
		}
		if space -= len(line); space < 0 || i == longestList {
			fmt.Fprintf(b, "- and %d more, which `refract validate PATH` shows\n", len(all)-i)
			break
		}
		b.WriteString(line)
	}
	b.WriteString("\n")
}

// room is what Prism Central has for the plan.
func room(r Report) string {
	if len(r.Capacity) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("**Room in Prism Central** while everything rolls at once\n\n")
	for i, line := range capacities(r) {
		mark := ""
		if r.Capacity[i].short() {
			mark = "**Short:** "
		}
		b.WriteString("- " + mark + sentence(line) + "\n")
	}
	return b.String() + "\n"
}

// approval says how to let all that is held go on.
func approval(r Report) string {
	namespace, name, named := strings.Cut(r.Fleet, "/")
	if r.Digest == "" || !named {
		return ""
	}
	return "**To let all that is held go on**, somebody who may approve runs " +
		code(plan.ApproveCommand(namespace, name, "", r.Digest)) + ", or puts the trailer " +
		code(v1alpha1.ApproveTrailer+": "+r.Digest) + " into a commit message, such as that of the merge.\n\n"
}

var revision = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/@:-]*$`)

// command shows all of a report in a checkout.
func command(r Report) string {
	words := []string{"refract plan PATH"}
	for _, flag := range []struct{ name, value string }{{"--base", r.Base}, {"--head", r.Head}} {
		value := flag.value
		if _, commit, ok := strings.Cut(value, "@sha1:"); ok {
			value = commit
		}
		if revision.MatchString(value) {
			words = append(words, flag.name, value)
		}
	}
	if namespace, name, ok := strings.Cut(r.Fleet, "/"); ok && !r.Predicted {
		words = append(words, "--fleet", name, "--namespace", namespace)
	}
	return strings.Join(append(words, "--full"), " ")
}
