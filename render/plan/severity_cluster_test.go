package plan

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestSeverityCluster(t *testing.T) {
	const pods, morePods = "{clusterNetwork: {pods: {cidrBlocks: [172.20.0.0/16]}}}", "{clusterNetwork: {pods: {cidrBlocks: [172.30.0.0/16]}}}"
	endpoint := func(live, want, inUse string) func(t *testing.T) []Pair {
		return func(t *testing.T) []Pair {
			t.Helper()
			c := thing(t, coreAPI, "Cluster", "edge-01", "{controlPlaneEndpoint: {host: "+inUse+", port: 6443}}")
			return []Pair{
				changed(thing(t, infraAPI, "NutanixCluster", "edge-01", "{controlPlaneEndpoint: {host: "+live+", port: 6443}}"),
					thing(t, infraAPI, "NutanixCluster", "edge-01", "{controlPlaneEndpoint: {host: "+want+", port: 6443}}")),
				changed(c, c),
			}
		}
	}
	machinesOf := func(t *testing.T) []Pair {
		t.Helper()
		kcp, md := controlPlane(t, "{replicas: 3}"), pool(t, "{replicas: 2}")
		return []Pair{{Want: kcp, Live: kcp, DryRun: kcp, Machines: verdicts("uuu")}, {Want: md, Live: md, DryRun: md, Machines: verdicts("uu")}}
	}
	central := func(t *testing.T) []Pair {
		t.Helper()
		return append(machinesOf(t), changed(thing(t, infraAPI, "NutanixCluster", "edge-01", "{prismCentral: {address: east}}"),
			thing(t, infraAPI, "NutanixCluster", "edge-01", "{prismCentral: {address: west}}")))
	}
	runSeverityCases(t, map[string]severityCase{
		"OtherPrismCentral": {
			reason: "it may have none of the machines, and CAPX makes new ones", pairs: central,
			want:  []string{`Update NutanixCluster spec.prismCentral.address: "east"→"west" Rollout 5`},
			words: "counted as re-creating all of them",
		},
		"PrismCentralEditedByHand": {
			reason: "drift is put back", pairs: central, options: Options{Restore: true},
			want: []string{`Update NutanixCluster spec.prismCentral.address: "east"→"west" InPlace`},
		},
		"FailureDomainOfTheControlPlane": {
			reason: "no machine moves, and that is said",
			pairs: func(t *testing.T) []Pair {
				t.Helper()
				domain := func(name, pe string) *unstructured.Unstructured {
					return thing(t, infraAPI, "NutanixFailureDomain", name, "{prismElementCluster: {name: "+pe+"}}")
				}
				return append(machinesOf(t), Pair{Want: domain("b", "PE-2"), DryRun: domain("b", "PE-2"), Previous: domain("a", "PE-1")},
					changed(thing(t, infraAPI, "NutanixCluster", "edge-01", "{controlPlaneFailureDomains: [{name: a}]}"),
						thing(t, infraAPI, "NutanixCluster", "edge-01", "{controlPlaneFailureDomains: [{name: b}]}")))
			},
			want: []string{
				`Create NutanixFailureDomain spec.prismElementCluster.name: "PE-1"→"PE-2" InPlace`,
				`Update NutanixCluster spec.controlPlaneFailureDomains[b]: ""→"{\"name\":\"b\"}" InPlace`,
				`Update NutanixCluster spec.controlPlaneFailureDomains[a]: "{\"name\":\"a\"}"→"" InPlace`,
			},
			words: "up to 3 machines of the control plane stay in the old failure domain",
		},
		"Endpoint": {
			reason: "the endpoint cannot move", pairs: endpoint("10.0.0.1", "10.0.0.2", "10.0.0.1"),
			want:  []string{`Update NutanixCluster spec.controlPlaneEndpoint.host: "10.0.0.1"→"10.0.0.2" Forbidden`},
			words: "commit 10.0.0.1 at spec.controlPlaneEndpoint.host again",
		},
		"EndpointEditedByHand": {
			reason: "the Cluster still uses the wanted one", pairs: endpoint("10.0.0.9", "10.0.0.1", "10.0.0.1"),
			want: []string{`Update NutanixCluster spec.controlPlaneEndpoint.host: "10.0.0.9"→"10.0.0.1" InPlace`},
		},
		"EndpointNotSetYet": {
			reason: "the API server's zero value is no endpoint", pairs: endpoint(`""`, "10.0.0.1", `""`),
			want: []string{`Update NutanixCluster spec.controlPlaneEndpoint.host: "\"\""→"10.0.0.1" InPlace`},
		},
		"Network": {
			reason: "the network cannot change", pairs: clusterPair(pods, morePods),
			want:  []string{`Update Cluster spec.clusterNetwork.pods.cidrBlocks[0]: "172.20.0.0/16"→"172.30.0.0/16" Forbidden`},
			words: "make a new cluster",
		},
		"NetworkEditedByHand": {
			reason: "drift is put back", pairs: clusterPair(morePods, pods), options: Options{Restore: true},
			want: []string{`Update Cluster spec.clusterNetwork.pods.cidrBlocks[0]: "172.30.0.0/16"→"172.20.0.0/16" InPlace`},
		},
		"Infrastructure": {
			reason: "Cluster API's webhook lets this pass, and the machines would be lost",
			pairs:  clusterPair("{infrastructureRef: {kind: NutanixCluster}}", "{infrastructureRef: {kind: Nothing}}"),
			want:   []string{`Update Cluster spec.infrastructureRef.kind: "NutanixCluster"→"Nothing" Forbidden`},
		},
		"Paused": {
			reason: "in place", pairs: clusterPair("{}", "{paused: true}"),
			want: []string{`Update Cluster spec.paused: ""→"true" InPlace`},
		},
		"Label": {
			reason: "labels only",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				live, want := thing(t, coreAPI, "Cluster", "edge-01", "{}"), thing(t, coreAPI, "Cluster", "edge-01", "{}")
				want.SetLabels(map[string]string{"example.com/tier": "gold"})
				return changed(live, want)
			}),
			want: []string{`Update Cluster metadata.labels[example.com/tier]: ""→"gold" Metadata`},
		},
		"Created": {
			reason: "a new cluster touches no machine",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				return Pair{Want: thing(t, coreAPI, "Cluster", "edge-01", "{}")}
			}),
			want: []string{`Create Cluster : ""→"sha256:…" InPlace`},
		},
		"CreatedAgain": {
			reason: "after another hand deleted it", options: Options{Recreate: true},
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				return Pair{Want: thing(t, coreAPI, "Cluster", "edge-01", "{}")}
			}),
			want:  []string{`Create Cluster : ""→"sha256:…" Destroy`},
			words: "under the old name",
		},
		"Deleted": {
			reason: "one change with all its machines; Cluster API takes the rest along",
			pairs: func(t *testing.T) []Pair {
				t.Helper()
				return []Pair{
					{Live: thing(t, coreAPI, "Cluster", "edge-01", "{}")},
					{Live: controlPlane(t, "{replicas: 3}"), Machines: verdicts("uuu")},
					{Live: pool(t, "{replicas: 2}"), Machines: verdicts("uu")},
				}
			},
			want:  []string{`Delete Cluster : ""→"deleted" Destroy 5`},
			words: "5 machines",
		},
		"ControlPlaneDeleted": {
			reason: "a cluster cannot live without it", pairs: gone("KubeadmControlPlane", "{replicas: 3}", "uuu"),
			want: []string{`Delete KubeadmControlPlane : ""→"deleted" Destroy 3`},
		},
		"NutanixClusterDeleted": {
			reason: "a cluster cannot live without it", pairs: gone("NutanixCluster", "{}", ""),
			want: []string{`Delete NutanixCluster : ""→"deleted" Destroy`},
		},
		"OldTemplateGone": {
			reason: "nothing refers to it", pairs: gone("NutanixMachineTemplate", "{}", ""),
			want: []string{`Delete NutanixMachineTemplate : ""→"deleted" None`},
		},
		"HealthCheckGone": {
			reason: "no machine is touched", pairs: gone("MachineHealthCheck", "{}", ""),
			want: []string{`Delete MachineHealthCheck : ""→"deleted" InPlace`},
		},
		"HealthCheckTuned": {
			reason: "no machine is touched",
			pairs: one(func(t *testing.T) Pair {
				t.Helper()
				return changed(thing(t, coreAPI, "MachineHealthCheck", "x", "{checks: {nodeStartupTimeoutSeconds: 600}}"),
					thing(t, coreAPI, "MachineHealthCheck", "x", "{checks: {nodeStartupTimeoutSeconds: 900}}"))
			}),
			want: []string{`Update MachineHealthCheck spec.checks.nodeStartupTimeoutSeconds: "600"→"900" InPlace`},
		},
	})
}
