// Package build reads Kubernetes objects out of a snapshot: plain YAML files, kustomize directories and patches.
//
// It is pure: everything comes from the fs.FS that is passed in. What could reach beyond it (remote bases, plugins,
// paths that leave the snapshot) is refused before kustomize is started, which then runs on an in-memory copy of
// exactly the files that were referred to. The rules stand in DESIGN.md under "Files in Git".
package build

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Error is a mistake with its place in the snapshot.
type Error struct {
	// Path of the file, relative to the snapshot's root.
	Path string
	// Line in the file, from 1; 0 when not known.
	Line int
	// Err says what is wrong and what to do next.
	Err error
}

// Error returns "path:line: message".
func (e *Error) Error() string {
	switch {
	case e.Path == "":
		return e.Err.Error()
	case e.Line == 0:
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err)
}

// Unwrap returns the mistake without its place.
func (e *Error) Unwrap() error { return e.Err }

// At gives err a place. An err that already is an *Error keeps its own; nil stays nil.
func At(path string, line int, err error) *Error {
	if err == nil {
		return nil
	}
	if placed, ok := errors.AsType[*Error](err); ok {
		return placed
	}
	return &Error{Path: path, Line: line, Err: err}
}

// Flatten returns every mistake that err holds (errors.Join and *Error are opened), sorted by place and without
// repetition. A mistake without a place gets path and line 0.
func Flatten(path string, err error) []*Error {
	var out []*Error
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) { //nolint:errorlint // each level of the tree is looked at by itself
		case nil:
		case *Error:
			out = append(out, e)
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				walk(inner)
			}
		default:
			out = append(out, At(path, 0, err))
		}
	}
	walk(err)
	return Sort(out)
}

// Sort orders mistakes by path, line and message, and drops repetitions.
func Sort(errs []*Error) []*Error {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Err.Error(), b.Err.Error()))
	})
	return slices.CompactFunc(errs, func(a, b *Error) bool { return a.Error() == b.Error() })
}

// Join makes one error of many mistakes, in their order; nil when there is none.
func Join(errs []*Error) error {
	all := make([]error, len(errs))
	for i, e := range errs {
		all[i] = e
	}
	return errors.Join(all...)
}

// Origin is the place that an object or a patch came from.
type Origin struct {
	// Path of the file, relative to the snapshot's root.
	Path string
	// Line of the document's first line, from 1; 0 when not known.
	Line int
}

// String returns "path:line".
func (o Origin) String() string {
	if o.Line == 0 {
		return o.Path
	}
	return fmt.Sprintf("%s:%d", o.Path, o.Line)
}

// Object is an object with the place that it came from.
type Object struct {
	*unstructured.Unstructured
	// Origin is the document that declares the object; for a generated one the kustomization.
	Origin Origin
}

// Patch is a kustomize patch with the place that it came from.
type Patch struct {
	// Target selects objects as kustomize does. Nil: the strategic-merge patch names its object itself.
	Target *v1alpha1.PatchTarget
	// Patch is the text, YAML or JSON; JSON6902 when it is a list.
	Patch string
	// Origin is where the text stands.
	Origin Origin
}
