package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4" // the one that kustomize applies JSON6902 with
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/filters/patchstrategicmerge"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/resid"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// Apply applies kustomize patches in their order and returns the objects that come of it, in their order; objs stay as
// they are. A patch is JSON6902 when it is a list of operations, else a strategic merge.
//
// As in kustomize, a target selects by anchored expressions and by labels, and a strategic merge without one names its
// object itself. Unlike in kustomize, its namespace counts only when it is set; a patch that matches nothing is an
// error; and so is a strategic merge that replaces or shortens a list, because kustomize has no schema for most kinds
// and would silently drop the other items: the message shows the JSON6902 form.
//
// Mistakes are *Error values at the patch's origin, joined in the order of the patches; a patch with a mistake is left
// out, and the others are applied all the same, so that one run finds all of them.
func Apply(objs []*unstructured.Unstructured, patches []Patch) ([]*unstructured.Unstructured, error) {
	return ApplyEach(objs, patches, func(int, []*unstructured.Unstructured, []*unstructured.Unstructured) {})
}

// ApplyEach is Apply that shows the objects before and after each patch. One that a patch did not select is the same
// pointer in both; neither list may be changed.
func ApplyEach(objs []*unstructured.Unstructured, patches []Patch,
	see func(i int, before, after []*unstructured.Unstructured),
) ([]*unstructured.Unstructured, error) {
	out := make([]*unstructured.Unstructured, len(objs))
	copy(out, objs)
	var errs []*Error
	copyOps := 0
	for i, p := range patches {
		docs, err := p.parse()
		if err == nil {
			copyOps += operationsIn(docs)
			if copyOps > MaxCopies {
				err = fmt.Errorf("more than %d copy operations in JSON6902 patches: write the values out", MaxCopies)
			}
		}
		if err == nil {
			var next []*unstructured.Unstructured
			if next, err = p.apply(out, docs); err == nil {
				see(i, out, next)
				out = next
			}
		}
		if err != nil {
			errs = append(errs, At(p.Origin.Path, p.Origin.Line, err))
		}
	}
	if len(errs) > 0 {
		return nil, Join(errs)
	}
	return out, nil
}

// parse returns the patch's documents, each a map (strategic merge) or a list (JSON6902).
func (p Patch) parse() ([]any, error) {
	docs, err := Split(p.Origin.Path, []byte(p.Patch))
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			// The line is one of the patch's text, not of the file that holds it.
			return nil, fmt.Errorf("the patch is %w (its line %d)", e.Err, max(e.Line, 1))
		}
		return nil, err
	}
	out := make([]any, len(docs))
	for i, d := range docs {
		v, errs := d.Value()
		if len(errs) > 0 {
			return nil, fmt.Errorf("the patch's line %d: %w", errs[0].Line, errs[0].Err)
		}
		out[i] = v
	}
	switch {
	case len(out) == 0:
		return nil, errors.New("the patch is empty")
	case len(out) > 1 && p.Target != nil:
		return nil, errors.New("a patch with a target has one document")
	}
	return out, nil
}

func (p Patch) apply(objs []*unstructured.Unstructured, docs []any) ([]*unstructured.Unstructured, error) {
	for _, doc := range docs {
		selects, change, err := p.read(doc)
		if err != nil {
			return nil, err
		}
		if objs, err = each(objs, selects, change); err != nil {
			return nil, err
		}
	}
	return objs, nil
}

type (
	selector func(*unstructured.Unstructured) (bool, error)
	changer  func(*unstructured.Unstructured) (*unstructured.Unstructured, error)
)

// read says what one document of the patch selects and what it does.
func (p Patch) read(doc any) (selects selector, change changer, err error) {
	switch doc := doc.(type) {
	case []any:
		if p.Target == nil {
			return nil, nil, errors.New("a JSON6902 patch needs a target")
		}
		var text []byte
		if text, err = json.Marshal(doc); err != nil {
			return nil, nil, err
		}
		var operations jsonpatch.Patch
		if operations, err = jsonpatch.DecodePatch(text); err != nil {
			return nil, nil, err
		}
		// Not by way of kustomize's filter, which reads each object as YAML before and after.
		change = func(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
			return rewritten(o, operations.Apply)
		}
	case map[string]any:
		change = func(o *unstructured.Unstructured) (*unstructured.Unstructured, error) { return merged(o, doc) }
		selects = named(doc)
	default:
		return nil, nil, errors.New("a patch is a map (strategic merge) or a list of operations (JSON6902)")
	}
	if p.Target != nil {
		selects, err = p.selector()
	}
	return selects, change, err
}

