package build

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// cost is what a kustomization by itself adds to a build, every time that it is referred to.
type cost struct {
	objects, nodes, bytes, copies int
	// text of everything that may go into any object: the file itself and its patches.
	text int
	// affixes is what may be added to a name.
	affixes      int
	replacements []replacing
}

// replacing is what is known of a replacement before the build.
type replacing struct {
	from     Origin
	kind     string // of the source; "" when any
	fromName bool   // the source is the name or namespace of an object
	size     int    // of a value that is written out
	targets  []string
	paths    int
	onName   bool // a target is a name or namespace
}

// expense is what a build costs with everything counted as often as it is referred to.
type expense struct {
	cost

	spread int
	over   bool           // reported
	sizes  map[string]int // of the largest object, by kind; "" for all
	name   int            // length of the longest name
	runs   []replacingIn
}

// replacingIn is a replacement with the number of objects that it may change.
type replacingIn struct {
	replacing

	objects int
}

// exceed reports the first limit that the build goes over; it is not looked at further.
func (s *scan) exceed(from Origin, format string, args ...any) {
	if !s.expense.over {
		s.fail(from, fmt.Errorf(format, args...))
	}
	s.expense.over = true
}

// holds takes up the objects of a resource file.
func (s *scan) holds(k *kustomization, docs []Document) {
	for _, d := range docs {
		kinds := []string{d.Kind}
		if items := member(d.Node, "items"); items != nil && strings.HasSuffix(d.Kind, "List") {
			for _, item := range dereference(items).Content {
				kinds = append(kinds, text(item, "kind"))
				s.expense.name = max(s.expense.name, len(text(member(item, "metadata"), "name")))
			}
		}
		k.cost.objects += max(1, len(kinds)-1)
		s.expense.name = max(s.expense.name, len(d.Name), len(d.Namespace))
		for _, kind := range kinds {
			s.expense.sized(kind, d.bytes)
		}
	}
}

func (e *expense) sized(kind string, size int) {
	e.sizes[kind], e.sizes[""] = max(e.sizes[kind], size), max(e.sizes[""], size)
}

// mention charges documents where they are referred to; false when that is too much already.
func (s *scan) mention(k *kustomization, docs []Document, from Origin) bool {
	for _, d := range docs {
		k.cost.nodes += d.nodes
		k.cost.bytes += d.bytes
	}
	return s.within(k.cost, from)
}

func (s *scan) within(c cost, from Origin) bool {
	switch {
	case s.expense.over:
	case c.objects > MaxObjects:
		s.exceed(from, "more than %d objects in one build, counted as often as they are referred to: split the directory", MaxObjects)
	case c.nodes > MaxBuildNodes:
		s.exceed(from, "more than %d values in one build, counted as often as they are referred to: split the directory, or use fewer aliases", MaxBuildNodes)
	case c.bytes > MaxBuildBytes:
		s.exceed(from, "more than %d MiB in one build, counted as often as files are referred to: split the directory", MaxBuildBytes>>20)
	case c.copies > MaxCopies:
		s.exceed(from, "more than %d copy operations in JSON6902 patches, counted as often as they are referred to: write the values out", MaxCopies)
	}
	return !s.expense.over
}

// charge adds one visit.
func (s *scan) charge(k *kustomization, from Origin) {
	e := &s.expense
	e.objects += k.cost.objects
	e.nodes += k.cost.nodes
	e.bytes += k.cost.bytes
	e.copies += k.cost.copies
	e.text += k.cost.text
	e.affixes += k.cost.affixes
	if from.Line == 0 { // nothing refers to the root
		from = k.doc.Origin()
	}
	s.within(e.cost, from)
}

// transform charges what a kustomization does to the objects that it sees.
func (s *scan) transform(k *kustomization, objects int) {
	e := &s.expense
	e.spread += objects * k.cost.text
	if e.spread > MaxSpreadBytes {
		s.exceed(k.doc.Origin(), "patches and other changes of up to %d objects may come to more than %d MiB: split the directory, or make the patches smaller",
			objects, MaxSpreadBytes>>20)
	}
	for _, r := range k.cost.replacements {
		e.runs = append(e.runs, replacingIn{r, objects})
	}
}

