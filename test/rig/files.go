package rig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Files of a small fleet: an account, a profile and clusters, each to be changed by the options of its function.

// Account is a CloudAccount file for a Prism Central; its Secret is called <name>-credentials.
func Account(name, host string) string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: %s}
spec:
  cloud: nutanix
  endpoint: {address: %s, port: 9440}
  credentialsRef: {name: %s-credentials}
  insecure: true
`, name, host, name)
}

// Profile is a ClusterProfile file called standard-<version> without workload layers.
func Profile(version, kubernetes string) string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: ClusterProfile
metadata: {name: standard-%[1]s}
spec:
  profile: standard
  version: %[1]s
  type: Full
  cloud: nutanix
  layers:
    - name: ubuntu
      type: OS
      os:
        image: {name: ubuntu-24.04-kube-%[2]s}
        bootType: uefi
    - name: kubernetes
      type: Kubernetes
      kubernetes:
        version: %[2]s
        kubeVip: {image: "ghcr.io/kube-vip/kube-vip:v0.9.2"}
        cloudControllerManager: {image: "ghcr.io/nutanix-cloud-native/cloud-provider-nutanix/controller:v0.5.0"}
`, version, kubernetes)
}

// Cluster says what a cluster file holds.
type Cluster struct {
	// Name of the cluster.
	Name string
	// Account that it uses.
	Account string
	// Profile version or range of profile standard.
	Profile string
	// Endpoint host.
	Endpoint string
	// ControlPlanes and Workers to have.
	ControlPlanes, Workers int
	// ControlPlaneMemory and the memory of pool workers; default 4Gi.
	ControlPlaneMemory, WorkerMemory string
	// Pools beside the pool workers, with 4Gi: name to replicas.
	Pools map[string]int
	// DeletionPolicy; default Protect.
	DeletionPolicy string
	// Extra lines of the spec, indented by two.
	Extra string
}

// File is the cluster's file.
func (c Cluster) File() string {
	or := func(value, other string) string {
		if value == "" {
			return other
		}
		return value
	}
	var pools strings.Builder
	pool := func(name string, replicas int, memory string) {
		fmt.Fprintf(&pools, "    - name: %s\n      replicas: %d\n      machine: {vcpuSockets: 2, memory: %s, systemDisk: 40Gi}\n", name, replicas, memory)
	}
	pool("workers", c.Workers, or(c.WorkerMemory, "4Gi"))
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		pool(name, c.Pools[name], "4Gi")
	}
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: %s}
spec:
  accountRef: {name: %s}
  profiles:
    - {name: standard, version: %q}
  controlPlane:
    endpoint: {host: %s, port: 6443}
    replicas: %d
    machine: {vcpuSockets: 2, memory: %s, systemDisk: 40Gi}
  nodePools:
%s  machineDefaults:
    prismElement: {name: PE-1}
    subnets: [{name: vlan-101}]
    categories: [{key: Environment, value: Production}]
    project: {name: platform}
    sshAuthorizedKeys: ["ssh-ed25519 AAAA ops"]
  deletionPolicy: %s
%s`, c.Name, or(c.Account, "pc-east"), or(c.Profile, "1.0.0"), c.Endpoint, c.ControlPlanes, or(c.ControlPlaneMemory, "4Gi"), pools.String(), or(c.DeletionPolicy, "Protect"), c.Extra)
}
