package fleet_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

func TestDecode(t *testing.T) {
	f, err := fleet.Decode(tree(sample), "./fleet", fleet.Options{Namespace: "clusters"})
	if err != nil {
		t.Fatal(err)
	}
	if !f.Complete || len(f.Clusters) != 1 || len(f.Profiles) != 1 || len(f.Accounts) != 1 {
		t.Fatalf("incomplete: %+v", f)
	}
	if diff := cmp.Diff([]string{"fleet/patches/edge.yaml", "fleet/profiles/patches/kcp.yaml"}, f.Ignored); diff != "" {
		t.Errorf("ignored: -want +got:\n%s", diff)
	}
	c := f.Clusters[0]
	if c.Account != &f.Accounts[0] || len(c.Profiles) != 1 || c.Profiles[0] != &f.Profiles[0] {
		t.Error("the cluster does not point into the Fleet")
	}
	type seen struct {
		Place               fleet.Place
		Requested, Resolved string
		Port                int32
		Pods                v1alpha1.CIDR
		Policy              v1alpha1.DeletionPolicy
		Memory, Patch       string
		Origin              build.Origin
	}
	spec := c.Object.Spec
	got := seen{
		c.Place, c.Requested["standard"], spec.Profiles[0].Version, spec.ControlPlane.Endpoint.Port, spec.Network.PodCIDRs[0],
		spec.DeletionPolicy, spec.NodePools[0].Machine.Memory.String(), spec.Patches[0].Path + spec.Patches[0].Patch, c.Origins["spec.patches[0]"],
	}
	want := seen{
		fleet.Place{Path: "fleet/clusters/edge-01.yaml", Line: 1},
		"1.4.x", "1.4.0", 6443, "172.20.0.0/16",
		v1alpha1.DeletionProtect, "32Gi", "metadata: {labels: {site: edge}}\n",
		build.Origin{Path: "fleet/patches/edge.yaml", Line: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	layers := f.Profiles[0].Layers
	if len(layers) != 1 || layers[0].Name != "cilium" || len(layers[0].Objects) != 1 {
		t.Fatalf("layers: %+v", layers)
	}
	if diff := cmp.Diff(map[string]any{"mtu": "${{ mtu }}", "debug": "true"}, layers[0].Objects[0].Object["data"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := f.Profiles[0].Object.Spec.Layers[1].Patches[0]; got.Path != "" || got.Patch != "- {op: add, path: /spec/x, value: y}\n" {
		t.Errorf("the patch is not inlined: %+v", got)
	}
}

const clusterFile, profileFile = "fleet/clusters/edge-01.yaml", "fleet/profiles/standard.yaml"

func TestDecodeMistakes(t *testing.T) {
	cases := map[string]struct {
		reason     string
		files      string
		incomplete bool
		want       string
	}{
		"UnknownField": {
			"the nearest known name is said", change("  - name: workers\n    replicas: 3", "  - name: workers\n    replica: 3\n    replicas: 3"), false,
			clusterFile + ":14: unknown field spec.nodePools[0].replica: did you mean replicas?",
		},
		"SeveralAtOnce": {
			"everything is reported, in the order of the file",
			change("    replicas: 3\n    machine: {vcpuSockets: 4, memory: 8Gi, systemDisk: 80Gi}", "    replicas: 4\n    machine: {vcpuSockets: 0, memory: 8Gi, systemDisk: 80Gi, disk: 1}"), false,
			clusterFile + ":10: spec.controlPlane.replicas: 4 is not one of the values it may have; supported values: \"1\", \"3\", \"5\"\n" +
				clusterFile + ":11: spec.controlPlane.machine.vcpuSockets: should be greater than or equal to 1\n" +
				clusterFile + ":11: unknown field spec.controlPlane.machine.disk",
		},
		"Rule": {
			"CEL rules count as in the API server", change("    replicas: 3\n    machine: {vcpuSockets: 8, memory: 32Gi", "    machine: {vcpuSockets: 8, memory: 1Gi"), false,
			clusterFile + ":13: spec.nodePools[0]: set exactly one of replicas and autoscaling\n" +
				clusterFile + ":14: spec.nodePools[0].machine: memory is at least 2Gi (CAPX refuses less when it creates the machine)",
		},
		"DuplicateKey": {
			"YAML would take one of them silently", change("    replicas: 3\n    machine: {vcpuSockets: 8", "    replicas: 3\n    replicas: 5\n    machine: {vcpuSockets: 8"), false,
			clusterFile + `:15: key "replicas" is set twice, first in line 14: keep one of them`,
		},
		"Type": {
			"a wrong type is named", change("    endpoint: {host: 10.20.0.10}", "    endpoint: {host: 10.20.0.10, port: \"6443\"}"), false,
			clusterFile + `:9: spec.controlPlane.endpoint.port: must be of type integer: "string"`,
		},
		"Required": {
			"the line is that of the field above", change("  accountRef: {name: pc-east}\n", ""), false,
			clusterFile + ":4: spec.accountRef is required",
		},
		"DuplicatePool": {
			"list maps have unique keys", change("  machineDefaults:", "  - {name: workers, replicas: 1, machine: {vcpuSockets: 1, memory: 4Gi, systemDisk: 40Gi}}\n  machineDefaults:"), false,
			clusterFile + `:16: spec.nodePools[1] is there twice: map[name:workers]`,
		},
		"NameTooLong": {
			"names of objects are made of it", change("metadata: {name: edge-01}", "metadata: {name: edge-01-with-a-very-long-name-indeed}"), false,
			clusterFile + ":1: the object: a cluster name has at most 30 characters",
		},
		"Metadata": {
			"stamps are not written by hand", change("metadata: {name: edge-01}", "metadata:\n  name: edge-01\n  finalizers: []\n  label: {}\n  annotations:\n    refract.dev/approved-plan: x\n    n: 1"), false,
			clusterFile + ":5: metadata.finalizers is not set in files\n" +
				clusterFile + ":6: unknown field metadata.label: did you mean labels?\n" +
				clusterFile + ":8: metadata.annotations[refract.dev/approved-plan] is refused: stamps and approvals of refract.dev are not written in files\n" +
				clusterFile + ":9: metadata.annotations[n] must be a string: quote it",
		},
		"Status": {
			"status is not read", change("metadata: {name: edge-01}\n", "metadata: {name: edge-01}\nstatus: {phase: Running}\n"), false,
			clusterFile + ":4: status is not set in files: it is what Refract reports",
		},
		"Namespace": {
			"a Fleet stays in its namespace", change("metadata: {name: edge-01}", "metadata: {name: edge-01, namespace: other}"), false,
			clusterFile + `:3: metadata.namespace is "other", but the Fleet's namespace is "clusters": leave it out; a Fleet writes in its own namespace only`,
		},
		"NotYAML": {
			"nothing may be pruned, and no range moves", sample + "-- fleet/x.yaml --\na: b\n c: d\n", true,
			clusterFile + ":7: range \"1.4.x\" is not resolved while other files cannot be read: they may hold a newer version; mend them, or name a version\n" +
				"fleet/x.yaml:2: not valid YAML: mapping values are not allowed in this context",
		},
		"PatchNotYAML": {
			"a broken patch holds back its cluster only", sample + "-- fleet/patches/edge.yaml --\na: b\n c: d\n", false,
			"fleet/patches/edge.yaml:2: not valid YAML: mapping values are not allowed in this context",
		},
		"UnknownKind": {
			"it may have been a cluster", sample + "-- fleet/x.yaml --\napiVersion: refract.dev/v1alpha1\nkind: NutanixCluster\n", true,
			clusterFile + ":7: range \"1.4.x\" is not resolved while other files cannot be read: they may hold a newer version; mend them, or name a version\n" +
				`fleet/x.yaml:2: kind "NutanixCluster" is not known: did you mean NutanixClusterSpec?`,
		},
		"NoName": {
			"it may be any cluster", change("version: 1.4.x", "version: 1.4.0") + "-- fleet/x.yaml --\napiVersion: refract.dev/v1alpha1\nkind: CloudAccount\nspec: {endpoint: {address: a}, credentialsRef: {name: b}}\n", true,
			"fleet/x.yaml:1: metadata.name is required",
		},
		"EscapingLink": {
			"a link out of the snapshot is not opened", change("version: 1.4.x", "version: 1.4.0") + "-- fleet/x.yaml -> ../../etc/passwd --\n", true,
			`fleet/x.yaml: symbolic link "fleet/x.yaml" leaves the snapshot (it points to "../../etc/passwd"): replace it by the file itself`,
		},
		"NoAccount": {
			"dangling references are said", change("accountRef: {name: pc-east}", "accountRef: {name: pc-west}"), false,
			clusterFile + ":5: CloudAccount pc-west is not there: did you mean pc-east?",
		},
		"WrongAccount": {
			"a wrong account holds back its clusters", change("  credentialsRef: {name: pc-east-credentials}\n", ""), false,
			"fleet/accounts.yaml:4: spec.credentialsRef is required\n" +
				clusterFile + ":5: CloudAccount pc-east has mistakes: see fleet/accounts.yaml:4: spec.credentialsRef is required",
		},
		"NoProfile": {
			"", change("{name: standard, version: 1.4.x", "{name: standart, version: 1.4.x"), false,
			clusterFile + ":7: profile standart is not there: did you mean standard?",
		},
		"NoVersion": {
			"", change("version: 1.4.x", "version: ^1.5.0"), false,
			clusterFile + `:7: no version of profile standard matches "^1.5.0": there are 1.4.0`,
		},
		"NotARange": {
			"", change("version: 1.4.x", "version: newest"), false,
			clusterFile + `:7: "newest" is neither a version nor a range: improper constraint: "newest"`,
		},
		"WrongProfile": {
			"a profile with mistakes holds back its clusters", change("    kustomize: {path: ../../layers/cilium}", "    kustomize: {path: ../../layers/calico}"), false,
			clusterFile + ":7: profile standard 1.4.0 has mistakes: see " + profileFile + ":24: \"layers/calico\" is not in the snapshot\n" +
				profileFile + `:24: "layers/calico" is not in the snapshot`,
		},
		"LayerOutside": {
			"", change("    kustomize: {path: ../../layers/cilium}", "    kustomize: {path: ../../../layers/cilium}"), false,
			clusterFile + ":7: profile standard 1.4.0 has mistakes: see " + profileFile + ":24: \"../../../layers/cilium\" leaves the snapshot: keep what is referred to inside the repository\n" +
				profileFile + `:24: "../../../layers/cilium" leaves the snapshot: keep what is referred to inside the repository`,
		},
		"PatchMissing": {
			"", change("- path: ../patches/edge.yaml", "- path: ../patches/edge.yml"), false,
			clusterFile + `:20: "fleet/patches/edge.yml" is not in the snapshot`,
		},
		"LayerPatchMatchesNothing": {
			"", change("    - target: {kind: ConfigMap}", "    - target: {kind: Secret}"), false,
			clusterFile + ":7: profile standard 1.4.0 has mistakes: see " + profileFile + ":27: the patch matches no object: check its target's kind and name; there are ConfigMap cilium\n" +
				profileFile + ":27: the patch matches no object: check its target's kind and name; there are ConfigMap cilium",
		},
		"UndeclaredInLayer": {
			"", change("mtu: \"${{ mtu }}\"", "mtu: \"${{ mtuu }}\""), false,
			clusterFile + ":7: profile standard 1.4.0 has mistakes: see layers/cilium/config.yaml:1: ConfigMap cilium: data.mtu: variable \"mtuu\" is not declared by profile standard 1.4.0: did you mean mtu?\n" +
				`layers/cilium/config.yaml:1: ConfigMap cilium: data.mtu: variable "mtuu" is not declared by profile standard 1.4.0: did you mean mtu?`,
		},
		"UndeclaredInProfile": {
			"", change("ntp ${{ ntpServer }}", "ntp ${{ x y }}"), false,
			clusterFile + ":7: profile standard 1.4.0 has mistakes: see " + profileFile + ":16: spec.layers[0].os.preKubeadmCommands[0]: variable \"x y\" is not declared by profile standard 1.4.0: add it to spec.variables\n" +
				profileFile + `:16: spec.layers[0].os.preKubeadmCommands[0]: variable "x y" is not declared by profile standard 1.4.0: add it to spec.variables`,
		},
		"VariableMissing": {
			"", change(`, variables: {mtu: "1450"}`, ""), false,
			clusterFile + ":7: variable mtu of profile standard has no default: set it",
		},
		"VariableMistyped": {
			"", change(`{mtu: "1450"}`, `{mtu: big, ntp: x}`), false,
			clusterFile + ":7: profile standard 1.4.0 has no variable ntp\n" +
				clusterFile + `:7: variable mtu of profile standard: "big" is not a number such as 3 or 0.5`,
		},
		"VariableInClusterPatch": {
			"variables belong to profiles", change("metadata: {labels: {site: edge}}", `metadata: {labels: {site: "${{ mtu }}"}}`), false,
			`fleet/patches/edge.yaml:1: spec.patches[0]: variable "mtu": variables belong to profiles; a cluster's own patch holds the value itself`,
		},
		"NameTwice": {
			"both are held", sample + "-- fleet/other.yaml --\napiVersion: refract.dev/v1alpha1\nkind: CloudAccount\nmetadata: {name: pc-east}\nspec: {endpoint: {address: b}, credentialsRef: {name: c}}\n", false,
			"fleet/accounts.yaml:3: CloudAccount pc-east is declared twice, also in fleet/other.yaml:1: keep one\n" +
				clusterFile + ":5: CloudAccount pc-east has mistakes: see fleet/accounts.yaml:3: CloudAccount pc-east is declared twice, also in fleet/other.yaml:1: keep one\n" +
				"fleet/other.yaml:3: CloudAccount pc-east is declared twice, also in fleet/accounts.yaml:1: keep one",
		},
		"InsideList": {
			"what kubectl get writes would be overlooked",
			change("version: 1.4.x", "version: 1.4.0") + "-- fleet/x.yaml --\napiVersion: v1\nkind: List\nitems:\n- apiVersion: refract.dev/v1alpha1\n  kind: CloudAccount\n", true,
			"fleet/x.yaml:4: an object of refract.dev inside a List is not read: write it as a document of its own",
		},
		"Merged": {
			"merge keys are looked into",
			change("version: 1.4.x", "version: 1.4.0") + "-- fleet/x.yaml --\n<<: &base\n  apiVersion: refract.dev/v1alpha1\n  kind: CloudAccount\nmetadata: {name: x}\nspec:\n  endpoint: {address: a, prt: 1}\n  credentialsRef: {name: b}\n", false,
			"fleet/x.yaml:6: unknown field spec.endpoint.prt: did you mean port?",
		},
		"Unquoted": {
			"the usual slip is explained", change(`{mtu: "1450"}`, `{mtu: 1450}`), false,
			clusterFile + `:7: spec.profiles[0].variables.mtu: must be of type string: "integer": quote it` + "\n" +
				clusterFile + ":7: variable mtu of profile standard has no default: set it",
		},
		"ObjectTooLarge": {
			"it must fit into the API",
			change("  - path: ../patches/edge.yaml\n    target: {kind: Cluster}\n", strings.Repeat("  - path: big.yaml\n    target: {kind: Cluster}\n", 9)) +
				"-- fleet/clusters/big.yaml --\na: " + strings.Repeat("x", 60_000) + "\n", false,
			clusterFile + ":1: NutanixClusterSpec edge-01 has 528 KiB with its patches inlined, more than 512: use fewer or smaller patches",
		},
		"PatchTooLarge": {
			"as the API would say",
			change("- path: ../patches/edge.yaml", "- path: big.yaml") + "-- fleet/clusters/big.yaml --\na: " + strings.Repeat("x", 70_000) + "\n", false,
			clusterFile + `:20: patch file "fleet/clusters/big.yaml" is larger than 64 KiB: split it`,
		},
		"TooLarge": {
			"a file over the limits", change("version: 1.4.x", "version: 1.4.0") + "-- fleet/x.yaml --\n#" + strings.Repeat("x", build.MaxFileBytes) + "\n", true,
			"fleet/x.yaml: the file is larger than 4 MiB: split it",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := fleet.Decode(tree(tc.files), "fleet", fleet.Options{Namespace: "clusters"})
			if diff := cmp.Diff(tc.want, message(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if f.Complete == tc.incomplete {
				t.Errorf("%s: Complete is %v", tc.reason, f.Complete)
			}
		})
	}
}

// second is a cluster without mistakes, beside which another is wrong.
const second = `
-- fleet/clusters/edge-02.yaml --
apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: edge-02}
spec:
  accountRef: {name: pc-east}
  profiles:
  - {name: standard, version: ">=1.0.0 <2.0.0", variables: {mtu: "9000"}}
  controlPlane:
    endpoint: {host: 10.20.0.11}
    replicas: 1
    machine: {vcpuSockets: 4, memory: 8Gi, systemDisk: 80Gi}
  machineDefaults:
    prismElement: {name: PE-1}
    subnets: [{name: vlan-101}]
`

func TestMistakeHoldsBackItsOwnCluster(t *testing.T) {
	f, err := fleet.Decode(tree(change("replicas: 3", "replicas: 2"), second), "fleet", fleet.Options{})
	if err == nil || len(f.Clusters) != 2 {
		t.Fatalf("%v: %+v", err, f.Clusters)
	}
	if f.Clusters[0].Err == nil || f.Clusters[1].Err != nil || !f.Complete {
		t.Errorf("edge-01: %v, edge-02: %v, complete %v", f.Clusters[0].Err, f.Clusters[1].Err, f.Complete)
	}
}

func TestEndpointTwice(t *testing.T) {
	f, err := fleet.Decode(tree(change("10.20.0.10", "10.20.0.11"), second), "fleet", fleet.Options{})
	want := "fleet/clusters/edge-01.yaml:9: endpoint 10.20.0.11 is also that of cluster edge-02 in fleet/clusters/edge-02.yaml:1: give each cluster its own address\n" +
		"fleet/clusters/edge-02.yaml:9: endpoint 10.20.0.11 is also that of cluster edge-01 in fleet/clusters/edge-01.yaml:1: give each cluster its own address"
	if diff := cmp.Diff(want, message(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if f.Clusters[0].Err == nil || f.Clusters[1].Err == nil {
		t.Error("both clusters are held")
	}
}
