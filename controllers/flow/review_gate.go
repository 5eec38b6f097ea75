package flow

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/plan"
)

// removals adds the clusters that head does not declare any more.
func (r *review) removals() {
	declared := map[string]bool{}
	for i := range r.head.Clusters {
		declared[r.head.Clusters[i].Object.Name] = true
	}
	before := r.inFleet()
	r.total = len(before)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		c := before[name]
		if declared[name] || !c.DeletionTimestamp.IsZero() {
			continue
		}
		one := &reviewed{name: name, mirror: r.scene.own(name), limits: c.Spec.Limits}
		_, inBase := r.before[name]
		one.Pending = r.scene.live() && r.base != nil && r.base.Complete && !inBase
		one.Plan, one.Kept, _ = Vanished(c, r.source(), r.head.Complete)
		one.Plan.Cluster = name
		one.Plan.Predicted = !r.scene.live()
		if r.head.Complete {
			r.vanishing++
		}
		if one.Kept != "" && one.Pending {
			r.report.Unchanged++ // kept since an earlier commit: nothing to do with this one
			continue
		}
		r.clusters = append(r.clusters, one)
	}
}

// inFleet are the clusters that the Fleet has, or base declares, by name. What head does not declare of them is gone.
func (r *review) inFleet() map[string]*v1alpha1.NutanixClusterSpec {
	all := map[string]*v1alpha1.NutanixClusterSpec{}
	switch {
	case r.scene.live() && r.scene.Fleet != nil:
		for name, c := range r.scene.Mirrors {
			if c.Annotations[v1alpha1.FleetAnnotation] == r.scene.Fleet.Name {
				all[name] = c
			}
		}
	case !r.scene.live():
		for name, c := range r.before {
			all[name] = c.Object
		}
	}
	return all
}

// source of the Fleet, where mirrors tell theirs; "" where they do not.
func (r *review) source() string {
	if !r.scene.live() || r.scene.Fleet == nil {
		return ""
	}
	return Source(r.scene.Fleet)
}

// gate decides over the sum of everything that would happen: new plans, unfinished accepted ones, and removals. Files
// alone are gated where a Fleet says by which limits.
func (r *review) gate(ctx context.Context) error {
	if !r.scene.live() && r.scene.Fleet == nil {
		return nil
	}
	in := plan.GateInput{
		Namespace: r.scene.Namespace, Fleet: r.scene.fleetName(), Limits: r.scene.limits(),
		Clusters: map[string]plan.ClusterInput{}, Removals: map[string]plan.RemovalInput{},
		Total: r.total, Vanishing: r.vanishing,
	}
	if err := r.underway(ctx, &in); err != nil {
		return err
	}
	for _, one := range r.clusters {
		switch {
		case !one.planned():
		case one.declared == nil:
			in.Removals[one.name] = plan.RemovalInput{Plan: one.Plan, Limits: one.limits}
		default:
			in.Clusters[one.name] = plan.ClusterInput{Plan: one.Plan, Unfinished: in.Clusters[one.name].Unfinished, Limits: one.limits}
		}
	}
	result := plan.Gate(in)
	r.report.Digest = result.Digest
	for _, one := range r.clusters {
		if decision, ok := result.Decisions[one.name]; ok && one.planned() {
			one.Decision = &decision
		}
	}
	return nil
}

// underway counts what was accepted and is not carried out, where that is known.
func (r *review) underway(ctx context.Context, in *plan.GateInput) error {
	if !r.scene.live() {
		return nil
	}
	if r.scene.Underway == nil {
		if r.scene.Fleet != nil && slices.ContainsFunc(r.clusters, func(c *reviewed) bool { return c.Plan.Recreated()+c.Plan.Removed() > 0 }) {
			r.note("What is accepted and not carried out counts towards the limits as well, and is not known here.")
		}
		return nil
	}
	known, err := r.scene.Underway(ctx)
	if err != nil {
		return fmt.Errorf("reading what is accepted and not carried out: %w", err)
	}
	in.Deleting = known.Deleting
	for name, u := range known.Clusters {
		mirror := r.scene.own(name)
		if mirror == nil {
			continue
		}
		in.Clusters[name] = plan.ClusterInput{Unfinished: &u, Limits: mirror.Spec.Limits}
	}
	return nil
}

func (r *review) note(sentence string) {
	r.report.Note = strings.TrimSpace(r.report.Note + " " + sentence)
}

func placeOf(m *build.Error) string {
	if m.Path == "" || m.Line == 0 {
		return m.Path
	}
	return fmt.Sprintf("%s:%d", m.Path, m.Line)
}

// list names a few.
func list(names []string) string {
	const few = 10
	if len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	return strings.Join(names, ", ")
}
