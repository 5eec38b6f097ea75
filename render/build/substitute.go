package build

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// reference is a variable in a string scalar. Only this form counts: ${X} belongs to shells.
var reference = regexp.MustCompile(`\$\{\{\s*([^{}]*?)\s*\}\}`)

// Reference is one use of a variable.
type Reference struct {
	// Name of the variable.
	Name string
	// Field that uses it, such as spec.template.spec.containers[0].image.
	Field string
}

// Substitute replaces ${{ name }} in every string scalar of obj, which is made of map[string]any, []any and scalars, in
// place; keys are left alone. A value is put in once: references inside it are not followed. References to names that
// values lacks stay as they are and are reported, sorted by field.
func Substitute(obj map[string]any, values map[string]string) error {
	missing := map[string]error{}
	substitute(obj, "", func(field, s string) string {
		return reference.ReplaceAllStringFunc(s, func(match string) string {
			name := reference.FindStringSubmatch(match)[1]
			value, ok := values[name]
			if !ok {
				missing[field+"\x00"+name] = fmt.Errorf("%s: variable %q is not declared", field, name)
				return match
			}
			return value
		})
	})
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		errs = append(errs, missing[key])
	}
	return errors.Join(errs...)
}

// References returns the variables that obj's string scalars use, sorted by field and name.
func References(obj map[string]any) []Reference {
	var out []Reference
	substitute(obj, "", func(field, s string) string {
		for _, match := range reference.FindAllStringSubmatch(s, -1) {
			out = append(out, Reference{Name: match[1], Field: field})
		}
		return s
	})
	slices.SortFunc(out, func(a, b Reference) int {
		return strings.Compare(a.Field+"\x00"+a.Name, b.Field+"\x00"+b.Name)
	})
	return slices.Compact(out)
}

// substitute rewrites the string scalars below v. What does not change is not written: many readers may share it.
func substitute(v any, field string, rewrite func(field, s string) string) {
	each := func(field string, child any, set func(string)) {
		s, isText := child.(string)
		if !isText {
			substitute(child, field, rewrite)
		} else if changed := rewrite(field, s); changed != s {
			set(changed)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			each(join(field, key), v[key], func(s string) { v[key] = s })
		}
	case []any:
		for i := range v {
			each(field+"["+strconv.Itoa(i)+"]", v[i], func(s string) { v[i] = s })
		}
	}
}

func join(field, key string) string {
	switch {
	case strings.ContainsAny(key, "./"):
		return field + "[" + key + "]"
	case field == "":
		return key
	}
	return field + "." + key
}
