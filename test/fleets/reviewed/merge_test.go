package reviewed

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
)

// Whichever way Git brings the files into the branch: they are what was reviewed, and go on.
func TestEachWayOfMerging(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"merge", "squash", "rebase"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			edge := fleets.Edge("edge-01")
			d := newDesk(t, required, edge)
			d.branch(more(&edge))
			shown := d.show()
			commit := d.merged(way)
			if tree := d.git("rev-parse", commit+":fleet"); tree != shown.Tree {
				t.Fatalf("Git says tree %s, kept is %s", tree, shown.Tree)
			}
			d.Accepted(edge)
			d.Ready(fleets.Production)
			if got := d.memory(edge.Name); got != "6Gi" {
				t.Errorf("memory %s", got)
			}
		})
	}
}

// A push that nobody reviewed is held where reviews are required, and goes on when it is planned after all, or approved.
func TestNotReviewed(t *testing.T) {
	t.Parallel()
	t.Run("PlannedAfterAll", func(t *testing.T) {
		t.Parallel()
		edge := fleets.Edge("edge-01")
		d := newDesk(t, required, edge)
		d.branch(more(&edge))
		shown := d.plan()
		d.merged("merge")
		d.Refused(edge.Name, v1alpha1.ReviewRequiredReason, "Nobody reviewed this", "open a pull request", "refract approve cluster/edge-01")
		d.put(shown)
		d.Accepted(edge)
		d.Ready(fleets.Production)
	})
	t.Run("Approved", func(t *testing.T) {
		t.Parallel()
		edge := fleets.Edge("edge-01")
		d := newDesk(t, required, edge)
		d.Commit("memory", more(&edge))
		held := d.Refused(edge.Name, v1alpha1.ReviewRequiredReason)
		if err := d.Approve(held, held.Status.Plan.Digest); err != nil {
			t.Fatal(err)
		}
		d.Accepted(edge)
		d.Ready(fleets.Production)
	})
	t.Run("BaseMoved", func(t *testing.T) {
		t.Parallel()
		edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
		d := newDesk(t, required, edge, other)
		d.branch(more(&edge))
		stale := d.show()
		edit(d.Stage, func(f *v1alpha1.Fleet) { f.Spec.Review.Required = false })
		next, err := d.Git.PushTo(t.Context(), "main", "main", "another", more(&other))
		if err != nil {
			t.Fatal(err)
		}
		d.Handled(fleets.Production, next, fleets.Soon)
		d.Accepted(other)
		edit(d.Stage, required)
		renewed := d.plan() // what the merged files would be now
		commit := d.merged("merge")
		if tree := d.git("rev-parse", commit+":fleet"); tree == stale.Tree || tree != renewed.Tree {
			t.Fatalf("Git says tree %s, before the base moved it was %s, planned is %s", tree, stale.Tree, renewed.Tree)
		}
		d.Refused(edge.Name, v1alpha1.ReviewRequiredReason)
		d.put(renewed)
		d.Accepted(edge)
		d.Ready(fleets.Production)
	})
}

// What was shown is no approval; that of the pull request is one, serves once, and is named.
func TestApprovedInThePullRequest(t *testing.T) {
	t.Parallel()
	t.Run("BeforeTheMerge", func(t *testing.T) {
		t.Parallel()
		edge := fleets.Edge("edge-01")
		d := newDesk(t, tight, edge)
		d.branch(more(&edge))
		shown := d.show()
		d.approve(shown)
		d.merged("squash")
		d.Accepted(edge)
		d.Ready(fleets.Production)
		d.spent(shown.Tree, edge.Name)
	})
	t.Run("AfterTheMerge", func(t *testing.T) {
		t.Parallel()
		edge := fleets.Edge("edge-01")
		d := newDesk(t, func(f *v1alpha1.Fleet) {
			tight(f)
			f.Spec.Interval.Duration = time.Second
		}, edge)
		d.branch(more(&edge))
		shown := d.show()
		d.merged("merge")
		d.Refused(edge.Name, v1alpha1.LimitExceededReason, "limit recreatedMachines of the Fleet is 0")
		if d.memory(edge.Name) != "4Gi" {
			t.Fatal("accepted without a word")
		}
		d.approve(shown)
		d.Accepted(edge)
		d.Ready(fleets.Production)
		d.spent(shown.Tree, edge.Name)
	})
	t.Run("TheSameFilesAgain", func(t *testing.T) {
		t.Parallel()
		edge := fleets.Edge("edge-01")
		d := newDesk(t, tight, edge)
		before := edge
		d.branch(more(&edge))
		shown := d.show()
		d.approve(shown)
		d.merged("merge")
		d.Accepted(edge)
		d.spent(shown.Tree, edge.Name)
		edit(d.Stage, func(f *v1alpha1.Fleet) { f.Spec.Limits.RecreatedMachines = nil })
		d.Commit("back", map[string]string{fleets.File(before): before.File()})
		d.Accepted(before)
		edit(d.Stage, tight)
		d.Commit("and again, without a pull request", map[string]string{fleets.File(edge): edge.File()})
		d.Refused(edge.Name, v1alpha1.LimitExceededReason)
	})
}

