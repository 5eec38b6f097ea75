package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/site"
)

// listed is a cache that holds one Fleet, three clusters and two accounts.
type listed struct{ client.Reader }

func (listed) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	meta := func(name, fleet string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "clusters", Name: name, Annotations: map[string]string{v1alpha1.FleetAnnotation: fleet}}
	}
	shown := metav1.Unix(1000, 0)
	held := v1alpha1.PlanStatus{Digest: "sha256:1", Severity: v1alpha1.SeverityRollout, RecordedAt: &shown}
	switch list := list.(type) {
	case *v1alpha1.FleetList:
		f := v1alpha1.Fleet{ObjectMeta: meta("production", "")}
		f.Spec.Suspend = true
		f.Status.LastAttemptedRevision, f.Status.LastAppliedRevision = "main@sha1:b", "main@sha1:a"
		f.Status.Plan, f.Status.Clusters.Held, f.Status.TotalFailures = held, 3, 1
		f.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "ClustersHeld", Message: "this is no label"}}
		list.Items = []v1alpha1.Fleet{f}
	case *v1alpha1.NutanixClusterSpecList:
		for _, c := range []struct{ name, fleet string }{{"edge-01", "production"}, {"edge-02", "production"}, {"alone", ""}} {
			each := v1alpha1.NutanixClusterSpec{ObjectMeta: meta(c.name, c.fleet)}
			each.Status.Plan, each.Status.Phase = held, v1alpha1.PhaseHeld
			each.Status.Workers = v1alpha1.MachineCounts{Desired: 3, Available: 2, UpToDate: 1}
			if c.name == "edge-02" {
				each.Status.Drift = []v1alpha1.DriftFinding{{Object: "MachineDeployment/a"}, {Object: "VM a"}, {Object: "VM b"}}
				each.Status.Preflight = []v1alpha1.PreflightFinding{{Verdict: v1alpha1.PreflightShort}}
			}
			list.Items = append(list.Items, each)
		}
	case *v1alpha1.CloudAccountList:
		list.Items = []v1alpha1.CloudAccount{{ObjectMeta: meta("pc-east", "")}, {ObjectMeta: meta("pc-new", "")}}
	}
	return nil
}

// TestOnlyWhoActsTellsOfObjects shows that a replica that waits reports no object, and what the one that acts says.
func TestOnlyWhoActsTellsOfObjects(t *testing.T) {
	now := time.Unix(5000, 0)
	m := newMetrics(func() time.Time { return now }, "v1")
	elected, moving := make(chan struct{}), &pace{}
	moving.since(edge, "one of three", time.Unix(2000, 0))
	read := &keeper{seen: sight{inventory: &site.Inventory{At: time.Unix(4000, 0), Unknown: map[site.Part]string{site.PartImages: "forbidden"}}}}
	looked := &sites{interval: 2 * time.Minute, keepers: map[client.ObjectKey]*keeper{{Namespace: "clusters", Name: "pc-east"}: read}}
	m.observe(&state{cache: listed{}, elected: elected, contest: &contest{}, pace: moving, sites: looked})
	m.looked(client.ObjectKey{Namespace: "clusters", Name: "production"}, time.Unix(3000, 0), nil)
	waits := []string{"refract_build_info 1", "refract_leader 0"}
	if diff := cmp.Diff(waits, values(t, m)); diff != "" {
		t.Errorf("a replica that waits says (-want +got):\n%s", diff)
	}
	close(elected)
	got := values(t, m)
	for _, want := range []string{
		"refract_leader 1",
		"refract_object_condition clusters Fleet production ClustersHeld False Ready 1",
		"refract_object_suspended clusters Fleet production 1",
		"refract_object_suspended clusters NutanixClusterSpec edge-01 0",
		"refract_fleet_interval_seconds clusters production 60",
		"refract_fleet_source_read_timestamp_seconds clusters production 5000",
		"refract_fleet_revision_commit_timestamp_seconds clusters production attempted 3000",
		"refract_fleet_up_to_date clusters production 0",
		"refract_fleet_held_clusters clusters production 3",
		"refract_fleet_held_plans clusters production Rollout 2",
		"refract_fleet_held_plan_timestamp_seconds clusters production Rollout 1000",
		"refract_fleet_failures clusters production 1",
		"refract_cluster_info production clusters edge-01 1",
		"refract_cluster_info clusters alone 1",
		"refract_cluster_phase clusters edge-02 Held 1",
		"refract_cluster_held_plan_timestamp_seconds clusters alone Rollout 1000",
		"refract_cluster_machines_desired clusters edge-01 worker 3",
		"refract_cluster_machines_available clusters edge-01 worker 2",
		"refract_cluster_machines_up_to_date clusters edge-01 worker 1",
		"refract_cluster_last_progress_timestamp_seconds clusters edge-01 2000",
		"refract_cluster_drift_fields clusters edge-02 1",
		"refract_cluster_machine_drift clusters edge-02 2",
		"refract_cluster_machine_drift clusters edge-01 0",
		"refract_cluster_preflight_findings clusters edge-02 Short 1",
		"refract_cluster_preflight_findings clusters edge-02 Failed 0",
		"refract_prism_inventory_timestamp_seconds clusters pc-east 4000",
		"refract_prism_inventory_interval_seconds clusters pc-east 120",
		"refract_prism_inventory_unknown clusters pc-east images 1",
	} {
		if !slices.Contains(got, inOrder(want)) {
			t.Errorf("no %s", want)
		}
	}
	for _, unwanted := range []string{"refract_fleet_revision_commit_timestamp_seconds clusters production applied 0", "refract_cluster_last_progress_timestamp_seconds clusters edge-02 0", "refract_prism_inventory_timestamp_seconds clusters pc-new 0"} {
		if slices.Contains(got, inOrder(unwanted)) {
			t.Errorf("%s, although nothing is known", unwanted)
		}
	}
}

// values are all series as name, values of labels, value.
func values(t *testing.T, m *metrics) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, each := range f.GetMetric() {
			line := f.GetName()
			for _, l := range each.GetLabel() {
				if l.GetValue() != "" && l.GetName() != "version" && l.GetName() != "go_version" {
					line += " " + l.GetValue()
				}
			}
			all = append(all, inOrder(fmt.Sprintf("%s %v", line, each.GetGauge().GetValue())))
		}
	}
	return all
}

// inOrder puts the words after the first in order, since labels have none.
func inOrder(line string) string {
	words := strings.Fields(line)
	slices.Sort(words[1:])
	return strings.Join(words, " ")
}
