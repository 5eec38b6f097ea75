package controllers

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/fleet"
)

// together holds clusters that share with one that stays: all clusters of a changed account take that on together, and
// so do those of a ClusterProfile that is another version under the same name. Who is held that way may hold others in
// turn.
func (s *scene) together() {
	for again := true; again; {
		again = false
		for _, name := range slices.Sorted(maps.Keys(s.proposed)) {
			p := s.proposed[name]
			if p.held != nil || p.declared == nil {
				continue
			}
			if err := s.apart(p.declared); err != nil {
				p.waits, again = true, true
				p.hold(err)
			}
		}
	}
}

// apart says why a cluster cannot be accepted without others that stay.
func (s *scene) apart(c *fleet.Cluster) error {
	if a := c.Account; s.accountChanged(a) {
		if other := s.stays(s.holders(a.Object.Name)); other != "" {
			return stall(v1alpha1.ConflictReason, "CloudAccount %s changed, and all its clusters take that on together, but cluster %s does not: see why in its status", a.Object.Name, other)
		}
	}
	for _, p := range c.Profiles {
		have, next := s.versionReplaced(p), p.Object.Spec
		if have == nil {
			continue
		}
		if other := s.stays(s.users(have)); other != "" {
			return stall(v1alpha1.ConflictReason, "ClusterProfile %s was %s@%s, which cluster %s still uses: give version %s a metadata.name of its own, such as %s-%s",
				have.Name, have.Spec.Profile, have.Spec.Version, other, next.Version, next.Profile, next.Version)
		}
	}
	return nil
}

// stays names a cluster among these that is not accepted anew in this reconcile, one with a reason of its own before one
// that waits for others; "" when there is none.
func (s *scene) stays(clusters []string) string {
	waits := ""
	for _, name := range clusters {
		switch p := s.proposed[name]; {
		case p == nil || p.declared == nil || (p.held != nil && !p.waits):
			return name
		case p.held != nil && waits == "":
			waits = name
		}
	}
	return waits
}

// holders are the mirrors that use an account, by name in order.
func (s *scene) holders(account string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.mirrors)) {
		if s.mirrors[name].Spec.AccountRef.Name == account {
			names = append(names, name)
		}
	}
	return names
}

// users are the clusters of the namespace, whoever declares them, that a profile version is taken by.
func (s *scene) users(p *v1alpha1.ClusterProfile) []string {
	var names []string
	for i := range s.all {
		c := &s.all[i]
		if c.Namespace == s.fleet.Namespace && slices.ContainsFunc(c.Spec.Profiles, func(ref v1alpha1.ProfileReference) bool { return takes(ref, p) }) {
			names = append(names, c.Name)
		}
	}
	return names
}

// versionReplaced is the mirrored profile that a declared one has the name of and is another version of, or of another
// profile; nil when there is none.
func (s *scene) versionReplaced(p *fleet.Profile) *v1alpha1.ClusterProfile {
	have := s.used[p.Object.Name]
	if have == nil || (have.Spec.Profile == p.Object.Spec.Profile && have.Spec.Version == p.Object.Spec.Version) {
		return nil
	}
	return have
}

func (s *scene) accountChanged(a *fleet.Account) bool {
	have := s.entered[a.Object.Name]
	return have != nil && !equality.Semantic.DeepEqual(have.Spec, a.Object.Spec)
}
