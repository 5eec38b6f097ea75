package equivalence

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/test/controlplane"
)

// cluster is the name of the cluster on both sides.
const cluster = "same"

// values are what a user decides, whichever way the cluster is made.
type values struct {
	kubernetes, image, bootType, element, subnet, key string
	memory, disk                                      string
	sockets, cores, controlPlanes, workers            int
	endpoint, central                                 string
	endpointPort, centralPort                         int
	insecure, services                                bool
	suites, ccmRepository, ccmTag                     string
	// defaults leaves out what the template has defaults for.
	defaults bool
}

// suites are the template's default.
const suites = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256," +
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384," +
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"

var cases = map[string]values{
	"Defaults": {
		kubernetes: "v1.33.4", image: "ubuntu-24.04-kube-v1.33.4", element: "PE-1", subnet: "vlan-101", key: "ssh-ed25519 AAAA ops",
		endpoint: "10.20.0.10", central: "pc.example.com", controlPlanes: 1, workers: 1, defaults: true,
		bootType: "legacy", memory: "4Gi", disk: "40Gi", sockets: 2, cores: 1, endpointPort: 6443, centralPort: 9440,
		suites: suites, ccmRepository: "ghcr.io/nutanix-cloud-native/cloud-provider-nutanix/controller", ccmTag: "0.7.0-alpha.1",
	},
	"Set": {
		kubernetes: "v1.32.9", image: "rocky-9-kube-v1.32.9", element: "PE-2", subnet: "vlan-202", key: "ssh-rsa BBBB other people",
		endpoint: "10.30.0.11", central: "10.30.0.5", controlPlanes: 3, workers: 7,
		bootType: "uefi", memory: "12Gi", disk: "96Gi", sockets: 4, cores: 3, endpointPort: 7443, centralPort: 9443,
		insecure: true, services: true, suites: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		ccmRepository: "registry.example.com/ccm", ccmTag: "v0.5.2",
	},
}

// withoutCounterpart are the template's variables that no field of a file stands for. They keep their defaults.
var withoutCounterpart = map[string]string{
	"CCM_CUSTOM_LABEL":     "false: labels of nodes are Cluster API's business",
	"KUBEVIP_LB_ENABLE":    "false: control planes are reached by address, not by a load balancer of kube-vip",
	"KUBEVIP_SVC_ELECTION": "false: one leader for all Services",
}

// environment is what a user of clusterctl sets.
func (v values) environment(namespace string) []string {
	env := map[string]string{
		"CONTROL_PLANE_ENDPOINT_IP": v.endpoint, "NUTANIX_ENDPOINT": v.central, "NUTANIX_USER": "user", "NUTANIX_PASSWORD": "password",
		"NUTANIX_ADDITIONAL_TRUST_BUNDLE": "Q0E=", "NUTANIX_SSH_AUTHORIZED_KEY": v.key, "NUTANIX_SUBNET_NAME": v.subnet,
		"NUTANIX_PRISM_ELEMENT_CLUSTER_NAME": v.element, "NUTANIX_MACHINE_TEMPLATE_IMAGE_NAME": v.image, "NAMESPACE": namespace,
	}
	if !v.defaults {
		for name, value := range map[string]any{
			"CONTROL_PLANE_ENDPOINT_PORT": v.endpointPort, "NUTANIX_PORT": v.centralPort, "NUTANIX_INSECURE": v.insecure,
			"NUTANIX_MACHINE_BOOT_TYPE": v.bootType, "NUTANIX_MACHINE_MEMORY_SIZE": v.memory, "NUTANIX_SYSTEMDISK_SIZE": v.disk,
			"NUTANIX_MACHINE_VCPU_SOCKET": v.sockets, "NUTANIX_MACHINE_VCPU_PER_SOCKET": v.cores, "TLS_CIPHER_SUITES": v.suites,
			"KUBEVIP_SVC_ENABLE": v.services, "CCM_REPO": v.ccmRepository, "CCM_TAG": v.ccmTag,
		} {
			env[name] = fmt.Sprint(value)
		}
	}
	var out []string
	for name, value := range env {
		out = append(out, name+"="+value)
	}
	return out
}

