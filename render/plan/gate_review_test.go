package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// shown is a cluster's plan as a pull request showed it; shownAndApproved the same with the word of an approver.
func shown(p Plan) ReviewInput            { return ReviewInput{Plan: &p} }
func shownAndApproved(p Plan) ReviewInput { return ReviewInput{Plan: &p, Approved: true} }

func reviewed(c ClusterInput, r ReviewInput) ClusterInput {
	c.Review = r
	return c
}

func TestGateReview(t *testing.T) {
	was := Review{Name: "pull request #7"}
	required := Review{Required: true}
	both := Review{Name: was.Name, Required: true, Approvers: true}
	heard := Review{Name: was.Name, Required: true, Approvers: true, Heard: true}
	over := Review{Name: was.Name, Required: true, Approvers: true, Closed: true}
	noRoom := []string{"PE-1: needs 40 vCPU, 96 GiB at peak"}
	roomless := func(r ReviewInput) ReviewInput {
		r.Worse = noRoom
		return r
	}
	upgrade := func(c *ClusterInput) { c.Cause = CauseOperatorUpgrade }
	drift := func(c *ClusterInput) { c.Cause = CauseDrift }
	inPlace := func(to string) Plan {
		return planOf("a", Change{Object: clusterRef("a"), Action: Update, Field: "spec.paused", To: to, Severity: v1alpha1.SeverityInPlace, Owner: "Cluster/a"})
	}
	destroying := planOf("a", Change{Object: clusterRef("a"), Action: Create, Severity: v1alpha1.SeverityDestroy, Owner: "Cluster/a"})
	cases := map[string]struct {
		reason string
		in     GateInput
		want   map[string]string // as in TestGate; Reviewed when the review's approval lets it go on
		words  map[string]string
	}{
		"CoveredWithinLimits": {
			reason: "what was shown goes on",
			in:     GateInput{Review: both, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 3), shown(rolling("a", 3).Plan))}},
			want:   map[string]string{"a": "Accepted"},
		},
		"LessThanShown": {
			reason: "a machine went meanwhile",
			in:     GateInput{Review: both, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 3), shown(rolling("a", 4).Plan))}},
			want:   map[string]string{"a": "Accepted"},
		},
		"CoveredAboveLimits": {
			reason: "a review is no approval",
			in:     GateInput{Review: both, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 20), shown(rolling("a", 20).Plan))}},
			want:   map[string]string{"a": "LimitExceeded"},
			words:  map[string]string{"a": "Who approved pull request #7 counts once the forge calls it merged, which it is being asked"},
		},
		"CoveredAboveLimitsAndNobodyApproved": {
			reason: "the forge told so",
			in:     GateInput{Review: heard, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 20), shown(rolling("a", 20).Plan))}},
			want:   map[string]string{"a": "LimitExceeded"},
			words:  map[string]string{"a": "When pull request #7 was merged, none of spec.review.approvers of the Fleet had approved this. To go on"},
		},
		"LessRoomThanShown": {
			reason: "the plan is the same, and it does not fit any more; the other cluster is elsewhere",
			in: GateInput{Review: was, Clusters: map[string]ClusterInput{
				"a": reviewed(rolling("a", 3), roomless(shown(rolling("a", 3).Plan))), "b": reviewed(rolling("b", 3), shown(rolling("b", 3).Plan)),
			}},
			want:  map[string]string{"a": "ReviewedPlanExceeded", "b": "Accepted"},
			words: map[string]string{"a": "Since pull request #7 there is less room: PE-1: needs 40 vCPU, 96 GiB at peak. It goes on by itself once there is as much again."},
		},
		"LessRoomThanApproved": {
			reason: "who approved at the forge saw the room that was there",
			in:     GateInput{Review: heard, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 3), roomless(shownAndApproved(rolling("a", 3).Plan)))}},
			want:   map[string]string{"a": "ReviewedPlanExceeded"},
		},
		"LessRoomThanShownAndATrailer": {
			reason: "it was written when the digest said the same and the room was there",
			in: GateInput{
				Review: was, Trailers: []string{rolling("a", 3).Plan.Digest(), FleetDigest(map[string]Plan{"a": rolling("a", 3).Plan})},
				Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 3), roomless(shown(rolling("a", 3).Plan)))},
			},
			want: map[string]string{"a": "ReviewedPlanExceeded"},
		},
		"LessRoomThanShownAndApprovedSince": {
			reason: "a person who saw what it is now",
			in: GateInput{Review: was, Clusters: map[string]ClusterInput{"a": with(rolling("a", 3), func(c *ClusterInput) {
				c.Review, c.Approved = roomless(shown(rolling("a", 3).Plan)), []string{c.Plan.Digest()}
			})}},
			want: map[string]string{"a": "Approved"},
		},
		"LessRoomThanShownAndApprovedOnTheFleet": {
			reason: "all at once",
			in: GateInput{
				Review: was, Approved: []string{FleetDigest(map[string]Plan{"a": rolling("a", 3).Plan})},
				Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 3), roomless(shown(rolling("a", 3).Plan)))},
			},
			want: map[string]string{"a": "Approved"},
		},
		"NotReviewedAndATrailer": {
			reason: "nobody reviewed the trailer either, by whichever digest it approves",
			in: GateInput{
				Review: required, Trailers: []string{rolling("a", 3).Plan.Digest(), FleetDigest(map[string]Plan{"a": rolling("a", 3).Plan})},
				Clusters: map[string]ClusterInput{"a": with(rolling("a", 3), func(c *ClusterInput) { c.Recorded = &c.Plan })},
				Recorded: map[string]Plan{"a": rolling("a", 3).Plan},
			},
			want:  map[string]string{"a": "ReviewRequired"},
			words: map[string]string{"a": "The trailer Refract-Approve does not count either: nobody reviewed that it is there. Revert it"},
		},
		"DriftAndATrailerThatNobodyReviewed": {
			reason: "nor does it for what comes from no revision",
			in: GateInput{
				Review: required, Trailers: []string{losing("a", 9).Plan.Digest()},
				Clusters: map[string]ClusterInput{"a": with(losing("a", 9), drift)},
			},
			want: map[string]string{"a": "LimitExceeded"},
		},
		"DeletionThatNobodyReviewedAndATrailer": {
			reason: "nor for what is gone",
			in: GateInput{
				Review: required, Removals: removing(ReviewInput{}), Total: 10, Vanishing: 1, Trailers: []string{Deletion(clusterRef("a"), 3, false).Digest()},
			},
			want: map[string]string{"a": "ReviewRequired"},
		},
		"ReviewedAndATrailer": {
			reason: "the trailer is part of what was reviewed",
			in: GateInput{
				Review: both, Trailers: []string{rolling("a", 20).Plan.Digest()},
				Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 20), shown(rolling("a", 20).Plan))},
			},
			want: map[string]string{"a": "Approved"},
		},
		"ClosedAtTheForge": {
			reason: "nobody is promised that it goes on by itself",
			in:     GateInput{Review: over, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 20), shown(rolling("a", 20).Plan))}},
			want:   map[string]string{"a": "LimitExceeded"},
			words:  map[string]string{"a": "The forge says that pull request #7 was not merged with these files, so nobody's word there counts. To go on run"},
		},
		"UnreadableAndRequired": {
			reason: "not known is not reviewed",
			in:     GateInput{Review: Review{Required: true, Unreadable: "the Secret x is not readable (delete it)"}, Clusters: map[string]ClusterInput{"a": rolling("a", 3)}},
			want:   map[string]string{"a": "ReviewRequired"},
			words:  map[string]string{"a": "Whether this was reviewed is not known: the Secret x is not readable (delete it)."},
		},
		"UnreadableAndNotRequired": {
			reason: "what was shown may have been less",
			in:     GateInput{Review: Review{Unreadable: "x"}, Clusters: map[string]ClusterInput{"a": rolling("a", 3)}},
			want:   map[string]string{"a": "ReviewRequired"},
		},
		"CoveredAboveLimitsAndApproved": {
			reason: "the approver's word stands for the annotation, and takes the plan out of the sum",
			in: GateInput{Review: both, Clusters: map[string]ClusterInput{
				"a": reviewed(rolling("a", 20), shownAndApproved(rolling("a", 20).Plan)), "b": reviewed(rolling("b", 10), shown(rolling("b", 10).Plan)),
			}},
			want: map[string]string{"a": "Reviewed", "b": "Accepted"},
		},
		"CoveredAboveItsOwnLimitAndApproved": {
			reason: "the cluster's own limit asks for a word, and there is one",
			in: GateInput{Review: was, Clusters: map[string]ClusterInput{"a": with(rolling("a", 4), func(c *ClusterInput) {
				c.Limits.RecreatedMachines, c.Review = limit(3), shownAndApproved(rolling("a", 4).Plan)
			})}},
			want: map[string]string{"a": "Reviewed"},
		},
		"MoreMachinesWithinLimits": {
			reason: "a pool grew since: within limits, and not what was shown",
			in:     GateInput{Review: was, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 5), shown(rolling("a", 3).Plan))}},
			want:   map[string]string{"a": "ReviewedPlanExceeded"},
			words:  map[string]string{"a": "This does more than pull request #7 showed: MachineDeployment/a-a re-creates 5 machines, 3 were shown. Revert it"},
		},
		"MoreMachinesAndApproved": {
			reason: "three were approved, not five",
			in:     GateInput{Review: was, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 5), shownAndApproved(rolling("a", 3).Plan))}},
			want:   map[string]string{"a": "ReviewedPlanExceeded"},
		},
		"WorseThanShown": {
			reason: "in place became a roll",
			in: GateInput{Review: was, Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 3), shown(planOf("a", func() Change {
				c := rollout("a", "a", "6Gi", 0)
				c.Severity = v1alpha1.SeverityInPlace
				return c
			}())))}},
			want:  map[string]string{"a": "ReviewedPlanExceeded"},
			words: map[string]string{"a": "is a Rollout now, InPlace was shown"},
		},
		"AnotherValue": {
			reason: "the same field, but not to this",
			in:     GateInput{Review: was, Clusters: map[string]ClusterInput{"a": {Plan: inPlace("true"), Review: shown(inPlace("false"))}}},
			want:   map[string]string{"a": "ReviewedPlanExceeded"},
			words:  map[string]string{"a": "Cluster/a spec.paused becomes true, false was shown"},
		},
		"ClusterThatWasNotShown": {
			reason: "the review said nothing of it",
			in:     GateInput{Review: was, Clusters: map[string]ClusterInput{"a": {Plan: inPlace("true"), Review: shown(Plan{Cluster: "a"})}}},
			want:   map[string]string{"a": "ReviewedPlanExceeded"},
			words:  map[string]string{"a": "Pull request #7 showed no change of this cluster, and it would change now: Cluster/a spec.paused changes, which was not shown."},
		},
		"OnlyTheOneThatGrewIsHeld": {
			reason: "the others were shown",
			in: GateInput{Review: was, Clusters: map[string]ClusterInput{
				"a": reviewed(rolling("a", 5), shown(rolling("a", 3).Plan)), "b": reviewed(rolling("b", 3), shown(rolling("b", 3).Plan)),
			}},
			want: map[string]string{"a": "ReviewedPlanExceeded", "b": "Accepted"},
		},
		"ExceededAndApprovedByAnnotation": {
			reason: "a person who saw what it is now",
			in: GateInput{Review: both, Clusters: map[string]ClusterInput{"a": with(rolling("a", 5), func(c *ClusterInput) {
				c.Review, c.Approved = shown(rolling("a", 3).Plan), []string{c.Plan.Digest()}
			})}},
			want: map[string]string{"a": "Approved"},
		},
		"ExceededAndApprovedByATrailer": {
			reason: "likewise",
			in: GateInput{
				Review: both, Trailers: []string{rolling("a", 5).Plan.Digest()},
				Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 5), shown(rolling("a", 3).Plan))},
			},
			want: map[string]string{"a": "Approved"},
		},
		"TheDigestOfTheReviewInATrailer": {
			reason: "approved as it was shown; one machine went since",
			in: GateInput{
				Review: was, Trailers: []string{rolling("a", 21).Plan.Digest()},
				Clusters: map[string]ClusterInput{"a": reviewed(rolling("a", 20), shown(rolling("a", 21).Plan))},
			},
			want: map[string]string{"a": "Approved"},
		},
		"NotReviewedAndRequired": {
			reason: "whatever it does",
			in:     GateInput{Review: required, Clusters: map[string]ClusterInput{"a": {Plan: inPlace("true")}, "b": rolling("b", 20)}},
			want:   map[string]string{"a": "ReviewRequired", "b": "ReviewRequired"},
			words:  map[string]string{"a": "Revert it and open a pull request with it. To go on run `refract approve cluster/a"},
		},
		"NotReviewedAndNotRequired": {
			reason: "under the limits",
			in:     GateInput{Clusters: map[string]ClusterInput{"a": rolling("a", 3)}},
			want:   map[string]string{"a": "Accepted"},
		},
		"NotReviewedWithoutAChange": {
			reason: "nothing to do, nothing to review",
			in:     GateInput{Review: required, Clusters: map[string]ClusterInput{"a": {Plan: Plan{Cluster: "a"}}}},
			want:   map[string]string{"a": "Accepted"},
		},
		"NotReviewedAndApproved": {
			reason: "a person's word will do",
			in: GateInput{Review: required, Clusters: map[string]ClusterInput{"a": with(rolling("a", 3), func(c *ClusterInput) {
				c.Approved = []string{c.Plan.Digest()}
			})}},
			want: map[string]string{"a": "Approved"},
		},
		"NotReviewedAndApprovedOnTheFleet": {
			reason: "all at once",
			in: GateInput{
				Review: required, Clusters: map[string]ClusterInput{"a": rolling("a", 3)},
				Approved: []string{FleetDigest(map[string]Plan{"a": rolling("a", 3).Plan})},
			},
			want: map[string]string{"a": "Approved"},
		},
		"AcceptedBefore": {
			reason: "what was accepted is carried out, also when it is planned again",
			in: GateInput{Review: required, Clusters: map[string]ClusterInput{"a": with(rolling("a", 3), func(c *ClusterInput) {
				c.Unfinished = &Unfinished{Plan: c.Plan, Recreated: 3}
			})}},
			want: map[string]string{"a": "Accepted"},
		},
		"Drift": {
			reason: "comes from no revision",
			in:     GateInput{Review: both, Clusters: map[string]ClusterInput{"a": with(losing("a", 1), drift)}},
			want:   map[string]string{"a": "Accepted"},
		},
		"DriftAboveLimitsIsNotApprovedByAReview": {
			reason: "nobody was shown what another hand did",
			in:     GateInput{Review: both, Clusters: map[string]ClusterInput{"a": with(reviewed(losing("a", 9), shownAndApproved(losing("a", 9).Plan)), drift)}},
			want:   map[string]string{"a": "LimitExceeded"},
		},
		"UpgradeOfRefract": {
			reason: "comes from no revision, and always asks when it touches machines",
			in: GateInput{Review: both, Clusters: map[string]ClusterInput{
				"a": with(reviewed(rolling("a", 1), shownAndApproved(rolling("a", 1).Plan)), upgrade), "b": with(ClusterInput{Plan: planOf("b", Change{Severity: v1alpha1.SeverityInPlace})}, upgrade),
			}},
			want: map[string]string{"a": "ApprovalRequired", "b": "Accepted"},
		},
		"ForbiddenIsForbidden": {
			reason: "also when it was shown and approved",
			in: GateInput{Review: both, Clusters: map[string]ClusterInput{"a": func() ClusterInput {
				p := planOf("a", Change{Object: clusterRef("a"), Field: "spec.x", Severity: v1alpha1.SeverityForbidden, Owner: "Cluster/a", Reason: "no"})
				return ClusterInput{Plan: p, Review: shownAndApproved(p)}
			}()}},
			want: map[string]string{"a": "Forbidden"},
		},
		"DestroyShown": {
			reason: "always asks",
			in:     GateInput{Review: both, Clusters: map[string]ClusterInput{"a": {Plan: destroying, Review: shown(destroying)}}},
			want:   map[string]string{"a": "ApprovalRequired"},
			words:  map[string]string{"a": "Who approved pull request #7 counts once"},
		},
		"DestroyShownAndApproved": {
			reason: "and gets its answer",
			in:     GateInput{Review: both, Clusters: map[string]ClusterInput{"a": {Plan: destroying, Review: shownAndApproved(destroying)}}},
			want:   map[string]string{"a": "Reviewed"},
		},
		"DeletionShown": {
			reason: "limit 0: shown is not approved",
			in:     GateInput{Review: both, Removals: removing(shown(Deletion(clusterRef("a"), 3, false))), Total: 10, Vanishing: 1},
			want:   map[string]string{"a": "LimitExceeded"},
			words:  map[string]string{"a": "refract approve fleet/production"},
		},
		"DeletionShownAndApproved": {
			reason: "goes on, and does not count as vanishing",
			in: GateInput{
				Review: both, Total: 5, Vanishing: 2,
				Removals: map[string]RemovalInput{
					"a": {Plan: Deletion(clusterRef("a"), 3, false), Review: shownAndApproved(Deletion(clusterRef("a"), 3, false))},
					"b": {Plan: Orphan(clusterRef("b")), Review: shown(Orphan(clusterRef("b")))},
				},
			},
			want: map[string]string{"a": "Reviewed", "b": "Accepted"},
		},
		"DeletionOfMoreMachines": {
			reason: "three were shown to go with it",
			in:     GateInput{Review: both, Removals: removing(shownAndApproved(Deletion(clusterRef("a"), 2, false))), Total: 10, Vanishing: 1},
			want:   map[string]string{"a": "ReviewedPlanExceeded"},
			words:  map[string]string{"a": "Cluster/a loses 3 machines, 2 were shown"},
		},
		"DeletionThatNobodyReviewed": {
			reason: "the Fleet's to approve",
			in:     GateInput{Review: required, Removals: removing(ReviewInput{}), Total: 10, Vanishing: 1, Limits: Limits{DeletedClusters: 5, PrunedPercent: 100}},
			want:   map[string]string{"a": "ReviewRequired"},
			words:  map[string]string{"a": "refract approve fleet/production"},
		},
		"DeletionThatNobodyReviewedAndTheFleetApproves": {
			reason: "by the digest of that deletion",
			in: GateInput{
				Review: required, Removals: removing(ReviewInput{}), Total: 10, Vanishing: 1, Approved: []string{Deletion(clusterRef("a"), 3, false).Digest()},
			},
			want: map[string]string{"a": "Approved"},
		},
		"ReleaseThatNobodyReviewed": {
			reason: "letting go is a change, too",
			in:     GateInput{Review: required, Removals: orphans("a"), Total: 10, Vanishing: 1},
			want:   map[string]string{"a": "ReviewRequired"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := tc.in
			in.Namespace, in.Fleet = "clusters", "production"
			if in.Limits == (Limits{}) {
				in.Limits = LimitsFrom(v1alpha1.Limits{})
			}
			r := Gate(in)
			got := map[string]string{}
			for n, d := range r.Decisions {
				got[n] = d.Reason
				if d.Approved {
					got[n] = "Approved"
				}
				if d.ByReview {
					got[n] = "Reviewed"
				}
				checkDecision(t, n, d, r, in.Review)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			for n, words := range tc.words {
				if !strings.Contains(r.Decisions[n].Message, words) {
					t.Errorf("%s: the message of %s does not say %q: %s", tc.reason, n, words, r.Decisions[n].Message)
				}
			}
		})
	}
}

func removing(r ReviewInput) map[string]RemovalInput {
	return map[string]RemovalInput{"a": {Plan: Deletion(clusterRef("a"), 3, false), Review: r}}
}
