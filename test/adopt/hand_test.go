package adopt

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/drift/hand"
)

// made brings the cluster up as a user does: clusterctl generates it from CAPX's own template, kubectl applies it.
func made(l *life) {
	l.Create(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "pc-east-ca"},
		Data:       map[string]string{"ca.crt": string(l.World.Prism.CA)},
	})
	l.apply(l.generate())
	l.up(2)
	l.machines, l.vms = l.uids(), l.vmIDs()
}

// up waits until the cluster has so many machines, all of them running.
func (l *life) up(machines int) {
	l.T.Helper()
	l.Within(patience, "the cluster is up", func() error {
		for _, m := range l.Objects(hand.Core, "Machine", cluster) {
			if err := (hand.Live{Unstructured: &m}).Is("status/phase", `"Running"`); err != nil {
				return err
			}
		}
		if n := len(l.Machines(cluster)); n != machines {
			return fmt.Errorf("%d machines", n)
		}
		return available(l.Scene)
	})
}

func available(s *hand.Scene) error {
	o := s.Object(hand.Core, "Cluster", cluster)
	if o == nil {
		return fmt.Errorf("there is no Cluster %s", cluster)
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if c, _ := c.(map[string]any); c["type"] == "Available" && c["status"] == "True" {
			return nil
		}
	}
	return fmt.Errorf("%v", conditions)
}

// apply applies a text with the real kubectl, from the client's side as most people do.
func (l *life) apply(text string) {
	l.T.Helper()
	file := filepath.Join(l.T.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		l.T.Fatal(err)
	}
	l.Kubectl("apply", "-f", file)
}

// generate has clusterctl fill in CAPX's default template.
func (l *life) generate() string {
	l.T.Helper()
	template, err := l.builder().ClusterTemplate(l.T.Context())
	if err != nil {
		l.T.Fatal(err)
	}
	prism := l.World.Prism
	return l.clusterctl([]string{
		"NUTANIX_ENDPOINT=" + prism.Host, "NUTANIX_USER=" + prism.Username, "NUTANIX_PASSWORD=" + prism.Password,
		"NUTANIX_ADDITIONAL_TRUST_BUNDLE=" + base64.StdEncoding.EncodeToString(prism.CA),
		"CONTROL_PLANE_ENDPOINT_IP=" + l.files.endpoint, "NUTANIX_SSH_AUTHORIZED_KEY=ssh-ed25519 AAAA ops",
		"NUTANIX_PRISM_ELEMENT_CLUSTER_NAME=PE-1", "NUTANIX_SUBNET_NAME=vlan-101",
		"NUTANIX_MACHINE_TEMPLATE_IMAGE_NAME=ubuntu-24.04-kube-" + kubernetes,
	}, "generate", "cluster", cluster, "--from", template, "--target-namespace", l.Namespace,
		"--kubernetes-version", kubernetes, "--control-plane-machine-count", "1", "--worker-machine-count", "1")
}

func (l *life) builder() *controlplane.Builder {
	l.T.Helper()
	b, err := controlplane.New(l.T.Context(), l.T.Output())
	if err != nil {
		l.T.Fatal(err)
	}
	return b
}

// clusterctl runs the real program, which is built on first use, and returns its output.
func (l *life) clusterctl(env []string, args ...string) string {
	l.T.Helper()
	built, err := l.builder().Build(l.T.Context(), controlplane.Clusterctl)
	if err != nil {
		l.T.Fatal(err)
	}
	home := l.T.TempDir()
	cmd := exec.CommandContext(l.T.Context(), built[0].Path, args...)
	cmd.Env = append(env, "HOME="+home, "XDG_CONFIG_HOME="+home, "CLUSTERCTL_DISABLE_VERSIONCHECK=true", "PATH="+os.Getenv("PATH"))
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		l.T.Fatalf("clusterctl %s: %v: %s", strings.Join(args, " "), err, errors.String())
	}
	l.T.Log(errors.String())
	return string(out)
}

// uids of the cluster's Machines, sorted.
func (l *life) uids() []string { return uids(l.Scene) }

func uids(s *hand.Scene) []string {
	s.T.Helper()
	var all []string
	for uid := range s.Machines(cluster) {
		all = append(all, string(uid))
	}
	slices.Sort(all)
	return all
}

// vmIDs are the ids of all VMs, sorted.
func (l *life) vmIDs() []string {
	var all []string
	for _, vm := range shared.World.Prism.Server.VMs() {
		all = append(all, vm.ExtID)
	}
	slices.Sort(all)
	return all
}

// sameMachines fails unless the machines and VMs are those of before.
func (l *life) sameMachines() {
	l.T.Helper()
	if now := l.uids(); !slices.Equal(now, l.machines) {
		l.T.Errorf("the Machines are %v and were %v", now, l.machines)
	}
	l.sameVMs()
}

func (l *life) sameVMs() {
	l.T.Helper()
	if now := l.vmIDs(); !slices.Equal(now, l.vms) {
		l.T.Errorf("the VMs are %v and were %v", now, l.vms)
	}
}

// kinds are those of which a cluster made from the template has objects.
var kinds = map[string][]string{
	hand.Core:      {"Cluster", "MachineDeployment", "MachineSet", "Machine", "MachineHealthCheck"},
	hand.Bootstrap: {"KubeadmConfigTemplate", "KubeadmConfig"}, hand.ControlPlane: {"KubeadmControlPlane"},
	hand.Infra: {"NutanixCluster", "NutanixMachineTemplate", "NutanixMachine"}, "addons.cluster.x-k8s.io/v1beta2": {"ClusterResourceSet"},
	"v1": {"Secret", "ConfigMap"},
}

// snapshot is every object of a namespace, by kind and name. Refract's own and those that the test made are left out.
func snapshot(s *hand.Scene) map[string]unstructured.Unstructured {
	s.T.Helper()
	all := map[string]unstructured.Unstructured{}
	for apiVersion, names := range kinds {
		for _, kind := range names {
			list := &unstructured.UnstructuredList{}
			list.SetAPIVersion(apiVersion)
			list.SetKind(kind + "List")
			if err := s.Client.List(s.T.Context(), list, client.InNamespace(s.Namespace)); err != nil {
				s.T.Fatal(err)
			}
			for _, o := range list.Items {
				if _, ours := o.GetLabels()["refract.dev/record"]; !ours && !slices.Contains([]string{"pc-east-ca", "pc-east-credentials", "git-credentials"}, o.GetName()) {
					all[kind+"/"+o.GetName()] = o
				}
			}
		}
	}
	return all
}

// versions are the resource versions of a snapshot.
func versions(all map[string]unstructured.Unstructured) map[string]string {
	found := map[string]string{}
	for name, o := range all {
		found[name] = o.GetResourceVersion()
	}
	return found
}

// ours says whether Refract applied an object or labelled it.
func ours(o unstructured.Unstructured) bool {
	return o.GetLabels()[v1alpha1.ClusterLabel] != "" || slices.ContainsFunc(o.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return strings.HasPrefix(e.Manager, v1alpha1.FieldManager)
	})
}
