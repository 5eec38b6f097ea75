package controllers

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// TestWhatIsBrokenIsToldAtOnce: no time without progress has to pass for what the provider never tries again. What may
// still get on is given that time, and nothing is said while somebody has stopped the cluster or all is carried out.
func TestWhatIsBrokenIsToldAtOnce(t *testing.T) {
	failed := func(name string) kube.Problem {
		return kube.Problem{
			Object: plan.Ref{Kind: "NutanixMachine", Name: name}, Machine: name, Owner: "MachineDeployment/edge-01-workers",
			Condition: "Failed", Reason: "CreateError", Message: "no image", Help: "Delete it",
		}
	}
	for name, c := range map[string]struct {
		health kube.Health
		want   string
	}{
		"Broken": {
			kube.Health{Broken: []kube.Problem{failed("a"), failed("b")}},
			"Machine a of MachineDeployment/edge-01-workers: NutanixMachine/a has Failed (CreateError): no image. Delete it. Also: NutanixMachine/b (Failed)",
		},
		"OnlySlow": {kube.Health{Stuck: []kube.Problem{failed("a")}}, ""},
		"Done":     {kube.Health{Done: true, Broken: []kube.Problem{failed("a")}}, ""},
		"Stopped":  {kube.Health{Paused: &kube.Pause{Field: "spec.paused", Manager: "night-shift"}, Broken: []kube.Problem{failed("a")}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := seen()
			v.health = c.health
			err := operator(stand(t, interceptor.Funcs{}, v.cluster)).progress(v)
			if c.want == "" {
				if err != nil {
					t.Errorf("says %v", err)
				}
				return
			}
			if err == nil || err.Error() != c.want || asFailure(err).reason != v1alpha1.RolloutStuckReason {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}

// TestSilentCreationIsExplainedByItsTask: where no object tells why a VM is not made, Prism Central's task does. It is
// asked at the account's own door, once in a while, and nothing waits for it.
func TestSilentCreationIsExplainedByItsTask(t *testing.T) {
	v := seen()
	v.health = kube.Health{Stuck: []kube.Problem{{
		Object: plan.Ref{Kind: "NutanixMachine", Name: "a"}, Machine: "a", Condition: "NoVM", Reason: "NotCreated", Message: "no VM",
	}}}
	key := client.ObjectKeyFromObject(v.cluster)
	r := operator(stand(t, interceptor.Funcs{}, v.cluster))
	r.StuckAfter = 0
	message := func() string { return r.progress(v).Error() }
	if got := message(); strings.Contains(got, "Prism Central") {
		t.Errorf("told before it was asked: %s", got)
	}
	message()
	account := client.ObjectKey{Namespace: v.cluster.Namespace, Name: v.cluster.Spec.AccountRef.Name}
	if n := len(r.sites.keeper(account).orders); n != 1 {
		t.Errorf("asked %d times within a minute, want once", n)
	}
	r.compared.tasks.put(key, map[string]string{"a": "not enough memory on PE-1"})
	if got := message(); !strings.Contains(got, "not enough memory on PE-1") {
		t.Errorf("lacks the task's words: %s", got)
	}
}
