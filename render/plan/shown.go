package plan

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// notShown stands for a value that is not shown where it is a part of what is shown, or goes.
const notShown = "not shown"

var (
	// measured is how a plan stands for content by its size and digest, see measure.
	measured = regexp.MustCompile(`([0-9]+ bytes), sha256:[0-9a-f]{64}`)
	// argument is the end of a path to what a list of names and values gives one name.
	argument = regexp.MustCompile(`\[([^\[\]]*)\]\.(?:value|default)$`)
	// brackets in a path hold what somebody chose, beside the names of fields.
	brackets = regexp.MustCompile(`\[[^\[\]]*\]`)
)

// Shown gives both sides of a change as anybody may read them: "" where there is none, "changed" for what is or may be a
// secret, "created" and the like for a whole object. A plan keeps digests of contents, so that one does not stand for
// another; who guesses a content can prove the guess by such a digest, so people are shown none.
func (c Change) Shown() (from, to string) {
	switch {
	case c.Field == "":
		return "", whole(c)
	case hides(c):
		return hidden(c)
	}
	from, to = open(c.From), open(c.To)
	if from == to && c.From != c.To {
		return "", changedValue
	}
	return from, to
}

// whole says in a word what becomes of an object.
func whole(c Change) string {
	if !strings.HasPrefix(c.To, "sha256:") {
		return c.To
	}
	if c.Action == Create {
		return "created"
	}
	return changedValue
}

// hides reports whether the value of a field is nobody's business: contents of files, and what a name in brackets calls
// a password or the like.
func hides(c Change) bool {
	if m := argument.FindStringSubmatch(c.Field); m != nil && Hidden(m[1]) {
		return true
	}
	names := strings.FieldsFunc(brackets.ReplaceAllString(c.Field, ""), func(r rune) bool { return r == '.' })
	return slices.ContainsFunc(names, Hidden) || c.Opaque && (measured.MatchString(c.From) || measured.MatchString(c.To))
}

func hidden(c Change) (from, to string) {
	if c.To == "" {
		return notShown, ""
	}
	return "", changedValue
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
	return WithoutDigests(value)
}

// WithoutDigests takes out of words the digests by which a plan stands for contents; their sizes stay.
func WithoutDigests(words string) string { return measured.ReplaceAllString(words, "$1") }

// opened takes out in place what open is about, and reports whether there was any.
func opened(v any) bool {
	found := false
	switch v := v.(type) {
	case map[string]any:
		name, _ := v["name"].(string)
		for k, item := range v {
			text, isText := item.(string)
			switch {
			case isText && measured.MatchString(text), k == "value" && Hidden(name):
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