func builder(t *testing.T) *controlplane.Builder {
	t.Helper()
	b, err := controlplane.New(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// template is CAPX's own, of the version that the test world runs.
func template(t *testing.T) string {
	t.Helper()
	file, err := builder(t).ClusterTemplate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// fromTemplate has the real clusterctl fill in the template.
func fromTemplate(t *testing.T, namespace string, v values) []byte {
	t.Helper()
	built, err := builder(t).Build(t.Context(), controlplane.Clusterctl)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"generate", "cluster", cluster, "--from", template(t), "--target-namespace", namespace, "--kubernetes-version", v.kubernetes,
		"--worker-machine-count", strconv.Itoa(v.workers),
	}
	if !v.defaults {
		args = append(args, "--control-plane-machine-count", strconv.Itoa(v.controlPlanes))
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), built[0].Path, args...)
	cmd.Env = append(v.environment(namespace), "HOME="+home, "XDG_CONFIG_HOME="+home, "CLUSTERCTL_DISABLE_VERSIONCHECK=true", "PATH="+os.Getenv("PATH"))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("clusterctl: %v\n%s", err, said.String())
	}
	return out
}

// rendered is what Refract makes of files that say the same.
func rendered(t *testing.T, namespace string, v values) []byte {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range v.files() {
		files["fleet/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	declared, err := fleet.Decode(files, "fleet", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(declared.Clusters) != 1 || declared.Clusters[0].Err != nil {
		t.Fatalf("the files declare %+v", declared.Clusters)
	}
	declared.Clusters[0].Object.Namespace = namespace // as the Fleet does that mirrors it
	unit, err := render.Cluster(render.FromFleet(declared.Clusters[0]))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, o := range unit.Objects() {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "---\n%s", text)
	}
	return out.Bytes()
}

// files say everything, also what Refract or the template has a default for. The pool is called wmd because the template
// calls its MachineDeployment so.
func (v values) files() map[string]string {
	machine := fmt.Sprintf("{vcpuSockets: %d, vcpusPerSocket: %d, memory: %s, systemDisk: %s}", v.sockets, v.cores, v.memory, v.disk)
	return map[string]string{
		"account.yaml": fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: pc}
spec:
  endpoint: {address: %s, port: %d}
  credentialsRef: {name: pc-credentials}
  trustBundleRef: {kind: ConfigMap, name: pc-ca}
  insecure: %t
`, v.central, v.centralPort, v.insecure),
		"profile.yaml": fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: ClusterProfile
metadata: {name: capx-1.0.0}
spec:
  profile: capx
  version: 1.0.0
  layers:
    - {name: os, type: OS, os: {image: {name: %[1]s}, bootType: %[2]s}}
    - name: kubernetes
      type: Kubernetes
      kubernetes:
        version: %[3]s
        tlsCipherSuites: %[4]q
        kubeVip: {image: "ghcr.io/kube-vip/kube-vip:v0.9.2", services: %[5]t}
        cloudControllerManager: {image: "%[6]s:%[7]s"}
`, v.image, v.bootType, v.kubernetes, v.suites, v.services, v.ccmRepository, v.ccmTag),
		"cluster.yaml": fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: %[1]s}
spec:
  accountRef: {name: pc}
  profiles: [{name: capx, version: 1.0.0}]
  controlPlane:
    endpoint: {host: %[2]s, port: %[3]d}
    replicas: %[4]d
    machine: %[5]s
    healthCheck: {maxUnhealthyPercent: 40}
  nodePools:
    - {name: wmd, replicas: %[6]d, machine: %[5]s}
  machineDefaults:
    prismElement: {name: %[7]s}
    subnets: [{name: %[8]s}]
    sshAuthorizedKeys: [%[9]q]
  network: {podCIDRs: [172.20.0.0/16], serviceCIDRs: [172.19.0.0/16], serviceDomain: cluster.local}
`, cluster, v.endpoint, v.endpointPort, v.controlPlanes, machine, v.workers, v.element, v.subnet, v.key),
	}
}

// show is a value as a person reads it.
func show(v any) string {
	text := fmt.Sprintf("%#v", v)
	if v == nil {
		return "nothing"
	}
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return strings.ReplaceAll(text, `\n`, "\n")
}
