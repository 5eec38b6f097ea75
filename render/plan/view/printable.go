package view

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/refract-dev/refract/render/plan"
)

// printable quotes what could move a terminal's cursor or turn the direction of writing.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// prose is printable for sentences, where the end of a line is no trick, without digests of contents.
func prose(s string) string {
	return printable(strings.Join(strings.Fields(plan.WithoutDigests(s)), " "))
}