// replace charges replacements: each may put its source into every object that it selects, at every path.
func (s *scan) replace() {
	e := &s.expense
	names := slices.ContainsFunc(e.runs, func(r replacingIn) bool { return r.onName })
	var sources []string
	for _, r := range e.runs {
		if r.size == 0 && (names || !r.fromName) {
			sources = append(sources, r.kind)
		}
	}
	fed := 0
	for _, r := range e.runs {
		if e.spread += r.objects * r.paths * e.source(r.replacing, names); e.spread > MaxSpreadBytes {
			s.exceed(r.from, "replacements may come to more than %d MiB: name fewer targets, or take a smaller source", MaxSpreadBytes>>20)
		}
		if !feeds(r.replacing, sources) {
			continue
		}
		if fed++; fed > MaxCopies {
			s.exceed(r.from, "more than %d replacements whose targets may be sources, too, so that they could double each time: "+
				"give select a kind that is no source's, or write the values out", MaxCopies)
		}
	}
}

// source is the most bytes that a replacement may copy. names says that replacements may change names.
func (e *expense) source(r replacing, names bool) int {
	switch {
	case r.size > 0:
		return r.size
	case r.fromName && !names:
		return e.name + e.affixes
	}
	return e.sizes[r.kind] + e.text
}

// feeds says whether a replacement may change what some replacement copies from.
func feeds(r replacing, sources []string) bool {
	for _, source := range sources {
		for _, target := range r.targets {
			if source == "" || target == "" || source == target {
				return true
			}
		}
	}
	return false
}

// replacements reads one replacement, or a file with one or several.
func (k *kustomization) replacements(value any, from Origin) {
	if several, ok := value.([]any); ok {
		for _, one := range several {
			k.replacements(one, from)
		}
		return
	}
	m, _ := value.(map[string]any) // another type is kustomize's to refuse
	source, _ := m["source"].(map[string]any)
	written, _ := m["sourceValue"].(string)
	targets, _ := m["targets"].([]any)
	field, _ := source["fieldPath"].(string)
	r := replacing{from: from, kind: plainKind(source["kind"]), fromName: isName(field), size: len(written)}
	for _, target := range targets {
		t, _ := target.(map[string]any)
		selects, _ := t["select"].(map[string]any)
		r.targets = append(r.targets, plainKind(selects["kind"]))
		paths, _ := t["fieldPaths"].([]any)
		r.paths += max(1, len(paths))
		r.onName = r.onName || len(paths) == 0
		for _, p := range paths {
			field, _ = p.(string)
			r.onName = r.onName || isName(field)
		}
	}
	k.cost.replacements = append(k.cost.replacements, r)
}

// plainKind is a kind that selects itself only; "" when it may select any.
func plainKind(value any) string {
	kind, _ := value.(string) // another type is kustomize's to refuse
	if strings.ContainsFunc(kind, func(r rune) bool { return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') }) {
		return ""
	}
	return kind
}

// isName says whether a field path may lead to an object's name or namespace. None is metadata.name.
func isName(field string) bool {
	parts := strings.Split(strings.TrimPrefix(field, "."), ".")
	if parts[0] != "metadata" {
		return parts[0] == "" || strings.Contains(parts[0], "*")
	}
	return len(parts) == 1 || slices.Contains([]string{"name", "namespace", "*"}, parts[1])
}

// expanded counts the values and bytes of a node with aliases expanded.
func expanded(n *yaml.Node, b *bounds) (nodes, bytes int, err error) {
	nodes, bytes = b.nodes, b.bytes
	err = b.check(n, 0)
	return b.nodes - nodes, b.bytes - bytes, err
}

// inlineName is a file for a patch that stands in a kustomization.
func inlineName(dir string, n int) string { return path.Join(dir, fmt.Sprintf(".inline-%d.yaml", n)) }
