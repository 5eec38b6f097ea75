package render

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Places tells which lines of which files cause what a Unit holds. What it says is right or coarser. Where it is known
// what was before, these are the lines that changed; if none did, or if it is not known, where the wanted value is said,
// or a place that holds all that it is made of.
//
// It is not safe for concurrent use.
type Places struct {
	unit Unit
	in   Inputs
	docs []declaration
	// compared: it is known what the inputs were before.
	compared bool
	// parts are the layers of the profiles that describe machines: os and kubernetes.
	parts map[string]source
	// before is what the inputs made before, rendered when it is asked for; unknown: that did not work.
	before  *Unit
	unknown bool
}

// source is a field of one of the documents that a cluster is declared by.
type source struct {
	doc  int
	path steps
}

func (s source) below(path string) source {
	if path == "" {
		return s
	}
	return source{s.doc, append(slices.Clip(s.path), stepsOf(path)...)}
}

// write is a field of an object that a patch changed.
type write struct {
	at    steps
	patch source
	// part: the field is a list of which the patch may have changed an item only.
	part bool
}

// Of returns the place of what causes a field of an object of the Unit, "clusters/edge-01.yaml:27"; several are separated
// by ", ", the cluster's own first. An empty field is the whole object. It is "" when no files are known.
func (p *Places) Of(o *unstructured.Unstructured, field string) string {
	if !p.read() {
		return ""
	}
	obj := p.unit.locate(o)
	if obj == nil {
		return ""
	}
	at := stepsOf(field)
	sole, parts := p.writers(obj, at)
	rest := append(parts, p.sources(obj, at)...)
	if !p.compared {
		if len(sole) == 0 {
			sole = rest
		}
		return p.say([]source{p.common(obj, sole)})
	}
	for _, candidates := range [][]source{sole, rest} {
		if hits := p.hits(candidates); len(hits) > 0 {
			return p.say(p.withVersions(hits))
		}
	}
	if obj.built && p.docs[obj.source.doc].rebuilt(obj.source) {
		return p.say(p.withVersions([]source{obj.source}))
	}
	if others := p.otherPatches(obj, at); len(others) > 0 {
		return p.say(p.withVersions(others))
	}
	// Nothing changed in Git: somebody changed the object, and this line says what it should be.
	return p.say(slices.Concat(sole, rest, []source{obj.source})[:1])
}

// Known reports whether there are files to name.
func (p *Places) Known() bool { return p.in.Files != nil && p.in.Files.Lines.Known() }

// sources are the fields of the input that a field of an object comes from.
func (p *Places) sources(o *object, at steps) []source {
	if o.built {
		return p.withVariables([]source{o.source}, o.variables)
	}
	var out []source
	for _, name := range causesOf(o, at) {
		kind, made := strings.CutPrefix(name, "made:")
		if !made {
			out = append(out, p.resolve(o, name))
			continue
		}
		for _, other := range p.unit.made(kind, o) {
			out = append(append(out, p.content(other)...), other.source.below("name"))
		}
	}
	if len(out) == 0 {
		out = []source{o.source}
	}
	for _, s := range out {
		out = append(out, p.variables(s)...)
	}
	return out
}

// content is all that an object is made of.
func (p *Places) content(o *object) []source {
	var out []source
	for _, w := range o.writes {
		out = append(out, w.patch)
	}
	for _, c := range causes[o.GetKind()] {
		for _, name := range c.sources {
			out = append(out, p.resolve(o, name))
		}
	}
	return out
}

// resolve finds a source of the table.
func (p *Places) resolve(o *object, name string) source {
	word, path, _ := strings.Cut(name, ".")
	spec := source{clusterDoc, steps{"spec"}}
	switch word {
	case "owner":
		return o.source.below(path)
	case "defaults":
		return spec.below("machineDefaults").below(path)
	case "account":
		return source{accountDoc, steps{"spec"}}.below(path)
	case "cluster":
		return spec.below(path)
	default:
		return p.parts[word].below(path)
	}
}

// variables are where the values of those variables are said that a field of a profile uses.
func (p *Places) variables(s source) []source {
	if s.doc < firstProfileDoc {
		return nil
	}
	return p.withVariables(nil, variablesIn(s.path.value(p.docs[s.doc].now)), s.doc)
}

// hits are the changes of the input that concern one of the candidates.
func (p *Places) hits(candidates []source) []source {
	var out []source
	for _, c := range candidates {
		for _, path := range p.docs[c.doc].changed {
			switch {
			case path.within(c.path):
				out = append(out, source{c.doc, path})
			case c.path.within(path):
				out = append(out, c)
			}
		}
	}
	return out
}

// common is a place that holds all candidates.
func (p *Places) common(o *object, candidates []source) source {
	out := candidates[0]
	for _, c := range candidates[1:] {
		if c.doc != out.doc {
			return o.source
		}
		out.path = shared(out.path, c.path)
	}
	if len(out.path) < 2 {
		return o.source
	}
	return out
}

func shared(a, b steps) steps {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}
