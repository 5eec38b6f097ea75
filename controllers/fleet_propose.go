package controllers

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

// maxParallel bounds how many clusters are planned at once.
const maxParallel = 8

// propose plans every cluster whose inputs are not the accepted ones, and every cluster that asked for a gate. A cluster
// that cannot be planned is held with the reason; the others go on.
func (r *FleetReconciler) propose(ctx context.Context, s *scene) error {
	r.collect(s)
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for _, p := range s.proposed {
		if p.held != nil {
			continue
		}
		group.Go(func() error {
			if err := r.plan(ctx, s, p); err != nil {
				p.hold(err)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for name, p := range s.proposed {
		if p.void {
			delete(s.proposed, name)
		}
	}
	return nil
}

// collect finds the clusters to plan: those that Git declares otherwise than accepted, and those that asked for a gate.
func (r *FleetReconciler) collect(s *scene) {
	if s.read() {
		s.takeOver()
		for i := range s.declared.Clusters {
			if p := r.declare(s, &s.declared.Clusters[i]); p != nil {
				s.proposed[p.name] = p
			}
		}
		r.reserve(s)
	}
	for name, rec := range s.records {
		if mirror := s.mirrors[name]; mirror != nil && s.proposed[name] == nil && rec.Wish != nil && accepted(mirror, rec) {
			s.proposed[name] = &proposal{name: name, inputs: rec.Wish.Inputs, cause: plan.Cause(rec.Wish.Cause)}
		}
	}
}

// takeOver counts to this Fleet what it declares of the clusters that a Fleet mirrored which is gone by now.
func (s *scene) takeOver() {
	for i := range s.declared.Clusters {
		name := s.declared.Clusters[i].Object.Name
		for j := range s.all {
			c := &s.all[j]
			owner := c.Annotations[v1alpha1.FleetAnnotation]
			if c.Namespace == s.fleet.Namespace && c.Name == name && owner != "" && !s.fleets[owner] && c.DeletionTimestamp.IsZero() {
				s.mirrors[name] = c
			}
		}
	}
}

// declare compares a declared cluster with what is accepted: nil when there is nothing to do.
func (r *FleetReconciler) declare(s *scene, c *fleet.Cluster) *proposal {
	name := c.Object.Name
	p := &proposal{name: name, declared: c, cause: plan.CauseGit}
	if c.Err != nil {
		for _, e := range build.Flatten(c.Place.Path, c.Err) {
			p.failures = append(p.failures, failureOf(name, e))
		}
		p.held = asFailure(stall(v1alpha1.InvalidReason, "%w", c.Err))
		return p
	}
	if err := s.mirrored().ChangedProfile(*c); err != nil {
		p.hold(stall(v1alpha1.InvalidReason, "%w", err))
		return p
	}
	if err := s.blocked(c); err != nil {
		p.hold(err)
		return p
	}
	p.inputs = fleet.InputsDigest(*c)
	mirror, rec := s.mirrors[name], s.records[name]
	if mirror != nil && !s.referencesDiffer(c) && accepted(mirror, rec) && rec.Accepted.Inputs == p.inputs &&
		mirror.Annotations[v1alpha1.SourceAnnotation] == s.source && mirror.Annotations[v1alpha1.FleetAnnotation] == s.fleet.Name {
		if rec.Wish != nil {
			p.cause = plan.Cause(rec.Wish.Cause)
			return p
		}
		return nil
	}
	return p
}

// blocked says what keeps a declared cluster from being mirrored.
func (s *scene) blocked(c *fleet.Cluster) error {
	o := s.mirrored().Blocked(s.fleet.Name, s.mirrors[c.Object.Name], *c)
	switch {
	case o == nil:
		return nil
	case o.Reason == v1alpha1.DeletingReason:
		return wait(o.Reason, interval(s.fleet), "%s", o.Message)
	}
	return stall(o.Reason, "%s", o.Message)
}

// accepted says whether a mirror holds what its record accepted.
func accepted(mirror *v1alpha1.NutanixClusterSpec, rec record) bool {
	if !rec.known() || rec.Spec == nil || !mirror.DeletionTimestamp.IsZero() ||
		mirror.Annotations[v1alpha1.AcceptedDigestAnnotation] != rec.Accepted.Inputs {
		return false
	}
	for name, stamp := range rec.Accepted.Stamps {
		if mirror.Annotations[name] != stamp {
			return false
		}
	}
	return equality.Semantic.DeepEqual(mirror.Spec, *rec.Spec)
}

// hold notes why a cluster is held. The others go on; what a retry may mend is tried again.
func (p *proposal) hold(err error) {
	f := asFailure(err)
	placed := build.Flatten("", err)
	switch {
	case f.kind == failed && placed[0].Path == "" && !flow.Refused(err):
		f = asFailure(retry(v1alpha1.SourceUnknownReason, fmt.Errorf("planning cluster %s: %w", p.name, err)))
	case f.kind == failed:
		f = asFailure(stall(v1alpha1.InvalidReason, "%w", err))
	}
	p.held = f
	for _, e := range placed {
		p.failures = append(p.failures, failureOf(p.name, p.placed(e)))
	}
}

// placed gives a mistake without a place that of the cluster's file.
func (p *proposal) placed(e *build.Error) *build.Error {
	if e.Path != "" || p.declared == nil {
		return e
	}
	return &build.Error{Path: p.declared.Place.Path, Line: p.declared.Place.Line, Err: e.Err}
}

func failureOf(cluster string, e *build.Error) v1alpha1.Failure {
	return v1alpha1.Failure{Cluster: cluster, File: e.Path, Line: int32(min(e.Line, 1<<30)), Message: e.Err.Error()} //nolint:gosec // bounded
}

// plan gathers what is live for one cluster and computes its plan.
func (r *FleetReconciler) plan(ctx context.Context, s *scene, p *proposal) error {
	in, err := r.inputsOf(ctx, s, p)
	if err != nil {
		return err
	}
	if p.declared != nil {
		if err = r.tryMirror(ctx, s, s.mirrors[p.name], p); err != nil {
			return err
		}
	}
	rec := s.records[p.name]
	gather := kube.Cluster{
		Client: s.client, Reader: r.Reader, Namespace: s.fleet.Namespace, Name: p.name,
		Ignore: in.Cluster.Spec.DriftIgnore, Adopt: in.Cluster.Spec.Adopt,
		Answers: r.answers,
	}
	rendered := ""
	if rec.known() && rec.Accepted.Inputs == p.inputs {
		rendered = rec.rendered()
	}
	proposed, err := flow.Propose(ctx, in, gather, rendered, plan.Options{Recreate: rec.Gone})
	if err != nil {
		if known := new(build.Error); errors.As(err, &known) {
			return stall(v1alpha1.InvalidReason, "%w", err)
		}
		return err
	}
	p.flow = proposed
	return nil
}

// inputsOf gives what a cluster is rendered from: its files, or for what it asked for itself, the API.
func (r *FleetReconciler) inputsOf(ctx context.Context, s *scene, p *proposal) (render.Inputs, error) {
	if p.declared != nil {
		in := render.FromFleet(*p.declared)
		in.Cluster = in.Cluster.DeepCopy()
		in.Cluster.Namespace = s.fleet.Namespace
		in.Was = s.accepted(s.mirrors[p.name])
		return in, nil
	}
	in, digest, err := r.inputs.of(ctx, s.mirrors[p.name])
	p.void = err == nil && digest != s.records[p.name].Accepted.Inputs // not what was accepted: the cluster does not act either
	p.inputs = digest
	return in, err
}

// accepted is what a cluster was rendered from last, nil when it is new.
func (s *scene) accepted(mirror *v1alpha1.NutanixClusterSpec) *render.Inputs {
	if mirror == nil {
		return nil
	}
	return flow.Accepted(mirror, s.entered[mirror.Spec.AccountRef.Name], func(name, version string) *v1alpha1.ClusterProfile {
		for _, p := range s.used {
			if p.Spec.Profile == name && p.Spec.Version == version {
				return p
			}
		}
		return nil
	})
}

// tryMirror has the API server judge the new or changed mirror before anything is accepted: what is immutable, or what
// other people's policies do not allow, is refused there.
func (r *FleetReconciler) tryMirror(ctx context.Context, s *scene, mirror *v1alpha1.NutanixClusterSpec, p *proposal) error {
	err := s.dryRunMirror(ctx, mirror, p)
	if flow.Invalid(err) {
		return stall(v1alpha1.ForbiddenReason, "refused: %w", err)
	}
	return err
}

// dryRunMirror writes a mirror without leaving anything.
func (s *scene) dryRunMirror(ctx context.Context, mirror *v1alpha1.NutanixClusterSpec, p *proposal) error {
	trial := s.mirrorOf(mirror, p)
	if mirror == nil {
		return s.client.Create(ctx, trial, client.DryRunAll, client.FieldOwner(v1alpha1.FleetFieldManager))
	}
	return s.client.Patch(ctx, trial, client.MergeFrom(mirror), client.DryRunAll, client.FieldOwner(v1alpha1.FleetFieldManager))
}

// reserve holds newcomers whose name or endpoint is taken, and clusters that another Fleet declares.
func (r *FleetReconciler) reserve(s *scene) {
	living := s.mirrored()
	for _, p := range s.proposed {
		if p.held != nil || p.declared == nil || s.mirrors[p.name] != nil {
			continue
		}
		if err := living.Taken(*p.declared); err != nil {
			p.hold(stall(v1alpha1.ConflictReason, "%w", p.placed(&build.Error{Err: err})))
		}
	}
}
