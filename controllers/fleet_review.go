package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/render/plan"
)

// recallReview reads what a pull request showed of the files that are gated: once for each revision, and again while
// something waits. Nobody having been shown them is an answer, not getting one is none; what cannot be read is said, and
// what this revision changes is held, while the rest of the Fleet goes on.
func (r *FleetReconciler) recallReview(ctx context.Context, s *scene) error {
	if s.fleet.Spec.Review == nil || !s.read() || (s.memory.served == s.memory.tree && !s.pending()) {
		return nil
	}
	shown, err := r.reviewed.Get(ctx, client.ObjectKeyFromObject(s.fleet), s.memory.tree)
	switch {
	case errors.Is(err, review.ErrUnreadable):
		s.unreadable = err.Error()
		if s.memory.unreadable != s.unreadable {
			r.Recorder.Eventf(s.fleet, corev1.EventTypeWarning, v1alpha1.ReviewFailedReason, "what %s changes is held, since it is not known whether it was reviewed: %s", s.revision, s.unreadable)
		}
	case err != nil:
		return err
	case shown == nil || !shown.Served():
		s.reviewed = shown
	}
	s.memory.unreadable = s.unreadable
	return nil
}

// pending says whether anything of this revision is there to gate.
func (s *scene) pending() bool {
	for _, g := range s.removals {
		if g.keep == "" {
			return true
		}
	}
	return len(s.proposed) > 0
}

// review is what the gate is told of the revision's review.
func (s *scene) review() plan.Review {
	asked := s.fleet.Spec.Review
	if asked == nil || !s.read() {
		return plan.Review{}
	}
	said := plan.Review{Required: asked.Required, Approvers: asked.Provider != "" && len(asked.Approvers) > 0, Unreadable: s.unreadable}
	if s.reviewed != nil {
		said.Name, said.Heard, said.Closed = pullRequest(s.reviewed), s.reviewed.Merged, s.reviewed.Closed
	}
	return said
}

func pullRequest(r *review.Reviewed) string { return fmt.Sprintf("pull request #%d", r.Number) }

// shownOf is what was shown of one cluster: nothing of it, when the revision was reviewed and the cluster was not in it.
func (s *scene) shownOf(name string, now time.Time) plan.ReviewInput {
	if s.reviewed == nil {
		return plan.ReviewInput{}
	}
	shown := plan.Plan{Cluster: name}
	if c, ok := s.reviewed.Clusters[name]; ok {
		shown = c.Plan
	}
	return plan.ReviewInput{Plan: &shown, Approved: s.reviewed.InForce(name, now) != nil, Worse: s.roomless[name]}
}

// askForge has the pull requests looked at when something waits for a word that may have been given there and the forge
// has not told since the merge: once for these files, and again after an interval.
func (r *FleetReconciler) askForge(s *scene) {
	m, now := s.memory, r.Now()
	if s.reviewed == nil || s.reviewed.Merged || s.reviewed.Closed || !s.review().Approvers || s.gated.Digest == "" || r.hear == nil {
		return
	}
	if m.asked == m.tree && now.Sub(m.askedAt) < interval(s.fleet) {
		return
	}
	m.asked, m.askedAt = m.tree, now
	r.hear(client.ObjectKeyFromObject(s.fleet))
}

// reviewer is who approved what was shown of a cluster, by their names at the forge and in Kubernetes.
func (s *scene) reviewer(name string, now time.Time) string {
	a := s.reviewed.InForce(name, now)
	switch {
	case a == nil:
		return pullRequest(s.reviewed)
	case a.AsUser != "":
		return fmt.Sprintf("%s, %s as %s", pullRequest(s.reviewed), a.User, a.AsUser)
	}
	return fmt.Sprintf("%s, %s as group %s", pullRequest(s.reviewed), a.User, a.AsGroup)
}

// spendReview has the approval of a review count no more for what was taken on of its revision. It comes after the
// records and mirrors, and a process that ended in between does it on its first look.
func (r *FleetReconciler) spendReview(ctx context.Context, s *scene) error {
	if s.fleet.Spec.Review == nil || !s.read() {
		return nil
	}
	if err := r.reviewed.Spend(ctx, client.ObjectKeyFromObject(s.fleet), s.memory.tree, s.showed(), s.taken()); err != nil {
		return err
	}
	if len(s.held()) == 0 && len(s.open()) == 0 {
		s.memory.served = s.memory.tree
	}
	return nil
}

// showed is the number of the pull request that showed the files; 0 when none did.
func (s *scene) showed() int {
	if s.reviewed == nil {
		return 0
	}
	return s.reviewed.Number
}

// taken are the clusters that a review showed and that nothing keeps waiting any more.
func (s *scene) taken() []string {
	if s.reviewed == nil {
		return nil
	}
	waits := s.open()
	for _, name := range s.held() {
		waits[name] = true
	}
	for name, g := range s.removals {
		waits[name] = waits[name] || g.keep != ""
	}
	var taken []string
	for _, name := range slices.Sorted(maps.Keys(s.reviewed.Clusters)) {
		if !waits[name] && !s.reviewed.Clusters[name].Spent {
			taken = append(taken, name)
		}
	}
	return taken
}

// wasReviewed has a Fleet look at its repository when what was shown, or who approved it, changed for the files that it
// gates now. It is a hint: one that is lost in a crash is made up for by the first look after it.
func (r *FleetReconciler) wasReviewed(ask func(client.ObjectKey)) func(fleet client.ObjectKey, tree string) {
	return func(fleet client.ObjectKey, tree string) {
		r.mu.Lock()
		m := r.memory[fleet]
		hit := m != nil && m.tree == tree
		r.mu.Unlock()
		if hit {
			r.stir(m)
			ask(fleet)
		}
	}
}

// stir has a Fleet's repository be read at the next reconcile.
func (r *FleetReconciler) stir(m *fleetMemory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.stirred = true
}

// stirred says whether something calls for the repository before the interval is over, and takes note of it.
func (r *FleetReconciler) stirred(m *fleetMemory) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := m.stirred
	m.stirred = false
	return was
}

// holdsTree notes which files are gated.
func (r *FleetReconciler) holdsTree(m *fleetMemory, tree string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.tree = tree
}

// collectEvery is how often what is kept of reviews is looked through for what is old, or left of Fleets that went while
// nobody looked.
const collectEvery = 24 * time.Hour

func collector(reviews review.Store, log logr.Logger) manager.RunnableFunc {
	return func(ctx context.Context) error {
		tick := time.NewTicker(collectEvery)
		defer tick.Stop()
		for {
			if err := reviews.Collect(ctx); err != nil && ctx.Err() == nil {
				log.Error(err, "what is kept of reviews could not be looked through; it is tried again in a day")
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}
