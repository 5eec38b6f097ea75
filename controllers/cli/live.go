package cli

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
)

// maxParallel bounds how many clusters are compared at once.
const maxParallel = 4

// scene reads what Refract itself knows about the namespace, with the rights of whoever asks.
func (f planFlags) scene(ctx context.Context, head declared) (flow.Scene, error) {
	config, namespace, err := f.open()
	if err != nil {
		return flow.Scene{}, err
	}
	if f.namespace == "" {
		namespace = head.statedNamespace(namespace)
	}
	c, err := connect(config)
	if err != nil {
		return flow.Scene{}, err
	}
	s := flow.Scene{Namespace: namespace, All: f.all}
	s.Gather = func(one *v1alpha1.NutanixClusterSpec) flow.Gatherer {
		return kube.Cluster{
			Client: c, Reader: c, Namespace: namespace, Name: one.Name, Ignore: one.Spec.DriftIgnore, Adopt: one.Spec.Adopt,
		}
	}
	s.Try = func(ctx context.Context, one, mirror *v1alpha1.NutanixClusterSpec) error {
		return tryMirror(ctx, c, one, mirror)
	}
	return s, look(ctx, c, f.fleet, &s)
}

// statedNamespace is the one that the files say, which is the same in all of them; otherwise the default.
func (d declared) statedNamespace(otherwise string) string {
	for _, c := range d.Clusters {
		if c.Object.Namespace != "" {
			return c.Object.Namespace
		}
	}
	return otherwise
}

func look(ctx context.Context, c client.Client, fleetName string, s *flow.Scene) error {
	in := client.InNamespace(s.Namespace)
	clusters := &v1alpha1.NutanixClusterSpecList{}
	if err := c.List(ctx, clusters, in); err != nil {
		return fmt.Errorf("listing NutanixClusterSpecs in namespace %s: %w", s.Namespace, err)
	}
	s.Mirrors = map[string]*v1alpha1.NutanixClusterSpec{}
	for i := range clusters.Items {
		s.Mirrors[clusters.Items[i].Name] = &clusters.Items[i]
	}
	profiles := &v1alpha1.ClusterProfileList{}
	if err := c.List(ctx, profiles, in); err != nil {
		return fmt.Errorf("listing ClusterProfiles in namespace %s: %w", s.Namespace, err)
	}
	accounts := &v1alpha1.CloudAccountList{}
	if err := c.List(ctx, accounts, in); err != nil {
		return fmt.Errorf("listing CloudAccounts in namespace %s: %w", s.Namespace, err)
	}
	s.Mirrored = flow.Mirrored{Namespace: s.Namespace, Clusters: clusters.Items, Accounts: accounts.Items, Profiles: profiles.Items}
	if fleetName == "" {
		return nil
	}
	return lookAtFleet(ctx, c, fleetName, s)
}

// lookAtFleet reads the Fleet whose limits hold, and which others live.
func lookAtFleet(ctx context.Context, c client.Client, name string, s *flow.Scene) error {
	s.Fleet = &v1alpha1.Fleet{}
	err := c.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, s.Fleet)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("namespace %s has no Fleet %s; name another by --fleet or --namespace", s.Namespace, name)
	}
	if err != nil {
		return fmt.Errorf("reading Fleet %s/%s: %w", s.Namespace, name, err)
	}
	fleets := &v1alpha1.FleetList{}
	if err := c.List(ctx, fleets, client.InNamespace(s.Namespace)); err != nil {
		return fmt.Errorf("listing Fleets in namespace %s: %w", s.Namespace, err)
	}
	s.Mirrored.Fleets = map[string]bool{}
	for i := range fleets.Items {
		s.Mirrored.Fleets[fleets.Items[i].Name] = fleets.Items[i].DeletionTimestamp.IsZero()
	}
	return lookUnderway(ctx, c, s)
}

// lookUnderway reads what counts towards the limits beside new plans. Who may not read that goes on without.
func lookUnderway(ctx context.Context, c client.Client, s *flow.Scene) error {
	own := map[string]*v1alpha1.NutanixClusterSpec{}
	for name, mirror := range s.Mirrors {
		if mirror.Annotations[v1alpha1.FleetAnnotation] == s.Fleet.Name {
			own[name] = mirror
		}
	}
	known, err := controllers.Underway(ctx, c, s.Namespace, own)
	switch {
	case apierrors.IsForbidden(err):
		return nil
	case err != nil:
		return err
	}
	s.Underway = func(context.Context) (flow.Underway, error) { return known, nil }
	return nil
}

// tryMirror has the API server judge the object that the operator would write, as a dry run.
func tryMirror(ctx context.Context, c client.Client, one, mirror *v1alpha1.NutanixClusterSpec) error {
	if mirror == nil {
		trial := &v1alpha1.NutanixClusterSpec{
			ObjectMeta: metav1.ObjectMeta{Namespace: one.Namespace, Name: one.Name}, Spec: *one.Spec.DeepCopy(),
		}
		return c.Create(ctx, trial, client.DryRunAll, client.FieldOwner(v1alpha1.FleetFieldManager))
	}
	trial := mirror.DeepCopy()
	trial.Spec = *one.Spec.DeepCopy()
	return c.Patch(ctx, trial, client.MergeFrom(mirror), client.DryRunAll, client.FieldOwner(v1alpha1.FleetFieldManager))
}
