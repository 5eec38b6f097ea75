package view

import (
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Longest pieces of a comment in runes: one value may be as long as a file.
const (
	longestCode  = 200
	longestProse = 1000
)

var (
	// safe words mean nothing to Markdown, and to no forge: no mention, no reference, no emphasis, no HTML.
	safe = regexp.MustCompile(`^[\pL\pN.,;:'"()%=/+→…?-]+$`)
	// telling words look safe and are links, references (GH-12), emoji (:x:) or the like all the same.
	telling = regexp.MustCompile(`(?i)://|www\.|gh-[0-9]|:[a-z0-9_+-]*[a-z+-][a-z0-9_+-]*:|^[-+=]+$`)
	// wrapped is a word with the punctuation around it.
	wrapped = regexp.MustCompile(`^(\(*)(.*?)([).,;:?]*)$`)
	ticks   = regexp.MustCompile("`+")
)

// code is any text as a code span: forges look for no mentions and references in those, and nothing ends it from within.
// A comment's opening is torn apart, so that no value is taken for a marker.
func code(s string) string {
	s = strings.ReplaceAll(clip(printable(s), longestCode), "<!--", "<! --")
	if s == "" {
		return ""
	}
	fence := "`"
	for _, run := range ticks.FindAllString(s, -1) {
		if len(run) >= len(fence) {
			fence = strings.Repeat("`", len(run)+1)
		}
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.HasPrefix(s, " ") && strings.HasSuffix(s, " ") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// sentence is text with code in backticks, such as a message of the gate. What of it could mean anything to Markdown or
// a forge stands in code spans, too.
func sentence(s string) string {
	s = clip(prose(s), longestProse)
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 {
		parts = []string{strings.ReplaceAll(s, "`", "'")} // not in pairs: no code
	}
	var out []string
	for i, part := range parts {
		if i%2 == 1 {
			out = append(out, code(part))
		} else {
			out = append(out, spanned(part))
		}
	}
	return glue(out)
}

// spanned puts the words of a text that are not safe into code spans, neighbours into one.
func spanned(s string) string {
	var out, odd []string
	before := ""
	flush := func(after string) {
		if len(odd) > 0 {
			out = append(out, before+code(strings.Join(odd, " "))+after)
		}
		odd, before = nil, ""
	}
	for word := range strings.FieldsSeq(s) {
		if safe.MatchString(word) && !telling.MatchString(word) {
			flush("")
			out = append(out, word)
			continue
		}
		parts := wrapped.FindStringSubmatch(word)
		if parts[1] != "" {
			flush("")
			before = parts[1]
		}
		odd = append(odd, parts[2])
		if parts[3] != "" {
			flush(parts[3])
		}
	}
	flush("")
	text := strings.Join(out, " ")
	if strings.HasPrefix(s, " ") {
		text = " " + text
	}
	if strings.HasSuffix(s, " ") && strings.TrimSpace(s) != "" {
		text += " "
	}
	return text
}

// glue joins pieces, and keeps two code spans from running into one.
func glue(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		if strings.HasSuffix(b.String(), "`") && strings.HasPrefix(p, "`") {
			b.WriteString(" ")
		}
		b.WriteString(p)
	}
	return strings.TrimSpace(b.String())
}

// row of a table. Only code spans in its cells can hold bars, and there a backslash is taken off again.
func row(cells ...string) string {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// tag is text inside of HTML, as in a summary.
func tag(s string) string {
	return "<code>" + html.EscapeString(clip(printable(s), longestCode)) + "</code>"
}

func clip(s string, longest int) string {
	if utf8.RuneCountInString(s) <= longest {
		return s
	}
	return string([]rune(s)[:longest]) + "…"
}
