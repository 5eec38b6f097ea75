package cli

import (
	"encoding/json"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// apply carries out what the files declare and mirrors it, as the operator would.
func (m management) apply(t *testing.T, dir string) {
	t.Helper()
	d, err := readFleet(dir, m.namespace)
	if err != nil || len(d.Errors) > 0 {
		t.Fatal(err, d.Errors)
	}
	for _, c := range d.Clusters {
		live := kube.Cluster{Client: m.admin, Reader: m.admin, Namespace: m.namespace, Name: c.Object.Name}
		p, err := flow.Propose(t.Context(), d.inputs(c), live, "", plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := live.Apply(t.Context(), p.Plan); err != nil {
			t.Fatal(err)
		}
		mirror := c.Object.DeepCopy()
		mirror.Namespace = m.namespace
		mirror.Annotations = map[string]string{
			v1alpha1.FleetAnnotation: "production", v1alpha1.AcceptedDigestAnnotation: fleet.InputsDigest(c),
			v1alpha1.SourceAnnotation: flow.Source(&v1alpha1.Fleet{Spec: production(v1alpha1.Limits{})}),
		}
		create(t, m.admin, mirror)
	}
}

func (m management) clusters(t *testing.T) int {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("cluster.x-k8s.io/v1beta2")
	list.SetKind("ClusterList")
	if err := m.admin.List(t.Context(), list, client.InNamespace(m.namespace)); err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

func TestPlanLive(t *testing.T) {
	m := manage(t)
	repo := repository(t, "good")
	dir := filepath.Join(repo, "fleet")

	got := m.command(t, "plan", dir)
	expect(t, got, 1, "KubeadmControlPlane/edge-01-kcp created", "KubeadmControlPlane/edge-02-kcp created")
	if n := m.clusters(t); n != 0 {
		t.Errorf("a plan wrote %d Clusters", n)
	}

	m.apply(t, dir)
	m.switchedOff(t, "edge-02")
	expect(t, m.command(t, "plan", dir), 0, "no change")
	expect(t, m.command(t, "plan", dir, "--all"), 0, "no change", "edge-02 in Prism Central", "VM edge-02-a power: is OFF, should be ON")

	replace(t, "memory: 4Gi, systemDisk: 40Gi}}", "memory: 8Gi, systemDisk: 40Gi}}", repo, "fleet/clusters/edge-02.yaml")
	expect(t, m.command(t, "plan", dir), 1, "1 cluster, 2 machines re-created on PE-1: needs 2 vCPU, 12 GiB at peak", "memorySize: 4Gi → 8Gi")

	f := m.fleet(t, v1alpha1.Limits{RecreatedMachines: ptr.To[int32](1)})
	expect(t, m.command(t, "plan", dir, "--fleet", f.Name), 3,
		"held: edge-02 (LimitExceeded)", "recreatedMachines of the Fleet is 1", "refract approve")
	var doc view.Document
	got = m.command(t, "plan", dir, "--fleet", f.Name, "-o", "json")
	expect(t, got, 3)
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil {
		t.Fatal(err)
	}
	if !doc.Live || len(doc.Held) != 1 || doc.Held[0].Cluster != "edge-02" || doc.Held[0].Digest != doc.Clusters[len(doc.Clusters)-1].Digest {
		t.Errorf("want edge-02 held by the digest of its plan, got %+v", doc.Held)
	}
	expect(t, m.command(t, "plan", dir, "--fleet", "staging"), 2, "no Fleet staging")
}

func TestPlanLiveRefuses(t *testing.T) {
	m := manage(t)
	repo := repository(t, "good")
	dir := filepath.Join(repo, "fleet")
	m.apply(t, dir)

	replace(t, "10.20.0.11", "10.20.0.99", repo, "fleet/clusters/edge-01.yaml")
	expect(t, m.command(t, "plan", dir), 3, "refused: edge-01 (Forbidden)", "endpoint is immutable")
	replace(t, "10.20.0.99", "10.20.0.11", repo, "fleet/clusters/edge-01.yaml")

	// A cluster under a new name while the old one lives.
	renamed := filepath.Join(repo, "fleet/clusters/edge-01.yaml")
	replace(t, "edge-01", "edge-11", renamed)
	expect(t, m.command(t, "plan", dir), 3, "held: edge-11 (Conflict)", "endpoint 10.20.0.11 is in use by cluster "+m.namespace+"/edge-01")
	replace(t, "edge-11", "edge-01", renamed)

	// A cluster that another hand deleted is not made anew without a word.
	m.deleteElsewhere(t, "edge-02")
	expect(t, m.command(t, "plan", dir), 3, "held: edge-02 (ApprovalRequired)")

	// The name of one of the new cluster's objects is taken.
	create(t, m.admin, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "edge-03-dns"}})
	cluster := filepath.Join(repo, "fleet/clusters/edge-03.yaml")
	copyFile(t, filepath.Join(repo, "fleet/clusters/edge-01.yaml"), cluster)
	replace(t, "edge-01", "edge-03", cluster)
	replace(t, "10.20.0.11", "10.20.0.13", cluster)
	expect(t, m.command(t, "plan", dir), 3, "held: edge-03 (AlreadyExists)", "ConfigMap/edge-03-dns exists and is not ours")
}

func TestPlanLiveProfileInUse(t *testing.T) {
	m := manage(t)
	repo := repository(t, "good")
	dir := filepath.Join(repo, "fleet")
	d, err := readFleet(dir, m.namespace)
	if err != nil {
		t.Fatal(err)
	}
	p := d.Profiles[0].Object.DeepCopy()
	p.Namespace = m.namespace
	create(t, m.admin, p)
	p.Status.ContentDigest = d.Profiles[0].ContentDigest
	if err := m.admin.Status().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	expect(t, m.command(t, "plan", dir), 1)
	replace(t, "ns.example.com", "ns2.example.com", repo, "layers/dns/dns.yaml")
	expect(t, m.command(t, "plan", dir), 2, "fleet/fleet.yaml:8: ", "profile small@1.0.0 is in use with another content")
}

func TestPlanLiveRemovals(t *testing.T) {
	m := manage(t)
	repo := repository(t, "good")
	dir := filepath.Join(repo, "fleet")
	cluster := filepath.Join(repo, "fleet/clusters/edge-02.yaml")
	replace(t, "spec:\n", "spec:\n  deletionPolicy: Delete\n", cluster)
	m.apply(t, dir)
	f := m.fleet(t, v1alpha1.Limits{})
	expect(t, m.command(t, "plan", dir, "--fleet", f.Name), 0)

	moved := filepath.Join(t.TempDir(), "edge-01.yaml")
	move(t, filepath.Join(repo, "fleet/clusters/edge-01.yaml"), moved)
	expect(t, m.command(t, "plan", dir, "--fleet", f.Name), 0, "kept: edge-01", "deletion policy Protect")
	move(t, moved, filepath.Join(repo, "fleet/clusters/edge-01.yaml"))

	move(t, cluster, moved)
	expect(t, m.command(t, "plan", dir, "--fleet", f.Name), 3, "held: edge-02 (LimitExceeded)", "deletedClusters is 0", "approve fleet/production")

	// What cannot be read may be that very cluster.
	write(t, "{{ not yaml", dir, "torn.yaml")
	expect(t, m.command(t, "plan", dir, "--fleet", f.Name), 2, "kept: edge-02", "could not be understood", "fleet/torn.yaml:1: ")
}

func TestPlanLiveWithoutRights(t *testing.T) {
	m := manage(t)
	dir := filepath.Join(repository(t, "good"), "fleet")
	expect(t, m.as(t, "nobody", "").command(t, "plan", dir), 2, "listing NutanixClusterSpecs", "forbidden")
}

// switchedOff has the status of a cluster say that one of its machines is off.
func (m management) switchedOff(t *testing.T, name string) {
	t.Helper()
	c := &v1alpha1.NutanixClusterSpec{}
	if err := m.admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: name}, c); err != nil {
		t.Fatal(err)
	}
	c.Status.Drift = []v1alpha1.DriftFinding{{Object: "VM " + name + "-a", Field: "power", Wanted: "ON", Found: "OFF", Since: metav1.Now()}}
	if err := m.admin.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// deleteElsewhere takes the Cluster away as another hand would, and has the status say so.
func (m management) deleteElsewhere(t *testing.T, name string) {
	t.Helper()
	cluster := &unstructured.Unstructured{}
	cluster.SetAPIVersion("cluster.x-k8s.io/v1beta2")
	cluster.SetKind("Cluster")
	cluster.SetNamespace(m.namespace)
	cluster.SetName(name)
	removeProtection := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"refract.dev/protect":null}}}`))
	if err := m.admin.Patch(t.Context(), cluster, removeProtection); err != nil {
		t.Fatal(err)
	}
	if err := m.admin.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	c := &v1alpha1.NutanixClusterSpec{}
	if err := m.admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: name}, c); err != nil {
		t.Fatal(err)
	}
	c.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ClusterDeletedElsewhereReason,
		Message: "deleted by another hand", LastTransitionTime: metav1.Now(),
	}}
	if err := m.admin.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestDemoFleetLive has the webhooks of Cluster API and CAPX judge the sample fleet.
func TestDemoFleetLive(t *testing.T) {
	m := manage(t)
	expect(t, m.command(t, "plan", "../../test/demo/fleet"), 1, "KubeadmControlPlane/edge-01-kcp created", "KubeadmControlPlane/edge-02-kcp created", "KubeadmControlPlane/edge-03-kcp created")
}
