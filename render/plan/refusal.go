package plan

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// shortestLine of a file that is looked for in what the API server says; shorter ones are in many a sentence.
const shortestLine = 6

// refusal is the API server's words on p. Where they quote a secret they are not repeated, whoever's webhook or policy
// wrote them.
func refusal(p Pair) string {
	words := strings.TrimSpace(p.Refused)
	if slices.ContainsFunc(secretsOf(p.Want), func(s string) bool { return strings.Contains(words, s) }) {
		return "its words quote a secret value, so they are not shown; `kubectl apply --dry-run=server` of the object tells them"
	}
	return words
}

// Unshown stands in a view for everybody in the place of words that only those may read who ask for themselves.
const Unshown = "what it says is not for everybody here; `refract plan` shows it to who may ask"

var denial = regexp.MustCompile(`(?:admission webhook "([^"]*)" )?denied (?:the )?request`)

// Outsider reports whether words of an API server are those of an admission webhook or policy other than Cluster API's
// own, whose names end in x-k8s.io. They may be about anything that its author knows of.
func Outsider(words string) bool {
	found := denial.FindStringSubmatch(words)
	return found != nil && found[1] != "x-k8s.io" && !strings.HasSuffix(found[1], ".x-k8s.io")
}

// secretsOf lists the values of o that are never shown, in every form in which they may be quoted.
func secretsOf(o *unstructured.Unstructured) []string {
	var out []string
	isSecret := o.GetKind() == "Secret"
	for k, v := range substance(o) {
		collectSecrets(v, isSecret && (k == "data" || k == "stringData") || isSecretField(k), &out)
	}
	return out
}

func collectSecrets(v any, hidden bool, into *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			content, isText := item.(string)
			if isBulkyField(k) && isText {
				*into = append(*into, longLines(content)...)
				continue
			}
			collectSecrets(item, hidden || isSecretField(k), into)
		}
	case []any:
		for _, item := range v {
			collectSecrets(item, hidden, into)
		}
	default:
		if hidden && v != nil {
			*into = append(*into, quoted(fmt.Sprint(v))...)
		}
	}
}

// quoted lists the forms of a secret value in which words may hold it.
func quoted(s string) []string {
	if s == "" {
		return nil
	}
	out := append(longLines(s), s)
	if plain, err := base64.StdEncoding.DecodeString(s); err == nil {
		out = append(out, string(plain))
	}
	return out
}

func longLines(content string) []string {
	var out []string
	for line := range strings.Lines(content) {
		if line = strings.TrimSpace(line); len(line) >= shortestLine {
			out = append(out, line)
		}
	}
	return out
}
