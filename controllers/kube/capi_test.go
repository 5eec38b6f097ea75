package kube_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/world"
)

// patience bounds each wait for the real controllers.
const patience = 5 * time.Minute

// patch changes rendered objects.
type patch func(*testing.T, []*unstructured.Unstructured)

func (s settings) patched(t *testing.T, patches []patch) []*unstructured.Unstructured {
	t.Helper()
	objects := s.objects(t)
	for _, p := range patches {
		p(t, objects)
	}
	return objects
}

// alive is a cluster that the unmodified Cluster API and CAPX managers keep.
type alive struct {
	t       *testing.T
	cluster kube.Cluster
	client  client.Client
	prism   *simulator.Server
}

// Prediction against reality: what the verdicts say before an apply is what Cluster API then does, and Health says Done
// no earlier than that.
func TestVerdictsComeTrue(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the Cluster API managers")
	}
	a, s := bringUp(t)
	steps := []struct {
		name   string
		change func(*settings)
		patch  patch
		// which machines go: prefixes of their names
		gone []string
		// came is how many machines come with none going
		came int
	}{
		{name: "HealthCheckTuned", change: func(s *settings) { s.unhealthyTimeout = 250 }},
		{name: "PoolScaledUp", change: func(s *settings) { s.workers = 2 }, came: 1},
		{name: "PoolMemory", change: func(s *settings) { s.workerMemory, s.workerTemplate = "6Gi", "0b0b0b0b" }, gone: []string{"edge-01-workers-"}},
		{
			name: "MachineLabel", patch: func(t *testing.T, objects []*unstructured.Unstructured) {
				t.Helper()
				set(t, pick(t, objects, "MachineDeployment"), "gold", "spec", "template", "metadata", "labels", "node.cluster.x-k8s.io/tier")
			},
		},
		{name: "KubeletLabels", change: func(s *settings) { s.nodeLabels, s.configTemplate = "tier=db", "0b0b0b0b" }, gone: []string{"edge-01-workers-"}},
		{
			name: "ControlPlaneTaint", patch: func(t *testing.T, objects []*unstructured.Unstructured) {
				t.Helper()
				taints := []any{map[string]any{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}}
				kcp := pick(t, objects, "KubeadmControlPlane")
				set(t, kcp, taints, "spec", "kubeadmConfigSpec", "joinConfiguration", "nodeRegistration", "taints")
				set(t, kcp, taints, "spec", "kubeadmConfigSpec", "initConfiguration", "nodeRegistration", "taints")
			}, gone: []string{"edge-01-kcp-"},
		},
		{name: "ControlPlaneMemory", change: func(s *settings) { s.memory, s.template = "6Gi", "0b0b0b0b" }, gone: []string{"edge-01-kcp-"}},
		{
			name: "Version", change: func(s *settings) {
				s.version, s.template, s.workerTemplate = "v1.34.2", "0c0c0c0c", "0c0c0c0c"
			}, gone: []string{"edge-01-"},
		},
		{name: "ControlPlaneScaledUp", change: func(s *settings) { s.replicas = 3 }, came: 2},
	}
	var patches []patch
	for _, step := range steps {
		if step.change != nil {
			step.change(&s)
		}
		if step.patch != nil {
			patches = append(patches, step.patch)
		}
		want := s.patched(t, patches)
		if !t.Run(step.name, func(t *testing.T) {
			a.t = t
			a.comesTrue(want, step.gone, step.came)
		}) {
			return
		}
	}
	for _, trouble := range []struct {
		name string
		test func(alive)
	}{
		{"StuckRollIsExplainedAndTakenBack", func(a alive) { a.stuck(s, patches) }},
		{"AdoptedVMIsToldAndSaved", alive.adopted},
		{"ClonesOfAnEditedTemplateAreListed", func(a alive) { a.cloned(s) }},
		{"PauseNamesWho", func(a alive) { a.paused(s) }},
		{"DeletionNamesWhoBlocks", alive.deleted},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			a.t = t
			trouble.test(a)
		})
	}
}

