package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
)

func clusterRef(name string) Ref {
	return Ref{APIVersion: coreAPI, Kind: "Cluster", Namespace: "clusters", Name: name}
}

// rolling is a cluster with a new plan that re-creates n machines, losing one that removes n.
func rolling(name string, n int) ClusterInput {
	return ClusterInput{Plan: planOf(name, rollout(name, "a", "6Gi", n))}
}

func losing(name string, n int) ClusterInput {
	return ClusterInput{Plan: planOf(name, removal(name, "a", n))}
}

func with(c ClusterInput, edit func(*ClusterInput)) ClusterInput {
	edit(&c)
	return c
}

func secretRoll(cluster string) Change {
	c := rollout(cluster, "a", changedValue, 6)
	c.Opaque = true
	return c
}

func limit(n int32) *int32 { return new(n) }

func deletions(names ...string) map[string]RemovalInput {
	out := map[string]RemovalInput{}
	for _, n := range names {
		out[n] = RemovalInput{Plan: Deletion(clusterRef(n), 3, false)}
	}
	return out
}

func orphans(names ...string) map[string]RemovalInput {
	out := map[string]RemovalInput{}
	for _, n := range names {
		out[n] = RemovalInput{Plan: Orphan(clusterRef(n))}
	}
	return out
}

