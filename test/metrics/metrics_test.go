package metrics

import (
	"fmt"
	"maps"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
)

// TestOneNight follows a Fleet through what somebody on call may meet, and looks at what the endpoint says of it.
func TestOneNight(t *testing.T) {
	s := hand.NewScene(t, &shared, "night")
	p := newScraper(s, "prometheus", true)
	mine := func(name string, more labels) labels {
		all := labels{"namespace": s.Namespace, "name": name}
		maps.Copy(all, more)
		return all
	}
	edge := s.Small("night-1")
	edge.Workers, edge.DeletionPolicy = 2, "Delete"
	s.Declare(nil, edge)
	s.InSync("night-1")

	// All is well.
	p.becomes("the operator acts", "refract_leader", nil, is(1))
	p.becomes("the version", "refract_build_info", labels{"version": "v0.0.0-test"}, is(1))
	p.becomes("the Fleet is ready", "refract_object_condition", mine("production", labels{"kind": "Fleet", "type": "Ready", "status": "True", "reason": "Succeeded"}), is(1))
	p.becomes("what Git declares runs", "refract_fleet_up_to_date", mine("production", nil), is(1))
	p.becomes("the Fleet's interval", "refract_fleet_interval_seconds", mine("production", nil), is(2))
	p.becomes("Git is listed", "refract_git_operations_total", mine("production", labels{"operation": "list", "result": "success"}), atLeast(2))
	p.becomes("and fetched", "refract_git_operations_total", mine("production", labels{"operation": "fetch", "result": "success"}), atLeast(1))
	p.becomes("with its bytes", "refract_git_received_bytes_total", mine("production", nil), atLeast(500))
	p.becomes("in some time", "refract_git_operation_duration_seconds_count", labels{"operation": "list"}, atLeast(2))
	p.becomes("the cluster is known", "refract_cluster_info", mine("night-1", labels{"fleet": "production", "profile": "standard@1.0.0"}), is(1))
	p.becomes("dry runs are told apart", "refract_api_requests_total", labels{"verb": "patch", "group": "cluster.x-k8s.io", "resource": "clusters", "dry_run": "true", "code": "201"}, atLeast(1))
	p.becomes("from writes", "refract_api_requests_total", labels{"verb": "patch", "group": "refract.dev", "resource": "nutanixclusterspecs", "subresource": "status", "dry_run": "false", "code": "200"}, atLeast(1))
	p.becomes("which take their time", "refract_api_request_duration_seconds_count", labels{"verb": "patch", "dry_run": "false"}, atLeast(1))
	committed, _ := p.value("refract_fleet_revision_commit_timestamp_seconds", mine("production", labels{"revision": "applied"}))
	if attempted, _ := p.value("refract_fleet_revision_commit_timestamp_seconds", mine("production", labels{"revision": "attempted"})); committed != attempted || committed < 1e9 {
		t.Errorf("committed at %v and %v", committed, attempted)
	}

	// Somebody edits by hand, until it is left alone.
	p.becomes("no drift yet", "refract_cluster_contested_fields", mine("night-1", nil), is(0))
	s.LoosenAs("tuner", "night-1-workers", "51%")
	s.Tight("night-1-workers")
	p.becomes("drift is counted", "refract_cluster_drift_corrected_total", mine("night-1", labels{"kind": "MachineHealthCheck"}), is(1))
	s.LoosenAs("tuner", "night-1-workers", "52%")
	s.Tight("night-1-workers")
	s.LoosenAs("tuner", "night-1-workers", "53%")
	p.becomes("contested", "refract_cluster_contested_fields", mine("night-1", nil), is(1))
	p.becomes("shown as drift", "refract_cluster_drift_fields", mine("night-1", nil), is(1))
	p.becomes("in the condition", "refract_object_condition", mine("night-1", labels{"type": "InSync", "status": "False", "reason": "Contested"}), is(1))
	p.becomes("and counted no more", "refract_cluster_drift_corrected_total", mine("night-1", nil), is(2))

	// A machine goes that no plan named; then one that a plan named.
	s.Create(machine(s, "night-1", "night-1-workers", "by-health-check"))
	s.Create(machine(s, "night-1", "night-1-workers", "stays"))
	p.becomes("machines are watched", "refract_cluster_machines_observed_total", mine("night-1", labels{"change": "recreated"}), is(0))
	look(s, "night-1", "one")
	remove(s, machine(s, "night-1", "night-1-workers", "by-health-check"))
	p.becomes("one is re-created", "refract_cluster_machines_observed_total", mine("night-1", labels{"change": "recreated"}), is(1))
	edge.Workers = 1
	s.Change("one worker less", edge)
	p.becomes("one is predicted to go", "refract_cluster_machines_predicted_total", mine("night-1", labels{"change": "removed"}), is(1))
	p.becomes("and none to be re-created", "refract_cluster_machines_predicted_total", mine("night-1", labels{"change": "recreated"}), is(0))
	p.becomes("and none went that was not", "refract_cluster_machines_difference", mine("night-1", nil), is(0))
	p.becomes("one worker is wanted", "refract_cluster_machines_desired", mine("night-1", labels{"role": "worker"}), is(1))

	// A plan waits.
	s.Push("remove it", map[string]string{"fleet/night-1.yaml": ""})
	p.becomes("a plan is held", "refract_fleet_held_plans", mine("production", labels{"severity": "Destroy"}), is(1))
	p.becomes("since when", "refract_fleet_held_plan_timestamp_seconds", mine("production", labels{"severity": "Destroy"}), atLeast(1e9))
	p.becomes("the Fleet counts it", "refract_fleet_held_clusters", mine("production", nil), is(1))
	p.becomes("not all of Git runs", "refract_fleet_up_to_date", mine("production", nil), is(0))
	if applied, _ := p.value("refract_fleet_revision_commit_timestamp_seconds", mine("production", labels{"revision": "applied"})); applied < committed {
		t.Errorf("the applied revision is of %v", applied)
	}

	// Git is away.
	s.Door.Shut()
	p.becomes("Git fails", "refract_git_operations_total", mine("production", labels{"operation": "list", "result": "repository_unreachable"}), atLeast(1))
	p.becomes("the Fleet says so", "refract_object_condition", mine("production", labels{"kind": "Fleet", "type": "Ready", "status": "False", "reason": v1alpha1.RepositoryUnreachableReason}), is(1))
	read, _ := p.value("refract_fleet_source_read_timestamp_seconds", mine("production", nil))
	p.becomes("more failures", "refract_git_operations_total", mine("production", labels{"operation": "list", "result": "repository_unreachable"}), atLeast(3))
	if now, _ := p.value("refract_fleet_source_read_timestamp_seconds", mine("production", nil)); now != read || read < 1e9 {
		t.Errorf("read at %v, and at %v without Git", read, now)
	}
	s.Door.Open()

	// It is approved and goes, and then the Fleet: nothing is left of them.
	var f *v1alpha1.Fleet
	s.Within(hand.Soon, "approved and gone", func() error {
		c := s.Cluster("night-1")
		if c == nil {
			return nil
		}
		f = s.Fleet("production")
		if err := s.Approve(f, f.Status.Plan.Digest); err != nil {
			return err
		}
		return fmt.Errorf("the Fleet says %+v, the cluster %+v", f.Status.Conditions, c.Status.Conditions)
	})
	p.gone(labels{"namespace": s.Namespace, "name": "night-1"})
	if err := s.Client.Delete(t.Context(), s.Fleet("production")); err != nil {
		t.Fatal(err)
	}
	p.gone(labels{"namespace": s.Namespace, "name": "production"})
}

