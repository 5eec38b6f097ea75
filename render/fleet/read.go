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
		moved := differs(doc, o.Object)
		i, err := decode(d.schemas, doc, o.Object)
		if err != nil {
			d.incomplete(at.Path, err)
			continue
		}
		i.moved = moved
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
	i := &item{doc: doc, fields: doc.Lines(), kind: doc.Kind, errs: s.judge(doc, object)}
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
