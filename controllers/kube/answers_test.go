package kube

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refract-dev/refract/render/plan"
)

// TestAnswers asks again after somebody did something: only what cannot have changed the answer leaves it known.
func TestAnswers(t *testing.T) {
	object := func(uid, version string, replicas int64, status string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineDeployment",
			"spec": map[string]any{"replicas": replicas}, "status": map[string]any{"phase": status},
		}}
		o.SetNamespace("clusters")
		o.SetName("edge-01-workers")
		o.SetUID(types.UID(uid))
		o.SetResourceVersion(version)
		return o
	}
	labelled := object("u1", "8", 3, "Running")
	labelled.SetLabels(map[string]string{"by": "hand"})
	want, live, stored := object("", "", 3, ""), object("u1", "7", 2, "Running"), object("u1", "7", 3, "Running")
	planned := func(a *Answers) { a.learn(want, live, stored) }
	created := func(a *Answers) { a.learn(want, nil, stored) }
	written := func(a *Answers) { planned(a); a.applied(want, object("u1", "8", 3, "Running")) }
	cases := map[string]struct {
		before     func(*Answers)
		want, live *unstructured.Unstructured
		known      bool
	}{
		"NeverAsked":          {func(*Answers) {}, want, live, false},
		"PlannedThenApplied":  {planned, want, live, true},
		"StatusSincePlan":     {planned, want, object("u1", "8", 2, "Scaling"), false},
		"AnotherWish":         {planned, object("", "", 4, ""), live, false},
		"StillAbsent":         {created, want, nil, true},
		"AppearedMeanwhile":   {created, want, live, false},
		"Written":             {written, want, object("u1", "8", 3, "Running"), true},
		"StatusSinceWritten":  {written, want, object("u1", "9", 3, "Scaled"), true},
		"EditedSinceWritten":  {written, want, object("u1", "9", 5, "Running"), false},
		"LabelSinceWritten":   {written, want, labelled, false},
		"MadeAnewSince":       {written, want, object("u2", "9", 3, "Running"), false},
		"GoneSinceWritten":    {written, want, nil, false},
		"ForgottenWithObject": {func(a *Answers) { written(a); a.forget(plan.RefOf(want)) }, want, object("u1", "8", 3, "Running"), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := &Answers{}
			c.before(a)
			got := a.recall(c.want, c.live)
			if (got != nil) != c.known {
				t.Fatalf("known %t, want %t", got != nil, c.known)
			}
			if got == nil {
				return
			}
			if replicas, _, _ := unstructured.NestedInt64(got.Object, "spec", "replicas"); replicas != 3 {
				t.Errorf("%d replicas are remembered, want 3", replicas)
			}
			if c.live != nil && got.GetResourceVersion() != c.live.GetResourceVersion() {
				t.Errorf("the answer is about version %s, the object is at %s", got.GetResourceVersion(), c.live.GetResourceVersion())
			}
		})
	}
}

// TestAnswersAreBounded asks for more than is kept: what was asked last is known all the same.
func TestAnswersAreBounded(t *testing.T) {
	a := &Answers{}
	for i := range 100 {
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": strings.Repeat("a", 1<<20)},
		}}
		o.SetName(string(rune('a' + i)))
		a.learn(o, nil, o)
		if a.recall(o, nil) == nil {
			t.Fatalf("answer %d is not remembered", i)
		}
	}
	kept := 0
	for _, each := range a.by {
		kept += len(each.stored)
	}
	if kept > mostBytes || kept != a.bytes {
		t.Errorf("%d bytes are kept and %d counted, want at most %d", kept, a.bytes, mostBytes)
	}
}
