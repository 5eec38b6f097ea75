package flow

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// Obstacle keeps a declared cluster from being mirrored, whatever it asks for.
type Obstacle struct {
	// Reason is a condition reason: Deleting, which passes, or Conflict.
	Reason string
	// Message says what is in the way and what to do.
	Message string
}

func conflict(format string, args ...any) *Obstacle {
	return &Obstacle{Reason: v1alpha1.ConflictReason, Message: fmt.Sprintf(format, args...)}
}

// lives says whether a Fleet of the namespace lives; while it is not known which do, all do.
func (m Mirrored) lives(fleetName string) bool { return m.Fleets == nil || m.Fleets[fleetName] }

// Blocked says what keeps a cluster that a Fleet declares from being mirrored: its predecessor is still going, or the name
// of a profile or of its account is taken. Nil: nothing.
func (m Mirrored) Blocked(fleetName string, mirror *v1alpha1.NutanixClusterSpec, c fleet.Cluster) *Obstacle {
	if mirror != nil && !mirror.DeletionTimestamp.IsZero() {
		return &Obstacle{Reason: v1alpha1.DeletingReason, Message: "the cluster of this name is being deleted; it is created anew afterwards"}
	}
	for _, p := range c.Profiles {
		if o := m.profileTaken(fleetName, p); o != nil {
			return o
		}
	}
	return m.accountTaken(fleetName, c.Account)
}

func (m Mirrored) profileTaken(fleetName string, p *fleet.Profile) *Obstacle {
	name := p.Object.Name
	for i := range m.Profiles {
		have := &m.Profiles[i]
		if have.Name != name || have.Status.ContentDigest == p.ContentDigest {
			continue
		}
		switch owner := have.Annotations[v1alpha1.FleetAnnotation]; {
		case owner == "":
			return conflict("ClusterProfile %s exists with another content and was not made by a Fleet; delete it, or use another metadata.name", name)
		case owner != fleetName && m.lives(owner):
			return conflict("ClusterProfile %s is declared by Fleet %s with another content; declare it in one place, or under another metadata.name", name, owner)
		}
	}
	return nil
}

func (m Mirrored) accountTaken(fleetName string, a *fleet.Account) *Obstacle {
	name := a.Object.Name
	for i := range m.Accounts {
		have := &m.Accounts[i]
		if have.Namespace != m.Namespace || have.Name != name || equality.Semantic.DeepEqual(have.Spec, a.Object.Spec) {
			continue
		}
		switch owner := have.Annotations[v1alpha1.FleetAnnotation]; {
		case owner == "":
			return conflict("CloudAccount %s exists with another spec and was not made by a Fleet; delete it, or commit the same spec", name)
		case owner != fleetName && m.lives(owner):
			return conflict("CloudAccount %s is declared by Fleet %s with another spec; declare it in one place, or under another name", name, owner)
		}
	}
	return nil
}

// Placed gives every mistake in err that has no place that of the cluster's document.
func Placed(c fleet.Cluster, err error) []*build.Error {
	mistakes := build.Flatten("", err)
	for i, m := range mistakes {
		if m.Path == "" {
			mistakes[i] = &build.Error{Path: c.Place.Path, Line: c.Place.Line, Err: fmt.Errorf("cluster %s: %w", c.Object.Name, m.Err)}
		}
	}
	return mistakes
}

// Refused says whether the API server answered that a request is wrong, as for lack of rights: that is the cluster's own,
// and trying again does not help.
func Refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err)
}

// Invalid says whether the API server or a webhook refused an object for what it says.
func Invalid(err error) bool { return apierrors.IsInvalid(err) }
