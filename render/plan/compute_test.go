package plan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func TestComputeFields(t *testing.T) {
	config := func(spec string) string {
		return "{apiVersion: bootstrap.cluster.x-k8s.io/v1beta2, kind: KubeadmConfigTemplate, metadata: {name: a}, spec: {template: {spec: " + spec + "}}}"
	}
	cases := map[string]struct {
		reason     string
		live, want string
		dryRun     string // default: want
		predicted  bool
		options    Options
		changes    []string // field: from→to
	}{
		"ListKeyedByPath": {
			reason: "a file is named by its path, not its place",
			live:   config("{files: [{path: /a, owner: x}, {path: /b, owner: x}]}"),
			want:   config("{files: [{path: /new, owner: new}, {path: /a, owner: x}, {path: /b, owner: z}]}"),
			changes: []string{
				`spec.template.spec.files[/new]: →{"owner":"new","path":"/new"}`,
				`spec.template.spec.files[/b].owner: x→z`,
			},
		},
		"ListItemGone": {
			reason:  "an item that goes is shown as a whole",
			live:    config("{users: [{name: a}, {name: b, sudo: ALL}]}"),
			want:    config("{users: [{name: a}]}"),
			changes: []string{`spec.template.spec.users[b]: {"name":"b","sudo":"ALL"}→`},
		},
		"ListOrder": {
			reason:  "order counts in lists of kubeadm and CAPX",
			live:    config("{subnets: [{name: a}, {name: b}]}"),
			want:    config("{subnets: [{name: b}, {name: a}]}"),
			changes: []string{`spec.template.spec.subnets: ["a","b"]→["b","a"]`},
		},
		"CommandInFront": {
			reason:  "one more command in front is one change",
			live:    config("{preKubeadmCommands: [b, c]}"),
			want:    config("{preKubeadmCommands: [a, b, c]}"),
			changes: []string{`spec.template.spec.preKubeadmCommands[0]: →a`},
		},
		"KeyTwice": {
			reason:  "a key that is not unique tells nothing apart",
			live:    config("{additionalCategories: [{key: a, value: x}, {key: a, value: w}]}"),
			want:    config("{additionalCategories: [{key: a, value: x}, {key: a, value: z}]}"),
			changes: []string{`spec.template.spec.additionalCategories[1].value: w→z`},
		},
		"LongText": {
			reason:  "a long text is its size and digest",
			live:    config(`{files: [{path: /a, content: "old\n"}]}`),
			want:    config(`{files: [{path: /a, content: "new\n"}]}`),
			changes: []string{`spec.template.spec.files[/a].content: 4 bytes, ` + digestOf([]byte("old\n")) + `→4 bytes, ` + digestOf([]byte("new\n"))},
		},
		"Password": {
			reason:  "secret fields show neither value nor digest, also inside what comes as a whole",
			live:    config("{users: [{name: a, passwd: old}]}"),
			want:    config("{users: [{name: a, passwd: new}, {name: b, passwd: hidden}]}"),
			changes: []string{`spec.template.spec.users[a].passwd: →changed`, `spec.template.spec.users[b]: →{"name":"b","passwd":"changed"}`},
		},
		"NewFile": {
			reason: "a file that comes or goes shows no content either",
			live:   config(`{files: [{path: /a, content: hush}]}`),
			want:   config(`{files: [{path: /b, content: "hush!"}]}`),
			changes: []string{
				`spec.template.spec.files[/b]: →{"content":"5 bytes, ` + digestOf([]byte("hush!")) + `","path":"/b"}`,
				`spec.template.spec.files[/a]: {"content":"4 bytes, ` + digestOf([]byte("hush")) + `","path":"/a"}→`,
			},
		},
		"Secret": {
			reason:  "data of Secrets shows as changed",
			live:    "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {password: b2xk}}",
			want:    "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {password: bmV3, user: bQ==}}",
			changes: []string{"data.password: →changed", "data.user: →changed"},
		},
		"DefaultsAreNoChange": {
			reason: "what the API server fills in is in the dry run too",
			live:   config("{format: cloud-config, clusterConfiguration: {}}"), want: config("{}"),
			dryRun: config("{format: cloud-config, clusterConfiguration: {}}"),
		},
		"OthersBookkeeping": {
			reason: "metadata that is not ours, status and our own stamp are no change",
			live: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: u, resourceVersion: "1", generation: 1, finalizers: [x],
				ownerReferences: [{name: o}], managedFields: [{manager: m}]}, status: {a: 1}}`,
			want: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {refract.dev/content-digest: "sha256:1"}}, status: {a: 2}}`,
		},
		"PredictedComparesOnlyWhatIsWanted": {
			reason:    "without a dry run a default is not taken for a change",
			live:      config("{format: cloud-config, joinConfiguration: {nodeRegistration: {name: a}}}"),
			want:      config("{joinConfiguration: {nodeRegistration: {name: b}}}"),
			predicted: true,
			changes:   []string{"spec.template.spec.joinConfiguration.nodeRegistration.name: a→b"},
		},
		"TwoRevisions": {
			reason:    "between rendered objects, what is left out is taken away",
			live:      config("{format: cloud-config}"),
			want:      config("{}"),
			predicted: true,
			options:   Options{Rendered: true},
			changes:   []string{"spec.template.spec.format: cloud-config→"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := Pair{Live: object(t, tc.live), Want: object(t, tc.want), DryRun: object(t, tc.dryRun)}
			if tc.dryRun == "" && !tc.predicted {
				p.DryRun = p.Want
			}
			got := Compute([]Pair{p}, tc.options)
			var fields []string
			for _, c := range got.Changes {
				fields = append(fields, c.Field+": "+c.From+"→"+c.To)
			}
			if diff := cmp.Diff(tc.changes, fields); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got.Predicted != tc.predicted {
				t.Errorf("%s: predicted = %v", tc.reason, got.Predicted)
			}
		})
	}
}

