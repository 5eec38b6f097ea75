package canary

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refract-dev/refract/controllers/cli"
	"github.com/refract-dev/refract/test/drift/hand"
)

// place is something that people read.
type place struct {
	text string
	// declared: it holds what Git declares, and so also what somebody wrote into a file as a secret. Credentials do not
	// belong there either.
	declared bool
}

// look reads every place.
func look(t *testing.T, s *hand.Scene) map[string]place {
	t.Helper()
	log, err := os.ReadFile(shared.Log)
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(spoken)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]place{
		"the operator's log":       {text: string(log)},
		"standard error":           {text: "of the process\n" + string(said)},
		"the libraries' log":       {text: "of client-go and others\n" + libraries.String()},
		"metrics":                  {text: exposed(t)},
		"what the forge is told":   {text: posted.String()},
		"answers to webhook calls": {text: answersToCalls.String()},
	}
	events := &corev1.EventList{}
	if err := s.Client.List(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	all["events"] = place{text: jsonOf(t, events.Items)}
	for _, kind := range []string{"Fleet", "NutanixClusterSpec", "CloudAccount", "ClusterProfile"} {
		spec, rest := split(t, s, hand.Refract, kind)
		all["spec of each "+kind], all["status of each "+kind] = place{spec, true}, place{text: rest}
	}
	for _, k := range [][2]string{
		{hand.Core, "Cluster"},
		{hand.Core, "MachineDeployment"},
		{hand.Core, "MachineHealthCheck"},
		{hand.Infra, "NutanixCluster"},
		{hand.Infra, "NutanixMachineTemplate"},
		{"addons.cluster.x-k8s.io/v1beta2", "ClusterResourceSet"},
	} {
		spec, rest := split(t, s, k[0], k[1])
		all["each "+k[1]] = place{text: spec + rest}
	}
	for _, k := range [][2]string{{hand.ControlPlane, "KubeadmControlPlane"}, {hand.Bootstrap, "KubeadmConfigTemplate"}} {
		spec, rest := split(t, s, k[0], k[1])
		all["spec of each "+k[1]], all["status of each "+k[1]] = place{spec, true}, place{text: rest}
	}
	for name, text := range records(t, s) {
		all["key "+name+" of each record"] = place{text, name == "spec"}
	}
	for name, text := range told(t, s) {
		all[name] = place{text: text}
	}
	return all
}

// split gives the specs of all objects of a kind, and everything else of them.
func split(t *testing.T, s *hand.Scene, apiVersion, kind string) (spec, rest string) {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind+"List"))
	if err := s.Client.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 {
		t.Errorf("there is no %s to look at", kind)
	}
	var specs, others []any
	for i := range list.Items {
		specs = append(specs, list.Items[i].Object["spec"])
		delete(list.Items[i].Object, "spec")
		others = append(others, list.Items[i].Object)
	}
	return jsonOf(t, specs), jsonOf(t, others)
}

// jsonOf is the text of a value, and once more every string in it as people see it.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(text)
	stringsIn(plain, &b)
	return b.String()
}

func stringsIn(v any, b *strings.Builder) {
	switch v := v.(type) {
	case string:
		b.WriteString("\n" + v)
	case []any:
		for _, each := range v {
			stringsIn(each, b)
		}
	case map[string]any:
		for key, each := range v {
			b.WriteString("\n" + key)
			stringsIn(each, b)
		}
	}
}

// records is what is kept of plans, by key.
func records(t *testing.T, s *hand.Scene) map[string]string {
	t.Helper()
	list := &corev1.SecretList{}
	if err := s.Client.List(t.Context(), list, client.HasLabels{"refract.dev/record"}); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for i := range list.Items {
		for key, packed := range list.Items[i].Data {
			zip, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatalf("%s, key %s: %v", list.Items[i].Name, key, err)
			}
			text, err := io.ReadAll(zip)
			if err != nil {
				t.Fatal(err)
			}
			all[key] += string(text)
			if json.Valid(text) {
				all[key] += jsonOf(t, json.RawMessage(text))
			}
		}
	}
	for _, key := range []string{"accepted", "held", "spec"} {
		if len(all[key]) < 100 {
			t.Errorf("the records hold only %q under %s", all[key], key)
		}
	}
	return all
}

// exposed is what a scrape would get.
func exposed(t *testing.T) string {
	t.Helper()
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		fmt.Fprintf(&b, "# %s %s\n", f.GetName(), f.GetHelp())
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				fmt.Fprintf(&b, "%s=%s\n", l.GetName(), l.GetValue())
			}
		}
	}
	if !strings.Contains(b.String(), "refract_git_operations_total") {
		t.Error("Refract's metrics are not among those exposed")
	}
	return b.String()
}

// told is what the command line says of the files, beside the objects that it is asked to print.
func told(t *testing.T, s *hand.Scene) map[string]string {
	t.Helper()
	dir := filepath.Join(s.Git.Clone(), "fleet")
	all := map[string]string{}
	for _, args := range [][]string{
		{"validate", dir},
		{"plan", dir},
		{"plan", dir, "--output", "json"},
		{"plan", dir, "--kubeconfig", s.World.Kubeconfig, "--namespace", s.Namespace, "--fleet", "production"},
		{"plan", dir, "--kubeconfig", s.World.Kubeconfig, "--namespace", s.Namespace, "--fleet", "production", "--output", "json"},
	} {
		var out, errs bytes.Buffer
		code := cli.Main(t.Context(), args, strings.NewReader(""), &out, &errs)
		name := "refract " + strings.ReplaceAll(strings.Join(args, " "), dir, "fleet")
		if code == 2 || out.Len()+errs.Len() < 10 {
			t.Errorf("%s: code %d: %s%s", name, code, out.String(), errs.String())
		}
		all[name] = fmt.Sprintf("%s\n%s", out.String(), errs.String())
	}
	return all
}
