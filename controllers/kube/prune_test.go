package kube_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// unwanted names the pairs without Want.
func unwanted(pairs []plan.Pair) []string {
	var names []string
	for _, p := range pairs {
		if p.Want == nil {
			names = append(names, p.Live.GetKind()+"/"+p.Live.GetName())
		}
	}
	return names
}

func without(objects []*unstructured.Unstructured, kinds ...string) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(objects), func(o *unstructured.Unstructured) bool {
		return slices.Contains(kinds, o.GetKind())
	})
}

func TestPruneTakesOnlyWhatIsOursAndNotReferredTo(t *testing.T) {
	ctx, c := t.Context(), cluster("pruned")
	s := sample("pruned")
	settle(ctx, t, c, s.objects(t))
	// Written by the account controller: same label, another manager.
	account := parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: pruned-pc-credentials, namespace: clusters, labels: {refract.dev/cluster: pruned}}}")[0]
	if err := admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(account), client.FieldOwner("refract-account")); err != nil {
		t.Fatal(err)
	}

	t.Run("AnIncompleteRenderPrunesNothing", func(t *testing.T) {
		if pairs, err := c.Gather(ctx, without(s.objects(t), "Cluster")); err == nil {
			t.Errorf("to prune: %v", unwanted(pairs))
		}
	})
	t.Run("TheAccountsSecretStays", func(t *testing.T) {
		got := unwanted(gather(ctx, t, c, without(s.objects(t), "ConfigMap")))
		if diff := cmp.Diff([]string{"ConfigMap/pruned-notes"}, got); diff != "" {
			t.Errorf("to prune (-want +got):\n%s", diff)
		}
	})
	t.Run("ATemplateStaysWhileItsReferrerNamesIt", func(t *testing.T) {
		next := s
		next.template = "0b0b0b0b"
		pairs := gather(ctx, t, c, next.objects(t))
		if got := unwanted(pairs); len(got) != 0 {
			t.Errorf("to prune: %v", got)
		}
		i := slices.IndexFunc(pairs, func(p plan.Pair) bool { return p.Want != nil && p.Want.GetName() == "pruned-kcp-0b0b0b0b" })
		if pairs[i].Previous == nil || pairs[i].Previous.GetName() != "pruned-kcp-0a0a0a0a" {
			t.Errorf("the template before is %v", pairs[i].Previous)
		}
	})
	t.Run("ATemplateStaysWhileAMachineSetNamesIt", func(t *testing.T) {
		next := s
		next.workerTemplate, next.configTemplate = "0c0c0c0c", "0c0c0c0c"
		create(ctx, t, parse(t, oldMachineSet)...)
		settle(ctx, t, c, next.objects(t))
		if got := unwanted(gather(ctx, t, c, next.objects(t))); len(got) != 1 || got[0] != "KubeadmConfigTemplate/pruned-workers-0a0a0a0a" {
			t.Errorf("to prune: %v, only the bootstrap template has no MachineSet", got)
		}
		// A plan made before the MachineSet was there does not delete its template.
		template := pick(t, s.objects(t)[1:], "NutanixMachineTemplate")
		live := read(ctx, t, template)
		done, err := c.Apply(ctx, plan.Plan{Cluster: c.Name, Objects: []plan.Step{{Action: plan.Delete, Object: plan.RefOf(live), UID: live.GetUID()}}})
		if err != nil || len(done.Objects) != 0 {
			t.Errorf("deleted %v, %v", done.Objects, err)
		}
		s = next
	})
	t.Run("PruneGoesInReverseAndByUID", func(t *testing.T) {
		gone := without(s.objects(t), "MachineDeployment", "MachineHealthCheck", "ConfigMap")
		p := plan.Compute(gather(ctx, t, c, gone), plan.Options{Cluster: c.Name})
		replaced := read(ctx, t, pick(t, s.objects(t), "ConfigMap"))
		if err := admin.Delete(ctx, replaced); err != nil {
			t.Fatal(err)
		}
		settleOne(ctx, t, c, pick(t, s.objects(t), "ConfigMap"))
		done, err := c.Apply(ctx, p)
		var stale *kube.StaleError
		if !errors.As(err, &stale) || stale.Object.Kind != "ConfigMap" {
			t.Errorf("the ConfigMap is another one, but apply says %v", err)
		}
		var order []string
		for _, o := range done.Objects {
			order = append(order, o.Object.Kind)
		}
		if got := strings.Join(order, " "); got != "MachineHealthCheck MachineDeployment" {
			t.Errorf("deleted %s", got)
		}
	})
}

