package fleet

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// inline puts the contents of patch files into the patches, notes where each patch stands, and checks that it is YAML.
func (d *decoder) inline(i *item, field string, patches []v1alpha1.Patch, origins map[string]build.Origin) {
	for n := range patches {
		p, at := &patches[n], fmt.Sprintf("%s[%d]", field, n)
		origin := build.Origin{Path: i.doc.Path, Line: i.doc.LineOf(at + ".patch")}
		if p.Path != "" {
			name, text, err := d.patchFile(i, p.Path)
			if err != nil {
				i.failAt(build.Origin{Path: i.doc.Path, Line: i.doc.LineOf(at + ".path")}, err)
				continue
			}
			origin = build.Origin{Path: name, Line: 1}
			p.Path, p.Patch = "", text
		}
		origins[at] = origin
		i.errs = append(i.errs, readable(origin, p.Patch)...)
	}
}

func (d *decoder) patchFile(i *item, relative string) (name, text string, err error) {
	name, err = build.Local(path.Dir(i.doc.Path), relative)
	if err == nil {
		name, err = build.Resolve(d.files, name)
	}
	if err != nil {
		return "", "", err
	}
	d.referred[name] = true
	data, err := build.ReadFile(d.files, name)
	switch {
	case err != nil:
		return "", "", err
	case len(data) > MaxPatchBytes:
		return "", "", fmt.Errorf("patch file %q is larger than %d KiB: split it", name, MaxPatchBytes>>10)
	case strings.TrimSpace(string(data)) == "":
		return "", "", fmt.Errorf("patch file %q is empty", name)
	}
	return name, string(data), nil
}

// readable checks that a patch is sound YAML. Lines of a file are exact; those of an inline patch are its field's.
func readable(origin build.Origin, text string) []*Error {
	if text == "" {
		return nil
	}
	docs, err := build.Split(origin.Path, []byte(text))
	errs := build.Flatten(origin.Path, err)
	for _, doc := range docs {
		_, wrong := doc.Value()
		errs = append(errs, wrong...)
	}
	if origin.Line != 1 {
		for n, e := range errs {
			errs[n] = build.At(origin.Path, origin.Line, fmt.Errorf("the patch is wrong in its line %d: %w", e.Line, e.Err))
		}
	}
	return errs
}

// layers builds what the profile's layers hold.
func (d *decoder) layers(p *profileItem) {
	for n, l := range p.Object.Spec.Layers {
		if l.Kustomize == nil && l.Manifests == nil {
			continue
		}
		if built, ok := d.layer(p, fmt.Sprintf("spec.layers[%d]", n), l); ok {
			p.Layers = append(p.Layers, built)
		}
	}
}

func (d *decoder) layer(p *profileItem, at string, l v1alpha1.Layer) (Layer, bool) {
	built := Layer{Name: l.Name}
	objects, ok := d.layerObjects(p, at, l)
	if !ok {
		return built, false
	}
	for _, o := range objects {
		p.declared(o)
		built.Objects = append(built.Objects, o.Unstructured)
	}
	if len(built.Objects) == 0 {
		p.fail(at, "layer %s has no objects: look at what its path holds", l.Name)
		return built, false
	}
	patched, err := build.Apply(built.Objects, d.layerPatches(p, at, l))
	if err != nil {
		p.errs = append(p.errs, build.Flatten(p.doc.Path, err)...)
		return built, false
	}
	built.Objects = patched
	digest, size, err := LayerDigest(patched)
	switch {
	case err != nil:
		p.fail(at, "layer %s: %w", l.Name, err)
		return built, false
	case size > MaxLayerBytes:
		p.fail(at, "layer %s holds %d MiB of objects, more than %d: split it", l.Name, size>>20, MaxLayerBytes>>20)
		return built, false
	}
	built.Digest = digest
	return built, true
}

func (d *decoder) layerPatches(p *profileItem, at string, l v1alpha1.Layer) []build.Patch {
	out := make([]build.Patch, 0, len(l.Patches))
	for n, patch := range l.Patches {
		origin, ok := p.Origins[fmt.Sprintf("%s.patches[%d]", at, n)]
		if ok && patch.Patch != "" { // else it has been reported
			out = append(out, build.Patch{Target: patch.Target, Patch: patch.Patch, Origin: origin})
		}
	}
	return out
}

