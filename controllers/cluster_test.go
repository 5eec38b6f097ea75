package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberecord "k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// operator of one cluster, before an API server in memory.
func operator(api client.Client) *ClusterReconciler {
	return &ClusterReconciler{
		sites: &sites{}, compared: &comparisons{},
		Client: api, Reader: api, Recorder: &kuberecord.FakeRecorder{}, Now: func() time.Time { return noon }, StuckAfter: time.Hour,
		records: records{client: api, reader: api}, settled: &settled{}, contest: &contest{}, pace: &pace{},
	}
}

// seen is a healthy cluster of a Fleet that was compared: its accepted plan is carried out, and these changes are to be made.
func seen(changes ...plan.Change) *view {
	v := &view{
		cluster: aMirror("edge-01"), fleet: aFleet(), digest: "inputs", seen: true,
		health: kube.Health{Found: true, Done: true, Available: metav1.ConditionTrue},
		record: record{
			Accepted:   &entry{ID: "1", Plan: []byte("{}"), Inputs: "inputs", Rendered: "rendered", Stamps: map[string]string{v1alpha1.FleetAnnotation: "production"}},
			CarriedOut: "1", Applied: true,
		},
		flow: &flow.Proposal{Rendered: "rendered", Plan: plan.Plan{Cluster: "edge-01", Changes: changes}},
	}
	set(v.cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, "fine")
	return v
}

func change(s v1alpha1.Severity) plan.Change {
	return plan.Change{Object: plan.Ref{Kind: "MachineDeployment", Name: "edge-01-workers"}, Action: plan.Update, Field: "spec.x", To: "1", Severity: s, Machines: 1}
}

// Drift that is only to be reported is compared again when something changes or at the settled interval, asks nobody for
// anything, whatever it would take to mend it, and leaves Ready as it is.
func TestReportedDriftIsLeft(t *testing.T) {
	for name, severity := range map[string]v1alpha1.Severity{"InPlace": v1alpha1.SeverityInPlace, "Rollout": v1alpha1.SeverityRollout} {
		t.Run(name, func(t *testing.T) {
			v := seen(change(severity))
			v.cluster.Spec.Drift.Objects = v1alpha1.DriftReport
			r := operator(stand(t, interceptor.Funcs{}, v.cluster))
			r.ask = func(client.ObjectKey) { t.Error("the Fleet is asked") }
			key := client.ObjectKeyFromObject(v.cluster)
			r.settled.begin(key)
			if err := r.act(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			result, err := r.report(v, nil)
			if err != nil || result.RequeueAfter != whileSettled {
				t.Errorf("looks again after %s (%v), want %s", result.RequeueAfter, err, whileSettled)
			}
			if !is(v.cluster, v1alpha1.InSyncCondition, metav1.ConditionFalse) || !is(v.cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue) {
				t.Errorf("conditions are %+v", v.cluster.Status.Conditions)
			}
			again := seen()
			again.flow = nil
			if again.found = r.settled.found(key, v.token(), nil, noon.Add(time.Minute)); again.found == nil {
				t.Fatal("it is compared again although nothing changed")
			}
			if err := r.recall(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			if _, err := r.report(again, nil); err != nil || !is(again.cluster, v1alpha1.InSyncCondition, metav1.ConditionFalse) {
				t.Errorf("at the next look: %v, conditions are %+v", err, again.cluster.Status.Conditions)
			}
			if r.settled.found(key, v.token(), nil, noon.Add(whileSettled)) != nil {
				t.Error("it is not compared at the settled interval")
			}
			if r.settled.found(key, "another token", nil, noon) != nil {
				t.Error("it is not compared although something changed")
			}
			o := aMirror("edge-01-workers")
			if !r.settled.touch(key, "MachineDeployment", o, false) || r.settled.found(key, v.token(), nil, noon) != nil {
				t.Error("it is not compared although an object was touched")
			}
		})
	}
}

// While the Fleet is asked for its word, the record is looked at often and nothing is compared.
func TestAskedOnce(t *testing.T) {
	v := seen(change(v1alpha1.SeverityRollout))
	r := operator(stand(t, interceptor.Funcs{}, v.cluster))
	asked := 0
	r.ask = func(client.ObjectKey) { asked++ }
	r.settled.begin(client.ObjectKeyFromObject(v.cluster))
	if err := r.act(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	again := seen()
	again.flow = nil
	if again.found = r.settled.found(client.ObjectKeyFromObject(v.cluster), v.token(), nil, noon); again.found == nil {
		t.Fatal("it is compared again before the Fleet answered")
	}
	if err := r.recall(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if result, err := r.report(again, nil); err != nil || result.RequeueAfter != whileMoving || asked != 1 {
		t.Errorf("looks again after %s (%v), asked %d times", result.RequeueAfter, err, asked)
	}
	again.record.Accepted.ID = "2"
	if r.settled.found(client.ObjectKeyFromObject(v.cluster), again.token(), nil, noon) != nil {
		t.Error("it is not compared although the Fleet accepted")
	}
}

// A comparison counts only once what it leads to is written.
func TestNothingIsSettledBeforeItIsWritten(t *testing.T) {
	v := seen()
	v.record.CarriedOut = ""
	away := errors.New("the API server is away")
	r := operator(stand(t, interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return away
		},
	}, v.cluster))
	r.settled.begin(client.ObjectKeyFromObject(v.cluster))
	if err := r.act(t.Context(), v); !errors.Is(err, away) {
		t.Errorf("the record could not be written, and the step says %v", err)
	}
	if r.settled.found(client.ObjectKeyFromObject(v.cluster), v.token(), nil, noon) != nil {
		t.Error("settled, and the accepted plan still open")
	}
}

// What is freed by machines that are gone is pruned: the cluster is compared again although no object of it changed.
func TestComparedAgainOnceATemplateIsFree(t *testing.T) {
	v := seen()
	v.health.InUse = []string{"new", "old"}
	r := operator(stand(t, interceptor.Funcs{}, v.cluster))
	key := client.ObjectKeyFromObject(v.cluster)
	r.settled.begin(key)
	r.settle(v, finding{})
	if r.settled.found(key, v.token(), []string{"new", "newer", "old"}, noon) == nil {
		t.Error("compared again although nothing was freed")
	}
	if r.settled.found(key, v.token(), []string{"new"}, noon) != nil {
		t.Error("the template that nothing uses any more stays")
	}
}

// An approval of a cluster without a Fleet outlives a record that could not be written.
func TestApprovalOutlivesAFailedWrite(t *testing.T) {
	v := seen(change(v1alpha1.SeverityRollout))
	v.fleet, v.record = nil, record{}
	delete(v.cluster.Annotations, v1alpha1.FleetAnnotation)
	limits := int32(0)
	v.cluster.Spec.Limits.RecreatedMachines = &limits
	held, err := newEntry(v.flow.Plan, "inputs", "rendered", "", nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	v.record.Held = held
	v.cluster.Annotations[v1alpha1.ApprovedPlanAnnotation], v.cluster.Annotations[v1alpha1.ApprovedByAnnotation] = held.Digest, "ada"
	away := errors.New("the API server is away")
	r := operator(stand(t, interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return away },
	}, v.cluster))
	if err := r.gateItself(t.Context(), v); !errors.Is(err, away) {
		t.Errorf("the record could not be written, and the gate says %v", err)
	}
	now := &v1alpha1.NutanixClusterSpec{}
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(v.cluster), now); err != nil {
		t.Fatal(err)
	}
	if now.Annotations[v1alpha1.ApprovedPlanAnnotation] != held.Digest {
		t.Error("the approval is gone, and what it approved was not accepted")
	}
}