func TestGate(t *testing.T) {
	forbiddenChange := Change{
		Object: clusterRef("a"), Field: "spec.x", To: "1", Severity: v1alpha1.SeverityForbidden, Owner: "Cluster/a", Reason: "commit 0 instead",
	}
	unfinished := func(name string, n int, approved bool) *Unfinished {
		return &Unfinished{Plan: planOf(name, rollout(name, "a", "5Gi", n)), Recreated: n, Approved: approved}
	}
	bigger, smaller := rolling("a", 20).Plan, rolling("a", 15).Plan
	cases := map[string]struct {
		reason string
		in     GateInput
		want   map[string]string // reason of the decision; Accepted, or Approved when a person's word was needed
		words  map[string]string
	}{
		"AtTheLimit": {
			reason: "the limit itself is allowed",
			in:     GateInput{Clusters: map[string]ClusterInput{"a": rolling("a", 5), "b": rolling("b", 5)}},
			want:   map[string]string{"a": "Accepted", "b": "Accepted"},
		},
		"SumOverTheFleet": {
			reason: "each is small, together they are not; who does not contribute goes on",
			in: GateInput{Clusters: map[string]ClusterInput{
				"a": rolling("a", 6), "b": rolling("b", 5), "c": losing("c", 1), "d": {Plan: planOf("d", Change{Severity: v1alpha1.SeverityInPlace})},
			}},
			want:  map[string]string{"a": "LimitExceeded", "b": "LimitExceeded", "c": "Accepted", "d": "Accepted"},
			words: map[string]string{"a": "re-creates 6 machines, with what else is new or unfinished in the Fleet 11, and limit recreatedMachines of the Fleet is 10"},
		},
		"RemovedMachines": {
			reason: "counted apart",
			in:     GateInput{Clusters: map[string]ClusterInput{"a": losing("a", 2), "b": losing("b", 2), "c": rolling("c", 10)}},
			want:   map[string]string{"a": "LimitExceeded", "b": "LimitExceeded", "c": "Accepted"},
			words:  map[string]string{"a": "limit removedMachines of the Fleet is 3"},
		},
		"UnfinishedCounts": {
			reason: "what still rolls elsewhere adds to the sum and is not held itself",
			in: GateInput{Clusters: map[string]ClusterInput{
				"a": {Unfinished: unfinished("a", 8, false)}, "b": rolling("b", 3),
			}},
			want: map[string]string{"a": "Accepted", "b": "LimitExceeded"},
		},
		"ApprovedUnfinishedDoesNotCount": {
			reason: "approved changes are taken out first",
			in: GateInput{Clusters: map[string]ClusterInput{
				"a": {Unfinished: unfinished("a", 50, true)}, "b": rolling("b", 3),
			}},
			want: map[string]string{"a": "Accepted", "b": "Accepted"},
		},
		"AlreadyAccepted": {
			reason: "planned again while it rolls, it is covered and not counted twice",
			in: GateInput{Clusters: map[string]ClusterInput{"a": {
				Plan: planOf("a", rollout("a", "a", "5Gi", 6)), Unfinished: unfinished("a", 8, false),
			}}},
			want: map[string]string{"a": "Accepted"},
		},
		"NextSecretWhileItRolls": {
			reason: "another secret looks like the accepted one, and rolls the machines again",
			in: GateInput{Clusters: map[string]ClusterInput{
				"a": {Plan: planOf("a", secretRoll("a")), Unfinished: &Unfinished{Plan: planOf("a", secretRoll("a")), Recreated: 6}},
				"b": {Plan: planOf("b", secretRoll("b")), Unfinished: &Unfinished{Plan: planOf("b", secretRoll("b"))}, Cause: CauseDrift},
			}},
			want: map[string]string{"a": "LimitExceeded", "b": "Accepted"},
		},
		"NextCommitWhileItRolls": {
			reason: "more than was accepted is new",
			in: GateInput{Clusters: map[string]ClusterInput{"a": {
				Plan: planOf("a", rollout("a", "a", "6Gi", 6)), Unfinished: unfinished("a", 6, false),
			}}},
			want: map[string]string{"a": "LimitExceeded"},
		},
		"ClusterApproves": {
			reason: "its own digest lets it go on and takes it out of the sum",
			in: GateInput{Clusters: map[string]ClusterInput{
				"a": with(rolling("a", 20), func(c *ClusterInput) { c.Approved = []string{c.Plan.Digest()} }), "b": rolling("b", 10),
			}},
			want: map[string]string{"a": "Approved", "b": "Accepted"},
		},
		"TrailerApproves": {
			reason: "a commit says so",
			in:     GateInput{Clusters: map[string]ClusterInput{"a": rolling("a", 20)}, Trailers: []string{bigger.Digest()}},
			want:   map[string]string{"a": "Approved"},
		},
		"AnotherClustersDigest": {
			reason: "approvals are of one cluster",
			in: GateInput{Clusters: map[string]ClusterInput{"a": with(rolling("a", 20), func(c *ClusterInput) {
				c.Approved = []string{rolling("b", 20).Plan.Digest()}
			})}},
			want: map[string]string{"a": "LimitExceeded"},
		},
		"SmallerPlansDigest": {
			reason: "fifteen were approved, not twenty",
			in: GateInput{Clusters: map[string]ClusterInput{"a": with(rolling("a", 20), func(c *ClusterInput) {
				c.Approved, c.Recorded = []string{smaller.Digest()}, &smaller
			})}},
			want: map[string]string{"a": "LimitExceeded"},
		},
		"LargerPlansDigest": {
			reason: "what was recorded and approved covers less",
			in: GateInput{Clusters: map[string]ClusterInput{"a": with(rolling("a", 15), func(c *ClusterInput) {
				c.Approved, c.Recorded = []string{bigger.Digest()}, &bigger
			})}},
			want: map[string]string{"a": "Approved"},
		},
		"EmptyDigestApprovesNothing": {
			reason: "an empty annotation is no word",
			in: GateInput{
				Clusters: map[string]ClusterInput{"a": with(rolling("a", 20), func(c *ClusterInput) { c.Approved = []string{""} })},
				Approved: []string{""}, Trailers: []string{""},
			},
			want: map[string]string{"a": "LimitExceeded"},
		},
		"FleetApprovesWhatWasRecorded": {
			reason: "one of three is done, one grew since: only what was shown goes on",
			in: GateInput{
				Clusters: map[string]ClusterInput{"a": rolling("a", 20), "b": rolling("b", 30)},
				Recorded: map[string]Plan{"a": bigger, "b": rolling("b", 20).Plan, "c": rolling("c", 9).Plan},
				Approved: []string{FleetDigest(map[string]Plan{"a": bigger, "b": rolling("b", 20).Plan, "c": rolling("c", 9).Plan})},
			},
			want: map[string]string{"a": "Approved", "b": "LimitExceeded"},
		},
		"FleetApprovesWhatIsHeldNow": {
			reason: "the digest of all that is held",
			in: GateInput{
				Clusters: map[string]ClusterInput{"a": rolling("a", 20), "b": {Plan: planOf("b", forbiddenChange)}},
				Removals: deletions("c"), Total: 3, Vanishing: 1,
				Trailers: []string{FleetDigest(map[string]Plan{"a": bigger, "c": Deletion(clusterRef("c"), 3, false)})},
			},
			want: map[string]string{"a": "Approved", "b": "Forbidden", "c": "Approved"},
		},
		"Forbidden": {
			reason: "that cluster alone, with what to commit, whatever is approved",
			in: GateInput{
				Clusters: map[string]ClusterInput{
					"a": {Plan: planOf("a", forbiddenChange, rollout("a", "a", "6Gi", 9)), Approved: []string{planOf("a", forbiddenChange, rollout("a", "a", "6Gi", 9)).Digest()}},
					"b": rolling("b", 9),
				},
			},
			want:  map[string]string{"a": "Forbidden", "b": "Accepted"},
			words: map[string]string{"a": "Cluster/a spec.x: commit 0 instead."},
		},
		"Foreign": {
			reason: "an object in the way holds its cluster",
			in: GateInput{Clusters: map[string]ClusterInput{"a": {
				Plan: Plan{Cluster: "a", Foreign: []Foreign{{Object: clusterRef("a"), Managers: []string{"kubectl", "helm"}}}},
			}}},
			want:  map[string]string{"a": "AlreadyExists"},
			words: map[string]string{"a": "Cluster/a exists and is not ours (managed by kubectl, helm). Nothing was written. Commit spec.adopt: true"},
		},
		"ClusterTightens": {
			reason: "its own limit holds it alone and frees the sum for others",
			in: GateInput{Clusters: map[string]ClusterInput{
				"a": with(rolling("a", 4), func(c *ClusterInput) { c.Limits.RecreatedMachines = limit(3) }), "b": rolling("b", 7),
			}},
			want:  map[string]string{"a": "LimitExceeded", "b": "Accepted"},
			words: map[string]string{"a": "limit recreatedMachines of the cluster is 3"},
		},
		"ClusterCannotLoosen": {
			reason: "a cluster's limit never raises the Fleet's",
			in: GateInput{Clusters: map[string]ClusterInput{
				"a": with(rolling("a", 11), func(c *ClusterInput) { c.Limits.RecreatedMachines = limit(100) }),
			}},
			want: map[string]string{"a": "LimitExceeded"},
		},
		"OperatorUpgradeRolls": {
			reason: "no push asked for it",
			in:     GateInput{Clusters: map[string]ClusterInput{"a": with(rolling("a", 1), func(c *ClusterInput) { c.Cause = CauseOperatorUpgrade })}},
			want:   map[string]string{"a": "ApprovalRequired"},
			words:  map[string]string{"a": "new version of Refract"},
		},
		"OperatorUpgradeInPlace": {
			reason: "no machine is touched",
			in: GateInput{Clusters: map[string]ClusterInput{"a": {
				Plan: planOf("a", Change{Severity: v1alpha1.SeverityInPlace}), Cause: CauseOperatorUpgrade,
			}}},
			want: map[string]string{"a": "Accepted"},
		},
		"DriftWithinLimits": {
			reason: "what was accepted is put back as a push of it would be carried out",
			in:     GateInput{Clusters: map[string]ClusterInput{"a": with(losing("a", 1), func(c *ClusterInput) { c.Cause = CauseDrift })}},
			want:   map[string]string{"a": "Accepted"},
		},
		"DriftBeyondLimits": {
			reason: "putting it back touches more machines than a push may",
			in:     GateInput{Clusters: map[string]ClusterInput{"a": with(losing("a", 9), func(c *ClusterInput) { c.Cause = CauseDrift })}},
			want:   map[string]string{"a": "LimitExceeded"},
		},
		"DriftApproved": {
			reason: "with a person's word it is put back",
			in: GateInput{Clusters: map[string]ClusterInput{"a": with(losing("a", 9), func(c *ClusterInput) {
				c.Cause, c.Approved = CauseDrift, []string{c.Plan.Digest()}
			})}},
			want: map[string]string{"a": "Approved"},
		},
		"RecreatedCluster": {
			reason: "a Destroy always asks, whatever the limits",
			in: GateInput{
				Limits:   Limits{DeletedClusters: 100, RemovedMachines: 100, RecreatedMachines: 100, PrunedPercent: 100},
				Clusters: map[string]ClusterInput{"a": {Plan: planOf("a", Change{Object: clusterRef("a"), Action: Create, Severity: v1alpha1.SeverityDestroy})}},
			},
			want: map[string]string{"a": "ApprovalRequired"},
		},
		"DeletionByDefault": {
			reason: "limit 0: always an approval, on the Fleet",
			in:     GateInput{Removals: deletions("a"), Total: 10, Vanishing: 1},
			want:   map[string]string{"a": "LimitExceeded"},
			words:  map[string]string{"a": "refract approve fleet/production sha256:"},
		},
		"DeletionsInTheirLimit": {
			reason: "one may go, and one that still goes counts",
			in:     GateInput{Limits: Limits{DeletedClusters: 2, PrunedPercent: 20}, Removals: deletions("a"), Deleting: 1, Total: 10, Vanishing: 1},
			want:   map[string]string{"a": "Accepted"},
		},
		"DeletionsOverTheirLimit": {
			reason: "one at a time is no way round",
			in:     GateInput{Limits: Limits{DeletedClusters: 1, PrunedPercent: 20}, Removals: deletions("a"), Deleting: 1, Total: 10, Vanishing: 1},
			want:   map[string]string{"a": "LimitExceeded"},
		},
		"DeletionApproved": {
			reason: "by the digest of that deletion on the Fleet",
			in: GateInput{
				Removals: deletions("a", "b"), Total: 10, Vanishing: 2, Approved: []string{Deletion(clusterRef("a"), 3, false).Digest()},
			},
			want: map[string]string{"a": "Approved", "b": "LimitExceeded"},
		},
		"DeletionOfAClusterThatForbidsIt": {
			reason: "its own limit of none",
			in: GateInput{
				Limits: Limits{DeletedClusters: 5, PrunedPercent: 100}, Total: 10, Vanishing: 1,
				Removals: map[string]RemovalInput{"a": {Plan: Deletion(clusterRef("a"), 3, false), Limits: v1alpha1.Limits{DeletedClusters: limit(0)}}},
			},
			want: map[string]string{"a": "LimitExceeded"},
		},
		"HalfTheFleetVanished": {
			reason: "a mistyped path is no request to let go of clusters",
			in:     GateInput{Removals: orphans("a", "b"), Total: 10, Vanishing: 5},
			want:   map[string]string{"a": "LimitExceeded", "b": "LimitExceeded"},
			words:  map[string]string{"a": "The files of 5 of 10 clusters are gone, and limit prunedPercent is 20"},
		},
		"AFewReleased": {
			reason: "twenty percent may go",
			in:     GateInput{Removals: orphans("a", "b"), Total: 10, Vanishing: 2},
			want:   map[string]string{"a": "Accepted", "b": "Accepted"},
		},
		"TheOnlyClusterVanished": {
			reason: "an empty directory",
			in:     GateInput{Removals: orphans("a"), Total: 1, Vanishing: 1},
			want:   map[string]string{"a": "LimitExceeded"},
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

// checkDecision holds for every decision: a held one says what to do, and what an approval can help is in the Fleet's
// digest, and a trailer is named where it counts.
func checkDecision(t *testing.T, name string, d Decision, r GateResult, asked Review) {
	t.Helper()
	_, held := r.Held[name]
	if d.Accepted != (d.Reason == v1alpha1.AcceptedReason) || d.Accepted != (d.Message == "") {
		t.Errorf("%s: accepted %v with reason %s and message %q", name, d.Accepted, d.Reason, d.Message)
	}
	if held != (d.Digest != "") || (held && r.Digest == "") {
		t.Errorf("%s: held %v with digest %q, Fleet digest %q", name, held, d.Digest, r.Digest)
	}
	trailer := asked.trailed(strings.Contains(d.Message, "there is less room"))
	if held && (!strings.Contains(d.Message, "`refract approve ") || strings.Contains(d.Message, "`Refract-Approve: "+d.Digest+"`") != trailer) {
		t.Errorf("%s: the message does not say how to go on: %s", name, d.Message)
	}
}
