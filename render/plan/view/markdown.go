package view

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// MarkdownOptions of WriteMarkdown.
type MarkdownOptions struct {
	// Limit of the whole in bytes. 0: 60000, which GitHub and Gitea take.
	Limit int
	// Marker that a comment is found by, see [MarkerComment]. Empty: none.
	Marker string
}

// WriteMarkdown writes a report for a pull request.
func WriteMarkdown(w io.Writer, r Report, o MarkdownOptions) error {
	if _, err := io.WriteString(w, Headline(r)+"\n"); err != nil {
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