func (a alive) comesTrue(want []*unstructured.Unstructured, prefixes []string, came int) {
	a.t.Helper()
	ctx := a.t.Context()
	before := a.machines()
	var expected []string
	for name := range before {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			expected = append(expected, name)
		}
	}
	slices.Sort(expected)
	pairs := gather(ctx, a.t, a.cluster, want)
	if diff := cmp.Diff(expected, outcomes(pairs, plan.Recreate)); diff != "" {
		a.t.Errorf("predicted to be re-created (-want +got):\n%s", diff)
	}
	if unknown := outcomes(pairs, plan.Unknown); len(unknown) > 0 {
		a.t.Errorf("no verdict on %v", unknown)
	}
	p := plan.Compute(pairs, plan.Options{Cluster: a.cluster.Name})
	if _, err := a.cluster.Apply(ctx, p); err != nil {
		a.t.Fatal(err)
	}
	a.done()
	now := a.machines()
	var gone []string
	for name := range before {
		if _, ok := now[name]; !ok {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	if diff := cmp.Diff(expected, gone); diff != "" {
		a.t.Errorf("re-created (-want +got):\n%s", diff)
	}
	if len(now) != len(before)+came {
		a.t.Errorf("%d machines became %d", len(before), len(now))
	}
	a.settled(want)
}

// settled says that there is nothing to do but to prune what the last roll left, as soon as Cluster API lets go of it.
func (a alive) settled(want []*unstructured.Unstructured) {
	a.t.Helper()
	NewWithT(a.t).Eventually(func(g Gomega) {
		pairs, err := a.cluster.Gather(a.t.Context(), want)
		g.Expect(err).NotTo(HaveOccurred()) // a webhook may not answer in time on a busy computer
		p := plan.Compute(pairs, plan.Options{Cluster: a.cluster.Name})
		for _, c := range p.Changes {
			if c.Action != plan.Delete {
				a.t.Errorf("there is still something to do: %+v", c)
			}
		}
		_, err = a.cluster.Apply(a.t.Context(), p)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(p.Changes).To(BeEmpty())
	}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())
}

func outcomes(pairs []plan.Pair, o plan.Outcome) []string {
	var names []string
	for _, p := range pairs {
		for _, v := range p.Machines {
			if v.Outcome == o {
				names = append(names, v.Machine)
			}
		}
	}
	slices.Sort(names)
	return names
}

// done waits until Health says so.
func (a alive) done() {
	a.t.Helper()
	g := NewWithT(a.t)
	g.Eventually(func(g Gomega) {
		h, err := a.cluster.Health(a.t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(h.Waiting).To(BeEmpty(), "%v", h.Stuck)
		g.Expect(h.Done).To(BeTrue())
	}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())
}

func (a alive) machines() map[string]string {
	a.t.Helper()
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "MachineList"})
	if err := a.client.List(a.t.Context(), l, client.InNamespace(namespace)); err != nil {
		a.t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range l.Items {
		found[m.GetName()] = string(m.GetUID())
	}
	return found
}

// bringUp starts a world and a cluster of one control-plane machine and one worker in it.
func bringUp(t *testing.T) (alive, settings) {
	t.Helper()
	ctx := t.Context()
	model := simulator.DefaultModel()
	model.VMs = append(model.VMs, somebodyElses)
	w, err := world.Start(ctx, world.Options{Out: t.Output(), Managers: true, Model: model})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if stopped := w.Stop(); stopped != nil {
			t.Error(stopped)
		}
	})
	c, err := client.New(w.REST, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := sample("edge-01")
	s.host, s.prismHost, s.prismPort, s.workers = w.Endpoint(), w.Prism.Host, w.Prism.Port, 1
	a := alive{t: t, client: c, prism: w.Prism.Server, cluster: kube.Cluster{Client: c, Reader: c, Namespace: namespace, Name: s.name}}
	a.prepare(ctx, w, s)

	want := s.objects(t)
	h, err := a.cluster.Health(ctx)
	if err != nil || h.Found {
		t.Fatalf("a cluster is found before it is made: %+v, %v", h, err)
	}
	settle(ctx, t, a.cluster, want)
	a.done()
	if n := len(a.machines()); n != 2 {
		t.Fatalf("%d machines", n)
	}
	h, err = a.cluster.Health(ctx)
	if err != nil || h.Kubeconfig == "" || h.OldestVersion != s.version || h.RollingOut {
		t.Errorf("%+v, %v", h, err)
	}
	a.settled(want)
	t.Run("AWebhookSpeaks", func(t *testing.T) {
		two := s
		two.replicas = 2
		for _, p := range gather(ctx, t, a.cluster, two.objects(t)) {
			if even := strings.Contains(p.Refused, "even number"); even != (p.Want.GetKind() == "KubeadmControlPlane") {
				t.Errorf("%s: refused with %q", p.Want.GetKind(), p.Refused)
			}
		}
	})
	return a, s
}

func (a alive) prepare(ctx context.Context, w *world.World, s settings) {
	a.t.Helper()
	credentials := fmt.Sprintf(`[{"type":"basic_auth","data":{"prismCentral":{"username":%q,"password":%q},"prismElements":null}}]`, w.Prism.Username, w.Prism.Password)
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: s.name + "-pc-credentials", Labels: map[string]string{v1alpha1.ClusterLabel: s.name},
			},
			StringData: map[string]string{"credentials": credentials},
		},
	} {
		if err := a.client.Create(ctx, o, client.FieldOwner("refract-account")); err != nil {
			a.t.Fatal(err)
		}
	}
}
