package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

const namespace = "clusters"

// patience bounds the waits of this test; the real controllers need a minute when they have the machine for
// themselves.
const patience = 6 * time.Minute

// One cluster lives its life by the unmodified controllers alone: created, upgraded, healed, deleted.
func TestClusterLife(t *testing.T) {
	ctx := t.Context()
	begin := time.Now()
	w, err := Start(ctx, Options{Out: t.Output(), Managers: true, AuditPolicy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, w) })
	t.Logf("world up after %s", time.Since(begin).Round(100*time.Millisecond))
	admin, err := client.New(w.REST, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{t: t, world: w, client: admin, endpoint: w.Endpoint()}
	if err := w.Apply(ctx, []byte("{apiVersion: v1, kind: Namespace, metadata: {name: clusters}}")); err != nil {
		t.Fatal(err)
	}

	c.apply("v1.33.4")
	c.within("five machines run and the cluster is available", func() error { return c.complete("v1.33.4") })
	c.vms(5)
	c.nodes("v1.33.4", 5)
	c.within("the layers are in the workload cluster", c.layers)

	t.Run("AdmissionIsReal", func(t *testing.T) {
		err := admin.Patch(ctx, c.object("KubeadmControlPlane"), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":2}}`)))
		if err == nil || !strings.Contains(err.Error(), "even number") {
			t.Errorf("two control planes were accepted: %v", err)
		}
	})
	t.Run("OldVersionsAreConverted", func(t *testing.T) {
		old := &unstructured.Unstructured{}
		old.SetGroupVersionKind(schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta1", Kind: "MachineDeployment"})
		if err := admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "edge-01-workers"}, old); err != nil {
			t.Fatal(err)
		}
		if version, _, _ := unstructured.NestedString(old.Object, "spec", "template", "spec", "infrastructureRef", "apiVersion"); version == "" {
			t.Error("the v1beta1 reference has no apiVersion")
		}
	})
	t.Run("EverythingListensOnLoopback", func(t *testing.T) { onlyLoopback(t, w) })

	c.apply("v1.34.1")
	c.within("five machines run the next minor version", func() error { return c.complete("v1.34.1") })
	c.vms(5)
	c.nodes("v1.34.1", 5)

	w.StopManager(controlplane.Core)
	if err := w.Apply(ctx, c.manifest("v1.34.1")); err == nil {
		t.Error("writes pass while the webhooks of Cluster API are away")
	}
	if err := w.StartManager(ctx, controlplane.Core); err != nil {
		t.Fatal(err)
	}

	if err := admin.Delete(ctx, c.object("Cluster")); err != nil {
		t.Fatal(err)
	}
	c.within("nothing is left of the cluster", c.gone)
	if refused := w.Prism.Server.Refused(); len(refused) > 0 {
		t.Errorf("Prism Central refused %q", refused)
	}
}

// cluster is the one of testdata/cluster.yaml.
type cluster struct {
	t        *testing.T
	world    *World
	client   client.Client
	endpoint string
}

func (c cluster) manifest(version string) []byte {
	c.t.Helper()
	text, err := os.ReadFile("testdata/cluster.yaml")
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.world.Prism
	return []byte(strings.NewReplacer("${USERNAME}", p.Username, "${PASSWORD}", p.Password, "${PRISM}", p.Host,
		"${ENDPOINT}", c.endpoint, "${VERSION}", version).Replace(string(text)))
}

func (c cluster) apply(version string) {
	c.t.Helper()
	if err := c.world.Apply(c.t.Context(), c.manifest(version)); err != nil {
		c.t.Fatal(err)
	}
}

func (c cluster) within(what string, check func() error) {
	c.t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := eventually(ctx, check); err != nil {
		c.t.Fatalf("not within %s: %s: %v", patience, what, errors.Join(err, c.world.Failed()))
	}
	c.t.Logf("%s after %s", what, time.Since(begin).Round(time.Second))
}

func kinds() map[string]schema.GroupVersionKind {
	all := map[string]schema.GroupVersionKind{}
	for group, names := range map[string][]string{
		"cluster.x-k8s.io/v1beta2":                {"Cluster", "Machine", "MachineSet", "MachineDeployment"},
		"controlplane.cluster.x-k8s.io/v1beta2":   {"KubeadmControlPlane"},
		"bootstrap.cluster.x-k8s.io/v1beta2":      {"KubeadmConfig", "KubeadmConfigTemplate"},
		"infrastructure.cluster.x-k8s.io/v1beta1": {"NutanixCluster", "NutanixMachine", "NutanixMachineTemplate"},
		"v1": {"Secret"},
	} {
		for _, name := range names {
			all[name] = schema.FromAPIVersionAndKind(group, name)
		}
	}
	return all
}

