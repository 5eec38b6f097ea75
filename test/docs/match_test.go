package docs

import (
	"regexp"
	"strings"
	"testing"
)

const anything = "…"

// matches compares what a command printed with what a page shows. Runs of blanks count as one, since columns are as wide
// as their values; … stands for anything within a line, and a line of nothing but … for any number of lines.
func matches(shown, printed string) bool {
	var pattern strings.Builder
	for _, line := range lines(shown) {
		if line == anything {
			pattern.WriteString(`(?:[^\n]*\n)*`)
			continue
		}
		for i, part := range strings.Split(line, anything) {
			if i > 0 {
				pattern.WriteString(`[^\n]*`)
			}
			pattern.WriteString(regexp.QuoteMeta(part))
		}
		pattern.WriteString(`\n`)
	}
	text := strings.Join(append(lines(printed), ""), "\n")
	return regexp.MustCompile(`\A` + pattern.String() + `\z`).MatchString(text)
}

// lines without blanks at the ends and runs of them within, and without empty lines at the end.
func lines(text string) []string {
	var all []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}

func TestMatches(t *testing.T) {
	cases := map[string]struct {
		reason         string
		shown, printed string
		want           bool
	}{
		"Equal":      {"the same text", "a b\nc\n", "a b\nc\n", true},
		"Columns":    {"columns may be of other width", "NAME  AGE\na     1d", "NAME        AGE\na           1d\n", true},
		"Within":     {"a wildcard stands for a part of a line", "edge-01 …d", "edge-01 True 4d\n", true},
		"OneLine":    {"and never for two lines", "edge-01 … 4d", "edge-01\nedge-02 4d\n", false},
		"Lines":      {"a line of it stands for lines", "a\n…\nz", "a\nb\nc\nz\n", true},
		"NoLines":    {"also for none", "a\n…\nz", "a\nz\n", true},
		"Missing":    {"what is shown must be printed", "a\nb", "a\n", false},
		"More":       {"and nothing else", "a", "a\nb\n", false},
		"Characters": {"signs of patterns mean themselves", "a.b (c)", "axb (c)", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := matches(c.shown, c.printed); got != c.want {
				t.Errorf("%s: %v", c.reason, got)
			}
		})
	}
}
