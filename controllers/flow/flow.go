// Package flow is the road from a cluster's inputs to its plan, without side effects: the operator, the reviewer and
// the command line all walk it. What is live is gathered by a port that the caller passes in.
package flow

import (
	"context"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/plan"
)

// Gatherer reads what is live. Nothing that it does changes an object.
type Gatherer interface {
	// Live reads objects as they are; those that do not exist are absent from the map.
	Live(ctx context.Context, refs []plan.Ref) (map[plan.Ref]*unstructured.Unstructured, error)
	// Keeps says for each template, in order, whether it may keep the name that it is passed under: its content is what
	// is live there, or was at our last apply.
	Keeps(ctx context.Context, templates []*unstructured.Unstructured) ([]bool, error)
	// Gather pairs each wanted object with the live one, with what the API server would store and with Cluster API's
	// verdict for each machine, and adds a pair for each object of the inventory that is no longer wanted.
	Gather(ctx context.Context, want []*unstructured.Unstructured) ([]plan.Pair, error)
}

// Proposal is what a cluster's inputs would change.
type Proposal struct {
	// Plan holds the changes.
	Plan plan.Plan
	// Pairs are what the plan was computed from.
	Pairs []plan.Pair
	// Objects are the rendered objects under their final names, in apply order.
	Objects []*unstructured.Unstructured
	// Rendered is the digest of the rendered objects before names.
	Rendered string
	// Unit tells where objects came from.
	Unit render.Unit
}

// Propose renders a cluster, gathers what is live and computes the plan. Without a gatherer the plan is predicted from
// the files alone, as if nothing were live.
//
// accepted is the digest of the rendered objects that were accepted last, "" when there are none: if the rendered
// objects are still those, every difference is drift, and the plan is one of putting back (plan.Options.Restore).
func Propose(ctx context.Context, in render.Inputs, live Gatherer, accepted string, o plan.Options) (Proposal, error) {
	renders.Add(1)
	unit, err := render.Cluster(in)
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{Unit: unit, Rendered: unit.Digest()}
	o.Cluster = in.Cluster.Name
	o.Restore = accepted == p.Rendered
	o.Place = places(unit, in)
	if live == nil {
		p.Objects = unit.Named(nil, everything)
		p.Plan = plan.Compute(offline(p.Objects), o)
		return p, nil
	}
	now, err := live.Live(ctx, referrers(unit))
	if err != nil {
		return Proposal{}, fmt.Errorf("reading what refers to templates: %w", err)
	}
	names, err := chooseNames(ctx, unit, now, live)
	if err != nil {
		return Proposal{}, err
	}
	p.Objects = unit.Named(names, func(kind, name string) bool { return !exists(now, kind, name) })
	if p.Pairs, err = live.Gather(ctx, p.Objects); err != nil {
		return Proposal{}, err
	}
	for i := range p.Pairs {
		if p.Pairs[i].Want != nil {
			p.Pairs[i].Origin = unit.Origin(p.Pairs[i].Want)
		}
	}
	p.Plan = plan.Compute(p.Pairs, o)
	return p, nil
}

// places tells where in Git the changes of a plan come from; nil where no files are known.
func places(unit render.Unit, in render.Inputs) func(plan.Pair, string) string {
	found := unit.Places(in)
	if !found.Known() {
		return nil
	}
	return func(p plan.Pair, field string) string {
		if p.Want == nil {
			return found.Gone(p.Live)
		}
		return found.Of(p.Want, field)
	}
}

var renders atomic.Int64

// Renders is how many clusters this process has rendered, for measurements.
func Renders() int64 { return renders.Load() }

func everything(string, string) bool { return true }

func offline(objects []*unstructured.Unstructured) []plan.Pair {
	pairs := make([]plan.Pair, 0, len(objects))
	for _, o := range objects {
		pairs = append(pairs, plan.Pair{Want: o})
	}
	return pairs
}

// chooseNames keeps the name of each template whose content is already live under the name referred to now, also when
// that template was edited by hand since our last apply (it is then restored in place). All others get the name of
// their content.
func chooseNames(ctx context.Context, unit render.Unit, now map[plan.Ref]*unstructured.Unstructured, live Gatherer) (map[string]string, error) {
	templates := unit.Templates()
	lookup := func(apiVersion, kind, name string) *unstructured.Unstructured {
		for ref, o := range now {
			if ref.APIVersion == apiVersion && ref.Kind == kind && ref.Name == name {
				return o
			}
		}
		return nil
	}
	var candidates []*unstructured.Unstructured
	var owners []render.Template
	for _, t := range templates {
		current := unit.Current(t, lookup)
		if current == "" {
			continue
		}
		candidate := t.Object.DeepCopy()
		candidate.SetName(current)
		candidates, owners = append(candidates, candidate), append(owners, t)
	}
	names := map[string]string{}
	if len(candidates) == 0 {
		return names, nil
	}
	kept, err := live.Keeps(ctx, candidates)
	if err != nil {
		return nil, fmt.Errorf("comparing templates: %w", err)
	}
	for i, t := range owners {
		if kept[i] {
			names[t.Key()] = candidates[i].GetName()
		}
	}
	return names, nil
}

func referrers(unit render.Unit) []plan.Ref {
	var refs []plan.Ref
	seen := map[plan.Ref]bool{}
	for _, t := range unit.Templates() {
		for _, r := range t.Referrers {
			ref := plan.Ref{APIVersion: r.APIVersion, Kind: r.Kind, Namespace: t.Object.GetNamespace(), Name: r.Name}
			if !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

func exists(now map[plan.Ref]*unstructured.Unstructured, kind, name string) bool {
	for ref := range now {
		if ref.Kind == kind && ref.Name == name {
			return true
		}
	}
	return false
}