// layerObjects reads the files of a layer. Mistakes in them are the profile's.
func (d *decoder) layerObjects(p *profileItem, at string, l v1alpha1.Layer) ([]build.Object, bool) {
	dir := path.Dir(p.doc.Path)
	if l.Kustomize != nil {
		name, ok := d.local(p.item, at+".kustomize.path", dir, l.Kustomize.Path)
		if !ok {
			return nil, false
		}
		d.referred[name] = true
		return d.built(p.item, "kustomize", []string{name}, func(files fs.FS) ([]build.Object, error) {
			return build.Directory(files, name)
		})
	}
	var names []string
	for n, relative := range l.Manifests.Paths {
		if name, ok := d.local(p.item, fmt.Sprintf("%s.manifests.paths[%d]", at, n), dir, relative); ok {
			d.referred[name] = true
			names = append(names, name)
		}
	}
	if len(names) < len(l.Manifests.Paths) {
		return nil, false
	}
	return d.built(p.item, "manifests", names, func(files fs.FS) ([]build.Object, error) {
		return build.Manifests(files, names)
	})
}

func (d *decoder) local(i *item, field, dir, relative string) (string, bool) {
	name, err := build.Local(dir, relative)
	if err == nil {
		name, err = build.Resolve(d.files, name)
	}
	if err != nil {
		i.failAt(build.Origin{Path: i.doc.Path, Line: i.doc.LineOf(field)}, err)
	}
	return name, err == nil
}

// layerResult is a build in the cache, with all that it looked at.
type layerResult struct {
	names, states []string
	objects       []build.Object
}

// built runs a build, or takes the result of an earlier one when nothing that it looked at has changed.
func (d *decoder) built(i *item, how string, names []string, run func(fs.FS) ([]build.Object, error)) ([]build.Object, bool) {
	key := how + "\x00" + strings.Join(names, "\x00")
	if objects, ok := d.builds[key]; ok {
		return objects, true
	}
	if held, ok := get[layerResult](d.options.Cache, key); ok && d.unchanged(held) {
		return held.objects, true
	}
	files, recorder := record(d.files)
	objects, err := run(files)
	if err != nil {
		i.errs = append(i.errs, build.Flatten(i.doc.Path, err)...)
		return nil, false
	}
	d.builds[key] = objects
	if seen, states, ok := recorder.seen(); ok && d.options.Cache != nil {
		size := 0
		for _, o := range objects {
			if text, err := json.Marshal(o.Object); err == nil {
				size += len(text)
			}
		}
		put(d.options.Cache, key, layerResult{names: seen, states: states, objects: objects}, size)
	}
	return objects, true
}

func (d *decoder) unchanged(held layerResult) bool {
	for i, name := range held.names {
		if now, ok := state(d.files, name); !ok || now != held.states[i] {
			return false
		}
	}
	return true
}

// declared checks that an object of a layer uses the profile's variables only.
func (p *profileItem) declared(o build.Object) {
	for _, r := range build.References(o.Object) {
		if !p.variable(r.Name) {
			p.failAt(o.Origin, fmt.Errorf("%s %s: %s: %w", o.GetKind(), o.GetName(), r.Field, p.undeclared(r.Name)))
		}
	}
}

// own checks that the profile's own fields and patches use its variables only.
func (p *profileItem) own() {
	for n, l := range p.Object.Spec.Layers {
		at := fmt.Sprintf("spec.layers[%d]", n)
		fields := map[string]any{"os": l.OS, "kubernetes": l.Kubernetes}
		text, err := json.Marshal(fields)
		if err == nil {
			err = json.Unmarshal(text, &fields)
		}
		if err != nil {
			p.fail(at, "%w", err)
			continue
		}
		for _, r := range build.References(fields) {
			if !p.variable(r.Name) {
				p.fail(at+"."+r.Field, "%s.%s: %w", at, r.Field, p.undeclared(r.Name))
			}
		}
		for m, patch := range l.Patches {
			p.patchReferences(fmt.Sprintf("%s.patches[%d]", at, m), patch.Patch)
		}
	}
}

func (p *profileItem) patchReferences(field, text string) {
	for _, r := range build.References(map[string]any{"patch": text}) {
		if !p.variable(r.Name) {
			p.failAt(p.Origins[field], fmt.Errorf("%s: %w", field, p.undeclared(r.Name)))
		}
	}
}
