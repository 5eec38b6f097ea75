package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// glance is what one look at a cluster finds: of each control plane or pool the size wanted and the UIDs there, one letter
// a machine.
type glance map[string]struct {
	desired int32
	there   string
}

func (g glance) owned() map[string]owned {
	all := map[string]owned{}
	for name, o := range g {
		there := map[types.UID]bool{}
		for _, uid := range o.there {
			there[types.UID(name+string(uid))] = true
		}
		all[name] = owned{desired: o.desired, there: there}
	}
	return all
}

func moving(severity v1alpha1.Severity, owner string, machines int, upTo bool) plan.Plan {
	return plan.Plan{Cluster: "edge-01", Changes: []plan.Change{{
		Object: plan.Ref{Kind: "X", Name: owner}, Action: plan.Update, Field: "f", To: owner, Severity: severity, Machines: machines, UpTo: upTo, Owner: owner,
	}}}
}

// step is an accepted plan, or only another look; over: the plan has been carried out.
type step struct {
	accept  *plan.Plan
	removal bool
	sees    glance
	over    bool
	want    v1alpha1.MachineOutcome
}

// TestOutcome goes through what happens to machines, with a new process at each step: what counts is in the record and
// the status, not in memory.
func TestOutcome(t *testing.T) {
	const pool, kcp = "workers", "KubeadmControlPlane/edge-01-kcp"
	roll := func(owner string, n int) *plan.Plan {
		p := moving(v1alpha1.SeverityRollout, owner, n, false)
		return &p
	}
	bounded := moving(v1alpha1.SeverityRollout, "MachineDeployment/"+pool, 9, true)
	shrink := moving(v1alpha1.SeverityRemove, "MachineDeployment/"+pool, 2, false)
	shrinkAndRoll := plan.Plan{Cluster: "edge-01", Changes: append(shrink.Changes, roll("MachineDeployment/"+pool, 3).Changes...)}
	deletion := plan.Deletion(plan.Ref{Kind: "Cluster", Name: "edge-01"}, 3, false)
	quiet := moving(v1alpha1.SeverityInPlace, "Cluster/edge-01", 0, false)
	workers := func(desired int32, there string) glance { return glance{pool: {desired, there}} }
	for name, steps := range map[string][]step{
		"RollAsPredicted": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "abcd"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "cde"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 2}},
			{sees: glance{"": {3, "def"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 3, CarriedOut: true}},
		},
		"NobodyLookedMeanwhile": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "xyz"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 3, CarriedOut: true}},
		},
		"NoneWasPredicted": {
			{accept: &quiet, sees: workers(3, "abc"), want: v1alpha1.MachineOutcome{}},
			{sees: workers(3, "bcd"), want: v1alpha1.MachineOutcome{Recreated: 1, Difference: 1}},
		},
		"OneMoreThanPredicted": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}, pool: {2, "xy"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "def"}, pool: {2, "yz"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 4, Difference: 1, CarriedOut: true}},
		},
		"FewerThanPredicted": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "bcd"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 1, Difference: -2, CarriedOut: true}},
		},
		"AutoscaledAtMost": {
			{accept: &bounded, sees: workers(3, "abc"), want: v1alpha1.MachineOutcome{PredictedRecreated: 9}},
			{sees: workers(3, "def"), over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 9, Recreated: 3, CarriedOut: true}},
		},
		"Shrinks": {
			{accept: &shrink, sees: workers(5, "abcde"), want: v1alpha1.MachineOutcome{PredictedRemoved: 2}},
			{sees: workers(3, "abcd"), want: v1alpha1.MachineOutcome{PredictedRemoved: 2, Removed: 1}},
			{sees: workers(3, "acd"), over: true, want: v1alpha1.MachineOutcome{PredictedRemoved: 2, Removed: 2, CarriedOut: true}},
		},
		"ShrinksAndRolls": {
			{accept: &shrinkAndRoll, sees: workers(5, "abcde"), want: v1alpha1.MachineOutcome{PredictedRecreated: 3, PredictedRemoved: 2}},
			{sees: workers(3, "xyz"), over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 3, PredictedRemoved: 2, Removed: 2, CarriedOut: true}},
		},
		"NextCommitInTheMiddleOfTheRoll": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "bcde"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 1}},
			{accept: roll(kcp, 3), sees: glance{"": {3, "bcde"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "xyz"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 3, CarriedOut: true}},
		},
		"QuietCommitInTheMiddleOfTheRoll": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{accept: &quiet, sees: glance{"": {3, "bcde"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 2}},
			{sees: glance{"": {3, "def"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 2, Recreated: 2, CarriedOut: true}},
		},
		"QuietCommitWhileItShrinks": {
			{accept: &shrink, sees: workers(5, "abcde"), want: v1alpha1.MachineOutcome{PredictedRemoved: 2}},
			{accept: &quiet, sees: workers(3, "abcd"), want: v1alpha1.MachineOutcome{PredictedRemoved: 1}},
			{sees: workers(3, "abd"), over: true, want: v1alpha1.MachineOutcome{PredictedRemoved: 1, Removed: 1, CarriedOut: true}},
		},
		"PoolGoes": {
			{accept: &shrink, sees: workers(2, "ab"), want: v1alpha1.MachineOutcome{PredictedRemoved: 2}},
			{sees: glance{}, over: true, want: v1alpha1.MachineOutcome{PredictedRemoved: 2, Removed: 2, CarriedOut: true}},
		},
		"ClusterGoes": {
			{accept: &deletion, removal: true, sees: glance{"": {1, "a"}, pool: {2, "bc"}}, want: v1alpha1.MachineOutcome{PredictedRemoved: 3}},
			{sees: glance{"": {1, ""}, pool: {2, "c"}}, want: v1alpha1.MachineOutcome{PredictedRemoved: 3, Removed: 2}},
		},
		"RemediatedAfterwards": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}, pool: {1, "x"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "def"}, pool: {1, "x"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 3, CarriedOut: true}},
			{sees: glance{"": {3, "def"}, pool: {1, "y"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 3, CarriedOut: true}},
		},
		"TheLastOneIsSeenLate": {
			{accept: roll(kcp, 3), sees: glance{"": {3, "abc"}}, want: v1alpha1.MachineOutcome{PredictedRecreated: 3}},
			{sees: glance{"": {3, "cdef"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 2, Difference: -1, CarriedOut: true}},
			{sees: glance{"": {3, "def"}}, over: true, want: v1alpha1.MachineOutcome{PredictedRecreated: 3, Recreated: 3, CarriedOut: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := stand(t, interceptor.Funcs{})
			recs, key := records{client: api, reader: api}, client.ObjectKey{Namespace: clusters, Name: "edge-01"}
			cluster := aMirror("edge-01")
			for n, s := range steps {
				accepts(t, recs, key, s, n)
				rec, err := recs.get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				r := &ClusterReconciler{records: recs, metrics: newMetrics(time.Now, "")}
				v := &view{cluster: cluster, record: rec, machines: s.sees.owned()}
				if err := r.beginTally(t.Context(), v); err != nil {
					t.Fatal(err)
				}
				v.reportOutcome()
				s.want.Revision = "main@sha1:1"
				if diff := cmp.Diff(&s.want, cluster.Status.Outcome); diff != "" {
					t.Errorf("step %d:\n%s", n, diff)
				}
			}
		})
	}
}