func (c cluster) object(kind string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kinds()[kind])
	o.SetNamespace(namespace)
	o.SetName("edge-01")
	return o
}

func (c cluster) list(kind string) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	gvk := kinds()[kind]
	gvk.Kind += "List"
	list.SetGroupVersionKind(gvk)
	err := c.client.List(c.t.Context(), list, client.InNamespace(namespace))
	return list.Items, err
}

// complete looks at the Machines, because the counters of a MachineDeployment lag behind a change of its template.
func (c cluster) complete(version string) error {
	o := c.object("Cluster")
	if err := c.client.Get(c.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		return err
	}
	if !hasCondition(o, "Available") {
		return fmt.Errorf("the cluster is not available: %v", o.Object["status"])
	}
	machines, err := c.list("Machine")
	if err != nil {
		return err
	}
	var found []string
	good := 0
	for _, m := range machines {
		phase, _, _ := unstructured.NestedString(m.Object, "status", "phase")
		at, _, _ := unstructured.NestedString(m.Object, "spec", "version")
		found = append(found, m.GetName()+" "+phase+" "+at)
		if phase == "Running" && at == version {
			good++
		}
	}
	if good != 5 || len(machines) != 5 {
		return fmt.Errorf("machines: %q", found)
	}
	return nil
}

func (c cluster) vms(want int) {
	c.t.Helper()
	all := c.world.Prism.Server.VMs()
	if len(all) != want {
		c.t.Errorf("%d VMs, want %d", len(all), want)
	}
	for _, vm := range all {
		if vm.PowerState != simulator.PowerOn || vm.IP == "" {
			c.t.Errorf("VM %s is %s with address %q", vm.Name, vm.PowerState, vm.IP)
		}
	}
}

// workload connects to the workload cluster with the kubeconfig that Cluster API wrote.
func (c cluster) workload() client.Client {
	c.t.Helper()
	secret := &corev1.Secret{}
	if err := c.client.Get(c.t.Context(), client.ObjectKey{Namespace: namespace, Name: "edge-01-kubeconfig"}, secret); err != nil {
		c.t.Fatal(err)
	}
	workload, err := connect(secret.Data["value"])
	if err != nil {
		c.t.Fatal(err)
	}
	return workload
}

// layers looks for what the ClusterResourceSet delivers.
func (c cluster) layers() error {
	workload := c.workload()
	system := func(name string) client.ObjectKey { return client.ObjectKey{Namespace: "kube-system", Name: name} }
	return errors.Join(
		workload.Get(c.t.Context(), system("csi"), &appsv1.DaemonSet{}),
		workload.Get(c.t.Context(), client.ObjectKey{Name: "default"}, &storagev1.StorageClass{}),
		workload.Get(c.t.Context(), system("deny"), &networkingv1.NetworkPolicy{}),
	)
}

func (c cluster) nodes(version string, want int) {
	c.t.Helper()
	workload := c.workload()
	nodes := &corev1.NodeList{}
	if err := workload.List(c.t.Context(), nodes); err != nil {
		c.t.Fatal(err)
	}
	labelled := 0
	for _, n := range nodes.Items {
		if n.Status.NodeInfo.KubeletVersion != version || !strings.HasPrefix(n.Spec.ProviderID, "nutanix://") {
			c.t.Errorf("node %s: %s %s", n.Name, n.Status.NodeInfo.KubeletVersion, n.Spec.ProviderID)
		}
		if n.Labels["tier"] == "app" && len(n.Spec.Taints) == 1 && n.Spec.Taints[0].Key == "dedicated" {
			labelled++
		}
	}
	if len(nodes.Items) != want || labelled != 2 {
		c.t.Errorf("%d nodes, %d of them with the workers' label and taint", len(nodes.Items), labelled)
	}
}

// gone is true when Cluster API and the garbage collector have taken everything that belonged to the cluster. What
// the test applied besides stays.
func (c cluster) gone() error {
	for kind := range kinds() {
		left, err := c.list(kind)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%s %s is still there", kind, left[0].GetName())
		}
	}
	if vms := c.world.Prism.Server.VMs(); len(vms) > 0 {
		return fmt.Errorf("VM %s is still there", vms[0].Name)
	}
	return nil
}

func hasCondition(o *unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["type"] == kind && m["status"] == "True"
	})
}
