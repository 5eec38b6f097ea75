package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// read collects the documents of dir.
func (d *decoder) read(dir string) {
	root, err := build.Local(".", path.Clean(dir))
	if err == nil {
		root, err = build.Resolve(d.files, root)
	}
	if err != nil {
		d.incomplete(dir, fmt.Errorf("%w: check the path (spec.git.path of the Fleet)", err))
		return
	}
	info, err := fs.Stat(d.files, root)
	switch {
	case err != nil:
		d.incomplete(root, err)
	case !info.IsDir():
		d.incomplete(root, errors.New("the path (spec.git.path of the Fleet) is not a directory"))
	case build.IsKustomization(d.files, root):
		d.readBuilt(root)
	default:
		d.readFiles(root)
	}
}

// readBuilt decodes the output of the kustomization in dir.
func (d *decoder) readBuilt(dir string) {
	objects, err := build.Directory(d.files, dir)
	if err != nil {
		d.incomplete(dir, err)
		return
	}
	docs := map[string][]build.Document{}
	for _, o := range objects {
		at := o.Origin
		if !ours(o.GetAPIVersion()) {
			d.ignored = append(d.ignored, at.String())
			continue
		}
		doc := d.document(at, docs)
		doc.APIVersion, doc.Kind, doc.Name, doc.Namespace = o.GetAPIVersion(), o.GetKind(), o.GetName(), o.GetNamespace()
		i, err := decode(d.schemas, doc, o.Object)
		if err != nil {
			d.incomplete(at.Path, err)
			continue
		}
		d.add(i)
	}
}

// document finds the document that a built object comes from, for the lines of its fields.
func (d *decoder) document(at build.Origin, read map[string][]build.Document) build.Document {
	if _, ok := read[at.Path]; !ok {
		data, err := build.ReadFile(d.files, at.Path)
		if err == nil {
			read[at.Path], err = build.Split(at.Path, data)
		}
		if err != nil {
			d.incomplete(at.Path, err)
		}
	}
	doc := build.Document{Path: at.Path, Line: at.Line}
	for _, candidate := range read[at.Path] {
		if candidate.Line == at.Line {
			doc.Node = candidate.Node
		}
	}
	return doc
}

// add takes an item up. One without a name may be any object.
func (d *decoder) add(i *item) {
	if i.kind == v1alpha1.FleetKind {
		d.ignored = append(d.ignored, i.String())
	} else if i.name == "" {
		d.complete = false
	}
	d.items = append(d.items, i)
}

// readFiles decodes the YAML files below root one by one.
func (d *decoder) readFiles(root string) {
	count := 0
	err := fs.WalkDir(d.files, root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			d.incomplete(name, fmt.Errorf("read the directory: %w", err))
			return nil
		case entry.IsDir():
			if name != root && build.IsKustomization(d.files, name) {
				d.skipped = append(d.skipped, name)
				return fs.SkipDir
			}
			return nil
		case !isYAML(name):
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 && !d.follow(name, root) {
			return nil
		}
		if count++; count > MaxFiles {
			d.incomplete(root, fmt.Errorf("more than %d YAML files: use several Fleets", MaxFiles))
			return fs.SkipAll
		}
		d.readFile(name)
		return nil
	})
	if err != nil {
		d.incomplete(root, fmt.Errorf("read the directory: %w", err))
	}
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// follow says whether a link is read: not when its file is, or when it is a directory.
func (d *decoder) follow(name, root string) bool {
	resolved, err := build.Resolve(d.files, name)
	if err != nil {
		d.incomplete(name, err)
		return false
	}
	info, err := fs.Stat(d.files, resolved)
	if err != nil || !info.Mode().IsRegular() {
		d.ignored = append(d.ignored, name)
		return false
	}
	return root != "." && !strings.HasPrefix(resolved, root+"/")
}

// nodeCost is how much larger a parsed file is than its text, roughly.
const nodeCost = 20

// contents are what a file holds, decoded.
type contents struct {
	items   []*item
	ignored []string
	broken  error    // not YAML
	unknown []*Error // documents of ours that could not be understood
}

func (d *decoder) readFile(name string) {
	key := ""
	if h, ok := d.files.(hasher); ok && d.options.Cache != nil {
		if hash, err := h.Hash(name); err == nil {
			key = "file\x00" + name + "\x00" + hash
		}
	}
	c, ok := get[contents](d.options.Cache, key)
	if !ok {
		data, err := build.ReadFile(d.files, name)
		if err != nil {
			d.incomplete(name, err)
			return
		}
		c = d.parse(name, data)
		put(d.options.Cache, key, c, nodeCost*len(data))
	}
	for _, i := range c.items {
		d.add(i.copy())
	}
	d.ignored = append(d.ignored, c.ignored...)
	if c.broken != nil {
		d.broken[name] = c.broken
	}
	for _, e := range c.unknown {
		d.incomplete(name, e)
	}
}

