package flavors

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// The Kubernetes version of all clusters, and the image of it.
const (
	version = "v1.33.4"
	image   = "ubuntu-24.04-kube-" + version
)

// flavor is a cluster made from one template, in a namespace of its own.
type flavor struct {
	t       *testing.T
	name    string
	cluster string
	// controlPlanes is how many machines of them clusterctl is asked for; some flavors have a number of their own.
	controlPlanes string
}

func newFlavor(t *testing.T, name string) flavor {
	t.Helper()
	f := flavor{t: t, name: name, cluster: strings.TrimPrefix(strings.TrimPrefix(name, "cluster-template"), "-"), controlPlanes: "1"}
	if f.cluster == "" {
		f.cluster = "plain"
	}
	if name == "cluster-template-kcp-scale-in" {
		f.controlPlanes = "3" // Cluster API scales in from three on
	}
	if err := admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.cluster}}); err != nil {
		t.Fatal(err)
	}
	return f
}

// apply generates the cluster with the real clusterctl and applies it with the real kubectl.
func (f flavor) apply() {
	f.t.Helper()
	template, err := builder.Flavor(f.t.Context(), f.name)
	if err != nil {
		f.t.Fatal(err)
	}
	dir := f.t.TempDir()
	from := filepath.Join(dir, "template.yaml")
	f.write(from, template)
	generate := exec.CommandContext(f.t.Context(), generator, "generate", "cluster", f.cluster, "--from", from,
		"--target-namespace", f.cluster, "--kubernetes-version", version, "--control-plane-machine-count", f.controlPlanes, "--worker-machine-count", "1")
	generate.Env = f.variables(dir)
	generated, err := generate.Output()
	if err != nil {
		failed := &exec.ExitError{}
		errors.As(err, &failed)
		f.t.Fatalf("clusterctl generate cluster: %v: %s", err, failed.Stderr)
	}
	objects := filepath.Join(dir, "objects.yaml")
	f.write(objects, generated)
	apply := exec.CommandContext(f.t.Context(), here.Kubectl, "--kubeconfig", here.Kubeconfig, "--namespace", f.cluster, "apply", "-f", objects)
	if out, err := apply.CombinedOutput(); err != nil {
		f.t.Fatalf("kubectl apply: %v: %s", err, out)
	}
}

func (f flavor) write(file string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// variables of every template, as clusterctl takes them.
func (f flavor) variables(home string) []string {
	prism := here.Prism
	variables := []string{
		"HOME=" + home, "XDG_CONFIG_HOME=" + home, "CLUSTERCTL_DISABLE_VERSIONCHECK=true", "PATH=" + os.Getenv("PATH"),
		"NAMESPACE=" + f.cluster, "CONTROL_PLANE_ENDPOINT_IP=" + here.Endpoint(),
		"NUTANIX_ENDPOINT=" + prism.Host, fmt.Sprintf("NUTANIX_PORT=%d", prism.Port), "NUTANIX_USER=" + prism.Username,
		"NUTANIX_PASSWORD=" + prism.Password, "NUTANIX_ADDITIONAL_TRUST_BUNDLE=" + base64.StdEncoding.EncodeToString(prism.CA),
		"NUTANIX_SSH_AUTHORIZED_KEY=ssh-ed25519 AAAA ops", "NUTANIX_PRISM_ELEMENT_CLUSTER_NAME=PE-1", "NUTANIX_SUBNET_NAME=vlan-101",
		"NUTANIX_MACHINE_TEMPLATE_IMAGE_NAME=" + image, "NUTANIX_MACHINE_TEMPLATE_IMAGE_UPGRADE_FROM=" + image,
		"NUTANIX_MACHINE_TEMPLATE_IMAGE_UPGRADE_TO=ubuntu-24.04-kube-v1.34.2", "NUTANIX_PROJECT_NAME=platform",
		"IMAGE_LOOKUP_BASE_OS=ubuntu-24.04", `IMAGE_LOOKUP_FORMAT="{{.BaseOS}}-kube-v{{.K8sVersion}}"`,
		`CNI_RESOURCES={"cni.yaml": ""}`, "WEBHOOK_CA=Y2E=", "WEBHOOK_CERT=Y2VydA==", "WEBHOOK_KEY=a2V5",
	}
	for i := 1; i <= 3; i++ {
		variables = append(variables, fmt.Sprintf("NUTANIX_FAILURE_DOMAIN_%d_NAME=fd-%d", i, i),
			fmt.Sprintf("NUTANIX_FAILURE_DOMAIN_%d_PRISM_ELEMENT_NAME=PE-%d", i, i), fmt.Sprintf("NUTANIX_FAILURE_DOMAIN_%d_SUBNET_NAME=vlan-101", i))
	}
	return variables
}

// available waits until Cluster API calls the cluster available with all of its machines running, and says how many.
func (f flavor) available() (running int) {
	f.t.Helper()
	NewWithT(f.t).Eventually(func(g Gomega) {
		g.Expect(f.condition("Cluster", "Available")).To(Equal("True"))
		machines := f.list(core, "Machine")
		g.Expect(machines).To(HaveLen(f.replicas()))
		running = len(machines)
		for _, m := range machines {
			phase, _, _ := unstructured.NestedString(m.Object, "status", "phase")
			g.Expect(phase).To(Equal("Running"), m.GetName())
		}
	}).WithTimeout(patience).WithPolling(time.Second).Should(Succeed(), f.told)
	return running
}

// told is what everything says, for whoever looks into a failure.
func (f flavor) told() string {
	describe := exec.CommandContext(f.t.Context(), here.Kubectl, "--kubeconfig", here.Kubeconfig, "--namespace", f.cluster,
		"get", "cluster-api", "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name}: {.status.conditions}{"\n"}{end}`)
	out, err := describe.CombinedOutput()
	return fmt.Sprintf("%s\n%v\n%v", out, err, here.Failed())
}

// replicas are those of the control plane and the pools together.
func (f flavor) replicas() int {
	var sum int64
	for _, o := range append(f.list(controlPlane, "KubeadmControlPlane"), f.list(core, "MachineDeployment")...) {
		n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		sum += n
	}
	return int(sum)
}

// condition is the status of a condition of the cluster's object of a kind of Cluster API's, with its message.
func (f flavor) condition(kind, name string) string {
	for _, o := range f.list(core, kind) {
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, c := range conditions {
			if c, _ := c.(map[string]any); c["type"] == name {
				return fmt.Sprint(c["status"])
			}
		}
	}
	return ""
}

func (f flavor) list(apiVersion, kind string) []unstructured.Unstructured {
	f.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(apiVersion)
	list.SetKind(kind + "List")
	if err := admin.List(f.t.Context(), list, client.InNamespace(f.cluster)); err != nil {
		f.t.Fatal(err)
	}
	return list.Items
}

// vms of the cluster, by their category.
func (f flavor) vms() []simulator.VM {
	return slices.DeleteFunc(here.Prism.Server.VMs(), func(vm simulator.VM) bool {
		return !slices.ContainsFunc(vm.Categories, func(c string) bool { return strings.HasSuffix(c, "="+f.cluster) })
	})
}