// settleOne applies one object as ours.
func settleOne(ctx context.Context, t *testing.T, c kube.Cluster, o *unstructured.Unstructured) {
	t.Helper()
	if _, err := c.Apply(ctx, plan.Plan{Cluster: c.Name, Objects: []plan.Step{{Action: plan.Create, Object: plan.RefOf(o), Want: o}}}); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownIsNotEmpty(t *testing.T) {
	for _, kind := range []string{"ConfigMapList", "MachineSetList", "MachineList", "NutanixMachineList", "KubeadmConfigList", "MachineDeploymentList"} {
		t.Run(kind, func(t *testing.T) {
			broken, err := client.NewWithWatch(config, client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := cluster("unknown")
			c.Reader = interceptor.NewClient(broken, interceptor.Funcs{
				List: func(ctx context.Context, w client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
					if list.GetObjectKind().GroupVersionKind().Kind == kind {
						return apierrors.NewServiceUnavailable("etcd is away")
					}
					return w.List(ctx, list, opts...)
				},
			})
			pairs, err := c.Gather(t.Context(), sample("unknown").objects(t))
			if err == nil || pairs != nil {
				t.Errorf("gathered %v with %v", pairs, err)
			}
		})
	}
}

func TestIgnoredFieldsBelongToOthers(t *testing.T) {
	ctx, c := t.Context(), cluster("ignored")
	want := sample("ignored").objects(t)
	settle(ctx, t, c, want)
	set(t, pick(t, want, "Cluster"), "ours", "metadata", "annotations", "caren.nutanix.com/cluster-uuid")
	set(t, pick(t, want, "Cluster"), "ours", "metadata", "annotations", "example.com/other")
	settle(ctx, t, c, want)
	if a := read(ctx, t, pick(t, want, "Cluster")).GetAnnotations(); a["caren.nutanix.com/cluster-uuid"] != "" || a["example.com/other"] != "ours" {
		t.Errorf("annotations %v: ignored by default is only CAREN's", a)
	}

	// A rule that comes later leaves the field as it is, whoever owns it.
	c.Ignore = []v1alpha1.DriftIgnore{{Kind: "MachineDeployment", Paths: []string{"/spec/replicas"}}}
	md := pick(t, want, "MachineDeployment")
	set(t, md, int64(9), "spec", "replicas")
	settle(ctx, t, c, want)
	if n, _, _ := unstructured.NestedInt64(read(ctx, t, md).Object, "spec", "replicas"); n != 2 {
		t.Errorf("%d replicas, live had 2", n)
	}
	live := read(ctx, t, md)
	set(t, live, int64(5), "spec", "replicas")
	if err := admin.Update(ctx, live); err != nil {
		t.Fatal(err)
	}
	if done := settle(ctx, t, c, want); len(done.Objects) != 0 {
		t.Errorf("their change is none of ours, but %v was written", done.Objects)
	}
	if n, _, _ := unstructured.NestedInt64(read(ctx, t, md).Object, "spec", "replicas"); n != 5 {
		t.Errorf("%d replicas, they said 5", n)
	}
}

func TestReleaseLeavesEverythingButOurName(t *testing.T) {
	ctx, c := t.Context(), cluster("released")
	want := sample("released").objects(t)
	set(t, pick(t, want, "Cluster"), "x", "metadata", "annotations", "refract.dev/content-digest")
	settle(ctx, t, c, want)
	ours, err := c.Inventory(ctx)
	if err != nil || len(ours) != len(want) {
		t.Fatalf("%d of %d objects are in the inventory: %v", len(ours), len(want), err)
	}
	dying := c
	dying.Client = &mortal{Client: c.Client, left: 1}
	if err = dying.Release(ctx, ours); !errors.Is(err, errDied) {
		t.Fatalf("released although the operator died at it: %v", err)
	}
	rest, err := c.Inventory(ctx)
	if err != nil || len(rest) != len(ours)-1 {
		t.Fatalf("%d of %d objects are left after one write: %v", len(rest), len(ours), err)
	}
	if err := c.Release(ctx, rest); err != nil {
		t.Fatal(err)
	}
	for _, before := range ours {
		after := read(ctx, t, before)
		if kube.InInventory(after, c.Name) || slices.Contains(kube.Managers(after), v1alpha1.FieldManager) {
			t.Errorf("%s is still ours: %v", plan.RefOf(after), kube.Managers(after))
		}
		for k := range after.GetAnnotations() {
			if strings.HasPrefix(k, "refract.dev/") {
				t.Errorf("annotation %s is left", k)
			}
		}
		if after.GetLabels()[v1alpha1.ClusterLabel] != "" || after.GetLabels()["cluster.x-k8s.io/cluster-name"] != "released" {
			t.Errorf("%s has labels %v", plan.RefOf(after), after.GetLabels())
		}
		if diff := cmp.Diff(before.Object["spec"], after.Object["spec"]); diff != "" || after.GetUID() != before.GetUID() || after.GetGeneration() != before.GetGeneration() {
			t.Errorf("%s changed (-before +after):\n%s", plan.RefOf(after), diff)
		}
	}
	if err := c.Release(ctx, ours); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if rest, err := c.Inventory(ctx); err != nil || len(rest) != 0 {
		t.Errorf("%d objects are left in the inventory: %v", len(rest), err)
	}
}

// mortal is a client that dies after so many patches.
type mortal struct {
	client.Client
	left int
}

var errDied = errors.New("died")

func (m *mortal) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if m.left--; m.left < 0 {
		return errDied
	}
	return m.Client.Patch(ctx, o, p, opts...)
}

func TestDeleteRestWaitsForTheCluster(t *testing.T) {
	ctx, c := t.Context(), cluster("deleted")
	want := sample("deleted").objects(t)
	settle(ctx, t, c, want)
	if _, err := c.DeleteRest(ctx); err == nil {
		t.Error("the templates went before the Cluster")
	}
	live := read(ctx, t, pick(t, want, "Cluster"))
	if _, err := c.DeleteCluster(ctx, "another"); err == nil {
		t.Error("a Cluster of another UID was deleted")
	}
	if deleted, err := c.DeleteCluster(ctx, live.GetUID()); err != nil || !deleted {
		t.Fatalf("%t, %v", deleted, err)
	}
	if deleted, err := c.DeleteCluster(ctx, live.GetUID()); err != nil || deleted {
		t.Errorf("again: %t, %v", deleted, err)
	}
	if n, err := c.DeleteRest(ctx); err != nil || n != len(want)-1 {
		t.Errorf("%d objects were there, %v", n, err)
	}
	if n, err := c.DeleteRest(ctx); err != nil || n != 0 {
		t.Errorf("%d objects are left, %v", n, err)
	}
}

// As Cluster API makes it for the first template of the pool.
const oldMachineSet = `
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineSet
metadata: {name: pruned-workers-x, namespace: clusters, labels: {cluster.x-k8s.io/cluster-name: pruned}}
spec:
  clusterName: pruned
  selector: {matchLabels: {cluster.x-k8s.io/deployment-name: pruned-workers}}
  template:
    metadata: {labels: {cluster.x-k8s.io/deployment-name: pruned-workers}}
    spec:
      clusterName: pruned
      bootstrap: {dataSecretName: none}
      infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixMachineTemplate, name: pruned-workers-0a0a0a0a}
`
