package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
)

func TestOwnedAt(t *testing.T) {
	const object = `{"spec": {"replicas": 3, "labels": {"a": "1", "b": "2"}, "taints": ["x", "y"],
		"files": [{"path": "/a", "content": "A", "mode": 1}, {"path": "/b", "content": "B"}]}}`
	cases := map[string]struct {
		set, pointer, want string
		reason             string
	}{
		"AValue":            {set: `{"f:spec":{"f:replicas":{}}}`, pointer: "/spec/replicas", want: `3`},
		"NotOurs":           {set: `{"f:spec":{"f:other":{}}}`, pointer: "/spec/replicas", want: `null`},
		"NothingOwned":      {set: `{}`, pointer: "/spec/replicas", want: `null`},
		"OnlyOurPartOfAMap": {set: `{"f:spec":{"f:labels":{"f:a":{}}}}`, pointer: "/spec/labels", want: `{"a":"1"}`, reason: "the rest stays theirs"},
		"AnAtomicMap":       {set: `{"f:spec":{"f:labels":{}}}`, pointer: "/spec/labels", want: `{"a":"1","b":"2"}`},
		"BelowAnAtomicMap":  {set: `{"f:spec":{"f:labels":{}}}`, pointer: "/spec/labels/b", want: `"2"`},
		"ItemsByKey": {
			set: `{"f:spec":{"f:files":{"k:{\"path\":\"/a\"}":{".":{},"f:content":{}}}}}`, pointer: "/spec/files",
			want: `[{"content":"A","path":"/a"}]`, reason: "with the key, or it could not be applied",
		},
		"ItemsByValue": {set: `{"f:spec":{"f:taints":{"v:\"y\"":{}}}}`, pointer: "/spec/taints", want: `["y"]`},
		"NoSuchField":  {set: `{"f:spec":{}}`, pointer: "/spec/none/x", want: `null`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var s fieldSet
			var o map[string]any
			mustJSON(t, tc.set, &s)
			mustJSON(t, object, &o)
			got, err := json.Marshal(ownedAt(s, o, parsePointer(tc.pointer)))
			if err != nil || string(got) != tc.want {
				t.Errorf("%s: %s, wanted %s", tc.reason, got, tc.want)
			}
		})
	}
}

func mustJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

func TestEffective(t *testing.T) {
	const ours = `{"f:spec": {"f:a": {"f:x": {}}, "f:b": {}}}`
	cases := map[string]struct{ path, live, owned, want, reason string }{
		"AField":        {path: "/spec/a", live: "{}", want: `{b: [{c: 1, d: 2}]}`},
		"ParentEmptied": {path: "/spec/a/x", live: "{}", want: `{b: [{c: 1, d: 2}]}`, reason: "an empty map is an opinion"},
		"NotThere":      {path: "/spec/q/r", live: "{}", want: `{a: {x: 1}, b: [{c: 1, d: 2}]}`},
		"Kept": {
			path: "/spec/a/x", live: "{a: {x: 7}}", owned: ours, want: `{a: {x: 7}, b: [{c: 1, d: 2}]}`, reason: "leaving it out would take it away",
		},
		"InsideAnItem": {
			path: "/spec/b/0/c", live: "{b: [{c: 9}, {c: 1}]}", want: `{a: {x: 1}}`, reason: "items move: the whole list is given up",
		},
		"AWholeItem": {
			path: "/spec/b/1", live: "{b: [{c: 9}, {c: 8}]}", owned: ours, want: `{a: {x: 1}, b: [{c: 9}, {c: 8}]}`, reason: "the list stays as it is",
		},
		"Created": {path: "/spec/a", want: `{a: {x: 1}, b: [{c: 1, d: 2}]}`, reason: "nobody else has said anything yet"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := Cluster{Ignore: []v1alpha1.DriftIgnore{{Kind: "Thing", Paths: []string{tc.path}}}}
			o := fromYAML(t, "kind: Thing\nspec: {a: {x: 1}, b: [{c: 1, d: 2}]}")
			var live *unstructured.Unstructured
			if tc.live != "" {
				live = fromYAML(t, "kind: Thing\nspec: "+tc.live)
				live.SetManagedFields([]metav1.ManagedFieldsEntry{{
					Manager: v1alpha1.FieldManager, Operation: "Apply", FieldsV1: metav1.NewFieldsV1(cmp.Or(tc.owned, "{}")),
				}})
			}
			var want any
			if err := yaml.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want, plain(t, c.effective(o, live).Object["spec"])); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if _, ok, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "a", "x"); !ok {
				t.Error("the wanted object itself was changed")
			}
		})
	}
}

