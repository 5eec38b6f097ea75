package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// maxParallel bounds how many clusters are planned at once.
const maxParallel = 8

// Review says what head would do: to what is live, or, without a Gatherer, to what base asks for. base may be nil: then
// nothing is said to be pending, and offline everything is created.
//
// Only clusters are planned whose inputs are not the accepted ones (offline: not those of base), so that one changed
// cluster costs the same in a fleet of 10 or 1000; see [Scene.All]. What is wrong with one cluster is a mistake in the
// report and stops no other; an error means that what is live could not be read, and nothing is known.
func Review(ctx context.Context, head, base *fleet.Fleet, s Scene) (view.Report, error) {
	s.Mirrored.public = s.Public
	r := &review{scene: s, head: head, base: base, before: map[string]*fleet.Cluster{}}
	if base != nil {
		for i := range base.Clusters {
			r.before[base.Clusters[i].Object.Name] = &base.Clusters[i]
		}
	}
	r.collect()
	if err := r.plan(ctx); err != nil {
		return view.Report{}, err
	}
	r.removals()
	if err := r.gate(ctx); err != nil {
		return view.Report{}, err
	}
	r.preflight()
	return r.finish(), nil
}

// review is one run of Review.
type review struct {
	scene      Scene
	head, base *fleet.Fleet
	before     map[string]*fleet.Cluster // of base, by name
	clusters   []*reviewed
	// vanishing clusters of the Fleet, and how many it has.
	vanishing, total int
	report           view.Report
}

// reviewed is one cluster on its way through a review.
type reviewed struct {
	view.ClusterReport
	name     string
	declared *fleet.Cluster // nil when head does not declare it
	base     *fleet.Cluster // to compare with, offline
	mirror   *v1alpha1.NutanixClusterSpec
	proposal Proposal
	// limits that are accepted: neither a commit nor a hand edit loosens its own gate.
	limits v1alpha1.Limits
	// err says why it could not be planned.
	err error
}

// planned says whether there is a plan to gate.
func (c *reviewed) planned() bool { return c.err == nil && c.Decision == nil && c.Kept == "" }

// collect finds the clusters to plan.
func (r *review) collect() {
	for i := range r.head.Clusters {
		c := &r.head.Clusters[i]
		if c.Err != nil {
			continue // its mistakes are among those of the files
		}
		if one := r.declared(c); one != nil {
			r.clusters = append(r.clusters, one)
		} else {
			r.report.Unchanged++
		}
	}
}

// declared compares a usable cluster with what is accepted, or asked for by base: nil when there is nothing to plan.
func (r *review) declared(c *fleet.Cluster) *reviewed {
	one := &reviewed{name: c.Object.Name, declared: c, mirror: r.scene.own(c.Object.Name)}
	one.Plan.Cluster = one.name
	inputs, before := fleet.InputsDigest(*c), r.before[one.name]
	same := before != nil && before.Err == nil && fleet.InputsDigest(*before) == inputs
	accepted := r.scene.accepted(one.mirror, inputs)
	if !r.scene.All && ((r.scene.live() && accepted) || (!r.scene.live() && same)) {
		return nil
	}
	if before != nil {
		one.limits = before.Object.Spec.Limits
	}
	if one.mirror != nil {
		one.limits = one.mirror.Spec.Limits
	}
	switch {
	case r.scene.live():
		one.Pending = same && !accepted
	case before != nil:
		one.base = before
	}
	return one
}

// plan plans every cluster that was collected.
func (r *review) plan(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for _, one := range r.clusters {
		group.Go(func() error { return r.planOne(ctx, one) })
	}
	return group.Wait()
}

// planOne keeps what is wrong with one cluster and returns what is wrong with reading.
func (r *review) planOne(ctx context.Context, one *reviewed) error {
	err := r.propose(ctx, one)
	known := new(build.Error)
	if err != nil && r.scene.live() && !errors.As(err, &known) && !Refused(err) {
		return fmt.Errorf("planning cluster %s: %w", one.name, err)
	}
	one.err = r.scene.told(err)
	return ctx.Err()
}

