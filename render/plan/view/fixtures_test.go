package view_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

const (
	base = "main@sha1:1f3c9a2b7d5e4f60718293a4b5c6d7e8f9012345"
	head = "memory@sha1:8c0d1e2f3a4b5c6d7e8f90123456789abcdef012"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: out}
}

func machineTemplate(t *testing.T, name, memory string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "{apiVersion: infrastructure.cluster.x-k8s.io/v1beta1, kind: NutanixMachineTemplate, metadata: {name: "+name+
		"}, spec: {template: {spec: {memorySize: "+memory+"}}}}")
}

func pool(t *testing.T, name, replicas, template string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: MachineDeployment, metadata: {name: "+name+"}, spec: {replicas: "+replicas+
		", template: {spec: {infrastructureRef: {kind: NutanixMachineTemplate, name: "+template+"}}}}}")
}

func versioned(t *testing.T, name, version string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: MachineDeployment, metadata: {name: "+name+
		"}, spec: {replicas: 4, template: {spec: {version: "+version+"}}}}")
}

func controlPlane(t *testing.T, name, version string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "{apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: KubeadmControlPlane, metadata: {name: "+name+
		"}, spec: {replicas: 3, version: "+version+"}}")
}

func health(t *testing.T, seconds string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: MachineHealthCheck, metadata: {name: edge-01-workers}, spec: {seconds: "+seconds+"}}")
}

func cluster(name string) plan.Ref {
	return plan.Ref{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster", Name: name}
}

func machines(n int, o plan.Outcome) []plan.Verdict {
	out := make([]plan.Verdict, n)
	for i := range out {
		out[i] = plan.Verdict{Machine: "m", Outcome: o}
	}
	return out
}

// memory of a pool goes up, beside what touches no machine.
func memory(t *testing.T, name string) plan.Plan {
	t.Helper()
	file := "clusters/" + name + ".yaml"
	workers := pool(t, name+"-workers", "3", name+"-workers-bbbb")
	return plan.Compute([]plan.Pair{
		{
			Want: machineTemplate(t, name+"-workers-bbbb", "6Gi"), Previous: machineTemplate(t, name+"-workers-aaaa", "4Gi"),
			DryRun: machineTemplate(t, name+"-workers-bbbb", "6Gi"), Origin: file + ":14",
		},
		{
			Want: workers, DryRun: workers, Live: pool(t, name+"-workers", "3", name+"-workers-aaaa"),
			Machines: machines(3, plan.Recreate), Origin: file + ":12",
		},
	}, plan.Options{Cluster: name})
}

// rolled is memory with a pool scaled down, a health check tuned and an old template removed.
func rolled(t *testing.T) plan.Plan {
	t.Helper()
	p := memory(t, "edge-01")
	small := pool(t, "edge-01-small", "1", "edge-01-small-aaaa")
	rest := plan.Compute([]plan.Pair{
		{
			Want: small, DryRun: small, Live: pool(t, "edge-01-small", "2", "edge-01-small-aaaa"), Machines: machines(2, plan.UpToDate),
			Origin: "clusters/edge-01.yaml:20",
		},
		{Want: health(t, "900"), DryRun: health(t, "900"), Live: health(t, "600")},
		{Live: machineTemplate(t, "edge-01-old-cccc", "2Gi")},
	}, plan.Options{Cluster: "edge-01"})
	p.Changes = append(p.Changes, rest.Changes...)
	return p
}

// upgraded goes from v1.33.4 to another Kubernetes version: 3 machines of the control plane, 4 workers.
func upgraded(t *testing.T, name, to string) plan.Plan {
	t.Helper()
	const from, outcome = "v1.33.4", plan.Recreate
	return plan.Compute([]plan.Pair{
		{
			Want: controlPlane(t, name+"-kcp", to), DryRun: controlPlane(t, name+"-kcp", to), Live: controlPlane(t, name+"-kcp", from),
			Machines: machines(3, outcome), Origin: "clusters/" + name + ".yaml:7",
		},
		{
			Want: versioned(t, name+"-workers", to), DryRun: versioned(t, name+"-workers", to), Live: versioned(t, name+"-workers", from),
			Machines: machines(4, outcome), Origin: "clusters/" + name + ".yaml:7",
		},
	}, plan.Options{Cluster: name})
}

func created(t *testing.T, name string) plan.Plan {
	t.Helper()
	return plan.Compute([]plan.Pair{
		{Want: object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: "+name+"}}")},
		{Want: pool(t, name+"-workers", "3", name+"-workers-aaaa")},
		{Want: object(t, "{apiVersion: v1, kind: Secret, metadata: {name: "+name+"-csi}, stringData: {key: hunter2}}")},
	}, plan.Options{Cluster: name})
}

