package build_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	data, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return o
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

const kcp = `
apiVersion: controlplane.cluster.x-k8s.io/v1beta2
kind: KubeadmControlPlane
metadata: {name: c-kcp, namespace: clusters, labels: {tier: a}}
spec:
  replicas: 3
  kubeadmConfigSpec:
    preKubeadmCommands: [one, two]
    files:
    - {path: /etc/kubernetes/manifests/kube-vip.yaml, content: vip}
`

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: kube-system}
spec:
  replicas: 1
  template:
    spec:
      containers:
      - {name: web, image: "web:1"}
      - {name: side, image: "side:1"}
`

func TestApply(t *testing.T) {
	cases := map[string]struct {
		reason string
		target *v1alpha1.PatchTarget
		patch  string
		field  []string
		want   any
		err    string
	}{
		"JSONPatchAddsToList": {
			reason: "JSON6902 is the way to change a list",
			target: &v1alpha1.PatchTarget{Kind: "KubeadmControlPlane"},
			patch:  `[{op: add, path: /spec/kubeadmConfigSpec/preKubeadmCommands/-, value: three}]`,
			field:  []string{"0", "spec", "kubeadmConfigSpec", "preKubeadmCommands"},
			want:   []any{"one", "two", "three"},
		},
		"StrategicMergeScalar": {
			reason: "a scalar is set and numbers stay numbers",
			target: &v1alpha1.PatchTarget{Kind: "Kubeadm.*"},
			patch:  `spec: {replicas: 5}`,
			field:  []string{"0", "spec", "replicas"},
			want:   int64(5),
		},
		"StrategicMergeByName": {
			reason: "without a target the patch names its object; the namespace need not be said",
			patch:  "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}",
			field:  []string{"1", "spec", "replicas"},
			want:   int64(2),
		},
		"StrategicMergeByKey": {
			reason: "kustomize knows the merge keys of Kubernetes' own kinds: no item is lost",
			patch:  "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: side, image: \"side:2\"}]}}}",
			field:  []string{"1", "spec", "template", "spec", "containers"},
			want:   []any{map[string]any{"name": "side", "image": "side:2"}, map[string]any{"name": "web", "image": "web:1"}},
		},
		"ByLabel": {
			reason: "label selectors select",
			target: &v1alpha1.PatchTarget{LabelSelector: "tier=a"},
			patch:  `spec: {replicas: 1}`,
			field:  []string{"0", "spec", "replicas"},
			want:   int64(1),
		},
		"ReplacesList": {
			reason: "without a schema kustomize would drop kube-vip",
			target: &v1alpha1.PatchTarget{Kind: "KubeadmControlPlane"},
			patch:  `spec: {kubeadmConfigSpec: {files: [{path: /etc/motd, content: hello}]}}`,
			err: `p.yaml:7: patch KubeadmControlPlane c-kcp: the strategic-merge patch replaces list spec.kubeadmConfigSpec.files: 1 of its 1 items would be lost; write it as JSON6902 with a target, for example:
- op: add
  path: /spec/kubeadmConfigSpec/files/-
  value:
    content: hello
    path: /etc/motd`,
		},
		"ShortensListToNothing": {
			reason: "null takes the list away",
			target: &v1alpha1.PatchTarget{Kind: "KubeadmControlPlane"},
			patch:  `spec: {kubeadmConfigSpec: {preKubeadmCommands: null}}`,
			err: `p.yaml:7: patch KubeadmControlPlane c-kcp: the strategic-merge patch replaces list spec.kubeadmConfigSpec.preKubeadmCommands: 2 of its 2 items would be lost; write it as JSON6902 with a target, for example:
