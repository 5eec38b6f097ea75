package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// section of the values, in the order of values.yaml.
type section struct {
	title string
	rows  []row
}

// row is one value.
type row struct{ path, words string }

var (
	keyLine     = regexp.MustCompile(`^( *)([A-Za-z]+):(.*)$`)
	commentLine = regexp.MustCompile(`^ *# ?(.*)$`)
	titleLine   = regexp.MustCompile(`^##@ (.*)$`)
)

// schema is as much of a JSON schema as the table of values shows.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Enum       []string          `json:"enum"`
	Properties map[string]schema `json:"properties"`
	// Definitions are those of the whole.
	Definitions map[string]schema `json:"definitions"`
}

// readme is the chart's README.md: what values.yaml says, with types from values.schema.json.
func readme(chart string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml")) //nolint:gosec // a file of the source tree
	if err != nil {
		return nil, err
	}
	var defaults map[string]any
	if err = yaml.UnmarshalStrict(text, &defaults); err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	types, err := readSchema(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	out.WriteString(introduction)
	for _, s := range sections(string(text)) {
		fmt.Fprintf(&out, "\n### %s\n\n| value | type | default | meaning |\n| --- | --- | --- | --- |\n", s.title)
		for _, r := range s.rows {
			known, ok := types.at(strings.Split(r.path, "."))
			if !ok {
				return nil, fmt.Errorf("values.schema.json does not know %s", r.path)
			}
			value, err := json.Marshal(lookup(defaults, strings.Split(r.path, ".")))
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&out, "| `%s` | %s | `%s` | %s |\n", r.path, known.words(), value, r.words)
		}
	}
	return []byte(out.String()), errors.Join(undocumented(defaults, sections(string(text)))...)
}

func readSchema(path string) (schema, error) {
	var s schema
	text, err := os.ReadFile(path) //nolint:gosec // a file of the source tree
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("values.schema.json: %w", err)
	}
	return s, nil
}

// sections reads the comments of values.yaml: "##@" begins a section, and the comment above a key is about that key.
func sections(text string) []section {
	var found []section
	var above, parents []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if title := titleLine.FindStringSubmatch(line); title != nil {
			found, above = append(found, section{title: title[1]}), nil
			continue
		}
		if comment := commentLine.FindStringSubmatch(line); comment != nil {
			above = append(above, comment[1])
			continue
		}
		if key := keyLine.FindStringSubmatch(line); key != nil {
			depth := len(key[1]) / 2
			parents = append(parents[:min(depth, len(parents))], key[2])
			if len(above) > 0 && len(found) > 0 {
				last := &found[len(found)-1]
				last.rows = append(last.rows, row{path: strings.Join(parents, "."), words: strings.Join(above, " ")})
			}
		}
		above = nil
	}
	return found
}

// undocumented finds values that no comment is about.
func undocumented(defaults map[string]any, all []section) []error {
	said := map[string]bool{}
	for _, s := range all {
		for _, r := range s.rows {
			said[r.path] = true
		}
	}
	var missing []error
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		if said[prefix] {
			return
		}
		children, isMap := value.(map[string]any)
		if !isMap || len(children) == 0 {
			missing = append(missing, fmt.Errorf("values.yaml: %s has no comment", prefix))
			return
		}
		for key, child := range children {
			walk(prefix+"."+key, child)
		}
	}
	for key, value := range defaults {
		walk(key, value)
	}
	return missing
}

func lookup(values map[string]any, path []string) any {
	value := values[path[0]]
	if len(path) == 1 {
		return value
	}
	below, _ := value.(map[string]any)
	return lookup(below, path[1:])
}

// at is the schema of a value; types is the whole schema.
func (types schema) at(path []string) (schema, bool) {
	s := types
	for _, key := range path {
		next, ok := s.Properties[key]
		if !ok {
			return schema{}, false
		}
		if name, referred := strings.CutPrefix(next.Ref, "#/definitions/"); referred {
			next = types.Definitions[name]
		}
		s = next
	}
	return s, true
}

// words says what a value may be.
func (types schema) words() string {
	if len(types.Enum) > 0 {
		return "`" + strings.Join(types.Enum, "`, `") + "`"
	}
	if several, ok := types.Type.([]any); ok {
		var names []string
		for _, name := range several {
			names = append(names, fmt.Sprint(name))
		}
		return strings.Join(names, " or ")
	}
	return fmt.Sprint(types.Type)
}
