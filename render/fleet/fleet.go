// Package fleet decodes the files of a snapshot into accounts, profiles and clusters: typed, with defaults, with every
// reference resolved and every mistake with its place.
//
// It is pure and strict. What the files say is judged by the schemas of the CRDs, as the API server judges objects, so
// that a file that decodes here is not refused there. The rules stand in DESIGN.md under "Files in Git".
package fleet

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// Error is a mistake with its place.
type Error = build.Error

// Place is a document in a file of the snapshot.
type Place = build.Origin

// Fleet is everything that a directory declares.
type Fleet struct {
	// Accounts, sorted by name, also those with an Err.
	Accounts []Account
	// Profiles, sorted by profile and version, also those with an Err.
	Profiles []Profile
	// Clusters, sorted by name, also those with an Err. A name that two files use is there twice, each with an Err.
	Clusters []Cluster
	// Complete is false when a file or document could not be understood. Then what is absent is not known to be
	// absent, and nothing may be pruned.
	Complete bool
	// Ignored are the YAML files (or documents, "path:line") of other API groups, and the directories ("path/") with a
	// kustomization.yaml of their own that no layer is built from, sorted.
	Ignored []string
	// Errors are all mistakes, sorted by place; they include each item's Err.
	Errors []*Error
}

// Account is a CloudAccount file.
type Account struct {
	// Object with defaults.
	Object *v1alpha1.CloudAccount
	// Place of the document.
	Place Place
	// Lines of the document's fields.
	Lines Lines
	// Err joins the mistakes of this account; nil when it is usable.
	Err error
}

// Profile is a ClusterProfile file.
type Profile struct {
	// Object with defaults; patch files are inlined.
	Object *v1alpha1.ClusterProfile
	// Place of the document.
	Place Place
	// Lines of the document's fields.
	Lines Lines
	// Layers of types Network, Storage and AddOn, in the order of the file. Layers of type OS and Kubernetes have no
	// objects of their own and are not in this list. They are shared with the Cache: copy before changing.
	Layers []Layer
	// ContentDigest covers spec and built layers: "sha256:" and 64 hexadecimal digits. It does not cover file names.
	ContentDigest string
	// Origins are the places of the patches that were inlined, by their field, such as spec.layers[0].patches[1].
	Origins map[string]build.Origin
	// Err joins the mistakes of this profile; nil when it is usable.
	Err error
}

// Layer is a built layer.
type Layer struct {
	// Name of the layer in its profile.
	Name string
	// Objects of the layer, with its patches applied and variables not yet substituted.
	Objects []*unstructured.Unstructured
	// Digest of Objects: "sha256:" and 64 hexadecimal digits.
	Digest string
}

// Cluster is a NutanixClusterSpec file.
type Cluster struct {
	// Object with defaults; patch files are inlined and profile versions resolved.
	Object *v1alpha1.NutanixClusterSpec
	// Place of the document.
	Place Place
	// Lines of the document's fields.
	Lines Lines
	// Account that the cluster names; nil when there is none.
	Account *Account
	// Profiles that the cluster uses, in the order of the file; those that do not resolve are left out.
	Profiles []*Profile
	// Requested versions or ranges as written, by profile.
	Requested map[string]string
	// Origins are the places of the patches that were inlined, by their field, such as spec.patches[1].
	Origins map[string]build.Origin
	// Err joins the mistakes that hold this cluster back, those of its account and profiles included; nil when it can
	// be rendered.
	Err error
}
