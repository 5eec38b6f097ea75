package render

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// stack is the layers of all profiles of one cluster, in the order in which they are rendered, with the cluster's
// variables put in.
type stack struct {
	in     Inputs
	place  fleet.Place
	layers []layer
}

// layer is one layer of one profile.
type layer struct {
	v1alpha1.Layer
	// title names layer and profile in messages.
	title string
	place fleet.Place
	// values of the profile's variables.
	values map[string]string
	// built are the objects of a layer of type Network, Storage or AddOn, if isBuilt.
	built   []*unstructured.Unstructured
	isBuilt bool
	// source is the layer in its profile's document.
	source source
	// variables that built uses.
	variables []string
}

// layerOrder is the order in which types of layers are rendered.
var layerOrder = []v1alpha1.LayerType{
	v1alpha1.LayerOS, v1alpha1.LayerKubernetes, v1alpha1.LayerNetwork, v1alpha1.LayerStorage, v1alpha1.LayerAddOn,
}

func newStack(in Inputs) (stack, error) {
	if in.Cluster == nil || in.Account == nil {
		return stack{}, errors.New("a cluster is rendered from a NutanixClusterSpec and a CloudAccount: one is missing")
	}
	s := stack{in: in, place: placeOf(in.Place, in.Cluster.Annotations)}
	var errs []error
	for _, reference := range in.Cluster.Spec.Profiles {
		i := slices.IndexFunc(in.Profiles, func(p Profile) bool { return p.Object.Spec.Profile == reference.Name })
		if i < 0 {
			errs = append(errs, s.clusterError(fmt.Errorf("profile %s %s is not there", reference.Name, reference.Version)))
			continue
		}
		layers, err := s.profile(i, reference)
		s.layers = append(s.layers, layers...)
		errs = append(errs, err)
	}
	slices.SortStableFunc(s.layers, func(a, b layer) int {
		return slices.Index(layerOrder, a.Type) - slices.Index(layerOrder, b.Type)
	})
	if err := errors.Join(errs...); err != nil {
		return stack{}, err
	}
	return s, s.clusterError(s.complete())
}

// profile returns the layers of the profile numbered i with the variables of the cluster's reference to it.
func (s stack) profile(i int, reference v1alpha1.ProfileReference) ([]layer, error) {
	p := s.in.Profiles[i]
	values, err := fleet.Values(p.Object.Spec, reference.Variables)
	if err != nil {
		return nil, s.clusterError(err)
	}
	place := placeOf(p.Place, p.Object.Annotations)
	var out []layer
	var errs []error
	for n, spec := range p.Object.Spec.Layers {
		l := layer{Layer: spec, place: place, values: values, source: source{firstProfileDoc + i, layerPath(n)}}
		l.title = fmt.Sprintf("layer %s of profile %s@%s", spec.Name, p.Object.Spec.Profile, p.Object.Spec.Version)
		for _, built := range p.Layers {
			if built.Name == spec.Name {
				l.built, l.isBuilt = built.Objects, true
			}
		}
		if err := l.substitute(); err != nil {
			errs = append(errs, at(place, fmt.Errorf("%s: %w", l.title, err)))
		}
		out = append(out, l)
	}
	return out, errors.Join(errs...)
}

// complete tells whether there is exactly one layer of each type that every cluster needs.
func (s stack) complete() error {
	for _, t := range layerOrder[:2] {
		var titles []string
		for _, l := range s.layers {
			if l.Type == t {
				titles = append(titles, l.title)
			}
		}
		switch len(titles) {
		case 0:
			return fmt.Errorf("no profile has a layer of type %s: add a profile of type Infra or Full", t)
		case 1:
		default:
			return fmt.Errorf("%s and %s are both of type %s: keep one profile of type Infra or Full", titles[0], titles[1], t)
		}
	}
	return nil
}

// substitute puts the variables into the layer's own fields and objects. Patches are left for patches.
func (l *layer) substitute() error {
	fields := v1alpha1.Layer{OS: l.OS, Kubernetes: l.Kubernetes}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&fields)
	if err != nil {
		return err
	}
	errs := []error{build.Substitute(m, l.values)}
	fields = v1alpha1.Layer{}
	errs = append(errs, runtime.DefaultUnstructuredConverter.FromUnstructured(m, &fields))
	l.OS, l.Kubernetes = fields.OS, fields.Kubernetes
	built := make([]*unstructured.Unstructured, len(l.built))
	for i, o := range l.built {
		built[i] = o.DeepCopy()
		l.variables = append(l.variables, variablesIn(o.Object)...)
		if err := build.Substitute(built[i].Object, l.values); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", describe(o), err))
		}
	}
	l.built = built
	return errors.Join(errs...)
}

// base renders what does not depend on Network, Storage and AddOn layers.
func (s stack) base() ([]object, error) {
	b := base{cluster: s.in.Cluster, account: s.in.Account}
	for _, l := range s.machineLayers() {
		b.os, b.kubernetes = cmp.Or(l.OS, b.os), cmp.Or(l.Kubernetes, b.kubernetes)
	}
	for _, pool := range s.in.Cluster.Spec.NodePools {
		if err := checkNodeLabels(pool.Name, pool.Labels); err != nil {
			return nil, err
		}
	}
	return b.objects()
}

// machineLayers are those of types OS and Kubernetes: they describe machines.
func (s stack) machineLayers() []layer { return s.layers[:2] }

// workloads renders the delivery of the other layers.
func (s stack) workloads() ([]object, error) {
	var out []object
	var errs []error
	for _, l := range s.layers[2:] {
		objects, err := l.deliver(s.in.Cluster)
		if err != nil {
			errs = append(errs, at(l.place, fmt.Errorf("%s: %w", l.title, err)))
		}
		out = append(out, objects...)
	}
	return out, errors.Join(errs...)
}

func (l layer) deliver(c *v1alpha1.NutanixClusterSpec) ([]object, error) {
	if !l.isBuilt {
		return nil, fmt.Errorf("the layer is not built: %w", ErrPathNeedsFleet)
	}
	if len(l.built) == 0 {
		return nil, errors.New("the layer has no objects: look at what its path holds")
	}
	docs, err := documents(l.built)
	if err != nil {
		return nil, err
	}
	out, err := resourceSet(c, c.Name+"-"+l.Name, docs)
	for i := range out {
		out[i].origin, out[i].source, out[i].built, out[i].variables = l.title, l.source, true, l.variables
	}
	return out, err
}

func (s stack) clusterError(err error) error {
	if err == nil {
		return nil
	}
	return at(s.place, fmt.Errorf("cluster %s: %w", s.in.Cluster.Name, err))
}