func inTheWay(t *testing.T, name string) plan.Plan {
	t.Helper()
	return plan.Compute([]plan.Pair{{
		Want:    object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: "+name+"}}"),
		Foreign: []string{"kubectl", "helm"},
	}}, plan.Options{Cluster: name})
}

// gated asks the gate with the default limits about plans, and about the removals among them.
func gated(plans []plan.Plan, removals ...string) view.Report {
	in := plan.GateInput{
		Namespace: "clusters", Fleet: "production", Limits: plan.LimitsFrom(v1alpha1.Limits{}),
		Clusters: map[string]plan.ClusterInput{}, Removals: map[string]plan.RemovalInput{}, Total: 20,
		Vanishing: len(removals),
	}
	for _, p := range plans {
		in.Clusters[p.Cluster] = plan.ClusterInput{Plan: p}
	}
	for _, name := range removals {
		in.Removals[name] = plan.RemovalInput{Plan: in.Clusters[name].Plan}
		delete(in.Clusters, name)
	}
	out := plan.Gate(in)
	r := view.Report{Fleet: "clusters/production", Base: base, Head: head, Unchanged: 20 - len(plans), Digest: out.Digest}
	for _, p := range plans {
		d := out.Decisions[p.Cluster]
		r.Clusters = append(r.Clusters, view.ClusterReport{Plan: p, Decision: &d})
	}
	return r
}

const gib = 1 << 30

func room(needCPU, needGiB, freeCPU, freeGiB int64) view.Capacity {
	return view.Capacity{
		Account: "pc-east", Element: "PE-1", Clusters: []string{"edge-01"}, NeedVCPUs: needCPU, NeedMemoryBytes: needGiB * gib,
		FreeVCPUs: freeCPU, FreeMemoryBytes: freeGiB * gib, OneHostLost: true, Known: true,
	}
}

// scenarios are what the golden files show.
func scenarios(t *testing.T) map[string]view.Report {
	t.Helper()
	return map[string]view.Report{
		"nothing":   {Fleet: "clusters/production", Base: base, Head: head, Unchanged: 20},
		"memory":    with(gated([]plan.Plan{memory(t, "edge-01")}), func(r *view.Report) { r.Capacity = []view.Capacity{room(8, 24, 64, 210)} }),
		"created":   gated([]plan.Plan{created(t, "edge-03")}),
		"upgrade":   upgrade(t),
		"refused":   gated([]plan.Plan{upgraded(t, "edge-01", "v1.32.8"), memory(t, "edge-02")}),
		"removal":   removal(t),
		"foreign":   gated([]plan.Plan{inTheWay(t, "edge-02")}),
		"predicted": predicted(t, "main", "memory", ""),
		"fork":      predicted(t, base, head, "This pull request comes from a fork: nothing live was read for it, and no secret."),
		"capacity":  capacity(t),
		"many":      many(t),
		"mistakes":  mistakes(),
		"secret":    gated([]plan.Plan{secrets(t)}),
		"beside":    beside(t),
		"hostile":   hostile(t),
		"unplanned": unplanned(),
	}
}

func with(r view.Report, change func(*view.Report)) view.Report {
	change(&r)
	return r
}

func upgrade(t *testing.T) view.Report {
	t.Helper()
	r := gated([]plan.Plan{upgraded(t, "edge-01", "v1.34.1"), upgraded(t, "edge-02", "v1.34.1"), created(t, "edge-03")})
	r.Capacity = []view.Capacity{room(40, 96, 64, 210)}
	return r
}

// removal of a cluster under each policy.
func removal(t *testing.T) view.Report {
	t.Helper()
	r := gated([]plan.Plan{plan.Deletion(cluster("edge-04"), 5, false), plan.Orphan(cluster("edge-05"))}, "edge-04", "edge-05")
	r.Clusters = append(r.Clusters, view.ClusterReport{
		Plan: plan.Plan{Cluster: "edge-06"},
		Kept: "its file is gone and spec.deletionPolicy is Protect: it stays, and nothing corrects it. Commit deletionPolicy: Delete or Orphan first to let it go.",
	})
	return r
}

