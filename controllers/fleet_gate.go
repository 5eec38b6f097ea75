package controllers

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/render/plan"
)

// gate decides over the sum of everything that would happen: new plans, unfinished accepted ones, and removals.
func (r *FleetReconciler) gate(ctx context.Context, s *scene) error {
	s.findRemovals()
	if err := r.recallReview(ctx, s); err != nil {
		return err
	}
	r.measure(s)
	in := s.gateInput(r)
	s.gated = plan.Gate(in)
	if s.read() && (s.gated.Digest != "" || s.failed() != nil) {
		trailers, err := s.readTrailers(ctx, r.Now())
		if err != nil {
			return err
		}
		if s.trailers = len(trailers) > 0; s.trailers {
			in.Trailers = trailers
			s.gated = plan.Gate(in)
		}
	}
	for name, d := range s.gated.Decisions {
		s.decide(name, d)
	}
	r.askForge(s)
	return nil
}

// decide takes the gate's word on one cluster.
func (s *scene) decide(name string, d plan.Decision) {
	if p := s.proposed[name]; p != nil && p.held == nil {
		p.decision = d
		if !d.Accepted {
			p.hold(stall(d.Reason, "%s", d.Message))
		}
	}
	if g := s.removals[name]; g != nil && g.keep == "" && !d.Accepted {
		g.keep, g.reason = d.Message, d.Reason
	}
}

func (s *scene) gateInput(r *FleetReconciler) plan.GateInput {
	f := s.fleet
	in := plan.GateInput{
		Namespace: f.Namespace, Fleet: f.Name, Limits: plan.LimitsFrom(f.Spec.Limits),
		Clusters: map[string]plan.ClusterInput{}, Removals: map[string]plan.RemovalInput{}, Recorded: map[string]plan.Plan{},
		Total: len(s.mirrors), Vanishing: s.vanishing, Review: s.review(),
	}
	for name, mirror := range s.mirrors {
		rec := s.records[name]
		if unfinished := rec.unfinished(); unfinished != nil {
			in.Clusters[name] = plan.ClusterInput{Unfinished: unfinished, Limits: rec.limits()}
		}
		if rec.deleting(mirror) {
			in.Deleting++
		}
		if recorded := rec.Held.unpacked(); recorded != nil {
			in.Recorded[name] = *recorded
		}
	}
	for name, p := range s.proposed {
		if p.held == nil {
			in.Clusters[name] = s.clusterInput(r, p)
		}
	}
	for name, g := range s.removals {
		if g.keep == "" {
			in.Removals[name] = plan.RemovalInput{
				Plan: g.plan, Recorded: s.records[name].Held.unpacked(), Limits: s.records[name].limits(), Review: s.shownOf(name, r.Now()),
			}
		}
	}
	in.Approved = approved(f, f.Status.Plan.RecordedAt, r.Now())
	return in
}

func (s *scene) clusterInput(r *FleetReconciler, p *proposal) plan.ClusterInput {
	rec := s.records[p.name]
	c := plan.ClusterInput{
		Plan: p.flow.Plan, Cause: p.cause, Unfinished: rec.unfinished(), Recorded: rec.Held.unpacked(), Review: s.shownOf(p.name, r.Now()),
	}
	if mirror := s.mirrors[p.name]; mirror != nil {
		c.Limits = rec.limits() // the accepted ones: neither a commit nor a hand edit loosens its own gate
		if rec.Held != nil {
			c.Approved = approved(mirror, &rec.Held.RecordedAt, r.Now())
		}
	}
	return c
}

// approved is the digest that a person approved on an object, unless that came too late. Half an approval is none: the
// admission policy looks at both annotations.
func approved(o client.Object, recordedAt *metav1.Time, now time.Time) []string {
	digest, by := o.GetAnnotations()[v1alpha1.ApprovedPlanAnnotation], o.GetAnnotations()[v1alpha1.ApprovedByAnnotation]
	if digest == "" || by == "" || recordedAt == nil || plan.Expired(recordedAt.Time, now) {
		return nil
	}
	return []string{digest}
}

// maxTrailerCommits is how many commit messages are read for approvals.
const maxTrailerCommits = 50

// readTrailers reads the approvals in the messages of the commits since the last attempted revision.
func (s *scene) readTrailers(ctx context.Context, now time.Time) ([]string, error) {
	last, err := gitsource.ParseRevision(s.fleet.Status.LastAttemptedRevision)
	if err != nil || last.Hash == s.revision.Hash {
		return nil, nil //nolint:nilerr // an unreadable status means that there is no last revision to read from
	}
	commits, err := s.repo.Messages(ctx, s.revision, last.Hash, maxTrailerCommits)
	if err != nil {
		return nil, classifyGit(s.fleet, err)
	}
	var digests []string
	for _, c := range commits {
		digests = append(digests, trailersOf(c.Message)...)
	}
	return slices.DeleteFunc(digests, func(digest string) bool { return s.void(digest, now) }), nil
}

// void says whether a digest names what was shown, and for the first time more than a week ago wherever it was: an
// approval comes too late.
func (s *scene) void(digest string, now time.Time) bool {
	shown := s.shownAt(digest)
	return len(shown) > 0 && !slices.ContainsFunc(shown, func(at time.Time) bool { return !plan.Expired(at, now) })
}

// shownAt is when what a digest names was first shown: as held, and in the pull request.
func (s *scene) shownAt(digest string) []time.Time {
	var shown []time.Time
	if held := s.fleet.Status.Plan; held.Digest == digest && held.RecordedAt != nil {
		shown = append(shown, held.RecordedAt.Time)
	}
	for name := range s.mirrors {
		if held := s.records[name].Held; held != nil && held.Digest == digest {
			shown = append(shown, held.RecordedAt.Time)
		}
	}
	if s.reviewed == nil {
		return shown
	}
	if s.reviewed.Digest == digest {
		shown = append(shown, s.reviewed.Shown)
	}
	for _, c := range s.reviewed.Clusters {
		if c.Plan.Digest() == digest {
			shown = append(shown, c.Shown)
		}
	}
	return shown
}

// trailersOf finds the approvals in the last paragraph of a commit message, where Git keeps trailers.
func trailersOf(message string) []string {
	paragraphs := strings.Split(strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n")), "\n\n")
	var digests []string
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.TrimSpace(key), v1alpha1.ApproveTrailer) {
			if fields := strings.Fields(value); len(fields) > 0 {
				digests = append(digests, fields[0])
			}
		}
	}
	return digests
}

// findRemovals finds the mirrors whose files are gone. Nothing is known to be gone unless the revision was read and
// understood as a whole.
func (s *scene) findRemovals() {
	if !s.read() {
		return
	}
	declared := map[string]bool{}
	for i := range s.declared.Clusters {
		declared[s.declared.Clusters[i].Object.Name] = true
	}
	for name, mirror := range s.mirrors {
		if declared[name] || !mirror.DeletionTimestamp.IsZero() {
			continue
		}
		g := &removal{mirror: mirror}
		s.removals[name] = g
		if s.declared.Complete {
			s.vanishing++
		}
		if s.declared.Complete && !accepted(mirror, s.records[name]) {
			g.keep, g.reason = "its file is gone from Git, and the mirrored object is not what was accepted; it is put back first", v1alpha1.SourceUnknownReason
			continue
		}
		g.plan, g.keep, g.reason = flow.Vanished(mirror, s.source, s.declared.Complete)
	}
}