// propose plans one cluster, or decides that it is held whatever its plan.
func (r *review) propose(ctx context.Context, one *reviewed) (err error) {
	in := r.scene.inputs(*one.declared)
	switch {
	case r.scene.live():
		if err = r.scene.Mirrored.ChangedProfile(*one.declared); err != nil {
			return err
		}
		if one.Decision = r.obstacle(one); one.Decision != nil {
			return nil
		}
		if one.Decision, err = r.try(ctx, in.Cluster, one.mirror); err != nil || one.Decision != nil {
			return err
		}
		in.Was = r.was(one)
		one.proposal, err = Propose(ctx, in, r.scene.Gather(in.Cluster), "", plan.Options{Recreate: Gone(one.mirror)})
	case one.base != nil:
		if one.base.Err != nil {
			return errBase
		}
		if one.proposal, err = Predict(in, r.scene.inputs(*one.base)); err != nil {
			return err
		}
		if one.Decision = immutable(one); one.Decision != nil {
			one.Plan.Predicted = true
			return nil
		}
	default:
		one.proposal, err = Propose(ctx, in, nil, "", plan.Options{})
		one.proposal.Plan.Predicted = true // nothing was asked, so all of it is
	}
	if err == nil {
		one.Plan = r.scene.bounded(one.proposal.Plan)
	}
	return err
}

// immutable holds a cluster whose files change what the API server lets nobody change; where the plan says so already, in
// better words, it is nil.
func immutable(one *reviewed) *plan.Decision {
	if !one.proposal.Plan.Approvable() {
		return nil
	}
	err := fleet.Immutable(*one.declared, *one.base)
	if err == nil {
		return nil
	}
	return &plan.Decision{Reason: v1alpha1.ForbiddenReason, Message: "refused: " + err.Error()}
}

// was is what a living cluster was rendered from last: base's files where they are that, since they have lines.
func (r *review) was(one *reviewed) *render.Inputs {
	before := r.before[one.name]
	if before != nil && before.Err == nil && r.scene.accepted(one.mirror, fleet.InputsDigest(*before)) {
		in := r.scene.inputs(*before)
		return &in
	}
	return r.scene.Mirrored.Accepted(one.mirror)
}

// obstacle holds a cluster that could not be mirrored; nil otherwise.
func (r *review) obstacle(one *reviewed) *plan.Decision {
	if one.mirror == nil {
		if err := r.scene.Mirrored.Taken(*one.declared); err != nil {
			return &plan.Decision{Reason: v1alpha1.ConflictReason, Message: Placed(*one.declared, err)[0].Error()}
		}
	}
	if r.scene.Fleet == nil {
		return nil // whose profiles and accounts are in use is between Fleets
	}
	if o := r.scene.Mirrored.Blocked(r.scene.Fleet.Name, one.mirror, *one.declared); o != nil {
		return &plan.Decision{Reason: o.Reason, Message: o.Message}
	}
	return nil
}

// try has the API server judge the mirror: what is immutable, or what other people's policies do not allow, is refused
// there.
func (r *review) try(ctx context.Context, c, mirror *v1alpha1.NutanixClusterSpec) (*plan.Decision, error) {
	if r.scene.Try == nil {
		return nil, nil
	}
	err := r.scene.Try(ctx, c, mirror)
	if Invalid(err) {
		return &plan.Decision{Reason: v1alpha1.ForbiddenReason, Message: "refused: " + r.scene.refusedWords(err)}, nil
	}
	return nil, err
}

// finish puts together what is known.
func (r *review) finish() view.Report {
	r.report.Predicted = !r.scene.live()
	if r.scene.Fleet != nil {
		r.report.Fleet = r.scene.Fleet.Namespace + "/" + r.scene.Fleet.Name
	}
	mistakes := slices.Clone(r.head.Errors)
	var unmatched []string
	for _, one := range r.clusters {
		switch {
		case errors.Is(one.err, errBase):
			unmatched = append(unmatched, one.name)
			continue
		case one.err != nil:
			mistakes = append(mistakes, Placed(*one.declared, one.err)...)
			continue
		}
		r.tell(one)
		if one.says() {
			r.report.Clusters = append(r.report.Clusters, one.ClusterReport)
		} else {
			r.report.Unchanged++
		}
	}
	slices.SortStableFunc(r.report.Clusters, func(a, b view.ClusterReport) int { return cmp.Compare(a.Plan.Cluster, b.Plan.Cluster) })
	for _, m := range build.Sort(mistakes) {
		r.report.Mistakes = append(r.report.Mistakes, view.Mistake{Place: placeOf(m), Message: m.Err.Error()})
	}
	if len(unmatched) > 0 {
		r.note("Not compared, since the base has mistakes there: " + list(unmatched) + ".")
	}
	return r.report
}

// says whether there is anything to say of a cluster.
func (c *reviewed) says() bool {
	return !c.Plan.Empty() || len(c.Findings)+len(c.Drift) > 0 || c.Kept != "" || c.PrismCentral != nil ||
		(c.Decision != nil && !c.Decision.Accepted)
}
