package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Document is one YAML document of a file.
type Document struct {
	// Path of the file, relative to the snapshot's root.
	Path string
	// Line of the document's first line with content, from 1.
	Line int
	// Node is the document's root value.
	Node *yaml.Node
	// APIVersion, Kind, Namespace and Name, as far as they are there and are strings.
	APIVersion, Kind, Namespace, Name string

	nodes, bytes int // with aliases expanded
}

// Origin returns the place of the document.
func (d Document) Origin() Origin { return Origin{Path: d.Path, Line: d.Line} }

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// Split parses the YAML documents of a file; empty ones are left out. An error is an *Error and comes with the
// documents before it. Sizes, counts and depth are bounded (MaxFileBytes, MaxDocuments, MaxDepth, MaxNodes).
func Split(path string, data []byte) (docs []Document, err error) {
	// The parser has panicked on hostile input before; here that is one more way of not being YAML.
	defer func() {
		if p := recover(); p != nil {
			err = At(path, 0, fmt.Errorf("not valid YAML: %v", p))
		}
	}()
	if len(data) > MaxFileBytes {
		return nil, At(path, 0, fmt.Errorf("the file is larger than %d MiB: split it", MaxFileBytes>>20))
	}
	total := &bounds{}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, syntaxError(path, err)
		}
		if len(root.Content) == 0 || empty(root.Content[0]) {
			continue
		}
		if len(docs) == MaxDocuments {
			return docs, At(path, root.Content[0].Line, fmt.Errorf("more than %d documents in one file: split it", MaxDocuments))
		}
		doc := Document{Path: path, Line: root.Content[0].Line, Node: root.Content[0]}
		if doc.nodes, doc.bytes, err = expanded(doc.Node, total); err != nil {
			return docs, At(path, doc.Line, err)
		}
		doc.APIVersion, doc.Kind = text(doc.Node, "apiVersion"), text(doc.Node, "kind")
		meta := member(doc.Node, "metadata")
		doc.Name, doc.Namespace = text(meta, "name"), text(meta, "namespace")
		docs = append(docs, doc)
	}
}

func syntaxError(path string, err error) *Error {
	message := err.Error()
	match := yamlLine.FindStringSubmatch(message)
	if match == nil {
		return At(path, 0, fmt.Errorf("not valid YAML: %w", err))
	}
	line, _ := strconv.Atoi(match[1]) // digits by the expression; none means 0, not known
	return At(path, line, fmt.Errorf("not valid YAML: %s", message[len(match[0]):]))
}

func empty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Tag == "!!null" || n.Tag == "") && n.Value == ""
}

// bounds counts a file's values with aliases expanded, so that a few lines cannot stand for gigabytes.
type bounds struct {
	nodes   int
	bytes   int
	aliases []*yaml.Node // being expanded
}

func (b *bounds) check(n *yaml.Node, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("nested deeper than %d levels", MaxDepth)
	}
	if b.nodes++; b.nodes > MaxNodes {
		return fmt.Errorf("more than %d values with aliases expanded: split it, or use fewer aliases", MaxNodes)
	}
	if b.bytes += len(n.Value) + len(n.Tag); b.bytes > MaxBuildBytes {
		return fmt.Errorf("more than %d MiB with aliases expanded: split it, or use fewer aliases", MaxBuildBytes>>20)
	}
	if n.Kind == yaml.AliasNode {
		if slices.Contains(b.aliases, n.Alias) {
			return fmt.Errorf("line %d: alias *%s contains itself", n.Line, n.Value)
		}
		b.aliases = append(b.aliases, n.Alias)
		defer func() { b.aliases = b.aliases[:len(b.aliases)-1] }()
		return b.check(n.Alias, depth)
	}
	for _, c := range n.Content {
		if err := b.check(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// Value converts the document into map[string]any, []any and scalars as they are in JSON (int64 and float64), with
// aliases and merge keys expanded. Every key that is set twice is an error with its line; the value is whole all the
// same, with the first of them.
func (d Document) Value() (any, []*Error) {
	c := converter{path: d.Path}
	v := c.value(d.Node)
	return v, Sort(c.errs)
}

// Object is Value for a document that is a map.
func (d Document) Object() (map[string]any, []*Error) {
	v, errs := d.Value()
	m, ok := v.(map[string]any)
	if !ok {
		errs = append(errs, At(d.Path, d.Line, errors.New("the document is not a map of fields to values")))
	}
	return m, errs
}

type converter struct {
	path string
	errs []*Error
}

func (c *converter) fail(n *yaml.Node, format string, args ...any) {
	c.errs = append(c.errs, At(c.path, n.Line, fmt.Errorf(format, args...)))
}

func (c *converter) value(n *yaml.Node) any {
	n = dereference(n)
	switch n.Kind {
	case yaml.MappingNode:
		return c.mapping(n)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			list = append(list, c.value(item))
		}
		return list
	default:
		return c.scalar(n)
	}
}

func (c *converter) mapping(n *yaml.Node) map[string]any {
	out, lines := make(map[string]any, len(n.Content)/2), map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := dereference(n.Content[i])
		if merge(key) {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Tag == "!!null" {
			c.fail(n.Content[i], "a key is not a string")
			continue
		}
		if first, twice := lines[key.Value]; twice {
			c.fail(n.Content[i], "key %q is set twice, first in line %d: keep one of them", key.Value, first)
			continue
		}
		lines[key.Value] = n.Content[i].Line
		out[key.Value] = c.value(n.Content[i+1])
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if merge(dereference(n.Content[i])) {
			c.merge(out, n.Content[i+1])
		}
	}
	return out
}

// merge adds the keys of a merged map (or of each map in a list, the first winning) that out does not have.
func (c *converter) merge(out map[string]any, n *yaml.Node) {
	switch v := c.value(n).(type) {
	case map[string]any:
		add(out, v)
	case []any:
		for _, item := range v {
			m, ok := item.(map[string]any)
			if !ok {
				c.fail(n, "a merge key takes maps only")
				return
			}
			add(out, m)
		}
	default:
		c.fail(n, "a merge key takes maps only")
	}
}

func add(out, m map[string]any) {
	for k, v := range m {
		if _, ok := out[k]; !ok {
			out[k] = v
		}
	}
}

func (c *converter) scalar(n *yaml.Node) any {
	var v any
	if err := n.Decode(&v); err != nil {
		c.fail(n, "value %q does not fit its tag %s", n.Value, n.Tag)
		return n.Value
	}
	switch v := v.(type) {
	case int:
		return int64(v)
	case uint64:
		return float64(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			c.fail(n, "%s is not a number that an object can hold", n.Value)
			return n.Value
		}
		return v
	case time.Time, []byte:
		return n.Value
	case nil, string, bool, int64:
		return v
	default:
		return n.Value
	}
}

func merge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && (key.Tag == "" || key.Tag == "!" || key.Tag == "!!merge")
}

func dereference(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	_, value := lookup(dereference(n), key)
	return value
}

func text(n *yaml.Node, key string) string {
	v := member(n, key)
	if v == nil {
		return ""
	}
	if v = dereference(v); v.Kind != yaml.ScalarNode || v.Tag != "!!str" {
		return ""
	}
	return v.Value
}
