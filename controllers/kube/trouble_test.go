package kube_test

import (
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// An image that does not exist: the roll stops, Health says where, an unfinished roll still counts, and going back is a
// plan like any other.
func (a alive) stuck(s settings, patches []patch) {
	a.t.Helper()
	ctx := a.t.Context()
	old := a.machines()
	broken := s
	broken.workerTemplate = "0d0d0d0d"
	want := broken.patched(a.t, patches)
	for _, o := range want {
		if strings.HasSuffix(o.GetName(), "0d0d0d0d") && o.GetKind() == "NutanixMachineTemplate" {
			set(a.t, o, "no-such-image", "spec", "template", "spec", "image", "name")
		}
	}
	settle(ctx, a.t, a.cluster, want)
	var progress string
	NewWithT(a.t).Eventually(func(g Gomega) {
		h, err := a.cluster.Health(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(h.Done).To(BeFalse())
		g.Expect(h.RollingOut).To(BeTrue())
		g.Expect(h.Stuck).NotTo(BeEmpty())
		g.Expect(h.Stuck[0].Object.Kind).To(Equal("NutanixMachine"), "%v", h.Stuck)
		g.Expect(h.Stuck[0].Message).To(ContainSubstring("no-such-image"))
		g.Expect(h.Broken).To(HaveLen(1))
		g.Expect(h.Broken[0].Owner).To(Equal("MachineDeployment/" + s.name + "-workers"))
		g.Expect(h.Broken[0].Help).To(ContainSubstring("kubectl delete machine " + h.Broken[0].Machine))
		before := progress
		progress = h.Progress
		g.Expect(before).To(Equal(progress), "still moving")
	}).WithTimeout(patience).WithPolling(time.Second).Should(Succeed())

	var workers, fresh []string
	for name := range a.machines() {
		_, was := old[name]
		switch {
		case !was:
			fresh = append(fresh, name)
		case strings.Contains(name, "-workers-"):
			workers = append(workers, name)
		}
	}
	if got := outcomes(gather(ctx, a.t, a.cluster, want), plan.Recreate); len(got) != len(workers) {
		a.t.Errorf("of the unfinished roll %v are left, the verdicts say %v", workers, got)
	}
	back := s.patched(a.t, patches)
	if diff := cmp.Diff(fresh, outcomes(gather(ctx, a.t, a.cluster, back), plan.Recreate)); diff != "" {
		a.t.Errorf("going back re-creates (-want +got):\n%s", diff)
	}
	settle(ctx, a.t, a.cluster, back)
	a.done()
	for name, uid := range old {
		if a.machines()[name] != uid {
			a.t.Errorf("going back took Machine %s along", name)
		}
	}
}

// somebodyElses is a VM that is in Prism Central before a Machine gets its name.
var somebodyElses = simulator.VM{
	Name: "edge-01-taken", PrismElement: "PE-2", Subnets: []string{"vlan-102"}, Sockets: 1, CoresPerSocket: 1,
	MemoryBytes: 4 << 30, DiskBytes: 40 << 30, PowerState: simulator.PowerOn,
}

// CAPX takes over a VM of somebody else. Health says so, and what it tells people to do lets the VM live.
func (a alive) adopted() {
	a.t.Helper()
	ctx := a.t.Context()
	g := NewWithT(a.t)
	name := somebodyElses.Name
	for _, o := range parse(a.t, strings.ReplaceAll(takingText, "$NAME", name)) {
		o.SetNamespace(namespace)
		o.SetLabels(map[string]string{"cluster.x-k8s.io/cluster-name": a.cluster.Name})
		g.Expect(a.client.Create(ctx, o)).To(Succeed())
	}
	var id string
	g.Eventually(func(g Gomega) {
		h, err := a.cluster.Health(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(h.Broken).To(HaveLen(1))
		p := h.Broken[0]
		g.Expect([]string{p.Machine, p.Condition}).To(Equal([]string{name, "Adopted"}))
		id = p.Message
	}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())

	g.Expect(a.prism.EditVM(name, func(vm *simulator.VM) { vm.Name = "theirs" })).To(Succeed())
	machine := a.object("Machine", name)
	g.Expect(a.client.Delete(ctx, machine)).To(Succeed())
	vm := a.object("NutanixMachine", name)
	vm.SetGroupVersionKind(schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta1", Kind: "NutanixMachine"})
	g.Eventually(func(g Gomega) {
		g.Expect(a.client.Get(ctx, client.ObjectKeyFromObject(vm), vm)).To(Succeed())
		g.Expect(vm.GetDeletionTimestamp()).NotTo(BeNil())
	}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())
	g.Expect(a.client.Patch(ctx, vm, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
	g.Eventually(func() error { return a.client.Get(ctx, client.ObjectKeyFromObject(machine), machine) }).
		WithTimeout(patience).WithPolling(200*time.Millisecond).Should(Satisfy(apierrors.IsNotFound), "the Machine goes")
	i := slices.IndexFunc(a.prism.VMs(), func(vm simulator.VM) bool { return vm.Name == "theirs" })
	g.Expect(i).To(BeNumerically(">=", 0), "the VM of somebody else is gone")
	g.Expect(id).To(ContainSubstring(a.prism.VMs()[i].ExtID))
}

const takingText = `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: NutanixMachine
metadata: {name: $NAME}
spec:
  vcpuSockets: 2
  vcpusPerSocket: 1
  memorySize: 4Gi
  systemDiskSize: 40Gi
  image: {type: name, name: ubuntu-24.04-kube-v1.33.4}
  cluster: {type: name, name: PE-1}
  subnet: [{type: name, name: vlan-101}]
---
apiVersion: v1
kind: Secret
metadata: {name: $NAME-data}
type: cluster.x-k8s.io/secret
stringData: {value: "#cloud-config"}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: Machine
metadata: {name: $NAME}
spec:
  clusterName: edge-01
  version: v1.34.1
  bootstrap: {dataSecretName: $NAME-data}
  infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixMachine, name: $NAME}
`

// Machines that were made from a template, and of those the ones that are newer than an edit.
func (a alive) cloned(s settings) {
	a.t.Helper()
	template := pick(a.t, s.objects(a.t)[1:], "NutanixMachineTemplate")
	var workers []string
	for name := range a.machines() {
		if strings.Contains(name, "-workers-") {
			workers = append(workers, name)
		}
	}
	slices.Sort(workers)
	got, err := a.cluster.Cloned(a.t.Context(), plan.RefOf(template), metav1.Time{})
	if diff := cmp.Diff(workers, got); diff != "" || err != nil {
		a.t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err = a.cluster.Cloned(a.t.Context(), plan.RefOf(template), metav1.NewTime(time.Now().Add(time.Hour))); len(got) > 0 || err != nil {
		a.t.Errorf("after the edit: %v, %v", got, err)
	}
}

// Another hand stops Cluster API.
func (a alive) paused(s settings) {
	a.t.Helper()
	ctx := a.t.Context()
	o := a.object("Cluster", s.name)
	pause := func(on string) {
		if err := a.client.Patch(ctx, o, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"paused":`+on+`}}`)), client.FieldOwner("night-shift")); err != nil {
			a.t.Fatal(err)
		}
	}
	pause("true")
	h, err := a.cluster.Health(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	if diff := cmp.Diff(&kube.Pause{Field: "spec.paused", Manager: "night-shift"}, h.Paused); diff != "" {
		a.t.Errorf("(-want +got):\n%s", diff)
	}
	pause("null")
	if h, err = a.cluster.Health(ctx); err != nil || h.Paused != nil {
		a.t.Errorf("%+v, %v", h.Paused, err)
	}
}

// The Cluster alone is deleted, Health names who holds it up, and what is left goes after it.
func (a alive) deleted() {
	a.t.Helper()
	ctx := a.t.Context()
	g := NewWithT(a.t)
	var held *unstructured.Unstructured
	for name := range a.machines() {
		held = a.object("Machine", name)
	}
	hold := func(list string) {
		g.Expect(a.client.Patch(ctx, held, client.RawPatch("application/json-patch+json", []byte(list)))).To(Succeed())
	}
	hold(`[{"op":"add","path":"/metadata/finalizers/-","value":"example.com/hold"}]`)
	h, err := a.cluster.Health(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	deleted, err := a.cluster.DeleteCluster(ctx, h.UID)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(deleted).To(BeTrue())

	g.Eventually(func(g Gomega) {
		h, err = a.cluster.Health(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(h.Done).To(BeFalse())
		g.Expect(h.Deletion).NotTo(BeNil())
		g.Expect(h.Deletion.Blockers).NotTo(BeEmpty())
		first := h.Deletion.Blockers[0]
		g.Expect(first.Object.Name).To(Equal(held.GetName()), "%v", h.Deletion.Blockers)
		g.Expect(first.Finalizer).To(Equal("example.com/hold"))
	}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())
	_, err = a.cluster.DeleteRest(ctx)
	g.Expect(err).To(HaveOccurred(), "templates go after the Cluster")

	hold(`[{"op":"remove","path":"/metadata/finalizers"}]`)
	g.Eventually(func(g Gomega) {
		h, err = a.cluster.Health(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(h.Found).To(BeFalse(), "%v", h.Deletion)
		g.Expect(a.cluster.DeleteRest(ctx)).To(BeZero())
	}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())
	g.Expect(a.machines()).To(BeEmpty())
}

func (a alive) object(kind, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: kind})
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}
