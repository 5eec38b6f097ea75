package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// Mirrored is what is accepted already and living, as far as what Git declares is compared with it. It is a value: the
// operator and the command line read it in their own ways and judge by the same rules.
type Mirrored struct {
	// Namespace of the Fleet.
	Namespace string
	// Clusters that live, of every namespace that was read.
	Clusters []v1alpha1.NutanixClusterSpec
	// Accounts of those namespaces.
	Accounts []v1alpha1.CloudAccount
	// Profiles of the namespace.
	Profiles []v1alpha1.ClusterProfile
	// Fleets of the namespace that live, by name. Nil: not known, and every Fleet that an object names counts as living.
	Fleets map[string]bool

	public bool // what is in other namespaces is not named
}

// ChangedProfile finds another content under a profile version that is mirrored: versions are immutable. The error is a
// *build.Error at the profile.
func (m Mirrored) ChangedProfile(c fleet.Cluster) error {
	for _, p := range c.Profiles {
		wanted := p.Object.Spec
		for i := range m.Profiles {
			have := &m.Profiles[i]
			same := have.Spec.Profile == wanted.Profile && have.Spec.Version == wanted.Version
			if !same || have.Status.ContentDigest == "" || have.Status.ContentDigest == p.ContentDigest {
				continue
			}
			return &build.Error{Path: p.Place.Path, Line: p.Place.Line, Err: fmt.Errorf(
				"profile %s@%s is in use with another content, and a version never changes: make a new version, and leave %s as it was",
				wanted.Profile, wanted.Version, wanted.Version)}
		}
	}
	return nil
}

// Taken says who has a newcomer's name or endpoint already; nil when both are free. Living clusters count whoever
// declares them, also those whose file is gone: their machines are there.
func (m Mirrored) Taken(c fleet.Cluster) error {
	address := c.Account.Object.Spec.Endpoint.Address
	for i := range m.Clusters {
		other := &m.Clusters[i]
		same := other.Name == c.Object.Name
		if same && other.Namespace == m.Namespace {
			if owner := other.Annotations[v1alpha1.FleetAnnotation]; owner != "" {
				return fmt.Errorf("cluster %s is declared by Fleet %s already; remove it from one of the two (this Fleet takes over once that one is gone)", other.Name, owner)
			}
			return fmt.Errorf("NutanixClusterSpec %s/%s exists and was not made by a Fleet; delete it (its machines stay) to have this Fleet take over", other.Namespace, other.Name)
		}
		if m.address(other, c) != address {
			continue
		}
		if same {
			return fmt.Errorf("a cluster named %s exists in %s on the same Prism Central (%s), where names are identities; choose another name", other.Name, m.whereabouts(other), address)
		}
		if host := other.Spec.ControlPlane.Endpoint.Host; host == c.Object.Spec.ControlPlane.Endpoint.Host {
			return fmt.Errorf("endpoint %s is in use by %s on the same Prism Central (%s); choose a free address, or delete that cluster first if this one is the same under a new name", host, m.nameOf(other), address)
		}
	}
	return nil
}

// hides says whether a living cluster is not to be named.
func (m Mirrored) hides(living *v1alpha1.NutanixClusterSpec) bool {
	return m.public && living.Namespace != m.Namespace
}

func (m Mirrored) whereabouts(living *v1alpha1.NutanixClusterSpec) string {
	if m.hides(living) {
		return "another namespace"
	}
	return "namespace " + living.Namespace
}

func (m Mirrored) nameOf(living *v1alpha1.NutanixClusterSpec) string {
	if m.hides(living) {
		return "a cluster in another namespace"
	}
	return "cluster " + living.Namespace + "/" + living.Name
}

// address is the Prism Central of a living cluster, "" when its account is not known. One whose account is missing is
// where the newcomer goes when both name the same account.
func (m Mirrored) address(living *v1alpha1.NutanixClusterSpec, newcomer fleet.Cluster) string {
	account := living.Spec.AccountRef.Name
	for i := range m.Accounts {
		if a := &m.Accounts[i]; a.Namespace == living.Namespace && a.Name == account {
			return a.Spec.Endpoint.Address
		}
	}
	if declared := newcomer.Account.Object; living.Namespace == m.Namespace && declared.Name == account {
		return declared.Spec.Endpoint.Address
	}
	return ""
}

// Vanished says what becomes of an accepted cluster that its Fleet does not declare any more, complete saying whether
// every file was understood: the plan of its removal, or why it is kept, with a condition reason. source is where the
// Fleet reads now, see [Source]; "": wherever the cluster came from.
func Vanished(c *v1alpha1.NutanixClusterSpec, source string, complete bool) (p plan.Plan, keep, reason string) {
	switch {
	case !complete:
		return plan.Plan{}, "a file of this revision could not be understood, so it is not known whether this cluster is still declared; nothing is pruned", v1alpha1.SourceUnknownReason
	case source != "" && c.Annotations[v1alpha1.SourceAnnotation] != source:
		return plan.Plan{}, "the Fleet's url or path changed and the new place does not declare this cluster; it is kept, whatever its deletion policy", v1alpha1.FileRemovedReason
	}
	p, keep = Removal(c)
	return p, keep, v1alpha1.FileRemovedReason
}

// Source is the digest of the repository and path that a Fleet reads, as its mirrors carry it in refract.dev/source.
func Source(f *v1alpha1.Fleet) string {
	h := sha256.New()
	for _, part := range []string{f.Spec.Git.URL, path.Clean("/" + f.Spec.Git.Path)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Removal says what becomes of an accepted cluster whose file is gone, after its deletion policy: the plan of its removal,
// or why it is kept.
func Removal(c *v1alpha1.NutanixClusterSpec) (p plan.Plan, keep string) {
	ref := plan.Ref{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster", Namespace: c.Namespace, Name: c.Name}
	switch c.Spec.DeletionPolicy {
	case v1alpha1.DeletionOrphan:
		return plan.Orphan(ref), ""
	case v1alpha1.DeletionDelete:
		machines, upTo := machinesOf(c.Spec)
		return plan.Deletion(ref, machines, upTo), ""
	default:
		return plan.Plan{}, "its file is gone from Git; deletion policy Protect keeps the cluster with its last spec. Put the file back, or commit deletionPolicy Delete or Orphan before removing it"
	}
}

// machinesOf is how many machines an accepted cluster may have; a pool that is scaled automatically counts with its maximum,
// so that an approval does not go stale.
func machinesOf(c v1alpha1.NutanixClusterSpecSpec) (n int, upTo bool) {
	n = int(c.ControlPlane.Replicas)
	for _, pool := range c.NodePools {
		switch {
		case pool.Autoscaling != nil:
			n, upTo = n+int(pool.Autoscaling.Max), true
		case pool.Replicas != nil:
			n += int(*pool.Replicas)
		}
	}
	return n, upTo
}
