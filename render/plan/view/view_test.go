package view_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

var update = flag.Bool("update", false, "write the golden files anew")

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

func health(t *testing.T, seconds string) *unstructured.Unstructured {
	t.Helper()
	return object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: MachineHealthCheck, metadata: {name: edge-01-workers}, spec: {seconds: "+seconds+"}}")
}

func machines(n int, o plan.Outcome) []plan.Verdict {
	out := make([]plan.Verdict, n)
	for i := range out {
		out[i] = plan.Verdict{Machine: "m", Outcome: o}
	}
	return out
}

// rolled changes the memory of a pool, scales another down, tunes a health check and removes an old template.
func rolled(t *testing.T) plan.Plan {
	t.Helper()
	workers := pool(t, "edge-01-workers", "3", "edge-01-workers-bbbb")
	small := pool(t, "edge-01-small", "1", "edge-01-small-aaaa")
	return plan.Compute([]plan.Pair{
		{
			Want: machineTemplate(t, "edge-01-workers-bbbb", "6Gi"), Previous: machineTemplate(t, "edge-01-workers-aaaa", "4Gi"),
			DryRun: machineTemplate(t, "edge-01-workers-bbbb", "6Gi"), Origin: "clusters/edge-01.yaml:14",
		},
		{
			Want: workers, DryRun: workers, Live: pool(t, "edge-01-workers", "3", "edge-01-workers-aaaa"),
			Machines: machines(3, plan.Recreate), Origin: "clusters/edge-01.yaml:12",
		},
		{
			Want: small, DryRun: small, Live: pool(t, "edge-01-small", "2", "edge-01-small-aaaa"), Machines: machines(2, plan.UpToDate),
		},
		{Want: health(t, "900"), DryRun: health(t, "900"), Live: health(t, "600")},
		{Live: machineTemplate(t, "edge-01-old-cccc", "2Gi")},
	}, plan.Options{Cluster: "edge-01"})
}

// refused asks for an even control plane and holds a value that would move a terminal's cursor.
func refused(t *testing.T) plan.Plan {
	t.Helper()
	kcp := func(replicas, command string) *unstructured.Unstructured {
		o := object(t, "{apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: KubeadmControlPlane, metadata: {name: edge-02-kcp}, spec: {replicas: "+replicas+"}}")
		o.Object["spec"].(map[string]any)["kubeadmConfigSpec"] = map[string]any{"format": command}
		return o
	}
	return plan.Compute([]plan.Pair{
		{Want: kcp("4", "a\x1b[2Jb"), Live: kcp("3", "a"), Machines: machines(3, plan.Unknown)},
		{
			Want:    object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: edge-02}}"),
			Foreign: []string{"kubectl", "helm"},
		},
	}, plan.Options{Cluster: "edge-02"})
}

func created(t *testing.T) plan.Plan {
	t.Helper()
	return plan.Compute([]plan.Pair{
		{Want: object(t, "{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: edge-03}}")},
		{Want: pool(t, "edge-03-workers", "3", "edge-03-workers-aaaa")},
		{Want: object(t, "{apiVersion: v1, kind: Secret, metadata: {name: edge-03-csi}, stringData: {key: hunter2}}")},
	}, plan.Options{Cluster: "edge-03"})
}

func TestGolden(t *testing.T) {
	cluster := plan.Ref{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster", Name: "edge-04"}
	cases := map[string][]plan.Plan{
		"nothing": {{Cluster: "edge-01"}},
		"rolled":  {rolled(t)},
		"refused": {refused(t)},
		"created": {created(t)},
		"fleet":   {rolled(t), {Cluster: "edge-00"}, created(t), plan.Deletion(cluster, 5, false), plan.Orphan(cluster)},
	}
	views := map[string]func(io.Writer, ...plan.Plan) error{"txt": view.Text, "json": view.JSON}
	for name, plans := range cases {
		for ending, write := range views {
			t.Run(name+"."+ending, func(t *testing.T) {
				var got bytes.Buffer
				if err := write(&got, plans...); err != nil {
					t.Fatal(err)
				}
				compare(t, filepath.Join("testdata", name+"."+ending), got.Bytes())
			})
		}
	}
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s; run the test with -update if this is meant (-want +got):\n%s", file, diff)
	}
}

// TestJSONIsComplete: a machine reads from the document what the plan says, also what the text leaves out.
func TestJSONIsComplete(t *testing.T) {
	p := rolled(t)
	var out bytes.Buffer
	if err := view.JSON(&out, p); err != nil {
		t.Fatal(err)
	}
	var doc view.Document
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Changes, doc.Clusters[0].Changes); diff != "" {
		t.Errorf("changes (-plan +document):\n%s", diff)
	}
	if c := doc.Clusters[0]; doc.APIVersion != view.Version || c.Digest != p.Digest() || c.Recreated != 3 || c.Removed != 1 {
		t.Errorf("%+v", c)
	}
}

func TestTextIsSafeForTerminals(t *testing.T) {
	var out strings.Builder
	if err := view.Text(&out, refused(t)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("an escape sequence from a file reaches the terminal:\n%q", out.String())
	}
}

func TestWriterFails(t *testing.T) {
	full := errors.New("no space")
	for name, write := range map[string]func(io.Writer, ...plan.Plan) error{"Text": view.Text, "JSON": view.JSON} {
		t.Run(name, func(t *testing.T) {
			if err := write(failing{full}, rolled(t)); !errors.Is(err, full) {
				t.Errorf("error %v", err)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
