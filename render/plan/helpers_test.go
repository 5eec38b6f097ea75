package plan

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// object reads one object from YAML, indented with tabs as test tables are.
func object(tb testing.TB, text string) *unstructured.Unstructured {
	tb.Helper()
	if text == "" {
		return nil
	}
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "\t", "")), &out); err != nil {
		tb.Fatalf("test object: %v\n%s", err, text)
	}
	return &unstructured.Unstructured{Object: out}
}

const (
	coreAPI  = "cluster.x-k8s.io/v1beta2"
	kcpAPI   = "controlplane.cluster.x-k8s.io/v1beta2"
	infraAPI = "infrastructure.cluster.x-k8s.io/v1beta1"
)

// thing is an object with a spec in YAML flow form.
func thing(tb testing.TB, api, kind, name, spec string) *unstructured.Unstructured {
	tb.Helper()
	return object(tb, fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: %s, namespace: clusters}, spec: %s}", api, kind, name, spec))
}

func controlPlane(tb testing.TB, spec string) *unstructured.Unstructured {
	tb.Helper()
	return thing(tb, kcpAPI, "KubeadmControlPlane", "edge-01-kcp", spec)
}

func pool(tb testing.TB, spec string) *unstructured.Unstructured {
	tb.Helper()
	return thing(tb, coreAPI, "MachineDeployment", "edge-01-workers", spec)
}

// autoscaledPool has the autoscaler's annotations with a maximum.
func autoscaledPool(tb testing.TB, limit, spec string) *unstructured.Unstructured {
	tb.Helper()
	o := pool(tb, spec)
	o.SetAnnotations(map[string]string{autoscalerPrefix + "min-size": "1", autoscalerPrefix + "max-size": limit})
	return o
}

func template(tb testing.TB, name, memory string) *unstructured.Unstructured {
	tb.Helper()
	return thing(tb, infraAPI, "NutanixMachineTemplate", name, "{template: {spec: {memorySize: "+memory+", vcpuSockets: 2}}}")
}

// verdicts are one letter a machine: u up to date, r re-created, R re-created by an earlier roll anyway, "?" not known.
func verdicts(letters string) []Verdict {
	outcomes := map[rune]Outcome{'u': UpToDate, 'r': Recreate, 'R': Recreate, '?': Unknown}
	var out []Verdict
	for i, l := range letters {
		out = append(out, Verdict{Machine: fmt.Sprintf("m-%d", i), Outcome: outcomes[l], Already: l == 'R'})
	}
	return out
}

// changed is a pair that the API server answered with exactly what is wanted.
func changed(live, want *unstructured.Unstructured) Pair {
	return Pair{Want: want, Live: live, DryRun: want}
}

// brief is a change as tests compare it: kind, field, values, severity, machines.
func brief(changes []Change) []string {
	out := make([]string, 0, len(changes))
	for _, c := range changes {
		from, to := c.From, c.To
		if strings.HasPrefix(to, "sha256:") {
			to = "sha256:…"
		}
		s := fmt.Sprintf("%s %s %s: %q→%q %s", c.Action, c.Object.Kind, c.Field, from, to, c.Severity)
		if c.Machines > 0 {
			s += fmt.Sprintf(" %d", c.Machines)
		}
		if c.UpTo {
			s += " at most"
		}
		out = append(out, s)
	}
	return out
}