func TestComputeNumbersOfYAMLAndJSON(t *testing.T) {
	live := &unstructured.Unstructured{Object: map[string]any{"kind": "X", "spec": map[string]any{"replicas": int64(3), "share": 0.5}}}
	want := &unstructured.Unstructured{Object: map[string]any{"kind": "X", "spec": map[string]any{"replicas": 3, "share": float32(0.5)}}}
	if p := Compute([]Pair{changed(live, want)}, Options{}); !p.Empty() {
		t.Errorf("3 and 3 differ: %+v", p.Changes)
	}
}

func TestComputeSteps(t *testing.T) {
	withUID := func(o *unstructured.Unstructured, uid types.UID) *unstructured.Unstructured {
		o.SetUID(uid)
		return o
	}
	same := withUID(thing(t, coreAPI, "MachineHealthCheck", "same", "{a: 1}"), "u1")
	pairs := []Pair{
		{Live: withUID(thing(t, infraAPI, "NutanixMachineTemplate", "old", "{}"), "u2")},
		{Live: withUID(thing(t, coreAPI, "MachineDeployment", "old", "{replicas: 1}"), "u3")},
		{Want: template(t, "new", "4Gi")},
		changed(same, thing(t, coreAPI, "MachineHealthCheck", "same", "{a: 1}")),
		changed(withUID(thing(t, coreAPI, "MachineHealthCheck", "tuned", "{a: 1}"), "u4"), thing(t, coreAPI, "MachineHealthCheck", "tuned", "{a: 2}")),
		{Want: thing(t, coreAPI, "MachineHealthCheck", "foreign", "{}"), Live: same, Foreign: []string{"kubectl"}},
		{Want: thing(t, coreAPI, "MachineHealthCheck", "refused", "{}"), Refused: "no"},
		{Want: same, Live: same, DryRun: same, Adopt: true},
	}
	p := Compute(pairs, Options{Cluster: "edge-01"})
	var got []string
	for _, s := range p.Objects {
		got = append(got, string(s.Action)+" "+s.Object.String()+" "+string(s.UID))
	}
	want := []string{
		"Create NutanixMachineTemplate/new ", "Update MachineHealthCheck/tuned u4", "Update MachineHealthCheck/same u1",
		"Delete MachineDeployment/old u3", "Delete NutanixMachineTemplate/old u2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("applies in order, then deletions the other way; nothing for what is equal, foreign or refused (-want +got):\n%s", diff)
	}
	foreign := []Foreign{{Object: RefOf(pairs[5].Want), Managers: []string{"kubectl"}}}
	if diff := cmp.Diff(foreign, p.Foreign); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}
}

