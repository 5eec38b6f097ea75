// Package render makes the Cluster API objects of one cluster out of its spec, its account and its profiles.
//
// It is pure: the same input gives the same bytes, and nothing of the input is changed. The steps stand in DESIGN.md
// under "Rendering": typed spec, base, layers of type OS and Kubernetes, layers of type Network, Storage and AddOn, the
// cluster's patches, labels, and names last. Objects are rendered unstructured, so that server-side apply owns only
// fields that somebody has an opinion about.
package render

import (
	"strconv"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// Inputs is all that the objects of one cluster depend on.
type Inputs struct {
	// Cluster with defaults; patches are inline and profile versions resolved. Its namespace is where the objects go.
	Cluster *v1alpha1.NutanixClusterSpec
	// Account that the cluster names.
	Account *v1alpha1.CloudAccount
	// Profiles that the cluster names, in the cluster's order.
	Profiles []Profile
	// Place of the cluster's document, for messages. Zero: as annotation refract.dev/file says, if it is there.
	Place fleet.Place
	// Files that the inputs were decoded from, for places. Nil: not known.
	Files *fleet.Cluster
	// Was is what the inputs were before, for places only: which of several fields changed. Layers may be missing. Nil: not
	// known.
	Was *Inputs
}

// Profile is one profile version with its built layers.
type Profile struct {
	// Object of the profile.
	Object *v1alpha1.ClusterProfile
	// Layers of types Network, Storage and AddOn, built; variables are not substituted.
	Layers []fleet.Layer
	// Place of the profile's document, for messages. Zero: as annotation refract.dev/file says, if it is there.
	Place fleet.Place
}

// FromFleet returns the inputs of a decoded cluster. The cluster must be usable: c.Err is nil.
func FromFleet(c fleet.Cluster) Inputs {
	in := Inputs{Cluster: c.Object, Place: c.Place, Files: &c}
	if c.Account != nil {
		in.Account = c.Account.Object
	}
	for _, p := range c.Profiles {
		in.Profiles = append(in.Profiles, Profile{Object: p.Object, Layers: p.Layers, Place: p.Place})
	}
	return in
}

// Cluster renders the objects of one cluster. An error joins *build.Error where the file is known; it names the layer
// or patch that is wrong and what to do. It is ErrPathNeedsFleet where a path was never inlined.
func Cluster(in Inputs) (Unit, error) {
	s, err := newStack(in)
	if err != nil {
		return Unit{}, err
	}
	if err = checkIgnored(in.Cluster); err != nil {
		return Unit{}, s.clusterError(err)
	}
	objects, err := s.base()
	if err != nil {
		return Unit{}, s.clusterError(err)
	}
	for _, l := range s.machineLayers() {
		if objects, err = applyPatches(objects, l.patches()); err != nil {
			return Unit{}, err
		}
	}
	delivered, err := s.workloads()
	if err != nil {
		return Unit{}, err
	}
	objects = append(objects, delivered...)
	if objects, err = applyPatches(objects, s.clusterPatches()); err != nil {
		return Unit{}, err
	}
	if err := finish(in.Cluster, objects); err != nil {
		return Unit{}, s.clusterError(err)
	}
	return Unit{objects: objects}, nil
}

// placeOf returns place, or what the annotation that a Fleet puts on mirrored objects says.
func placeOf(place fleet.Place, annotations map[string]string) fleet.Place {
	if place.Path != "" {
		return place
	}
	path := annotations[v1alpha1.FileAnnotation]
	colon := strings.LastIndex(path, ":")
	if colon < 0 {
		return fleet.Place{Path: path}
	}
	line, err := strconv.Atoi(path[colon+1:])
	if err != nil {
		return fleet.Place{Path: path}
	}
	return fleet.Place{Path: path[:colon], Line: line}
}

// at gives err the place, when there is one.
func at(place fleet.Place, err error) error {
	if err == nil || place.Path == "" {
		return err
	}
	return build.At(place.Path, place.Line, err)
}
