package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render/plan"
)

var errIncomplete = errors.New("no Cluster is among the wanted objects, so they cannot be all")

// Gather collects all that a plan is computed from: the pairs of Compare, Cluster API's verdict for every Machine of a
// control plane or pool, the template referred to now beside the one that would follow it, and a pair without Want for
// everything in the inventory that is no longer wanted. want must be all objects of the cluster: without a Cluster among
// them it is an incomplete render, and an error.
//
// Not among the latter are the Cluster (its deletion is an event of its own), what is being deleted already, and
// templates and failure domains that a control plane, MachineDeployment, MachineSet or Machine still refers to.
// Nothing is written. Any read or dry run that fails for another reason than the object's content is an error, and then
// nothing is known.
func (c Cluster) Gather(ctx context.Context, want []*unstructured.Unstructured) ([]plan.Pair, error) {
	if !slices.ContainsFunc(want, func(o *unstructured.Unstructured) bool { return o.GetKind() == clusterKind.Kind }) {
		return nil, fmt.Errorf("gather cluster %s/%s: %w", c.Namespace, c.Name, errIncomplete)
	}
	live, err := c.labelled(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := c.compare(ctx, want, live)
	if err != nil {
		return nil, err
	}
	m, err := c.machinery(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if p.Live != nil {
			live[identify(plan.RefOf(p.Live))] = p.Live
		}
	}
	if err := c.judge(ctx, pairs, m); err != nil {
		return nil, err
	}
	if err := c.previous(ctx, pairs, live); err != nil {
		return nil, err
	}
	return append(pairs, c.unwanted(want, live, m)...), nil
}

// unwanted are the pairs of what is in the inventory and no longer wanted.
func (c Cluster) unwanted(want []*unstructured.Unstructured, live map[identity]*unstructured.Unstructured, m machinery) []plan.Pair {
	wanted := map[identity]bool{}
	for _, w := range want {
		wanted[identify(plan.RefOf(w))] = true
	}
	used := m.references(live)
	var gone []*unstructured.Unstructured
	for id, o := range live {
		if !wanted[id] && !used[id] && c.prunable(o) {
			gone = append(gone, o)
		}
	}
	sortObjects(gone)
	pairs := make([]plan.Pair, 0, len(gone))
	for _, o := range gone {
		pairs = append(pairs, plan.Pair{Live: o, Machines: m.present(o)})
	}
	return pairs
}

// prunable says what may ever be pruned: an inventory object that is not the Cluster, not another cluster's as well, and
// not on its way out.
func (c Cluster) prunable(o *unstructured.Unstructured) bool {
	return InInventory(o, c.Name) && !anothers(o, c.Name) && o.GetKind() != clusterKind.Kind && o.GetDeletionTimestamp() == nil
}

// previous puts beside each template that would be created the one which its referrer names now.
func (c Cluster) previous(ctx context.Context, pairs []plan.Pair, live map[identity]*unstructured.Unstructured) error {
	before := renamed(pairs)
	for i, p := range pairs {
		if p.Want == nil || p.Live != nil {
			continue
		}
		was, ok := before[identify(plan.RefOf(p.Want))]
		if !ok {
			continue
		}
		if pairs[i].Previous = live[was]; pairs[i].Previous != nil {
			continue
		}
		// Not labelled, as in a cluster that is being adopted.
		ref := plan.RefOf(p.Want)
		ref.Name = was.name
		o, err := c.get(ctx, ref)
		if err != nil {
			return err
		}
		pairs[i].Previous = o
	}
	return nil
}

// renamed leads from each template or failure domain that will be referred to, to the one in its place now.
func renamed(pairs []plan.Pair) map[identity]identity {
	before := map[identity]identity{}
	for _, p := range pairs {
		if p.Want == nil || p.Live == nil {
			continue
		}
		now := templateRefs(p.Live)
		for field, next := range templateRefs(p.Want) {
			if was, ok := now[field]; ok && was != next {
				before[next] = was
			}
		}
	}
	return before
}

// compareRefs orders references as their objects are applied.
func compareRefs(a, b plan.Ref) int {
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