func (d *decoder) parse(name string, data []byte) contents {
	docs, err := build.Split(name, data)
	c := contents{broken: err}
	others := 0
	for _, doc := range docs {
		if !ours(doc.APIVersion) {
			others++
			c.unknown = append(c.unknown, listed(doc)...)
			continue
		}
		object, errs := doc.Object()
		i, err := decode(d.schemas, doc, object)
		if err != nil {
			c.unknown = append(c.unknown, build.At(name, doc.Line, err))
			continue
		}
		i.errs = append(i.errs, errs...)
		c.items = append(c.items, i)
	}
	switch {
	case others > 0 && others == len(docs):
		c.ignored = []string{name}
	case others > 0:
		for _, doc := range docs {
			if !ours(doc.APIVersion) {
				c.ignored = append(c.ignored, doc.Origin().String())
			}
		}
	}
	return c
}

// listed refuses objects of ours inside a List, as kubectl get writes them: they would be overlooked.
func listed(doc build.Document) []*Error {
	if doc.Kind != "List" {
		return nil
	}
	object, _ := doc.Object()
	items, _ := object["items"].([]any) // another type is not a list of ours
	for n, item := range items {
		m, _ := item.(map[string]any) // another type is not an object of ours
		if version, ok := m["apiVersion"].(string); ok && ours(version) {
			return []*Error{build.At(doc.Path, doc.LineOf(fmt.Sprintf("items[%d]", n)),
				errors.New("an object of refract.dev inside a List is not read: write it as a document of its own"))}
		}
	}
	return nil
}

// ours says whether an apiVersion belongs to this project.
func ours(apiVersion string) bool {
	group, _, _ := strings.Cut(apiVersion, "/")
	return group == v1alpha1.GroupVersion.Group
}

// decode judges an object and makes it typed. An error means that it is not known what the object is.
func decode(all map[string]*schema, doc build.Document, object map[string]any) (*item, error) {
	if doc.APIVersion != v1alpha1.GroupVersion.String() {
		return nil, build.At(doc.Path, doc.LineOf("apiVersion"),
			fmt.Errorf("apiVersion %q is not known: use %s", doc.APIVersion, v1alpha1.GroupVersion))
	}
	s, ok := all[doc.Kind]
	if !ok {
		message := fmt.Sprintf("kind %q is not known", doc.Kind)
		if near := build.Nearest(doc.Kind, kinds); near != "" {
			message += ": did you mean " + near + "?"
		}
		return nil, build.At(doc.Path, doc.LineOf("kind"), errors.New(message))
	}
	i := &item{doc: doc, kind: doc.Kind, errs: s.judge(doc, object)}
	if meta, ok := object["metadata"].(map[string]any); ok {
		i.name, _ = meta["name"].(string) // judge has reported another type
	}
	switch doc.Kind {
	case v1alpha1.CloudAccountKind:
		i.object = &v1alpha1.CloudAccount{}
	case v1alpha1.ClusterProfileKind:
		i.object = &v1alpha1.ClusterProfile{}
	case v1alpha1.FleetKind:
		i.object = &v1alpha1.Fleet{}
	default:
		i.object = &v1alpha1.NutanixClusterSpec{}
	}
	if err := typed(object, i.object); err != nil && len(i.errs) == 0 {
		i.fail("", "%w", err)
	}
	return i, nil
}

// typed fills as much of out as fits.
func typed(object map[string]any, out any) (err error) {
	defer func() {
		if p := recover(); p != nil { // the converter has panicked on values of the wrong type before
			err = fmt.Errorf("a value has the wrong type: %v", p)
		}
	}()
	return runtime.DefaultUnstructuredConverter.FromUnstructured(object, out)
}

// copy keeps what the cache holds from being changed.
func (i *item) copy() *item {
	out := *i
	out.errs = append([]*Error(nil), i.errs...)
	switch o := i.object.(type) {
	case *v1alpha1.CloudAccount:
		out.object = o.DeepCopy()
	case *v1alpha1.ClusterProfile:
		out.object = o.DeepCopy()
	case *v1alpha1.NutanixClusterSpec:
		out.object = o.DeepCopy()
	}
	return &out
}
