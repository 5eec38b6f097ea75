package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// Documents that a cluster is declared by; its profiles come last, in its order.
const (
	clusterDoc = iota
	accountDoc
	firstProfileDoc
)

// declaration is one of these documents.
type declaration struct {
	lines fleet.Lines
	// origins are the places of patches that were inlined, by their field.
	origins map[string]build.Origin
	// now is the document's spec, below "spec".
	now any
	// changed are the fields that were not so before.
	changed []steps
	// version is where the cluster names a profile's version, if it named another before.
	version *source
	// digests of built layers by their names, now and before.
	digests, before map[string]string
}

// rebuilt reports whether the files of a built layer are not what they were.
func (d declaration) rebuilt(layer source) bool {
	name := nameOf(layer.path.value(d.now))
	was, known := d.before[name]
	return !known || was != d.digests[name]
}

// Places of what u holds, which was rendered from in. Without in.Files nothing is known; in.Was makes places exact where
// several fields make one.
func (u Unit) Places(in Inputs) *Places {
	return &Places{unit: u, in: in, compared: in.Was != nil, parts: map[string]source{}}
}

// read compares the inputs with what they were, once; false when no files are known.
func (p *Places) read() bool {
	if !p.Known() || p.docs != nil {
		return p.Known()
	}
	in, was := p.in, Inputs{}
	if in.Was != nil {
		was = *in.Was
	}
	p.docs = append(p.docs, clusterOf(in, was), accountOf(in, was))
	for i, profile := range in.Profiles {
		p.docs = append(p.docs, profileOf(in, was, i))
		for n, l := range profile.Object.Spec.Layers {
			at := source{firstProfileDoc + i, layerPath(n)}
			if l.OS != nil {
				p.parts["os"] = at.below("os")
			}
			if l.Kubernetes != nil {
				p.parts["kubernetes"] = at.below("kubernetes")
			}
		}
	}
	return true
}

func layerPath(n int) steps { return steps{"spec", "layers"}.item(n) }

func clusterOf(in, was Inputs) declaration {
	d := declaration{lines: in.Files.Lines, origins: in.Files.Origins, now: clusterTree(in.Cluster)}
	if was.Cluster != nil {
		d.changed = changed(nil, clusterTree(was.Cluster), d.now)
	}
	return d
}

// clusterTree leaves out the versions of profiles: what they bring is compared.
func clusterTree(c *v1alpha1.NutanixClusterSpec) any {
	spec := c.Spec
	spec.Profiles = slices.Clone(spec.Profiles)
	for i := range spec.Profiles {
		spec.Profiles[i].Version = ""
	}
	return tree{"spec": plain(spec)}
}

func accountOf(in, was Inputs) declaration {
	d := declaration{now: tree{"spec": plain(in.Account.Spec)}}
	if in.Files.Account != nil {
		d.lines = in.Files.Account.Lines
	}
	if was.Account != nil {
		d.changed = changed(nil, tree{"spec": plain(was.Account.Spec)}, d.now)
	}
	return d
}

func profileOf(in, was Inputs, i int) declaration {
	profile := in.Profiles[i]
	d := declaration{now: tree{"spec": plain(profile.Object.Spec)}, digests: layerDigests(profile)}
	for _, f := range in.Files.Profiles {
		if f.Object.Name == profile.Object.Name {
			d.lines, d.origins = f.Lines, f.Origins
		}
	}
	if was.Cluster == nil {
		return d
	}
	name := profile.Object.Spec.Profile
	before := slices.IndexFunc(was.Profiles, func(p Profile) bool { return p.Object.Spec.Profile == name })
	reference := slices.IndexFunc(in.Cluster.Spec.Profiles, func(r v1alpha1.ProfileReference) bool { return r.Name == name })
	version := &source{clusterDoc, append(steps{"spec", "profiles"}.item(reference), "version")}
	if before < 0 {
		d.changed, d.version = []steps{{"spec"}}, version
		return d
	}
	old := was.Profiles[before]
	d.changed = changed(nil, tree{"spec": plain(old.Object.Spec)}, d.now)
	d.before = layerDigests(old)
	if old.Object.Spec.Version != profile.Object.Spec.Version && asksOtherwise(in, was, name) {
		d.version = version
	}
	return d
}

