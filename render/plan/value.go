package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	// changedValue stands for every secret value.
	changedValue = "changed"
	// longestValue is shown as it is; a longer one as its size and digest.
	longestValue = 160
)

// secretFields are parts of names of fields whose values are never shown, whatever object they are in.
var secretFields = []string{"passw", "token", "apikey", "privatekey", "accesskey", "secretkey", "certificatekey", "clientsecret"}

// bulkyFields may hold anything, also secrets: files of a machine. In plans they show as size and digest, so that one
// content does not stand for another.
var bulkyFields = []string{"content", "additionalconfig"}

// Hidden reports whether the value of a field is not to be shown to people: passwords, tokens, keys, and the contents of
// files.
func Hidden(field string) bool { return isSecretField(field) || isBulkyField(field) }

// show gives both sides of a delta for people: secret values as "changed", without a digest; long ones as size and
// digest.
func show(kind string, d delta) (from, to string) {
	if secret(kind, d.path) {
		return "", changedValue
	}
	bulky := slices.ContainsFunc(d.path, isBulkyField)
	from, to = display(d.from, d.hasFrom, bulky), display(d.to, d.hasTo, bulky)
	if from == to {
		// They differ only in what redact hides.
		return "", changedValue
	}
	return from, to
}

func secret(kind string, at path) bool {
	if kind == "Secret" && (at.under("data") || at.under("stringData")) {
		return true
	}
	return slices.ContainsFunc(at, isSecretField)
}

// isSecretField looks at names of fields only: what stands in brackets, such as the path of a file, somebody chose.
func isSecretField(name string) bool {
	return !strings.HasPrefix(name, "[") && slices.ContainsFunc(secretFields, func(part string) bool { return strings.Contains(strings.ToLower(name), part) })
}

func isBulkyField(name string) bool { return slices.Contains(bulkyFields, strings.ToLower(name)) }

// redact copies a value without what isSecretField names, and with sizes and digests for what isBulkyField names.
func redact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			switch text, isText := item.(string); {
			case isSecretField(k):
				out[k] = changedValue
			case isBulkyField(k) && isText:
				out[k] = measure(text)
			default:
				out[k] = redact(item)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = redact(item)
		}
		return out
	default:
		return v
	}
}

// holdsSecret reports whether redact hides anything of a value.
func holdsSecret(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			if isSecretField(k) || holdsSecret(item) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, holdsSecret)
	}
	return false
}

func display(v any, ok, bulky bool) string {
	if !ok {
		return ""
	}
	s, isString := v.(string)
	switch {
	case !isString:
		s = compact(redact(v))
	case s == "":
		return `""`
	}
	if bulky || len(s) > longestValue || strings.ContainsAny(s, "\n\r") {
		return measure(s)
	}
	return s
}

// measure stands for a value by its size and digest.
func measure(s string) string { return fmt.Sprintf("%d bytes, %s", len(s), digestOf([]byte(s))) }

// compact is JSON with sorted keys and no HTML escapes.
func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// digestOf is "sha256:" and 64 hexadecimal digits.
func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// contentDigest is over what a new object says, without secret values.
func contentDigest(kind string, content map[string]any) string {
	open := make(map[string]any, len(content))
	for k, v := range content {
		if kind == "Secret" && (k == "data" || k == "stringData") {
			v = keysOnly(v)
		}
		open[k] = redact(v)
	}
	return digestOf([]byte(compact(open)))
}

func keysOnly(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return changedValue
	}
	out := make(map[string]any, len(m))
	for k := range m {
		out[k] = changedValue
	}
	return out
}
