package cli

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// live compares the files with the management cluster.
func (f diffFlags) live(ctx context.Context, head declared) (difference, error) {
	var d difference
	if head.empty() {
		return d, head.nothing()
	}
	clusters := f.chosen(head)
	if f.cluster != "" && len(clusters) == 0 {
		return d, fmt.Errorf("PATH %s has no cluster %s; %s", head.path, f.cluster, head.names())
	}
	config, namespace, err := f.open()
	if err != nil {
		return d, err
	}
	if f.namespace == "" {
		namespace = head.statedNamespace(namespace)
	}
	head.namespace = namespace
	c, err := connect(config)
	if err != nil {
		return d, err
	}
	if f.cluster == "" {
		d.wrong("", head.Errors)
	}
	proposals, mistakes, err := proposeAll(ctx, c, head, clusters)
	if err != nil {
		return d, err
	}
	d.wrong("", mistakes)
	for i, one := range head.Clusters {
		if _, meant := clusters[one.Object.Name]; meant && one.Err == nil {
			d.proposal(one.Object.Name, proposals[i])
		}
	}
	return d, f.vanished(ctx, c, head, &d)
}

// proposeAll asks the management cluster about every usable cluster; the result is in the order of the files.
func proposeAll(ctx context.Context, c client.Client, head declared, meant map[string]fleet.Cluster) ([]flow.Proposal, []*build.Error, error) {
	proposals, wrong := make([]flow.Proposal, len(head.Clusters)), make([][]*build.Error, len(head.Clusters))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, one := range head.Clusters {
		if _, ok := meant[one.Object.Name]; !ok {
			continue
		}
		if one.Err != nil {
			wrong[i] = build.Flatten(one.Place.Path, one.Err)
			continue
		}
		group.Go(func() error {
			live := kube.Cluster{
				Client: c, Reader: c, Namespace: head.namespace, Name: one.Object.Name,
				Ignore: one.Object.Spec.DriftIgnore, Adopt: one.Object.Spec.Adopt,
			}
			p, err := flow.Propose(ctx, head.inputs(one), live, "", plan.Options{})
			if known := new(build.Error); errors.As(err, &known) {
				wrong[i] = flow.Placed(one, err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("comparing cluster %s: %w", one.Object.Name, err)
			}
			proposals[i] = p
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	var mistakes []*build.Error
	for _, w := range wrong {
		mistakes = append(mistakes, w...)
	}
	return proposals, mistakes, nil
}

// proposal shows what the plan would change, and nothing that it would leave alone.
func (d *difference) proposal(name string, p flow.Proposal) {
	changed := map[plan.Ref]bool{}
	for _, c := range p.Plan.Changes {
		changed[c.Object] = true
	}
	for _, pair := range p.Pairs {
		o := pair.Want
		if o == nil {
			o = pair.Live
		}
		foreign := len(pair.Foreign) > 0
		if !foreign && !changed[plan.RefOf(o)] {
			continue
		}
		before, after := pair.Live, pair.DryRun
		if before == nil {
			before = pair.Previous
		}
		if after == nil {
			after = pair.Want
		}
		switch {
		case pair.Refused != "":
			d.text.note(name, pair.Origin, o, "the API server refuses this: "+pair.Refused)
		case foreign:
			d.text.note(name, pair.Origin, o, "exists and is not Refract's; it is not written until the cluster sets adopt: true")
		case !d.text.add(name, pair.Origin, before, after):
			d.text.note(name, pair.Origin, o, "changes in nothing that is shown here, such as who owns its fields")
		}
	}
}

// vanished names the clusters of the Fleet that the files do not declare.
func (f diffFlags) vanished(ctx context.Context, c client.Client, head declared, d *difference) error {
	if f.fleet == "" || f.cluster != "" || !head.Complete {
		return nil
	}
	mirrors := &v1alpha1.NutanixClusterSpecList{}
	if err := c.List(ctx, mirrors, client.InNamespace(head.namespace)); err != nil {
		return fmt.Errorf("listing NutanixClusterSpecs in namespace %s: %w", head.namespace, err)
	}
	for _, m := range mirrors.Items {
		if _, declared := head.find(m.Name); !declared && m.Annotations[v1alpha1.FleetAnnotation] == f.fleet {
			d.text.gone(m.Name)
		}
	}
	return nil
}