// asksOtherwise reports whether the cluster itself names another version than it did: a range may take another one by
// itself.
func asksOtherwise(in, was Inputs, profile string) bool {
	now := in.Files.Requested[profile]
	if was.Files != nil {
		return was.Files.Requested[profile] != now
	}
	return slices.ContainsFunc(in.Cluster.Spec.Profiles, func(r v1alpha1.ProfileReference) bool {
		return r.Name == profile && r.Version == now
	})
}

func layerDigests(p Profile) map[string]string {
	out := map[string]string{}
	for _, l := range p.Layers {
		out[l.Name] = l.Digest
	}
	return out
}

// withVariables adds where the values of variables are said, for the profile of the given document.
func (p *Places) withVariables(out []source, names []string, docs ...int) []source {
	for _, s := range out {
		docs = append(docs, s.doc)
	}
	for _, doc := range docs {
		reference := p.reference(doc)
		for _, name := range names {
			at := source{clusterDoc, append(slices.Clip(reference), "variables").child(name)}
			out = append(out, at)
			if at.path.value(p.docs[clusterDoc].now) == nil {
				out = append(out, p.declared(doc, name)...)
			}
		}
	}
	return out
}

// reference is where the cluster names the profile of a document.
func (p *Places) reference(doc int) steps {
	name, _ := stepsOf("spec.profile").value(p.docs[doc].now).(string)
	all := steps{"spec", "profiles"}
	items, _ := all.value(p.docs[clusterDoc].now).(list)
	return all.item(slices.IndexFunc(items, func(item any) bool { return nameOf(item) == name }))
}

// declared is where a profile declares a variable.
func (p *Places) declared(doc int, name string) []source {
	all := steps{"spec", "variables"}
	items, _ := all.value(p.docs[doc].now).(list)
	i := slices.IndexFunc(items, func(item any) bool { return nameOf(item) == name })
	if i < 0 {
		return nil
	}
	return []source{{doc, append(all.item(i), "default")}}
}

func variablesIn(v any) []string {
	var out []string
	for _, r := range build.References(tree{"value": v}) {
		if !slices.Contains(out, r.Name) {
			out = append(out, r.Name)
		}
	}
	return out
}

// withVersions adds where the cluster asked for the version of a profile that brings a change.
func (p *Places) withVersions(hits []source) []source {
	out := hits
	for _, h := range hits {
		if v := p.docs[h.doc].version; v != nil {
			out = append(out, *v)
		}
	}
	return out
}

// mostPlaces of one document are named; where there are more, what holds them all is.
const mostPlaces = 3

// say lists places by document, the cluster's first.
func (p *Places) say(sources []source) string {
	var out []string
	for doc := range p.docs {
		of := slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return s.doc != doc })
		for _, place := range p.places(of) {
			if place.Path != "" {
				out = append(out, place.String())
			}
		}
	}
	return strings.Join(out, ", ")
}

// places of fields of one document, in order.
func (p *Places) places(fields []source) []fleet.Place {
	var out []fleet.Place
	for _, s := range fields {
		out = append(out, p.place(s))
	}
	slices.SortFunc(out, func(a, b fleet.Place) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	if out = slices.Compact(out); len(out) <= mostPlaces {
		return out
	}
	whole := fields[0]
	for _, s := range fields {
		whole.path = shared(whole.path, s.path)
	}
	return []fleet.Place{p.place(whole)}
}

// place of a field; for the text of a patch that is a file of its own, that file.
func (p *Places) place(s source) fleet.Place {
	d := p.docs[s.doc]
	if n := len(s.path); n > 0 && s.path[n-1] == "patch" {
		if origin, ok := d.origins[s.path[:n-1].String()]; ok {
			return origin
		}
	}
	return d.lines.Place(s.path.String())
}
