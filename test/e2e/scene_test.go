package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
)

// ready waits until a cluster is Ready at the revision that its file was pushed with.
func (s *scene) ready(name string, d time.Duration) {
	s.t.Helper()
	s.within(d, "cluster "+name+" is Ready", func() error { return s.isReady(name) })
}

func (s *scene) isReady(name string) error {
	c := s.cluster(name)
	if c == nil {
		f := &v1alpha1.Fleet{}
		_ = s.client.Get(s.t.Context(), client.ObjectKey{Namespace: namespace, Name: "production"}, f)
		return fmt.Errorf("no mirror; fleet: %+v %+v", f.Status.Conditions, f.Status.Failures)
	}
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ReadyCondition)
	if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != c.Generation {
		return fmt.Errorf("%s %+v", c.Status.Phase, c.Status.Conditions)
	}
	return nil
}

// change pushes a cluster's file and waits until it is accepted and the cluster Ready again.
func (s *scene) change(t *testing.T, message string, c rig.Cluster) {
	t.Helper()
	hash := s.push(message, map[string]string{"fleet/" + c.Name + ".yaml": c.File()})
	s.within(time.Minute, message+" is accepted", func() error {
		have := s.cluster(c.Name)
		if have == nil || !strings.HasSuffix(have.Annotations[v1alpha1.RevisionAnnotation], hash) {
			return fmt.Errorf("%+v", have.Status.Conditions)
		}
		return nil
	})
	s.within(5*time.Minute, message+" is carried out", func() error { return s.isReady(c.Name) })
}

// machines are the UIDs of a cluster's Machines.
func (s *scene) machines(name string) map[types.UID]string {
	s.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("cluster.x-k8s.io/v1beta2")
	list.SetKind("MachineList")
	if err := s.client.List(s.t.Context(), list, client.InNamespace(namespace), client.MatchingLabels{"cluster.x-k8s.io/cluster-name": name}); err != nil {
		s.t.Fatal(err)
	}
	all := map[types.UID]string{}
	for _, m := range list.Items {
		all[m.GetUID()] = m.GetName()
	}
	return all
}

// kept fails unless exactly n of the machines are still there.
func (s *scene) kept(t *testing.T, before map[types.UID]string, n int) {
	t.Helper()
	now, kept := s.machines("edge-01"), 0
	for uid := range before {
		if _, ok := now[uid]; ok {
			kept++
		}
	}
	if kept != n {
		t.Errorf("%d of %d machines kept, want %d", kept, len(before), n)
	}
}

func (s *scene) vms(n int) {
	s.t.Helper()
	s.within(30*time.Second, fmt.Sprintf("%d VMs", n), func() error {
		if have := len(s.world.Prism.Server.VMs()); have != n {
			return fmt.Errorf("%d VMs", have)
		}
		return nil
	})
}

// approve approves what is held of a cluster, as an administrator.
func (s *scene) approve(name string) {
	s.t.Helper()
	c := s.cluster(name)
	before := c.DeepCopy()
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[v1alpha1.ApprovedPlanAnnotation] = c.Status.Plan.Digest
	c.Annotations[v1alpha1.ApprovedByAnnotation] = "admin"
	if err := s.client.Patch(s.t.Context(), c, client.MergeFrom(before)); err != nil {
		s.t.Fatal(err)
	}
}

// gone fails while anything of a cluster is left.
func (s *scene) gone(name string) error {
	if s.cluster(name) != nil {
		return fmt.Errorf("%s: %+v", name, s.cluster(name).Status.Conditions)
	}
	for _, kind := range []schema.GroupVersionKind{
		{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"},
		{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Machine"},
		{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta1", Kind: "NutanixMachineTemplate"},
		{Group: "bootstrap.cluster.x-k8s.io", Version: "v1beta2", Kind: "KubeadmConfigTemplate"},
		{Group: "addons.cluster.x-k8s.io", Version: "v1beta2", Kind: "ClusterResourceSet"},
		{Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "ConfigMap"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := s.client.List(s.t.Context(), list, client.InNamespace(namespace), client.MatchingLabels{"cluster.x-k8s.io/cluster-name": name}); err != nil {
			return err
		}
		for _, o := range list.Items {
			return fmt.Errorf("%s %s is left", o.GetKind(), o.GetName())
		}
	}
	return nil
}

func (s *scene) within(d time.Duration, what string, check func() error) {
	s.t.Helper()
	within(s.t.Context(), s.t, d, what, check)
}