// machine is a Machine of a pool; nobody makes it run.
func machine(s *hand.Scene, cluster, pool, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": hand.Core, "kind": "Machine",
		"metadata": map[string]any{
			"namespace": s.Namespace, "name": name,
			"labels": map[string]any{"cluster.x-k8s.io/cluster-name": cluster, "cluster.x-k8s.io/deployment-name": pool},
		},
		"spec": map[string]any{
			"clusterName": cluster, "version": "v1.33.4",
			"bootstrap":         map[string]any{"dataSecretName": "none"},
			"infrastructureRef": map[string]any{"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "NutanixMachine", "name": name},
		},
	}}
}

func remove(s *hand.Scene, o client.Object) {
	s.T.Helper()
	if err := s.Client.Delete(s.T.Context(), o); err != nil {
		s.T.Fatal(err)
	}
}

// look asks for a look at a cluster and waits for it.
func look(s *hand.Scene, cluster, token string) {
	s.T.Helper()
	s.Kubectl("annotate", "nutanixclusterspec", cluster, "reconcile.fluxcd.io/requestedAt="+token)
	s.Within(hand.Soon, "it is looked at", func() error {
		if c := s.Cluster(cluster); c.Status.LastHandledReconcileAt != token {
			return fmt.Errorf("not yet: %+v", c.Status.Conditions)
		}
		return nil
	})
}
