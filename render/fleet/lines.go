package fleet

import (
	"reflect"

	"github.com/refract-dev/refract/render/build"
)

// Lines finds the fields of one document in its file. The zero Lines finds none.
type Lines struct {
	doc    Place
	fields build.Lines
	whole  bool // nothing but the document itself is where it seems to be
}

// Known reports whether any place can be found.
func (l Lines) Known() bool { return l.doc.Path != "" }

// Place returns where a field such as spec.nodePools[0].machine.memory stands, for one that is not set where the nearest
// one above it does. A document that a kustomization changed has one place for all of its fields: what it says is said
// elsewhere. The zero Place when nothing is known.
func (l Lines) Place(field string) Place {
	if l.whole {
		return l.doc
	}
	return Place{Path: l.doc.Path, Line: l.fields.Of(field)}
}

func (i *item) lines() Lines { return Lines{doc: i.place(), fields: i.fields, whole: i.moved} }

// differs reports whether an object that was built says anything else than the document that it comes from.
func differs(doc build.Document, object map[string]any) bool {
	if doc.Node == nil {
		return true
	}
	written, mistakes := doc.Object()
	return len(mistakes) > 0 || !reflect.DeepEqual(written["spec"], object["spec"])
}
