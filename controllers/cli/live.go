package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// maxParallel bounds how many clusters are compared at once.
const maxParallel = 4

// scene is what a live plan is made from, beside the files.
type scene struct {
	declared
	client    client.Client
	namespace string
	fleet     *v1alpha1.Fleet                         // nil: none was named
	mirrors   map[string]*v1alpha1.NutanixClusterSpec // of the namespace, by name
	mirrored  flow.Mirrored
}

func (f planFlags) proposeLive(ctx context.Context, d declared) (proposed, error) {
	config, namespace, err := f.open()
	if err != nil {
		return proposed{}, err
	}
	if f.namespace == "" {
		namespace = d.statedNamespace(namespace)
	}
	d.namespace = namespace
	s := scene{declared: d, namespace: namespace, mirrors: map[string]*v1alpha1.NutanixClusterSpec{}}
	if s.client, err = connect(config); err != nil {
		return proposed{}, err
	}
	if err = s.look(ctx, f.fleet); err != nil {
		return proposed{}, err
	}
	p, err := s.propose(ctx)
	if err != nil {
		return proposed{}, err
	}
	in := s.gateInput(p.plans)
	p.kept = s.removals(&in)
	for _, name := range slices.Sorted(maps.Keys(in.Removals)) {
		p.plans = append(p.plans, in.Removals[name].Plan)
	}
	p.decisions = plan.Gate(in).Decisions
	s.reserve(p.decisions)
	p.prism = s.onPrism(p.plans)
	return p, nil
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

// look reads what Refract itself knows about the namespace.
func (s *scene) look(ctx context.Context, fleetName string) error {
	clusters := &v1alpha1.NutanixClusterSpecList{}
	if err := s.client.List(ctx, clusters, client.InNamespace(s.namespace)); err != nil {
		return fmt.Errorf("listing NutanixClusterSpecs in namespace %s: %w", s.namespace, err)
	}
	for i := range clusters.Items {
		s.mirrors[clusters.Items[i].Name] = &clusters.Items[i]
	}
	profiles := &v1alpha1.ClusterProfileList{}
	if err := s.client.List(ctx, profiles, client.InNamespace(s.namespace)); err != nil {
		return fmt.Errorf("listing ClusterProfiles in namespace %s: %w", s.namespace, err)
	}
	accounts := &v1alpha1.CloudAccountList{}
	if err := s.client.List(ctx, accounts, client.InNamespace(s.namespace)); err != nil {
		return fmt.Errorf("listing CloudAccounts in namespace %s: %w", s.namespace, err)
	}
	s.mirrored = flow.Mirrored{Namespace: s.namespace, Clusters: clusters.Items, Accounts: accounts.Items, Profiles: profiles.Items}
	if fleetName == "" {
		return nil
	}
	s.fleet = &v1alpha1.Fleet{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: fleetName}, s.fleet)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("namespace %s has no Fleet %s; name another by --fleet or --namespace", s.namespace, fleetName)
	}
	return err
}

// propose plans every usable cluster.
func (s *scene) propose(ctx context.Context) (proposed, error) {
	p := proposed{live: true}
	type answer struct {
		plan     plan.Plan
		mistakes []*build.Error
	}
	answers := make([]answer, len(s.Clusters))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, c := range s.Clusters {
		if c.Err != nil {
			continue
		}
		group.Go(func() error {
			one, err := s.proposeOne(ctx, c)
			if known := new(build.Error); errors.As(err, &known) {
				answers[i].mistakes = placed(c, err)
				return nil
			}
			answers[i].plan = one
			if err != nil {
				return fmt.Errorf("planning cluster %s: %w", c.Object.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return proposed{}, err
	}
	for i, c := range s.Clusters {
		p.mistakes = append(p.mistakes, answers[i].mistakes...)
		if c.Err == nil && len(answers[i].mistakes) == 0 {
			p.plans = append(p.plans, answers[i].plan)
		}
	}
	return p, nil
}

func (s *scene) proposeOne(ctx context.Context, c fleet.Cluster) (plan.Plan, error) {
	if err := s.mirrored.ChangedProfile(c); err != nil {
		return plan.Plan{}, err
	}
	live := kube.Cluster{
		Client: s.client, Reader: s.client, Namespace: s.namespace, Name: c.Object.Name,
		Ignore: c.Object.Spec.DriftIgnore, Adopt: c.Object.Spec.Adopt,
	}
	in := s.inputs(c)
	in.Was = s.mirrored.Accepted(s.mirrors[c.Object.Name])
	one, err := flow.Propose(ctx, in, live, "", plan.Options{Recreate: s.gone(c.Object.Name)})
	return one.Plan, err
}

// gone says whether a cluster existed and was deleted by another hand, as its status reports: creating it anew needs an
// approval.
func (s *scene) gone(name string) bool {
	mirror := s.mirrors[name]
	if mirror == nil {
		return false
	}
	stalled := meta.FindStatusCondition(mirror.Status.Conditions, v1alpha1.StalledCondition)
	return stalled != nil && stalled.Reason == v1alpha1.ClusterDeletedElsewhereReason
}

// reserve holds newcomers whose name or endpoint is taken, which is what a rename looks like.
func (s *scene) reserve(decisions map[string]plan.Decision) {
	for _, c := range s.Clusters {
		name := c.Object.Name
		if _, planned := decisions[name]; !planned || s.mirrors[name] != nil {
			continue
		}
		if err := s.mirrored.Taken(c); err != nil {
			decisions[name] = plan.Decision{Reason: v1alpha1.ConflictReason, Message: placed(c, err)[0].Error()}
		}
	}
}

func (s *scene) gateInput(plans []plan.Plan) plan.GateInput {
	in := plan.GateInput{
		Namespace: s.namespace, Limits: plan.LimitsFrom(v1alpha1.Limits{}),
		Clusters: map[string]plan.ClusterInput{}, Removals: map[string]plan.RemovalInput{},
	}
	if s.fleet != nil {
		in.Fleet, in.Limits = s.fleet.Name, plan.LimitsFrom(s.fleet.Spec.Limits)
	}
	for _, p := range plans {
		c := plan.ClusterInput{Plan: p}
		if mirror := s.mirrors[p.Cluster]; mirror != nil {
			c.Limits = mirror.Spec.Limits // the accepted ones: a commit does not loosen its own gate
		}
		in.Clusters[p.Cluster] = c
	}
	return in
}

// removals adds the clusters of the Fleet whose files are not below PATH, and says why others stay.
func (s *scene) removals(in *plan.GateInput) map[string]string {
	kept := map[string]string{}
	if s.fleet == nil {
		return kept
	}
	for name, mirror := range s.mirrors {
		if mirror.Annotations[v1alpha1.FleetAnnotation] != s.fleet.Name {
			continue
		}
		in.Total++
		if _, ok := s.find(name); ok || !mirror.DeletionTimestamp.IsZero() {
			continue
		}
		if !s.Complete {
			kept[name] = "a file below PATH could not be understood, so it is not known whether this cluster is still declared"
			continue
		}
		in.Vanishing++
		removal, keep := flow.Removal(mirror)
		if keep != "" {
			kept[name] = keep
			continue
		}
		in.Removals[name] = plan.RemovalInput{Plan: removal, Limits: mirror.Spec.Limits}
	}
	return kept
}
