package adopt

import "fmt"

// kubernetes is the version that the cluster runs.
const kubernetes = "v1.33.4"

// suites are the TLS cipher suites that CAPX's template gives to everything.
const suites = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256," +
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384," +
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"

// files declare the cluster in Git.
type files struct {
	central, endpoint string
	// memory of all machines: what a first draft gets wrong.
	memory string
	// pools are further items of nodePools, and extra further lines of the spec, indented by two.
	pools, extra string
}

// all of them, by path.
func (f files) all() map[string]string {
	return map[string]string{"fleet/account.yaml": f.account(), "fleet/profile.yaml": f.profile(), "fleet/" + cluster + ".yaml": f.cluster()}
}

func (f files) account() string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: pc-east}
spec:
  cloud: nutanix
  endpoint: {address: %s, port: 9440}
  credentialsRef: {name: pc-east-credentials}
  trustBundleRef: {kind: ConfigMap, name: pc-east-ca}
`, f.central)
}

func (f files) profile() string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: ClusterProfile
metadata: {name: capx-1.0.0}
spec:
  profile: capx
  version: 1.0.0
  type: Full
  cloud: nutanix
  layers:
    - name: ubuntu
      type: OS
      os: {image: {name: ubuntu-24.04-kube-%[1]s}, bootType: legacy}
    - name: kubernetes
      type: Kubernetes
      kubernetes:
        version: %[1]s
        tlsCipherSuites: %[2]q
        kubeVip: {image: "ghcr.io/kube-vip/kube-vip:v0.9.2"}
        cloudControllerManager: {image: "ghcr.io/nutanix-cloud-native/cloud-provider-nutanix/controller:0.7.0-alpha.1"}
`, kubernetes, suites)
}

// cluster calls its pool wmd, since the template calls the MachineDeployment <cluster>-wmd.
func (f files) cluster() string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: %[1]s}
spec:
  accountRef: {name: pc-east}
  profiles:
    - {name: capx, version: 1.0.0}
  controlPlane:
    endpoint: {host: %[2]s, port: 6443}
    replicas: 1
    machine: {vcpuSockets: 2, memory: %[3]s, systemDisk: 40Gi}
  nodePools:
    - name: wmd
      replicas: 1
      machine: {vcpuSockets: 2, memory: %[3]s, systemDisk: 40Gi}
%[4]s  machineDefaults:
    prismElement: {name: PE-1}
    subnets: [{name: vlan-101}]
    sshAuthorizedKeys: ["ssh-ed25519 AAAA ops"]
%[5]s`, cluster, f.endpoint, f.memory, f.pools, f.extra)
}