// spent waits until no approval counts any more for what was taken on.
func (d desk) spent(tree, cluster string) {
	d.T.Helper()
	d.Within(fleets.Soon, "the approval is spent", func() error {
		kept, err := d.store.Get(d.T.Context(), d.key(), tree)
		if err != nil {
			return err
		}
		if kept.InForce(cluster, time.Now()) != nil || !kept.Clusters[cluster].Spent {
			return fmt.Errorf("%+v", kept.Clusters[cluster])
		}
		return nil
	})
}

// What became worse since it was shown is held, though it is within the limits and though it was approved.
func TestWorseThanShown(t *testing.T) {
	t.Parallel()
	edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	d := newDesk(t, func(f *v1alpha1.Fleet) { f.Spec.Review = &v1alpha1.Review{} }, edge, other)
	files := more(&edge)
	maps.Copy(files, more(&other))
	d.branch(files)
	shown := d.plan()
	// As if the pool had been empty when the pull request was planned.
	smaller := shown.Clusters[edge.Name]
	smaller.Plan.Changes = append(smaller.Plan.Changes[:0:0], smaller.Plan.Changes...)
	for i := range smaller.Plan.Changes {
		if c := &smaller.Plan.Changes[i]; c.Severity == v1alpha1.SeverityRollout {
			c.Severity, c.Machines = v1alpha1.SeverityInPlace, 0
		}
	}
	shown.Clusters[edge.Name] = smaller
	d.put(shown)
	d.approve(shown)
	d.merged("merge")
	held := d.Refused(edge.Name, v1alpha1.ReviewedPlanExceededReason, "This does more than pull request #7 showed", "re-creates 1 machine, 0 were shown")
	d.Accepted(other)
	if d.memory(edge.Name) != "4Gi" || d.memory(other.Name) != "6Gi" {
		t.Errorf("memory %s and %s", d.memory(edge.Name), d.memory(other.Name))
	}
	if err := d.Approve(held, held.Status.Plan.Digest); err != nil {
		t.Fatal(err)
	}
	d.Accepted(edge)
	d.Ready(fleets.Production)
}

// A deletion that was reviewed and approved goes on; one that was reviewed only is the Fleet's to approve.
func TestDeletion(t *testing.T) {
	t.Parallel()
	for name, approved := range map[string]bool{"Approved": true, "OnlyShown": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
			edge.DeletionPolicy = "Delete"
			d := newDesk(t, func(f *v1alpha1.Fleet) {
				required(f)
				f.Spec.Limits.PrunedPercent = nil
			}, edge, other)
			d.branch(map[string]string{fleets.File(edge): ""})
			shown := d.show()
			if !shown.Clusters[edge.Name].Removal {
				t.Fatalf("shown is %+v", shown.Clusters)
			}
			if approved {
				d.approve(shown)
			}
			d.merged("merge")
			if !approved {
				d.Refused(edge.Name, v1alpha1.LimitExceededReason, "limit deletedClusters is 0", "refract approve fleet/production")
				return
			}
			d.Within(fleets.Soon, "the cluster is being deleted", func() error {
				if c := d.Cluster(edge.Name); c != nil && c.DeletionTimestamp.IsZero() {
					return fmt.Errorf("it lives: %s", d.Says(fleets.Production))
				}
				return nil
			})
		})
	}
}

// The operator may end at any time: between what was shown and the merge, between the merge and the approval. It runs
// alone, since the others need the operator.
func TestOperatorEnds(t *testing.T) {
	edge := fleets.Edge("edge-01")
	d := newDesk(t, func(f *v1alpha1.Fleet) {
		tight(f)
		f.Spec.Review.Required = true
	}, edge)
	d.branch(more(&edge))
	shown := d.show()
	stop := func(meanwhile func()) {
		t.Helper()
		if err := here.Operator.Stop(); err != nil {
			t.Fatal(err)
		}
		meanwhile()
		here.Operator.Start(context.WithoutCancel(t.Context()))
	}
	commit := ""
	stop(func() { commit = d.merge("squash") })
	d.Handled(fleets.Production, commit, fleets.Soon)
	d.Refused(edge.Name, v1alpha1.LimitExceededReason)
	stop(func() { d.approve(shown) })
	d.Accepted(edge)
	d.spent(shown.Tree, edge.Name)
	f := d.FleetHas(fleets.Production, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, fleets.Soon)
	if !strings.Contains(f.Status.LastAppliedRevision, commit) {
		t.Errorf("applied %s, want %s", f.Status.LastAppliedRevision, commit)
	}
}