// each changes the selected objects; there must be one.
func each(objs []*unstructured.Unstructured, selects selector, change changer) ([]*unstructured.Unstructured, error) {
	out := make([]*unstructured.Unstructured, 0, len(objs))
	matched, size := 0, 0
	for _, o := range objs {
		ok, err := selects(o)
		if err != nil {
			return nil, err
		}
		if !ok {
			out = append(out, o)
			continue
		}
		matched++
		changed, err := change(o)
		if err != nil {
			return nil, fmt.Errorf("patch %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		if changed == nil {
			continue
		}
		text, err := changed.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("patch %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		if size += len(text); size > MaxPatchedBytes {
			return nil, fmt.Errorf("the objects that the patch selects come to more than %d MiB: make it smaller, or select fewer", MaxPatchedBytes>>20)
		}
		out = append(out, changed)
	}
	if matched == 0 {
		return nil, errors.New("the patch matches no object: check its target's kind and name" + there(objs))
	}
	return out, nil
}

// there lists what could have been matched.
func there(objs []*unstructured.Unstructured) string {
	const most = 12
	text := ""
	for i, o := range objs {
		if i == most {
			return text + ", …"
		}
		sep := ", "
		if i == 0 {
			sep = "; there are "
		}
		text += sep + o.GetKind() + " " + o.GetName()
	}
	return text
}

func (p Patch) selector() (selector, error) {
	t := p.Target
	regex, err := types.NewSelectorRegex(&types.Selector{
		ResId:         resid.ResId{Gvk: resid.Gvk{Group: t.Group, Version: t.Version, Kind: t.Kind}, Name: t.Name},
		LabelSelector: t.LabelSelector, AnnotationSelector: t.AnnotationSelector,
	})
	if err != nil {
		return nil, fmt.Errorf("the patch's target: %w", err)
	}
	return func(o *unstructured.Unstructured) (bool, error) {
		gvk := o.GroupVersionKind()
		if !regex.MatchGvk(resid.Gvk{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}) || !regex.MatchName(o.GetName()) {
			return false, nil
		}
		if t.LabelSelector == "" && t.AnnotationSelector == "" {
			return true, nil
		}
		node, err := kyaml.FromMap(o.Object)
		if err != nil {
			return false, fmt.Errorf("read %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		labels, err := node.MatchesLabelSelector(t.LabelSelector)
		if err != nil {
			return false, fmt.Errorf("the patch's labelSelector: %w", err)
		}
		annotations, err := node.MatchesAnnotationSelector(t.AnnotationSelector)
		if err != nil {
			return false, fmt.Errorf("the patch's annotationSelector: %w", err)
		}
		return labels && annotations, nil
	}, nil
}

// named selects the object that a strategic merge names.
func named(doc map[string]any) selector {
	want := &unstructured.Unstructured{Object: doc}
	return func(o *unstructured.Unstructured) (bool, error) {
		if want.GetKind() == "" || want.GetName() == "" {
			return false, errors.New("a strategic-merge patch needs a target, or apiVersion, kind and metadata.name of its object")
		}
		namespace := want.GetNamespace()
		return want.GroupVersionKind() == o.GroupVersionKind() && want.GetName() == o.GetName() &&
			(namespace == "" || namespace == o.GetNamespace()), nil
	}
}

// merged applies a strategic merge; kind, name and namespace stay, as in kustomize. Nil: the patch deletes the object.
func merged(o *unstructured.Unstructured, doc map[string]any) (*unstructured.Unstructured, error) {
	node, err := kyaml.FromMap(doc)
	if err != nil {
		return nil, err
	}
	out, err := filter(o, patchstrategicmerge.Filter{Patch: node})
	if err != nil || out == nil {
		return nil, err
	}
	out.SetKind(o.GetKind())
	out.SetAPIVersion(o.GetAPIVersion())
	out.SetName(o.GetName())
	if o.GetNamespace() != "" {
		out.SetNamespace(o.GetNamespace())
	}
	if lost := lostItems(o.Object, out.Object, nil); lost != nil {
		return nil, lost.explain(doc)
	}
	return out, nil
}

// filter runs a kustomize filter over one object.
func filter(o *unstructured.Unstructured, f kio.Filter) (*unstructured.Unstructured, error) {
	return rewritten(o, func(text []byte) ([]byte, error) {
		node, err := kyaml.Parse(string(text))
		if err != nil {
			return nil, err
		}
		nodes, err := f.Filter([]*kyaml.RNode{node})
		if err != nil || len(nodes) == 0 || nodes[0].IsNilOrEmpty() {
			return nil, err
		}
		return nodes[0].MarshalJSON()
	})
}

// rewritten is an object after a change of its JSON, nil when nothing is left of it. Code of others has panicked on
// hostile input before: one more failed patch.
func rewritten(o *unstructured.Unstructured, change func(text []byte) ([]byte, error)) (out *unstructured.Unstructured, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("the patch cannot be applied: %v", p)
		}
	}()
	text, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if text, err = change(text); err != nil {
		return nil, err
	}
	if empty := bytes.TrimSpace(text); len(empty) == 0 || string(empty) == "null" || string(empty) == "{}" {
		return nil, nil
	}
	out = &unstructured.Unstructured{}
	return out, out.UnmarshalJSON(text)
}

func operationsIn(docs []any) int {
	n := 0
	for _, doc := range docs {
		n += copyOperations(doc)
	}
	return n
}

func copyOperations(doc any) int {
	n := 0
	operations, _ := doc.([]any) // a strategic merge has none
	for _, o := range operations {
		if m, ok := o.(map[string]any); ok && m["op"] == "copy" {
			n++
		}
	}
	return n
}
