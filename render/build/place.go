package build

import (
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// LineOf returns the line of a field such as spec.nodePools[0].labels[a/b]. For a field that is not there, it is the
// line of the nearest one above it.
func (d Document) LineOf(field string) int {
	line, node := d.Line, d.Node
	parts := parts(field)
	for len(parts) > 0 && node != nil {
		node = dereference(node)
		var at *yaml.Node
		at, node, parts = step(node, parts)
		if at == nil {
			break
		}
		line = at.Line
	}
	return line
}

// step goes from n to the child that the first of parts names. Names may hold dots, so several parts may make one key.
func step(n *yaml.Node, parts []string) (at, value *yaml.Node, rest []string) {
	if n.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(parts[0])
		if err != nil || i < 0 || i >= len(n.Content) {
			return nil, nil, nil
		}
		return n.Content[i], n.Content[i], parts[1:]
	}
	for i := 1; i <= len(parts); i++ {
		if key, v := lookup(n, strings.Join(parts[:i], ".")); v != nil {
			return key, v, parts[i:]
		}
	}
	return nil, nil, nil
}

// lookup finds a key in a map, also in merged ones.
func lookup(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := dereference(n.Content[i]); k.Kind == yaml.ScalarNode && k.Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !merge(dereference(n.Content[i])) {
			continue
		}
		if key, value = lookupMerged(dereference(n.Content[i+1]), name); value != nil {
			return key, value
		}
	}
	return nil, nil
}

// lookupMerged finds a key in a merged map or list of maps.
func lookupMerged(n *yaml.Node, name string) (key, value *yaml.Node) {
	maps := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		maps = n.Content
	}
	for _, m := range maps {
		if key, value = lookup(dereference(m), name); value != nil {
			return key, value
		}
	}
	return nil, nil
}

// parts splits spec.a[0].b[x.y/z] into its steps.
func parts(field string) []string {
	var out []string
	for field != "" {
		switch field[0] {
		case '.':
			field = field[1:]
		case '[':
			inner, rest, _ := strings.Cut(field[1:], "]")
			out, field = append(out, strings.Trim(inner, `'"`)), rest
		default:
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			out, field = append(out, field[:end]), field[end:]
		}
	}
	return out
}
