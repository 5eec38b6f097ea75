package view

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/refract-dev/refract/render/plan"
)

const (
	// changed stands for every value that is not shown.
	changed = "changed"
	// notShown stands for such a value where it is a part of what is shown, or goes.
	notShown = "not shown"
)

var (
	// measured is how a plan stands for content by its size and digest.
	measured = regexp.MustCompile(`([0-9]+ bytes), sha256:[0-9a-f]{64}`)
	// argument is the end of a path to what a list of names and values gives one name.
	argument = regexp.MustCompile(`\[([^\[\]]*)\]\.(?:value|default)$`)
	// brackets in a path hold what somebody chose, beside the names of fields.
	brackets = regexp.MustCompile(`\[[^\[\]]*\]`)
)

// shown gives both sides of a change as anybody may read them. A plan keeps digests of contents, so that one does not
// stand for another; who guesses a content can prove the guess by such a digest, so no view shows one.
func shown(c plan.Change) (from, to string) {
	switch {
	case c.Field == "":
		return "", whole(c)
	case hides(c):
		return hidden(c)
	}
	from, to = open(c.From), open(c.To)
	if from == to {
		return "", changed
	}
	return from, to
}

// whole says in a word what becomes of an object.
func whole(c plan.Change) string {
	if !strings.HasPrefix(c.To, "sha256:") {
		return c.To
	}
	if c.Action == plan.Create {
		return "created"
	}
	return changed
}

// hides reports whether the value of a field is nobody's business: contents of files, and what a name in brackets calls
// a password or the like.
func hides(c plan.Change) bool {
	if m := argument.FindStringSubmatch(c.Field); m != nil && plan.Hidden(m[1]) {
		return true
	}
	names := strings.FieldsFunc(brackets.ReplaceAllString(c.Field, ""), func(r rune) bool { return r == '.' })
	return slices.ContainsFunc(names, plan.Hidden) || c.Opaque && (measured.MatchString(c.From) || measured.MatchString(c.To))
}

func hidden(c plan.Change) (from, to string) {
	if c.To == "" {
		return notShown, ""
	}
	return "", changed
}

// open takes out of a value what is a digest of a content, or called a password by the name beside it. The size stays of
// what is merely long.
func open(value string) string {
	var v any
	if (strings.HasPrefix(value, "{") || strings.HasPrefix(value, "[")) && json.Unmarshal([]byte(value), &v) == nil && opened(v) {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return notShown
		}
		return strings.TrimSuffix(b.String(), "\n")
	}
	return measured.ReplaceAllString(value, "$1")
}

// opened takes out in place what open is about, and reports whether there was any.
func opened(v any) bool {
	found := false
	switch v := v.(type) {
	case map[string]any:
		name, _ := v["name"].(string)
		for k, item := range v {
			text, isText := item.(string)
			switch {
			case isText && measured.MatchString(text), k == "value" && plan.Hidden(name):
				v[k], found = notShown, true
			case opened(item):
				found = true
			}
		}
	case []any:
		for _, item := range v {
			found = opened(item) || found
		}
	}
	return found
}

// printable quotes what could move a terminal's cursor or turn the direction of writing.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// prose is printable for sentences, where the end of a line is no trick.
func prose(s string) string { return printable(strings.Join(strings.Fields(s), " ")) }