func predicted(t *testing.T, base, head, note string) view.Report {
	t.Helper()
	p := memory(t, "edge-01")
	p.Predicted = true
	return view.Report{Base: base, Head: head, Predicted: true, Note: note, Clusters: []view.ClusterReport{{Plan: p}}, Unchanged: 19}
}

func capacity(t *testing.T) view.Report {
	t.Helper()
	r := gated([]plan.Plan{memory(t, "edge-01"), memory(t, "edge-02")})
	r.Capacity = []view.Capacity{
		room(40, 96, 32, 60),
		{Account: "pc-west", Element: "PE-7", Clusters: []string{"edge-02"}, NeedVCPUs: 8, NeedMemoryBytes: 24*gib + gib/2, Why: "Prism Central does not answer: connection refused"},
	}
	r.Clusters[0].Findings = []view.Finding{
		{
			Check: "Memory", Verdict: "Short", Holds: true, Place: "clusters/edge-01.yaml:14: spec.nodePools[workers].memory",
			Message: "PE-1 has 60 GiB free with one host lost and 96 GiB are needed at the peak: ask for less, or make room.",
		},
		{Check: "Subnet", Verdict: "Unknown", Place: "clusters/edge-01.yaml:9: spec.network.subnets", Message: "Subnets could not be listed: try again."},
	}
	return r
}

// many is 300 clusters, a few of them worse than the rest.
func many(t *testing.T) view.Report {
	t.Helper()
	var plans []plan.Plan
	for i := range 300 {
		name := fmt.Sprintf("edge-%03d", i)
		switch {
		case i == 77:
			plans = append(plans, upgraded(t, name, "v1.32.8"))
		case i%50 == 3:
			plans = append(plans, created(t, name))
		default:
			plans = append(plans, memory(t, name))
		}
	}
	r := gated(plans)
	r.Unchanged = 0
	return r
}

func mistakes() view.Report {
	return view.Report{
		Fleet: "clusters/production", Base: base, Head: head, Unchanged: 20,
		Mistakes: []view.Mistake{
			{Place: "fleet/edge-01.yaml:11", Message: "unknown field spec.nodepools: did you mean nodePools?"},
			{Message: "no ClusterProfile standard@2.x: commit one, or name another range"},
		},
	}
}

// beside the plan there is more to know: what is pending, drift, what Prism Central said last, an autoscaled pool.
func beside(t *testing.T) view.Report {
	t.Helper()
	since := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	p := rolled(t)
	p.Changes[0].UpTo, p.Changes[1].UpTo = true, true
	r := gated([]plan.Plan{p})
	r.Base = ""
	c := &r.Clusters[0]
	c.Pending, c.Drift = true, []string{"VM edge-01-kcp-x memory: is 4 GiB, should be 8 GiB"}
	c.PrismCentral = &view.OnPrism{
		Cluster:  "edge-01",
		Machines: []view.MachineDiffers{{VM: "edge-01-kcp-x", Field: "memory", Wanted: "8 GiB", Found: "4 GiB", Since: since}},
		Preflight: &view.LastPreflight{Passed: "False", Reason: "PreflightFailed", Since: since, Findings: []v1alpha1.PreflightFinding{
			{Check: "Image", Verdict: "Failed", Field: "spec.image", Message: "there is no image ubuntu-24.04"},
		}},
		Unknown: []v1alpha1.UnknownPart{{Part: "subnets", Reason: "not allowed to list them"}},
	}
	return r
}

// unplanned clusters are held before there is a plan of them.
func unplanned() view.Report {
	return view.Report{Fleet: "clusters/production", Head: head, Clusters: []view.ClusterReport{
		{Plan: plan.Plan{Cluster: "edge-07"}, Decision: &plan.Decision{
			Reason: v1alpha1.ForbiddenReason, Message: "refused: spec.controlPlane.endpoint is immutable: commit 10.0.0.7 again",
		}},
		{Plan: plan.Plan{Cluster: "edge-08"}, Decision: &plan.Decision{
			Reason: v1alpha1.ConflictReason, Message: "clusters/edge-08.yaml:1: another Fleet, staging, has a cluster of that name: choose another",
		}},
	}}
}
