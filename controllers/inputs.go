package controllers

import (
	"context"
	"fmt"

	"github.com/Masterminds/semver/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
)

// inputsReader reads accounts and profiles through the cache and layers past it.
type inputsReader struct {
	client.Reader
	layers layers
}

// of reads what a cluster is rendered from out of the API: its account, its profiles and their built layers. The
// digest is the one that its Fleet stamps.
func (r *inputsReader) of(ctx context.Context, c *v1alpha1.NutanixClusterSpec) (render.Inputs, string, error) {
	account := &v1alpha1.CloudAccount{}
	key := client.ObjectKey{Namespace: c.Namespace, Name: c.Spec.AccountRef.Name}
	if err := r.Get(ctx, key, account); err != nil {
		if apierrors.IsNotFound(err) {
			return render.Inputs{}, "", stall(v1alpha1.ReferenceNotFoundReason, "spec.accountRef: CloudAccount %s does not exist; create it, or commit it beside the cluster", key)
		}
		return render.Inputs{}, "", fmt.Errorf("reading CloudAccount %s: %w", key, err)
	}
	if err := refusePaths(c); err != nil {
		return render.Inputs{}, "", err
	}
	as := fleet.Cluster{Object: c, Account: &fleet.Account{Object: account}}
	in := render.Inputs{Cluster: c, Account: account}
	for _, ref := range c.Spec.Profiles {
		p, err := r.profile(ctx, c.Namespace, ref)
		if err != nil {
			return render.Inputs{}, "", err
		}
		as.Profiles = append(as.Profiles, &p)
		in.Profiles = append(in.Profiles, render.Profile{Object: p.Object, Layers: p.Layers})
	}
	return in, fleet.InputsDigest(as), nil
}

// refusePaths refuses files in an object that no Fleet mirrored: there are none to read.
func refusePaths(c *v1alpha1.NutanixClusterSpec) error {
	for i, p := range c.Spec.Patches {
		if p.Path != "" {
			return stall(v1alpha1.PathNeedsFleetReason, "spec.patches[%d].path: %q is a file, and only a Fleet has files; write the patch inline as spec.patches[%d].patch", i, p.Path, i)
		}
	}
	return nil
}

// profile finds the highest version that a reference takes, with its layers.
func (r *inputsReader) profile(ctx context.Context, namespace string, ref v1alpha1.ProfileReference) (fleet.Profile, error) {
	all := &v1alpha1.ClusterProfileList{}
	if err := r.List(ctx, all, client.InNamespace(namespace)); err != nil {
		return fleet.Profile{}, fmt.Errorf("listing ClusterProfiles: %w", err)
	}
	object, err := highest(all.Items, ref)
	if err != nil {
		return fleet.Profile{}, err
	}
	p := fleet.Profile{Object: object}
	for _, layer := range object.Spec.Layers {
		for i, patch := range layer.Patches {
			if patch.Path != "" {
				return p, stall(v1alpha1.PathNeedsFleetReason, "ClusterProfile %s, layer %s, patches[%d].path: %q is a file, and only a Fleet has files; write the patch inline", object.Name, layer.Name, i, patch.Path)
			}
		}
		if layer.Kustomize == nil && layer.Manifests == nil {
			continue
		}
		built, ok := builtLayer(object, layer.Name)
		if !ok {
			return p, stall(v1alpha1.PathNeedsFleetReason, "ClusterProfile %s, layer %s, is built from files, and only a Fleet has files; commit the profile to the Fleet's repository", object.Name, layer.Name)
		}
		loaded, err := r.layers.load(ctx, namespace, built)
		if err != nil {
			return p, err
		}
		p.Layers = append(p.Layers, loaded)
	}
	p.ContentDigest = fleet.ContentDigest(p)
	return p, nil
}

func builtLayer(p *v1alpha1.ClusterProfile, name string) (v1alpha1.BuiltLayer, bool) {
	for _, built := range p.Status.Layers {
		if built.Name == name {
			return built, true
		}
	}
	return v1alpha1.BuiltLayer{}, false
}

// highest picks the highest version of a profile that the reference's range takes.
func highest(all []v1alpha1.ClusterProfile, ref v1alpha1.ProfileReference) (*v1alpha1.ClusterProfile, error) {
	if _, err := semver.NewConstraint(ref.Version); err != nil {
		return nil, stall(v1alpha1.ReferenceNotFoundReason, "profile %s: %q is neither a version nor a range: %w", ref.Name, ref.Version, err)
	}
	var best *v1alpha1.ClusterProfile
	var bestVersion *semver.Version
	for i := range all {
		p := &all[i]
		version, err := semver.StrictNewVersion(p.Spec.Version)
		if err != nil || !takes(ref, p) {
			continue
		}
		if best == nil || version.GreaterThan(bestVersion) {
			best, bestVersion = p, version
		}
	}
	if best == nil {
		return nil, stall(v1alpha1.ReferenceNotFoundReason, "no ClusterProfile in this namespace is profile %s in version %s; commit one, or correct spec.profiles", ref.Name, ref.Version)
	}
	return best, nil
}

// takes says whether a profile is of a version that a reference takes. A reference that nobody can read takes all
// versions: it is not known which it means.
func takes(ref v1alpha1.ProfileReference, p *v1alpha1.ClusterProfile) bool {
	if ref.Name != p.Spec.Profile {
		return false
	}
	wanted, err := semver.NewConstraint(ref.Version)
	if err != nil {
		return true
	}
	version, err := semver.StrictNewVersion(p.Spec.Version)
	return err != nil || wanted.Check(version)
}
