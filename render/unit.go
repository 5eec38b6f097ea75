package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Unit is the rendered objects of one cluster, whose templates have no final names yet. The zero Unit has no objects.
type Unit struct {
	objects []object
}

// object is a rendered object under its base name.
type object struct {
	*unstructured.Unstructured
	// origin says who declared and who patched the object.
	origin string
	// atCreation are fields that are rendered only while the object does not exist.
	atCreation []field
	// source is what of the input the object is rendered for.
	source source
	// writes are what patches changed, in their order.
	writes []write
	// built: it holds a part of a layer's objects, which use variables. delivered: what brings the cloud controller manager.
	built, delivered bool
	variables        []string
}

// field is a value with the path to it.
type field struct {
	path  []string
	value any
}

// Template is an object whose name is chosen after Gather: a NutanixMachineTemplate, KubeadmConfigTemplate or
// NutanixFailureDomain. Machines are cloned from it, or it is immutable, so another content needs another name.
type Template struct {
	// Object with its labels and its content digest. Its metadata.name is Base.
	Object *unstructured.Unstructured
	// Base is the name without a hash, such as edge-01-workers.
	Base string
	// Digest of the content: "sha256:" and 64 hexadecimal digits, over everything but apiVersion, kind, metadata and
	// status.
	Digest string
	// Hashed is the name that this content has unless an older name is kept: Base and 8 digits of Digest.
	Hashed string
	// Referrers hold this template's name.
	Referrers []Referrer
}

// Key returns what Named looks up the template's name by: "kind/base".
func (t Template) Key() string { return key(t.Object.GetKind(), t.Base) }

func key(kind, base string) string { return kind + "/" + base }

// Referrer is an object with a field that holds a template's name.
type Referrer struct {
	// APIVersion, Kind and Name of the object; the namespace is the cluster's.
	APIVersion, Kind, Name string
	// Path to the field; "*" stands for every item of a list.
	Path []string

	// index of the reference among those that Path leads to.
	index int
}

// Objects returns copies of all objects in the order in which they are applied, under base names and without what is
// rendered only at creation. What is not a template has its final name already.
func (u Unit) Objects() []*unstructured.Unstructured {
	out := make([]*unstructured.Unstructured, len(u.objects))
	for i, o := range u.objects {
		out[i] = o.DeepCopy()
	}
	return out
}

// Templates returns the objects whose names are chosen after Gather, in the order in which they are applied.
func (u Unit) Templates() []Template {
	var out []Template
	for _, o := range u.objects {
		if !isTemplate(o.GetKind()) {
			continue
		}
		digest := contentDigest(o.Unstructured)
		out = append(out, Template{
			Object:    o.DeepCopy(),
			Base:      o.GetName(),
			Digest:    digest,
			Hashed:    hashed(o.GetName(), digest),
			Referrers: u.referrers(o.GetKind(), o.GetName()),
		})
	}
	return out
}

func (u Unit) referrers(kind, base string) []Referrer {
	var out []Referrer
	for _, o := range u.objects {
		for _, r := range references[o.GetKind()] {
			if r.template != kind {
				continue
			}
			if i := slices.Index(values(o.Unstructured, r.path), base); i >= 0 {
				out = append(out, Referrer{
					APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName(), Path: r.path, index: i,
				})
			}
		}
	}
	return out
}

// Current returns the name under which t is referred to now, "" when it is not. live returns an object as it is, nil
// when it does not exist; it is asked for t's referrers only.
//
// The name is a candidate: whether the object of that name may stay is for the caller to find out from its content.
func (u Unit) Current(t Template, live func(apiVersion, kind, name string) *unstructured.Unstructured) string {
	for _, r := range t.Referrers {
		obj := live(r.APIVersion, r.Kind, r.Name)
		if obj == nil {
			continue
		}
		if name := u.pick(t, r, values(obj, r.Path)); name != "" {
			return name
		}
	}
	return ""
}

// pick chooses from the names in a live referrer the one that stands for t: one made from t's base, else the one at the
// same place, unless it is made from another base. Names without our form are those of adopted objects.
func (u Unit) pick(t Template, r Referrer, names []string) string {
	if t.Object.GetKind() != kindNutanixFailureDomain {
		// Only one name can stand there, and the pool or control plane is the same one.
		if len(names) == 1 {
			return names[0]
		}
		return ""
	}
	for _, name := range names {
		if u.baseOf(t.Object.GetKind(), name) == t.Base {
			return name
		}
	}
	if r.index < len(names) && u.baseOf(t.Object.GetKind(), names[r.index]) == "" {
		return names[r.index]
	}
	return ""
}

