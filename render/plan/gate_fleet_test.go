package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// TestGateTenSmallCommits: a fleet rolled one cluster a commit is held once the sum passes the limit.
func TestGateTenSmallCommits(t *testing.T) {
	in := GateInput{Fleet: "production", Limits: LimitsFrom(v1alpha1.Limits{}), Clusters: map[string]ClusterInput{}}
	accepted := 0
	for i := range 10 {
		name := fmt.Sprintf("edge-%02d", i)
		in.Clusters[name] = rolling(name, 3)
		if !Gate(in).Decisions[name].Accepted {
			continue
		}
		accepted += 3
		in.Clusters[name] = ClusterInput{Unfinished: &Unfinished{Plan: in.Clusters[name].Plan, Recreated: 3}}
	}
	if accepted != 9 {
		t.Errorf("%d machines roll at once by small commits; the limit is 10", accepted)
	}
}

// TestGateApproveAll: approving the digest that a held Fleet shows lets go on all of it and nothing else.
func TestGateApproveAll(t *testing.T) {
	in := GateInput{
		Namespace: "clusters", Fleet: "production", Limits: LimitsFrom(v1alpha1.Limits{}), Total: 4, Vanishing: 1,
		Clusters: map[string]ClusterInput{"a": rolling("a", 8), "b": losing("b", 4)}, Removals: deletions("c"),
	}
	first := Gate(in)
	if diff := cmp.Diff([]string{"b", "c"}, slices.Sorted(maps.Keys(first.Held))); diff != "" {
		t.Fatalf("held; a is within its limit (-want +got):\n%s", diff)
	}
	if first.Severity != v1alpha1.SeverityDestroy || !strings.Contains(first.Message, first.Digest) || !strings.Contains(first.Message, "Refract-Approve: ") {
		t.Errorf("severity %s, message %q", first.Severity, first.Message)
	}
	in.Approved = []string{first.Digest}
	second := Gate(in)
	if len(second.Held) > 0 || second.Digest != "" || second.Message != "" || second.Summary != "no change" {
		t.Errorf("still held after approval: %+v", second)
	}
	for _, name := range []string{"b", "c"} {
		if !second.Decisions[name].Approved {
			t.Errorf("%s: %+v", name, second.Decisions[name])
		}
	}
}

// TestGateWithoutFleet: a cluster that gates itself is not told of commits.
func TestGateWithoutFleet(t *testing.T) {
	in := GateInput{Namespace: "clusters", Limits: LimitsFrom(v1alpha1.Limits{}), Clusters: map[string]ClusterInput{"a": rolling("a", 11)}}
	r := Gate(in)
	d := r.Decisions["a"]
	if d.Accepted || strings.Contains(d.Message, "commit") || !strings.Contains(d.Message, "refract approve cluster/a "+d.Digest) {
		t.Errorf("%+v", d)
	}
}

func TestLimits(t *testing.T) {
	defaults := LimitsFrom(v1alpha1.Limits{})
	if diff := cmp.Diff(Limits{DeletedClusters: 0, RemovedMachines: 3, RecreatedMachines: 10, PrunedPercent: 20}, defaults); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	set := LimitsFrom(v1alpha1.Limits{DeletedClusters: limit(1), RemovedMachines: limit(0), RecreatedMachines: limit(50), PrunedPercent: limit(5)})
	if diff := cmp.Diff(Limits{DeletedClusters: 1, RemovedMachines: 0, RecreatedMachines: 50, PrunedPercent: 5}, set); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	tight := set.Tighten(v1alpha1.Limits{DeletedClusters: limit(9), RecreatedMachines: limit(4)})
	if diff := cmp.Diff(Limits{DeletedClusters: 1, RemovedMachines: 0, RecreatedMachines: 4, PrunedPercent: 5}, tight); diff != "" {
		t.Errorf("tightened (-want +got):\n%s", diff)
	}
}

func TestExpired(t *testing.T) {
	recorded := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		recorded, now time.Time
		want          bool
	}{
		"Fresh":      {recorded, recorded, false},
		"SixDays":    {recorded, recorded.Add(7*24*time.Hour - time.Second), false},
		"SevenDays":  {recorded, recorded.Add(7 * 24 * time.Hour), true},
		"NotKnown":   {time.Time{}, recorded, true},
		"ClockMoved": {recorded, recorded.Add(-time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Expired(tc.recorded, tc.now); got != tc.want {
				t.Errorf("expired = %v", got)
			}
		})
	}
}

// TestFleetDigestWithoutHopelessPlans: what a Fleet shows to approve is what is recorded, also beside plans that no
// approval can help.
func TestFleetDigestWithoutHopelessPlans(t *testing.T) {
	held := map[string]Plan{"a": rolling("a", 20).Plan}
	more := maps.Clone(held)
	more["b"] = planOf("b", Change{Object: clusterRef("b"), Severity: v1alpha1.SeverityForbidden})
	more["c"] = Plan{Cluster: "c", Changes: rolling("c", 1).Plan.Changes, Foreign: []Foreign{{Object: clusterRef("c")}}}
	if FleetDigest(held) != FleetDigest(more) {
		t.Error("the digest differs")
	}
	delete(more, "a")
	if d := FleetDigest(more); d != "" {
		t.Errorf("digest %s of nothing to approve", d)
	}
}