// A pause by another hand is over when the Cluster is gone, and a Cluster that was seen while it was paused is missed, too.
func TestPauseEndsWithTheCluster(t *testing.T) {
	v := seen()
	v.record.Applied = false
	v.health.Paused = &kube.Pause{Field: "spec.paused", Manager: "somebody"}
	r := operator(stand(t, interceptor.Funcs{}, v.cluster))
	r.sayPaused(v)
	if err := r.guard(t.Context(), v); err != nil || !is(v.cluster, v1alpha1.PausedCondition, metav1.ConditionTrue) {
		t.Fatalf("%v: %+v", err, v.cluster.Status.Conditions)
	}
	v.health = kube.Health{}
	var err error
	if v.record, err = r.records.get(t.Context(), client.ObjectKeyFromObject(v.cluster)); err != nil {
		t.Fatal(err)
	}
	if err := r.guard(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if !is(v.cluster, v1alpha1.PausedCondition, metav1.ConditionFalse) || !v.record.Gone {
		t.Errorf("gone: %t, conditions %+v", v.record.Gone, v.cluster.Status.Conditions)
	}
}

// Watches that were started are not started again because another one failed.
func TestEachWatchIsStartedOnce(t *testing.T) {
	started := map[source.Source]int{}
	first, second := source.Func(nil), source.Func(nil)
	one, two := &first, &second
	fails := true
	start := starter([]source.Source{one, two}, func(s source.Source) error {
		if s == source.Source(two) && fails {
			fails = false
			return errors.New("not yet")
		}
		started[s]++
		return nil
	})
	if start(t.Context()) == nil {
		t.Error("the failure is lost")
	}
	if err := start(t.Context()); err != nil {
		t.Error(err)
	}
	if started[one] != 1 || started[two] != 1 {
		t.Errorf("started %d and %d times", started[one], started[two])
	}
}

// A change that preflight held and that is taken back leaves nothing behind that says so.
func TestPreflightIsTakenBack(t *testing.T) {
	v := seen()
	set(v.cluster, v1alpha1.PreflightPassedCondition, metav1.ConditionFalse, v1alpha1.PreflightFailedReason, "no such image")
	v.cluster.Status.Preflight = []v1alpha1.PreflightFinding{{Check: "Image", Verdict: v1alpha1.PreflightFailed, Message: "no such image"}}
	r := operator(stand(t, interceptor.Funcs{}, v.cluster))
	r.settled.begin(client.ObjectKeyFromObject(v.cluster))
	if err := r.act(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if !is(v.cluster, v1alpha1.PreflightPassedCondition, metav1.ConditionTrue) || len(v.cluster.Status.Preflight) > 0 {
		t.Errorf("it still says %+v, %+v", conditionOf(v.cluster, v1alpha1.PreflightPassedCondition), v.cluster.Status.Preflight)
	}
}
