package build

import (
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Lines are the lines of a document's fields without the values: what is kept of a document for as long as somebody may
// ask for places. The zero Lines knows none.
type Lines struct {
	line  int
	names []string // of a map's fields, beside below; nil for the items of a list
	below []Lines
}

// Lines of the document, for Of to answer as LineOf does.
func (d Document) Lines() Lines {
	if d.Node == nil {
		return Lines{line: d.Line}
	}
	return linesOf(d.Line, d.Node)
}

func linesOf(line int, n *yaml.Node) Lines {
	n = dereference(n)
	out := Lines{line: line}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			out.below = append(out.below, linesOf(item.Line, item))
		}
	case yaml.MappingNode:
		out.add(n)
	default: // a scalar has nothing below it
	}
	return out
}

// add takes up the fields of a map that are not there yet, its own before those that it merges.
func (l *Lines) add(n *yaml.Node) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := dereference(n.Content[i])
		switch {
		case merge(key):
			merged = append(merged, dereference(n.Content[i+1]))
		case key.Kind == yaml.ScalarNode && l.find(key.Value) == nil:
			l.names = append(l.names, key.Value)
			l.below = append(l.below, linesOf(n.Content[i].Line, n.Content[i+1]))
		}
	}
	for _, m := range merged {
		maps := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			maps = m.Content
		}
		for _, inner := range maps {
			if inner = dereference(inner); inner.Kind == yaml.MappingNode {
				l.add(inner)
			}
		}
	}
}

func (l *Lines) find(name string) *Lines {
	for i, n := range l.names {
		if n == name {
			return &l.below[i]
		}
	}
	return nil
}

// Of is Document.LineOf.
func (l Lines) Of(field string) int {
	rest, at := parts(field), &l
	for len(rest) > 0 {
		next, left := at.step(rest)
		if next == nil {
			break
		}
		at, rest = next, left
	}
	return at.line
}

// step goes to the child that the first of parts names. Names may hold dots, so several parts may make one name.
func (l *Lines) step(parts []string) (next *Lines, rest []string) {
	if l.names == nil {
		i, err := strconv.Atoi(parts[0])
		if err != nil || i < 0 || i >= len(l.below) {
			return nil, nil
		}
		return &l.below[i], parts[1:]
	}
	for i := 1; i <= len(parts); i++ {
		if found := l.find(strings.Join(parts[:i], ".")); found != nil {
			return found, parts[i:]
		}
	}
	return nil, nil
}
