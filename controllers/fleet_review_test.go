package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
)

const mergedTree = "1111111111111111111111111111111111111111"

func inPlace(cluster string) plan.Plan {
	return plan.Plan{Cluster: cluster, Changes: []plan.Change{{
		Object: plan.Ref{Kind: "Cluster", Name: cluster}, Action: plan.Update, Field: "spec.paused", To: "true", Severity: v1alpha1.SeverityInPlace,
	}}}
}

// afterMerge is a look at a revision whose pull request showed changes of edge-01 and edge-02 and was approved.
func afterMerge(t *testing.T, reads *int) (*FleetReconciler, *scene) {
	t.Helper()
	api := stand(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, all client.ObjectList, opts ...client.ListOption) error {
		if _, ok := all.(*corev1.SecretList); ok && reads != nil {
			*reads++
		}
		return c.List(ctx, all, opts...)
	}})
	store := review.Store{Client: api, Reader: api, Now: func() time.Time { return noon }}
	shown := review.Reviewed{Tree: mergedTree, Number: 7, Head: "c1", Clusters: map[string]review.Cluster{"edge-01": {Plan: inPlace("edge-01")}, "edge-02": {Plan: inPlace("edge-02")}}}
	if err := errors.Join(
		store.Put(t.Context(), production, shown),
		store.Merge(t.Context(), production, mergedTree, 7, []review.Approval{{User: "alice", AsUser: "alice@example.com", Commit: "c1", Proved: true}}),
	); err != nil {
		t.Fatal(err)
	}
	if reads != nil {
		*reads = 0
	}
	f := aFleet()
	f.Spec.Review = &v1alpha1.Review{Required: true}
	r := &FleetReconciler{Client: api, Reader: api, Now: func() time.Time { return noon }, reviewed: store}
	s := &scene{fleet: f, memory: r.remember(production), declared: &fleet.Fleet{Complete: true}, proposed: map[string]*proposal{}, removals: map[string]*removal{}}
	r.holdsTree(s.memory, mergedTree)
	return r, s
}

// What was reviewed is read once for each revision, and while something waits; never for a Fleet without reviews or for
// one that idles.
func TestReviewIsReadOnceForARevision(t *testing.T) {
	var reads int
	r, s := afterMerge(t, &reads)
	look := func(want int, why string) {
		t.Helper()
		reads = 0
		s.reviewed = nil
		if err := r.recallReview(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if reads != want {
			t.Errorf("%s: read %d times, want %d", why, reads, want)
		}
	}
	look(1, "a new revision")
	s.proposed["edge-01"] = &proposal{held: asFailure(stall(v1alpha1.LimitExceededReason, "x"))}
	if err := r.spendReview(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	look(1, "edge-01 waits")
	delete(s.proposed, "edge-01")
	if err := r.spendReview(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	look(0, "nothing waits any more")
	s.proposed["edge-01"] = &proposal{cause: plan.CauseDrift}
	look(1, "drift asks for a gate")
	s.fleet.Spec.Review = nil
	look(0, "no reviews")
}

// The word of an approver serves one merge: it is spent with what was taken on, and not with what waits.
func TestReviewIsSpent(t *testing.T) {
	held := asFailure(stall(v1alpha1.LimitExceededReason, "x"))
	for name, c := range map[string]struct {
		edit func(s *scene)
		want bool // still in force for edge-01
	}{
		"Accepted":         {func(s *scene) { s.proposed["edge-01"] = &proposal{decision: plan.Decision{Accepted: true}} }, false},
		"NothingToDo":      {func(*scene) {}, false},
		"Held":             {func(s *scene) { s.proposed["edge-01"] = &proposal{held: held} }, true},
		"CouldNotBeTried":  {func(s *scene) { s.proposed["edge-01"] = &proposal{held: asFailure(errors.New("timeout"))} }, true},
		"RemovalWaits":     {func(s *scene) { s.removals["edge-01"] = &removal{plan: inPlace("edge-01"), keep: "over a limit"} }, true},
		"RemovalGoes":      {func(s *scene) { s.removals["edge-01"] = &removal{plan: inPlace("edge-01")} }, false},
		"GitWasNotRead":    {func(s *scene) { s.declared = nil }, true},
		"FleetHasNoReview": {func(s *scene) { s.fleet.Spec.Review = nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := afterMerge(t, nil)
			if err := r.recallReview(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			c.edit(s)
			if err := r.spendReview(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			now, err := r.reviewed.Get(t.Context(), production, mergedTree)
			if err != nil {
				t.Fatal(err)
			}
			if got := now.InForce("edge-01", noon) != nil; got != c.want {
				t.Errorf("in force: %t, want %t", got, c.want)
			}
		})
	}
}

// What the gate is told, and who is named afterwards.
func TestWhatWasShown(t *testing.T) {
	r, s := afterMerge(t, nil)
	if in := s.shownOf("edge-01", noon); in.Plan != nil || s.review() != (plan.Review{Required: true}) {
		t.Errorf("before anything was read: %+v, %+v", in, s.review())
	}
	if err := r.recallReview(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s.fleet.Spec.Review.Provider = v1alpha1.ReviewGitea
	s.fleet.Spec.Review.Approvers = []v1alpha1.ReviewApprover{{User: "alice", AsUser: "alice@example.com"}}
	if got, want := s.review(), (plan.Review{Required: true, Name: "pull request #7", Approvers: true, Heard: true}); got != want {
		t.Errorf("%+v", got)
	}
	if in := s.shownOf("edge-01", noon); !in.Approved || in.Plan.Digest() != inPlace("edge-01").Digest() {
		t.Errorf("%+v", in)
	}
	if in := s.shownOf("edge-09", noon); in.Approved || in.Plan == nil || in.Plan.Cluster != "edge-09" || len(in.Plan.Changes) > 0 {
		t.Errorf("a cluster that was not shown: %+v", in)
	}
	p := &proposal{name: "edge-01", decision: plan.Decision{Accepted: true, Approved: true, ByReview: true}}
	if got := s.approverOf(p, noon); got != "pull request #7, alice as alice@example.com" {
		t.Error(got)
	}
	s.reviewed.Approvals[0].AsUser, s.reviewed.Approvals[0].AsGroup = "", "platform"
	if got := s.approverOf(p, noon); got != "pull request #7, alice as group platform" {
		t.Error(got)
	}
}

// A change of what was shown has the Fleet look that gates those files, at once and also after a look that failed.
func TestReviewWakes(t *testing.T) {
	r, s := afterMerge(t, nil)
	asked := 0
	changed := r.wasReviewed(func(client.ObjectKey) { asked++ })
	changed(production, "2222222222222222222222222222222222222222")
	changed(client.ObjectKey{Namespace: clusters, Name: "other"}, mergedTree)
	if asked != 0 || r.stirred(s.memory) {
		t.Errorf("asked %d times for what is not gated", asked)
	}
	changed(production, mergedTree)
	if asked != 1 || !r.stirred(s.memory) || r.stirred(s.memory) {
		t.Errorf("asked %d times", asked)
	}
}
