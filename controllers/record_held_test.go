package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// What the operator records as held is what a person reads back.
func TestReadHeldPlan(t *testing.T) {
	c := stand(t, interceptor.Funcs{})
	key := client.ObjectKey{Namespace: clusters, Name: "edge-01"}
	if held, err := ReadHeldPlan(t.Context(), c, key); err != nil || held != nil {
		t.Errorf("a cluster without a record holds %v, %v", held, err)
	}
	p := plan.Plan{Cluster: "edge-01", Changes: []plan.Change{{
		Object: plan.Ref{Kind: "MachineDeployment", Name: "edge-01-workers"}, Action: plan.Update, Field: "spec.replicas", From: "3", To: "1",
		Severity: v1alpha1.SeverityRemove, Machines: 2, Owner: "MachineDeployment/edge-01-workers",
	}}}
	entry, err := newEntry(p, "inputs", "rendered", "main@sha1:1f3c", nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err = (records{client: c, reader: c}).put(t.Context(), key, map[string]any{keyHeld: entry}); err != nil {
		t.Fatal(err)
	}
	held, err := ReadHeldPlan(t.Context(), c, key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, held.Plan); diff != "" || held.Revision != "main@sha1:1f3c" || !held.RecordedAt.Equal(noon) {
		t.Errorf("held %+v (-want +got):\n%s", held, diff)
	}
}
