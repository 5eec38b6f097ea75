package flow

import (
	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
)

// Accepted is what a living cluster was rendered from last, for render.Inputs.Was: its mirror, the account and the
// profiles that it names, as far as they are there. Layers have digests and no objects. Nil when there is no mirror.
func Accepted(mirror *v1alpha1.NutanixClusterSpec, account *v1alpha1.CloudAccount,
	profile func(name, version string) *v1alpha1.ClusterProfile,
) *render.Inputs {
	if mirror == nil {
		return nil
	}
	was := &render.Inputs{Cluster: mirror, Account: account}
	for _, reference := range mirror.Spec.Profiles {
		p := profile(reference.Name, reference.Version)
		if p == nil {
			continue
		}
		one := render.Profile{Object: p}
		for _, built := range p.Status.Layers {
			one.Layers = append(one.Layers, fleet.Layer{Name: built.Name, Digest: built.Digest})
		}
		was.Profiles = append(was.Profiles, one)
	}
	return was
}

// Accepted is Accepted for a mirror, with what is known of its account and profiles.
func (m Mirrored) Accepted(mirror *v1alpha1.NutanixClusterSpec) *render.Inputs {
	if mirror == nil {
		return nil
	}
	var account *v1alpha1.CloudAccount
	for i := range m.Accounts {
		if a := &m.Accounts[i]; a.Namespace == mirror.Namespace && a.Name == mirror.Spec.AccountRef.Name {
			account = a
		}
	}
	return Accepted(mirror, account, func(name, version string) *v1alpha1.ClusterProfile {
		for i := range m.Profiles {
			if p := &m.Profiles[i]; p.Spec.Profile == name && p.Spec.Version == version {
				return p
			}
		}
		return nil
	})
}