// baseOf returns the base of the template that name was made from, "" when it has the form of none.
func (u Unit) baseOf(kind, name string) string {
	for _, base := range []string{name, BaseName(name)} {
		if u.find(kind, base) != nil {
			return base
		}
	}
	return ""
}

// BaseName takes the hash off the name of a template or failure domain: "edge-01-kcp-1a2b3c4d" gives "edge-01-kcp". A name
// without a hash is its own base.
func BaseName(name string) string {
	cut := len(name) - len("-") - hashDigits
	if cut <= 0 || name[cut] != '-' || strings.Trim(name[cut+1:], "0123456789abcdef") != "" {
		return name
	}
	return name[:cut]
}

func (u Unit) find(kind, name string) *object {
	for i, o := range u.objects {
		if o.GetKind() == kind && o.GetName() == name {
			return &u.objects[i]
		}
	}
	return nil
}

// Named returns the final objects in the order in which they are applied. names holds the chosen names of templates by
// Template.Key; a template that is missing there gets its Hashed name. References follow. Two templates of one kind that
// were given the same name yield one object.
//
// creating tells whether an object does not exist yet: only then are the replicas of an autoscaled pool rendered. A nil
// creating says that everything exists.
func (u Unit) Named(names map[string]string, creating func(kind, name string) bool) []*unstructured.Unstructured {
	chosen := map[string]string{}
	for _, t := range u.Templates() {
		chosen[t.Key()] = t.Hashed
		if name := names[t.Key()]; name != "" {
			chosen[t.Key()] = name
		}
	}
	var out []*unstructured.Unstructured
	seen := map[string]bool{}
	for _, o := range u.objects {
		final := o.named(chosen, creating)
		id := key(final.GetKind(), final.GetName())
		if !seen[id] {
			seen[id] = true
			out = append(out, final)
		}
	}
	return out
}

func (o object) named(chosen map[string]string, creating func(kind, name string) bool) *unstructured.Unstructured {
	out := o.DeepCopy()
	if name, ok := chosen[key(o.GetKind(), o.GetName())]; ok {
		out.SetName(name)
	}
	for _, r := range references[o.GetKind()] {
		rewrite(out.Object, r.path, func(base string) string {
			if name, ok := chosen[key(r.template, base)]; ok {
				return name
			}
			return base
		})
	}
	if creating != nil && len(o.atCreation) > 0 && creating(o.GetKind(), o.GetName()) {
		for _, f := range o.atCreation {
			set(out.Object, f.value, f.path...)
		}
	}
	return out
}

// Digest covers all objects under their base names, without what is rendered only at creation: "sha256:" and 64
// hexadecimal digits.
func (u Unit) Digest() string {
	all := make([]any, len(u.objects))
	for i, o := range u.objects {
		all[i] = o.Object
	}
	return digest(all)
}

// Origin says, for messages, who declared an object of this Unit and who patched it; "" when it is not of this Unit.
func (u Unit) Origin(o *unstructured.Unstructured) string {
	if found := u.locate(o); found != nil {
		return found.origin
	}
	return ""
}

// locate finds the object of this Unit that o is, whatever name was chosen for it; nil when there is none.
func (u Unit) locate(o *unstructured.Unstructured) *object {
	if found := u.find(o.GetKind(), o.GetName()); found != nil {
		return found
	}
	if base := u.baseOf(o.GetKind(), o.GetName()); base != "" && isTemplate(o.GetKind()) {
		return u.find(o.GetKind(), base)
	}
	content := o.GetAnnotations()[v1alpha1.ContentDigestAnnotation]
	for _, t := range u.Templates() {
		if t.Object.GetKind() == o.GetKind() && t.Digest == content {
			return u.find(o.GetKind(), t.Base)
		}
	}
	return nil
}

// hashDigits is how much of the content digest a name carries.
const hashDigits = 8

func hashed(base, digest string) string {
	return base + "-" + digest[len(digestPrefix):len(digestPrefix)+hashDigits]
}

// contentDigest covers what machines are made from: neither names, labels and annotations nor the API version.
func contentDigest(o *unstructured.Unstructured) string {
	content := map[string]any{}
	for k, v := range o.Object {
		switch k {
		case "apiVersion", "kind", "metadata", "status":
		default:
			content[k] = v
		}
	}
	return digest(content)
}

const digestPrefix = "sha256:"

// digest covers v, which is made of what JSON is made of.
func digest(v any) string {
	data, err := json.Marshal(v) // sorts keys
	if err != nil {
		data = fmt.Append(nil, err) // cannot happen: maps, lists and scalars only
	}
	sum := sha256.Sum256(data)
	return digestPrefix + hex.EncodeToString(sum[:])
}
