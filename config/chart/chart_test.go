package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestGeneratedFilesAreCurrent is what make verify asks of the chart, without git.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	root := filepath.Join("..", "..")
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(root, "charts", "refract")
	for name, want := range files {
		got, missing := os.ReadFile(filepath.Join(chart, name))
		if missing != nil || string(got) != string(want) {
			t.Errorf("charts/refract/%s is not what its sources yield: run make manifests (%v)", name, missing)
		}
	}
	there, err := filepath.Glob(filepath.Join(chart, generated, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if _, ok := files[generated+"/"+filepath.Base(path)]; !ok {
			t.Errorf("%s has no source: run make manifests", path)
		}
	}
}

func TestTemplate(t *testing.T) {
	const labels = "    {{- include \"refract.labels\" . | nindent 4 }}\n"
	cases := map[string]struct {
		reason string
		text   string
		want   string
	}{
		"CRD": {
			reason: "kept, its own labels stay, and braces are text",
			text:   "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  labels: {refract.dev/protect: \"true\"}\n  name: fleets.refract.dev\nspec:\n  text: ${{ name }} of refract-manager\n",
			want: "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: fleets.refract.dev\n  labels:\n" + labels +
				"    refract.dev/protect: \"true\"\n  annotations:\n    helm.sh/resource-policy: keep\nspec:\n  text: ${{ \"{{\" }} name }} of refract-manager\n",
		},
		"Role": {
			reason: "named after the release, in its namespace, without its binding",
			text:   "# Why.\napiVersion: v1\nkind: Role\nmetadata:\n  name: refract-leader-election\n  namespace: refract-system\nrules:\n  - {}\n---\napiVersion: v1\nkind: RoleBinding\nmetadata: {name: refract-x}\n",
			want:   "# Why.\napiVersion: v1\nkind: Role\nmetadata:\n  name: {{ include \"refract.fullname\" . }}-leader-election\n  namespace: {{ .Release.Namespace }}\n  labels:\n" + labels + "rules:\n  - {}\n",
		},
		"Aggregated": {
			reason: "a value decides on aggregation",
			text:   "apiVersion: v1\nkind: ClusterRole\nmetadata:\n  name: refract-viewer\n  labels:\n    rbac.authorization.k8s.io/aggregate-to-view: \"true\"\nrules: []\n",
			want: "apiVersion: v1\nkind: ClusterRole\nmetadata:\n  name: {{ include \"refract.fullname\" . }}-viewer\n  labels:\n" + labels +
				"    {{- if .Values.rbac.aggregate }}\n    rbac.authorization.k8s.io/aggregate-to-view: \"true\"\n    {{- end }}\nrules: []\n",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := template("config/x.yaml", ".Values.on", c.text)
			if err != nil {
				t.Fatal(err)
			}
			want := "{{- /* Generated from config/x.yaml: change that and run make manifests. */}}\n{{- if .Values.on }}\n" + c.want + "{{- end }}\n"
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("%s: %s", c.reason, diff)
			}
		})
	}
	if _, err := template("config/x.yaml", "true", "kind: Secret\nmetadata: {name: s}\ndata: {}\n"); err == nil || !strings.Contains(err.Error(), "Secret s") {
		t.Errorf("an object of another form is an error that names it: %v", err)
	}
}

// TestValuesAreComplete holds values.yaml and its schema against each other.
func TestValuesAreComplete(t *testing.T) {
	chart := filepath.Join("..", "..", "charts", "refract")
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var defaults map[string]any
	if err = yaml.UnmarshalStrict(text, &defaults); err != nil {
		t.Fatal(err)
	}
	types, err := readSchema(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path []string, s schema)
	walk = func(path []string, s schema) {
		for key, below := range s.Properties {
			at := append(slices.Clip(path), key)
			if lookup(defaults, at) == nil {
				t.Errorf("values.yaml does not show %s, which the schema allows", strings.Join(at, "."))
			}
			walk(at, below)
		}
	}
	walk(nil, types)
}

// TestChartNamesEveryCRD to Artifact Hub.
func TestChartNamesEveryCRD(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "charts", "refract", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	crds, err := filepath.Glob(filepath.Join("..", "crd", "bases", "*.yaml"))
	if err != nil || len(crds) == 0 {
		t.Fatal("no CRDs", err)
	}
	for _, path := range crds {
		var crd struct{ Metadata struct{ Name string } }
		base, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(base, &crd); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "name: "+crd.Metadata.Name+"\n") {
			t.Errorf("annotation artifacthub.io/crds of Chart.yaml lacks %s", crd.Metadata.Name)
		}
	}
}
