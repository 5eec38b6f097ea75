package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// markdown puts a comment together under its limit: totals, then rows of the table up to half of what is left, then
// details, each the worst first. What does not fit is left out from the end, and counted.
func markdown(r Report, o MarkdownOptions) string {
	limit := cmp.Or(o.Limit, defaultLimit)
	clusters := worstFirst(r.Clusters)
	told := slices.DeleteFunc(slices.Clone(clusters), func(c ClusterReport) bool { return !c.detailed() })
	head, tail := opening(r, o, limit), room(r)+approval(r)
	space := limit - len(head) - len(tail)

	all := cut{}
	for _, c := range clusters {
		all.rows = append(all.rows, clusterRow(c))
	}
	if all.blocks = unfolded(told, space-len(all.table()), r.Predicted); len(all.blocks) == len(told) && len(all.table()) <= space {
		return head + all.table() + tail + all.details()
	}
	space -= len(clusterHead) + 1 + len(left(r, len(clusters), len(told)))
	some := cut{rows: fitting(all.rows, space/2)}
	some.blocks = fittingDetails(told, space-len(strings.Join(some.rows, "")), r.Predicted)
	rest := left(r, len(all.rows)-len(some.rows), len(told)-len(some.blocks))
	return bound(head+some.table()+tail+some.details()+rest, limit)
}

// detailed reports whether there is anything about a cluster that its row in the table does not say.
func (c ClusterReport) detailed() bool {
	return c.tells() || c.stands() || c.Kept != "" || c.PrismCentral != nil
}

// cut is as many clusters as fit.
type cut struct{ rows, blocks []string }

// unfolded is the details of all clusters, or of fewer when there is not the space for all of them.
func unfolded(clusters []ClusterReport, space int, predicted bool) []string {
	var out []string
	for _, c := range clusters {
		text := details(c, manyRows, len(clusters) == 1, predicted)
		if space -= len(text); space < 0 {
			break
		}
		out = append(out, text)
	}
	return out
}

func fitting(rows []string, space int) []string {
	for i, r := range rows {
		if space -= len(r); space < 0 {
			return rows[:i]
		}
	}
	return rows
}

// fittingDetails takes clusters until one does not fit, of which as much as fits is shown.
func fittingDetails(clusters []ClusterReport, space int, predicted bool) []string {
	out := unfolded(clusters, space, predicted)
	if len(out) == len(clusters) {
		return out
	}
	if short := details(clusters[len(out)], fewRows, false, predicted); len(short) <= space-len(strings.Join(out, "")) {
		out = append(out, short)
	}
	return out
}

func (c *cut) table() string {
	if len(c.rows) == 0 {
		return ""
	}
	return clusterHead + strings.Join(c.rows, "") + "\n"
}

func (c *cut) details() string { return strings.Join(c.blocks, "") }

// left says what was left out, and how to see it.
func left(r Report, rows, blocks int) string {
	var parts []string
	if rows > 0 {
		parts = append(parts, plural(rows, "row")+" of the table")
	}
	if blocks > 0 {
		parts = append(parts, "the details of "+plural(blocks, "cluster"))
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("**Left out, for this would be too long:** %s, the least severe. The totals above are complete. In a checkout %s shows all of it.\n",
		strings.Join(parts, " and "), code(command(r)))
}

// bound is the last resort where even the totals are too long.
func bound(s string, limit int) string {
	const end = "\n\nCut here: this is too long.\n"
	if len(s) <= limit || limit <= len(end) {
		return s
	}
	s = s[:limit-len(end)]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	if at := strings.LastIndexByte(s, '\n'); at > 0 {
		s = s[:at] // never within a code span
	}
	return s + end
}