func TestComputeLeavesItsInputAlone(t *testing.T) {
	live, want := template(t, "a", "4Gi"), template(t, "a", "6Gi")
	live.SetManagedFields(nil)
	before := live.DeepCopy()
	Compute([]Pair{changed(live, want)}, Options{})
	if diff := cmp.Diff(before.Object, live.Object); diff != "" {
		t.Errorf("Compute changed the live object (-before +after):\n%s", diff)
	}
}

// TestNoSecretAnywhere looks for secret values in all that leaves the package.
func TestNoSecretAnywhere(t *testing.T) {
	const secret = "hunter2"
	sealed := func(value string) *unstructured.Unstructured {
		return object(t, "{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: "+
			value+"}}, stringData: {a: "+value+"}}")
	}
	user := func(value string) *unstructured.Unstructured {
		return controlPlane(t, "{kubeadmConfigSpec: {users: [{name: a, passwd: "+value+"}]}}")
	}
	plans := map[string]Plan{}
	for _, value := range []string{secret, "other"} {
		plans[value] = Compute([]Pair{
			{Want: sealed(value)},
			changed(sealed("before"), sealed(value)),
			changed(user("before"), user(value)),
			{Want: user(value)},
		}, Options{Cluster: "edge-01"})
	}
	data, err := Marshal(plans[secret])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), secret) || strings.Contains(plans[secret].Summary(), secret) {
		t.Errorf("the secret is in the plan: %s", data)
	}
	for _, c := range plans[secret].Changes {
		if c.Action == Update && !c.Opaque {
			t.Errorf("%s %s is not said to hide anything", c.Object, c.Field)
		}
	}
	if plans[secret].Digest() != plans["other"].Digest() {
		t.Error("the digest depends on a secret value: it could be guessed from it")
	}
}

func TestMarshal(t *testing.T) {
	p := Compute([]Pair{
		{Want: template(t, "a", "4Gi"), Origin: "clusters/edge-01.yaml:3"},
		{Live: pool(t, "{replicas: 2}")},
		{Want: template(t, "b", "4Gi"), Foreign: []string{"kubectl"}},
	}, Options{Cluster: "edge-01"})
	data, err := Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	p.Objects = nil
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("stored plan differs but for its steps (-want +got):\n%s", diff)
	}
	if back.Digest() != p.Digest() || !p.CoveredBy(back) || !back.CoveredBy(p) {
		t.Error("a stored plan does not stand for the plan")
	}
	for name, bad := range map[string]string{"NoJSON": "{", "OtherVersion": `{"apiVersion":"plan.refract.dev/v2","cluster":"edge-01"}`, "NoVersion": "{}"} {
		t.Run(name, func(t *testing.T) {
			if _, err := Unmarshal([]byte(bad)); err == nil {
				t.Error("read without an error; what it accepted would not be known")
			}
		})
	}
	if !json.Valid(data) {
		t.Error("not JSON")
	}
}

// TestComputeNeverDeletesWhatIsNotOurs: an object outside the inventory stays, whoever lists it.
func TestComputeNeverDeletesWhatIsNotOurs(t *testing.T) {
	for _, kind := range []string{"Cluster", "MachineDeployment"} {
		t.Run(kind, func(t *testing.T) {
			p := Compute([]Pair{{Live: thing(t, coreAPI, kind, "x", "{replicas: 1}"), Foreign: []string{"kubectl"}}}, Options{})
			if len(p.Objects) > 0 || len(p.Changes) > 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}
