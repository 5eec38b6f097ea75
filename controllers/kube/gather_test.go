package kube_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// settle brings a cluster to what is wanted and returns the plan for it.
func settle(ctx context.Context, t *testing.T, c kube.Cluster, want []*unstructured.Unstructured) kube.Applied {
	t.Helper()
	done, err := c.Apply(ctx, plan.Compute(gather(ctx, t, c, want), plan.Options{Cluster: c.Name}))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func gather(ctx context.Context, t *testing.T, c kube.Cluster, want []*unstructured.Unstructured) []plan.Pair {
	t.Helper()
	pairs, err := c.Gather(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

func read(ctx context.Context, t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	if err := admin.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
		t.Fatal(err)
	}
	return live
}

// versions are the resource versions of objects: the same before and after means that nothing wrote.
func versions(ctx context.Context, t *testing.T, objects []*unstructured.Unstructured) map[string]string {
	t.Helper()
	v := map[string]string{}
	for _, o := range objects {
		v[o.GetKind()+"/"+o.GetName()] = read(ctx, t, o).GetResourceVersion()
	}
	return v
}

func TestGatherOfASettledClusterFindsNothing(t *testing.T) {
	ctx, c := t.Context(), cluster("settled")
	want := sample("settled").objects(t)

	first := settle(ctx, t, c, want)
	if len(first.Objects) != len(want) {
		t.Fatalf("%d objects were applied, not %d", len(first.Objects), len(want))
	}
	for i, o := range first.Objects {
		live := read(ctx, t, want[i])
		if o.UID != live.GetUID() || o.Generation != live.GetGeneration() {
			t.Errorf("%s: reported %s generation %d, is %s %d", o.Object, o.UID, o.Generation, live.GetUID(), live.GetGeneration())
		}
	}
	before := versions(ctx, t, want)
	p := plan.Compute(gather(ctx, t, c, want), plan.Options{Cluster: c.Name})
	if !p.Empty() {
		t.Errorf("there is something to do: %+v", p.Changes)
	}
	if again := settle(ctx, t, c, want); len(again.Objects) != 0 {
		t.Errorf("the second apply wrote %v", again.Objects)
	}
	if diff := cmp.Diff(before, versions(ctx, t, want)); diff != "" {
		t.Errorf("a dry run or an empty plan wrote (-before +after):\n%s", diff)
	}
}

func TestHandEditIsFoundNamedAndPutBack(t *testing.T) {
	ctx, c := t.Context(), cluster("edited")
	want := sample("edited").objects(t)
	settle(ctx, t, c, want)

	md := read(ctx, t, pick(t, want, "MachineDeployment"))
	set(t, md, int64(7), "spec", "replicas")
	set(t, md, "v1.30.0", "spec", "template", "spec", "version")
	if err := admin.Update(ctx, md); err != nil {
		t.Fatal(err)
	}
	pairs := gather(ctx, t, c, want)
	i := slices.IndexFunc(pairs, func(p plan.Pair) bool { return p.Want.GetKind() == "MachineDeployment" })
	got := kube.Edits(pairs[i].Live, pairs[i].DryRun)
	wanted := []kube.Edit{
		{Object: plan.RefOf(md), Field: "spec.replicas", Manager: "somebody", Old: "2", New: "7"},
		{Object: plan.RefOf(md), Field: "spec.template.spec.version", Manager: "somebody", Old: `"v1.34.1"`, New: `"v1.30.0"`},
	}
	if diff := cmp.Diff(wanted, got, cmpopts.IgnoreFields(kube.Edit{}, "At")); diff != "" {
		t.Errorf("edits (-want +got):\n%s", diff)
	}
	s := sample("edited")
	s.unhealthyTimeout = 1
	for _, p := range gather(ctx, t, c, s.objects(t)) {
		if edits := kube.Edits(p.Live, p.DryRun); len(edits) > 0 && p.Want.GetKind() == "MachineHealthCheck" {
			t.Errorf("a change of ours is taken for somebody's edit: %v", edits)
		}
	}
	done := settle(ctx, t, c, want)
	if len(done.Objects) != 1 || done.Objects[0].Object.Kind != "MachineDeployment" {
		t.Errorf("applied %v, not the MachineDeployment alone", done.Objects)
	}
	if n, _, _ := unstructured.NestedInt64(read(ctx, t, md).Object, "spec", "replicas"); n != 2 {
		t.Errorf("%d replicas are left", n)
	}
}

func TestForeignObjectIsNeverWritten(t *testing.T) {
	cases := map[string]struct {
		labels map[string]string
		reason string
	}{
		"NoLabel":        {reason: "nothing says that it is ours"},
		"OurLabelByHand": {labels: map[string]string{v1alpha1.ClusterLabel: "foreign"}, reason: "a label alone can be copied"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, c := t.Context(), cluster("foreign")
			want := sample("foreign").objects(t)
			theirs := pick(t, want, "ConfigMap").DeepCopy()
			theirs.SetLabels(tc.labels)
			set(t, theirs, "theirs", "data", "notes")
			create(ctx, t, theirs)
			t.Cleanup(func() {
				if err := admin.Delete(context.Background(), theirs); err != nil {
					t.Error(err)
				}
			})
			before := versions(ctx, t, []*unstructured.Unstructured{theirs})

			p := plan.Compute(gather(ctx, t, c, want), plan.Options{Cluster: c.Name})
			if len(p.Foreign) != 1 || !slices.Contains(p.Foreign[0].Managers, "somebody") {
				t.Errorf("%s, but the plan names %v", tc.reason, p.Foreign)
			}
			_, err := c.Apply(ctx, p)
			var foreign *kube.ForeignError
			if !errors.As(err, &foreign) {
				t.Errorf("apply says %v", err)
			}
			// A plan that was computed before the other object appeared must not write it either.
			_, err = c.Apply(ctx, plan.Plan{Cluster: c.Name, Objects: []plan.Step{{
				Action: plan.Create, Object: plan.RefOf(theirs), Want: pick(t, want, "ConfigMap"),
			}}})
			if !errors.As(err, &foreign) {
				t.Errorf("apply of an older plan says %v", err)
			}
			if diff := cmp.Diff(before, versions(ctx, t, []*unstructured.Unstructured{theirs})); diff != "" {
				t.Errorf("it was written (-before +after):\n%s", diff)
			}
		})
	}
}

func TestTemplateKeepsItsNameWhileItsContentIsTheSame(t *testing.T) {
	ctx, c := t.Context(), cluster("templates")
	s := sample("templates")
	bigger := s
	bigger.memory = "8Gi"
	template := func(s settings, digest string) *unstructured.Unstructured {
		o := pick(t, s.objects(t), "NutanixMachineTemplate")
		o.SetAnnotations(map[string]string{v1alpha1.ContentDigestAnnotation: digest})
		return o
	}
	keeps := func(o *unstructured.Unstructured) bool {
		kept, err := c.Keeps(ctx, []*unstructured.Unstructured{o})
		if err != nil || len(kept) != 1 {
			t.Fatalf("%v, %v", kept, err)
		}
		return kept[0]
	}
	settle(ctx, t, c, append([]*unstructured.Unstructured{template(s, "one")}, s.objects(t)[1:]...))
	if !keeps(template(s, "other")) {
		t.Error("the same content needs no new name, whatever digest is on it")
	}
	same := s
	same.memory = "4096Mi"
	if !keeps(template(same, "three")) {
		t.Error("4096Mi is 4Gi, and another name would roll every machine")
	}
	if keeps(template(bigger, "two")) {
		t.Error("other content under the same name rolls nothing")
	}
	edited := read(ctx, t, template(s, "one"))
	set(t, edited, "16Gi", "spec", "template", "spec", "memorySize")
	if err := admin.Update(ctx, edited); err != nil {
		t.Fatal(err)
	}
	if !keeps(template(s, "one")) {
		t.Error("a hand edit is put back in place")
	}
	if keeps(template(bigger, "two")) {
		t.Error("new content on top of a hand edit needs a new name")
	}
}

func TestRefusalCarriesTheWordsOfTheAPIServer(t *testing.T) {
	ctx, c := t.Context(), cluster("refused")
	want := sample("refused").objects(t)
	set(t, pick(t, want, "MachineDeployment"), int64(-1), "spec", "replicas")
	set(t, pick(t, want, "ConfigMap"), "text", "unknown")
	secret := parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: refused-x, namespace: clusters, labels: {refract.dev/cluster: refused}}, "+
		"type: kubernetes.io/tls, stringData: {tls.key: hush-hush}}")[0]
	want = append(want, secret)
	words := map[string]string{}
	for _, p := range gather(ctx, t, c, want) {
		if p.Refused != "" {
			words[p.Want.GetKind()] = p.Refused
		}
	}
	if len(words) != 3 || !strings.Contains(words["ConfigMap"], "unknown") || !strings.Contains(words["Secret"], "tls.crt") {
		t.Errorf("refused: %q", words)
	}
	if strings.Contains(words["Secret"], "hush") {
		t.Errorf("a secret is in the words: %s", words["Secret"])
	}
}