// accepts records a plan as accepted, or that it has been carried out.
func accepts(t *testing.T, recs records, key client.ObjectKey, s step, n int) {
	t.Helper()
	values := map[string]any{}
	if s.accept != nil {
		e, err := newEntry(*s.accept, "inputs", "rendered", "main@sha1:1", nil, noon.Add(time.Duration(n)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		values[keyAccepted] = e
		if s.removal {
			values = map[string]any{keyRemoval: e}
		}
	}
	if s.over {
		rec, err := recs.get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		values[keyCarriedOut] = rec.Accepted.ID
	}
	if err := recs.put(t.Context(), key, values); err != nil {
		t.Fatal(err)
	}
}

// counted is the value of a counter of edge-01.
func counted(t *testing.T, of *prometheus.CounterVec, change string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(of)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == change {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// What was predicted is counted once, also when the next commit comes in the middle of a roll or the look is repeated.
func TestPredictedIsCountedOnce(t *testing.T) {
	api := stand(t, interceptor.Funcs{})
	recs, key := records{client: api, reader: api}, client.ObjectKey{Namespace: clusters, Name: "edge-01"}
	r := &ClusterReconciler{records: recs, metrics: newMetrics(time.Now, "")}
	three := moving(v1alpha1.SeverityRollout, "KubeadmControlPlane/edge-01-kcp", 3, false)
	for n, s := range []step{
		{accept: &three, sees: glance{"": {3, "abc"}}},
		{sees: glance{"": {3, "abc"}}},
		{accept: &three, sees: glance{"": {3, "bcd"}}}, // one was re-created, three roll again: four in all
	} {
		accepts(t, recs, key, s, n)
		rec, err := recs.get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.beginTally(t.Context(), &view{cluster: aMirror("edge-01"), record: rec, machines: s.sees.owned()}); err != nil {
			t.Fatal(err)
		}
	}
	if got := counted(t, r.metrics.predicted, recreated); got != 4 {
		t.Errorf("predicted %v, want 4", got)
	}
}

// Nothing is begun that could not be recorded: after a crash the count would be another.
func TestTallyIsRecordedFirst(t *testing.T) {
	away := errors.New("away")
	three := moving(v1alpha1.SeverityRollout, "KubeadmControlPlane/edge-01-kcp", 3, false)
	e, err := newEntry(three, "", "", "", nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	api := stand(t, interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
		return away
	}})
	r := &ClusterReconciler{records: records{client: api, reader: api}, metrics: newMetrics(time.Now, "")}
	v := &view{cluster: aMirror("edge-01"), record: record{Accepted: e}, machines: glance{"": {3, "abc"}}.owned()}
	if err := r.beginTally(t.Context(), v); !errors.Is(err, away) || v.record.Tallied != nil || counted(t, r.metrics.predicted, recreated) != 0 {
		t.Errorf("%v, %+v", err, v.record.Tallied)
	}
}

// A Fleet sums over the clusters that its newest change touched.
func TestSumOutcomes(t *testing.T) {
	s := &scene{mirrors: map[string]*v1alpha1.NutanixClusterSpec{}, records: map[string]record{}}
	if got := s.sumOutcomes(); got != nil {
		t.Errorf("nothing happened: %+v", got)
	}
	for name, o := range map[string]v1alpha1.MachineOutcome{
		"a": {Revision: "main@sha1:2", PredictedRecreated: 3, Recreated: 2, CarriedOut: false},
		"b": {Revision: "main@sha1:2", PredictedRecreated: 1, Recreated: 2, PredictedRemoved: 1, Removed: 1, Difference: 1, CarriedOut: true},
		"c": {Revision: "main@sha1:2", PredictedRecreated: 1, Difference: -1, CarriedOut: true},
		"d": {Revision: "main@sha1:1", PredictedRecreated: 9, Recreated: 9, CarriedOut: true},
	} {
		c := aMirror(name)
		c.Status.Outcome = &o
		s.mirrors[name] = c
		s.records[name] = record{Accepted: &entry{Revision: o.Revision, RecordedAt: metav1.NewTime(noon.Add(time.Duration(strings.Count(o.Revision, "2")) * time.Hour))}}
	}
	want := &v1alpha1.MachineOutcome{Revision: "main@sha1:2", PredictedRecreated: 5, Recreated: 4, PredictedRemoved: 1, Removed: 1, Difference: 2}
	if diff := cmp.Diff(want, s.sumOutcomes()); diff != "" {
		t.Error(diff)
	}
}
