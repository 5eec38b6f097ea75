package view_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/refract-dev/refract/render/plan/view"
)

// TestCut: whatever the limit, a comment stays under it, tells the totals, begins with the worst cluster, closes what it
// opens, counts what it leaves out, and is the same the next time.
func TestCut(t *testing.T) {
	r := many(t)
	total := regexp.MustCompile(`(\d+) rows of the table`)
	for _, limit := range []int{0, 4000, 4001, 5000, 7500, 12345, 60000, 300000} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			var first, again bytes.Buffer
			for _, out := range []*bytes.Buffer{&first, &again} {
				if err := view.WriteMarkdown(out, r, view.MarkdownOptions{Limit: limit, Marker: "refract"}); err != nil {
					t.Fatal(err)
				}
			}
			text := first.String()
			if text != again.String() {
				t.Error("the same report looks different the second time")
			}
			if most := max(limit, 0); most > 0 && len(text) > most || len(text) > 300000 {
				t.Errorf("%d bytes, the limit is %d", len(text), limit)
			}
			if limit == 0 && len(text) > 60000 {
				t.Errorf("%d bytes without a limit of its own", len(text))
			}
			if !strings.Contains(text, view.Headline(r)) || !strings.Contains(text, "883 machines re-created") {
				t.Errorf("the totals are gone: %.300s", text)
			}
			if row := strings.Index(text, "| `edge-"); row >= 0 && !strings.HasPrefix(text[row:], "| `edge-077` | 4 | 0 | Forbidden | refused |") {
				t.Errorf("the worst cluster does not come first: %.80s", text[row:])
			}
			if opened, closed := strings.Count(text, "<details"), strings.Count(text, "</details>"); opened != closed {
				t.Errorf("%d folds open and %d close", opened, closed)
			}
			left := 0
			if m := total.FindStringSubmatch(text); m != nil {
				left, _ = strconv.Atoi(m[1])
			}
			if rows := strings.Count(text, "\n| `edge-"); rows+left != 300 {
				t.Errorf("%d rows and %d left out, of 300", rows, left)
			}
			blocks := strings.Count(text, "<details")
			if says := fmt.Sprintf("the details of %d clusters", 300-blocks); blocks < 300 && !strings.Contains(text, says) {
				t.Errorf("%d clusters in detail, and the comment does not say %q", blocks, says)
			}
			if blocks < 300 && !strings.Contains(text, "`refract plan PATH --base 1f3c9a2b7d5e4f60718293a4b5c6d7e8f9012345 --head 8c0d1e2f3a4b5c6d7e8f90123456789abcdef012 --fleet production --namespace clusters --full`") {
				t.Error("the comment does not say how to see the rest")
			}
		})
	}
}

// TestCutOfLongTotals: mistakes without end are cut, too, and never within a code span.
func TestCutOfLongTotals(t *testing.T) {
	r := mistakes()
	for range 500 {
		r.Mistakes = append(r.Mistakes, view.Mistake{Place: "a.yaml:1", Message: strings.Repeat("@x wrong ", 200)})
	}
	var out bytes.Buffer
	if err := view.WriteMarkdown(&out, r, view.MarkdownOptions{Limit: 10000}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if len(text) > 10000 || !strings.Contains(text, "502 mistakes in the files") || strings.Contains(prose(t, text), "@") {
		t.Errorf("%d bytes: %.500s", len(text), text)
	}
}