- op: remove
  path: /spec/kubeadmConfigSpec/preKubeadmCommands/0`,
		},
		"MatchesNothing": {
			reason: "a patch that does nothing is a mistake",
			target: &v1alpha1.PatchTarget{Kind: "KubeadmControlPlan"},
			patch:  `spec: {replicas: 5}`,
			err:    "p.yaml:7: the patch matches no object: check its target's kind and name; there are KubeadmControlPlane c-kcp, Deployment web",
		},
		"JSONWithoutTarget": {
			reason: "JSON6902 names no object",
			patch:  `[{op: remove, path: /spec/replicas}]`,
			err:    "p.yaml:7: a JSON6902 patch needs a target",
		},
		"NotYAML": {
			reason: "the line is the patch's, the place the origin",
			patch:  "a: b\n c: d",
			err:    "p.yaml:7: the patch is not valid YAML: mapping values are not allowed in this context (its line 2)",
		},
		"PathMissing": {
			reason: "kustomize's own words, with the object",
			target: &v1alpha1.PatchTarget{Kind: "Deployment"},
			patch:  `[{op: remove, path: /spec/nothing}]`,
			err:    "p.yaml:7: patch Deployment web: error in remove for path: '/spec/nothing': Unable to remove nonexistent key: nothing: missing value",
		},
		"CopyBomb": {
			reason: "copy operations double an object",
			target: &v1alpha1.PatchTarget{Kind: "Deployment"},
			patch: "[" + `{op: copy, from: /spec, path: /spec/a},{op: copy, from: /spec, path: /spec/a},{op: copy, from: /spec, path: /spec/a},` +
				`{op: copy, from: /spec, path: /spec/a},{op: copy, from: /spec, path: /spec/a},{op: copy, from: /spec, path: /spec/a},` +
				`{op: copy, from: /spec, path: /spec/a},{op: copy, from: /spec, path: /spec/a},{op: copy, from: /spec, path: /spec/a},` +
				`{op: copy, from: /spec, path: /spec/a},{op: copy, from: /spec, path: /spec/a}]`,
			err: "p.yaml:7: more than 2 copy operations in JSON6902 patches: write the values out",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objs := []*unstructured.Unstructured{object(t, kcp), object(t, deployment)}
			patches := []build.Patch{{Target: tc.target, Patch: tc.patch, Origin: build.Origin{Path: "p.yaml", Line: 7}}}
			got, err := build.Apply(objs, patches)
			if diff := cmp.Diff(tc.err, message(err)); diff != "" {
				t.Fatalf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff([]*unstructured.Unstructured{object(t, kcp), object(t, deployment)}, objs); diff != "" {
				t.Errorf("the input was changed: -want +got:\n%s", diff)
			}
			if tc.err != "" {
				return
			}
			value, _, err := unstructured.NestedFieldCopy(got[int(tc.field[0][0]-'0')].Object, tc.field[1:]...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, value); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestApplyReportsEveryPatch(t *testing.T) {
	_, err := build.Apply([]*unstructured.Unstructured{object(t, kcp)}, []build.Patch{
		{Patch: "[]", Origin: build.Origin{Path: "b.yaml", Line: 2}},
		{Patch: "", Origin: build.Origin{Path: "a.yaml", Line: 1}},
	})
	want := "b.yaml:2: a JSON6902 patch needs a target\na.yaml:1: the patch is empty"
	if diff := cmp.Diff(want, message(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSubstitute(t *testing.T) {
	o := map[string]any{
		"a":        "${{ x }} and ${{y}}",
		"b":        []any{"${X} $x ${{ x }}", int64(3), map[string]any{"c": "${{ none }}"}},
		"${{ x }}": "key",
		"d":        "${{ not a name }}",
	}
	err := build.Substitute(o, map[string]string{"x": "1", "y": "${{ x }}"})
	if diff := cmp.Diff("b[2].c: variable \"none\" is not declared\nd: variable \"not a name\" is not declared", message(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := map[string]any{
		"a":        "1 and ${{ x }}",
		"b":        []any{"${X} $x 1", int64(3), map[string]any{"c": "${{ none }}"}},
		"${{ x }}": "key",
		"d":        "${{ not a name }}",
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
