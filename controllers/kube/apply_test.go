package kube_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// Between the last look and the write, another hand creates the object.
func TestObjectThatAppearsAtTheLastMomentIsNotWritten(t *testing.T) {
	ctx, c := t.Context(), cluster("appeared")
	ours := pick(t, sample("appeared").objects(t), "ConfigMap")
	theirs := ours.DeepCopy()
	set(t, theirs, "theirs", "data", "notes")
	create(ctx, t, theirs)
	before := versions(ctx, t, []*unstructured.Unstructured{theirs})

	plain, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Reader = interceptor.NewClient(plain, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
		},
	})
	_, err = c.Apply(ctx, plan.Plan{Cluster: c.Name, Objects: []plan.Step{{Action: plan.Create, Object: plan.RefOf(ours), Want: ours}}})
	if _, stale := errors.AsType[*kube.StaleError](err); !stale {
		t.Errorf("apply says %v", err)
	}
	if diff := cmp.Diff(before, versions(ctx, t, []*unstructured.Unstructured{theirs})); diff != "" {
		t.Errorf("it was written (-before +after):\n%s", diff)
	}
}

func TestAdoptTakesOver(t *testing.T) {
	ctx, c := t.Context(), cluster("adopted")
	want := sample("adopted").objects(t)
	theirs := pick(t, want, "ConfigMap").DeepCopy()
	create(ctx, t, theirs)

	c.Adopt = true
	settle(ctx, t, c, want)
	if live := read(ctx, t, theirs); !kube.InInventory(live, c.Name) || live.GetUID() != theirs.GetUID() {
		t.Errorf("it was not taken over: %v", live.GetManagedFields())
	}
}

func TestAdoptLeavesAnotherClustersObjects(t *testing.T) {
	owner := []metav1.OwnerReference{{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster", Name: "other", UID: "u"}}
	cases := map[string]func(*unstructured.Unstructured){
		"OurLabelOfAnother": func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{v1alpha1.ClusterLabel: "other"}) },
		"ClusterNameLabel": func(o *unstructured.Unstructured) {
			o.SetLabels(map[string]string{"cluster.x-k8s.io/cluster-name": "other"})
		},
		"OwnedByAnother":      func(o *unstructured.Unstructured) { o.SetLabels(nil); o.SetOwnerReferences(owner) },
		"OurLabelOwnedByThem": func(o *unstructured.Unstructured) { o.SetOwnerReferences(owner) },
	}
	for name, mark := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, c := t.Context(), cluster("taker")
			c.Adopt = true
			want := sample("taker").objects(t)
			template := pick(t, want, "NutanixMachineTemplate")
			theirs := template.DeepCopy()
			mark(theirs)
			create(ctx, t, theirs)
			t.Cleanup(func() {
				if err := admin.Delete(context.Background(), theirs); err != nil {
					t.Error(err)
				}
			})
			before := versions(ctx, t, []*unstructured.Unstructured{theirs})
			p := plan.Compute(gather(ctx, t, c, want), plan.Options{Cluster: c.Name})
			if len(p.Foreign) != 1 || p.Foreign[0].Object != plan.RefOf(theirs) {
				t.Errorf("adopting takes what another cluster uses; foreign are %v", p.Foreign)
			}
			_, err := c.Apply(ctx, plan.Plan{Cluster: c.Name, Objects: []plan.Step{{
				Action: plan.Update, Object: plan.RefOf(theirs), Want: template, UID: theirs.GetUID(),
			}}})
			if _, foreign := errors.AsType[*kube.ForeignError](err); !foreign {
				t.Errorf("apply of another plan says %v", err)
			}
			if diff := cmp.Diff(before, versions(ctx, t, []*unstructured.Unstructured{theirs})); diff != "" {
				t.Errorf("it was written (-before +after):\n%s", diff)
			}
		})
	}
}

// Taken over before other clusters were told apart: what another cluster owns, too, stays.
func TestPruneLeavesAnotherClustersObjects(t *testing.T) {
	ctx, c := t.Context(), cluster("shared")
	s := sample("shared")
	settle(ctx, t, c, s.objects(t))
	old := read(ctx, t, pick(t, s.objects(t), "ConfigMap"))
	old.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster", Name: "other", UID: "u"}})
	if err := admin.Update(ctx, old); err != nil {
		t.Fatal(err)
	}
	if got := unwanted(gather(ctx, t, c, without(s.objects(t), "ConfigMap"))); len(got) > 0 {
		t.Errorf("to prune: %v", got)
	}
	_, err := c.Apply(ctx, plan.Plan{Cluster: c.Name, Objects: []plan.Step{{Action: plan.Delete, Object: plan.RefOf(old), UID: old.GetUID()}}})
	if _, stale := errors.AsType[*kube.StaleError](err); !stale {
		t.Errorf("the deletion says %v", err)
	}
}

func TestObjectReplacedSinceThePlanIsLeftAlone(t *testing.T) {
	ctx, c := t.Context(), cluster("replaced")
	s := sample("replaced")
	settle(ctx, t, c, s.objects(t))
	s.unhealthyTimeout = 100
	p := plan.Compute(gather(ctx, t, c, s.objects(t)), plan.Options{Cluster: c.Name})

	mhc := pick(t, s.objects(t), "MachineHealthCheck")
	if err := admin.Delete(ctx, mhc); err != nil {
		t.Fatal(err)
	}
	_, err := c.Apply(ctx, p)
	if _, stale := errors.AsType[*kube.StaleError](err); !stale {
		t.Errorf("an object that is gone: %v", err)
	}
	if err := admin.Get(ctx, client.ObjectKeyFromObject(mhc), mhc); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("it was created again: %v", err)
	}
}

// An autoscaler scales between the plan and its application: not knowing that, the plan would take machines away.
func TestObjectChangedSinceThePlanIsLeftAlone(t *testing.T) {
	ctx, c := t.Context(), cluster("changed")
	s := sample("changed")
	settle(ctx, t, c, s.objects(t))
	want := s.objects(t)
	set(t, pick(t, want, "MachineDeployment"), "24h", "metadata", "annotations", "example.com/x")
	p := plan.Compute(gather(ctx, t, c, want), plan.Options{Cluster: c.Name})

	md := read(ctx, t, pick(t, want, "MachineDeployment"))
	set(t, md, int64(10), "spec", "replicas")
	if err := admin.Update(ctx, md); err != nil {
		t.Fatal(err)
	}
	_, err := c.Apply(ctx, p)
	if _, stale := errors.AsType[*kube.StaleError](err); !stale {
		t.Errorf("apply says %v", err)
	}
	if n, _, _ := unstructured.NestedInt64(read(ctx, t, md).Object, "spec", "replicas"); n != 10 {
		t.Errorf("%d replicas are left of 10", n)
	}
	// Status moves all the time and makes no plan stale, not even between the look and the write.
	p = plan.Compute(gather(ctx, t, c, want), plan.Options{Cluster: c.Name})
	plain, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	writes := int64(0)
	c.Client = interceptor.NewClient(plain, interceptor.Funcs{
		Apply: func(ctx context.Context, w client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if writes++; writes < 3 {
				moved := read(ctx, t, md)
				set(t, moved, writes, "status", "replicas")
				if err := admin.Status().Update(ctx, moved); err != nil {
					return err
				}
			}
			return w.Apply(ctx, o, opts...)
		},
	})
	if _, err := c.Apply(ctx, p); err != nil {
		t.Error(err)
	}
}