// plain is a value as YAML reads it.
func plain(t *testing.T, v any) any {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := yaml.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEditsNameManagerAndField(t *testing.T) {
	dry := fromYAML(t, "kind: Thing\nmetadata: {name: x, labels: {a.b/c: ours}}\nspec: {gone: 1, list: [{name: p, v: 1}]}")
	live := fromYAML(t, `
kind: Thing
metadata:
  name: x
  labels: {a.b/c: theirs}
  managedFields:
  - {manager: refract, operation: Apply, fieldsType: FieldsV1, time: "2026-01-01T00:00:00Z", fieldsV1: {"f:spec": {"f:gone": {}}}}
  - {manager: old-hand, operation: Update, fieldsType: FieldsV1, time: "2026-01-02T00:00:00Z", fieldsV1: {"f:metadata": {"f:labels": {"f:a.b/c": {}}}}}
  - {manager: new-hand, operation: Update, fieldsType: FieldsV1, time: "2026-01-03T00:00:00Z", fieldsV1: {"f:metadata": {"f:labels": {"f:a.b/c": {}}}}}
  - {manager: controller, operation: Update, subresource: status, fieldsType: FieldsV1, time: "2026-01-04T00:00:00Z", fieldsV1: {"f:status": {}}}
  - {manager: item-hand, operation: Update, fieldsType: FieldsV1, time: "2026-01-02T12:00:00Z", fieldsV1: {"f:spec": {"f:list": {'k:{"name":"p"}': {"f:v": {}}}}}}
spec: {list: [{name: p, v: 2}]}
status: {seen: 1}`)
	want := []Edit{
		{Field: "metadata.labels[a.b/c]", Manager: "new-hand", Old: `"ours"`, New: `"theirs"`},
		{Field: "spec.gone", Manager: "new-hand", Old: "1"},
		{Field: "spec.list[0].v", Manager: "item-hand", Old: "1", New: "2"},
	}
	got := Edits(live, dry)
	for i := range got {
		if got[i].At.IsZero() {
			t.Errorf("%s: no time", got[i].Field)
		}
		got[i].Object.Kind, got[i].Object.Name, got[i].At = "", "", metav1.Time{}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEditsShowNoSecrets(t *testing.T) {
	cases := map[string]struct{ kind, spec string }{
		"ASecretsData":    {kind: "Secret", spec: "{a: %s}"},
		"APassword":       {kind: "Thing", spec: "{users: [{name: x, passwd: %s}]}"},
		"AFileOfAMachine": {kind: "Thing", spec: "{files: [{path: /x, content: %s}]}"},
		"InsideAMap":      {kind: "Thing", spec: "{added: %s, list: [%[1]s]}"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := func(value string) *unstructured.Unstructured {
				return fromYAML(t, "kind: "+tc.kind+"\nspec: "+fmt.Sprintf(tc.spec, value))
			}
			live, dry := object("{inner: hush}"), object("[hush]")
			if name != "InsideAMap" {
				live, dry = object("hush-1"), object("hush-2")
			}
			edits := Edits(live, dry)
			if len(edits) == 0 || strings.Contains(fmt.Sprint(edits), "hush") {
				t.Errorf("%v", edits)
			}
		})
	}
}
