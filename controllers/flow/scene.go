package flow

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/site"
)

// Scene is what is known beside the files. Nil Gather: the review is predicted from the files alone.
type Scene struct {
	// Namespace that objects go to. Default: what each file says, else "default".
	Namespace string
	// Fleet that declares the files; nil: none was named, and default limits hold.
	Fleet *v1alpha1.Fleet
	// Mirrors are the clusters of the namespace, by name, whichever Fleet they are of.
	Mirrors map[string]*v1alpha1.NutanixClusterSpec
	// Mirrored is what else is accepted and living.
	Mirrored Mirrored
	// Gather reads what is live of a declared cluster, which is given in its namespace.
	Gather func(c *v1alpha1.NutanixClusterSpec) Gatherer
	// Try has the API server judge, as a dry run, the object that would be mirrored: mirror is what is there, nil when
	// nothing is. Nil: not tried.
	Try func(ctx context.Context, c, mirror *v1alpha1.NutanixClusterSpec) error
	// Sites tells what an account's Prism Central holds. Nil inventory: nothing is known, and the text says why; with an
	// inventory, a text says why no more than that is known. Nil: not asked.
	Sites func(account string) (*site.Inventory, string)
	// Owned are the ExtIDs of VMs of an account that machines of this management cluster name. Nil: not known.
	Owned func(account string) map[string]bool
	// Public: everybody reads the report who may read the repository. It names nothing that is neither in Namespace nor in
	// the files, and of the API server's words only those about Refract's own kinds.
	Public bool
	// Underway tells what was accepted and is not carried out. Nil: not known, which the Report's Note says.
	Underway func(ctx context.Context) (Underway, error)
	// All plans every cluster, also those whose inputs are the accepted ones: what an upgrade of Refract or another hand
	// changed is found only so.
	All bool
}

// Underway is what was accepted and is not carried out.
type Underway struct {
	// Clusters with an unfinished plan, by name.
	Clusters map[string]plan.Unfinished
	// Deleting clusters that nobody approved.
	Deleting int
}

// live says whether the management cluster is asked.
func (s Scene) live() bool { return s.Gather != nil }

func (s Scene) fleetName() string {
	if s.Fleet == nil {
		return ""
	}
	return s.Fleet.Name
}

// own is the mirror of a cluster that is this Fleet's: its own, or one whose Fleet is gone. Without a Fleet every one is.
func (s Scene) own(name string) *v1alpha1.NutanixClusterSpec {
	c := s.Mirrors[name]
	if c == nil || s.Fleet == nil {
		return c
	}
	if owner := c.Annotations[v1alpha1.FleetAnnotation]; owner == s.Fleet.Name || (owner != "" && !s.Mirrored.lives(owner)) {
		return c
	}
	return nil
}

// accepted says whether inputs are those that a living mirror accepted for this Fleet, and its cluster is not gone.
func (s Scene) accepted(mirror *v1alpha1.NutanixClusterSpec, inputs string) bool {
	return mirror != nil && mirror.DeletionTimestamp.IsZero() && mirror.Annotations[v1alpha1.AcceptedDigestAnnotation] == inputs && !Gone(mirror) &&
		(s.Fleet == nil || mirror.Annotations[v1alpha1.FleetAnnotation] == s.Fleet.Name)
}

// Gone says whether a cluster existed and was deleted by another hand, as its status reports: creating it anew needs an
// approval.
func Gone(mirror *v1alpha1.NutanixClusterSpec) bool {
	if mirror == nil {
		return false
	}
	stalled := meta.FindStatusCondition(mirror.Status.Conditions, v1alpha1.StalledCondition)
	return stalled != nil && stalled.Reason == v1alpha1.ClusterDeletedElsewhereReason
}

// defaultNamespace is where objects go when neither the files nor anybody else says so, as with kubectl.
const defaultNamespace = "default"

// inputs of a usable cluster, in the namespace that its objects go to.
func (s Scene) inputs(c fleet.Cluster) render.Inputs {
	in := render.FromFleet(c)
	in.Cluster = in.Cluster.DeepCopy()
	switch {
	case s.Namespace != "":
		in.Cluster.Namespace = s.Namespace
	case in.Cluster.Namespace == "":
		in.Cluster.Namespace = defaultNamespace
	}
	return in
}

// limits of the Fleet.
func (s Scene) limits() plan.Limits {
	if s.Fleet == nil {
		return plan.LimitsFrom(v1alpha1.Limits{})
	}
	return plan.LimitsFrom(s.Fleet.Spec.Limits)
}
