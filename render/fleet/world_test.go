package fleet_test

import (
	"io/fs"
	"strings"
	"testing/fstest"
)

// tree makes a snapshot of a text in the manner of txtar, without empty lines: "-- path --" starts a file, "-- path -> target --" is a link.
// A later file of the same name replaces an earlier one.
func tree(texts ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for _, text := range texts {
		name := ""
		for line := range strings.Lines(text) {
			head, found := strings.CutPrefix(strings.TrimSpace(line), "-- ")
			head, closed := strings.CutSuffix(head, " --")
			if !found || !closed {
				if name != "" && strings.TrimSpace(line) != "" {
					files[name].Data = append(files[name].Data, line...)
				}
				continue
			}
			link, target, isLink := strings.Cut(head, " -> ")
			if isLink {
				files[link], name = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)}, ""
				continue
			}
			name = head
			files[name] = &fstest.MapFile{Mode: 0o644}
		}
	}
	return files
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// sample is a fleet without mistakes.
const sample = account + profile + cluster + layer

const account = `
-- fleet/accounts.yaml --
apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: pc-east}
spec:
  endpoint: {address: pc-east.example.com}
  credentialsRef: {name: pc-east-credentials}
`

const profile = `
-- fleet/profiles/standard.yaml --
# The stack of every cluster.
apiVersion: refract.dev/v1alpha1
kind: ClusterProfile
metadata: {name: standard-1.4.0}
spec:
  profile: standard
  version: 1.4.0
  variables:
  - {name: ntpServer, default: pool.ntp.org}
  - {name: mtu, format: number}
  layers:
  - name: ubuntu
    type: OS
    os:
      image: {name: ubuntu}
      preKubeadmCommands: ["ntp ${{ ntpServer }}"]
  - name: kubernetes
    type: Kubernetes
    kubernetes: {version: v1.33.4, kubeVip: {image: "kube-vip:v0.9.2"}}
    patches:
    - {path: patches/kcp.yaml, target: {kind: KubeadmControlPlane}}
  - name: cilium
    type: Network
    kustomize: {path: ../../layers/cilium}
    patches:
    - target: {kind: ConfigMap}
      patch: |
        data: {debug: "true"}
-- fleet/profiles/patches/kcp.yaml --
- {op: add, path: /spec/x, value: y}
`

const layer = `
-- layers/cilium/kustomization.yaml --
resources: [config.yaml]
-- layers/cilium/config.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium, namespace: kube-system}
data:
  mtu: "${{ mtu }}"
`

const cluster = `
-- fleet/clusters/edge-01.yaml --
apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: edge-01}
spec:
  accountRef: {name: pc-east}
  profiles:
  - {name: standard, version: 1.4.x, variables: {mtu: "1450"}}
  controlPlane:
    endpoint: {host: 10.20.0.10}
    replicas: 3
    machine: {vcpuSockets: 4, memory: 8Gi, systemDisk: 80Gi}
  nodePools:
  - name: workers
    replicas: 3
    machine: {vcpuSockets: 8, memory: 32Gi, systemDisk: 120Gi}
  machineDefaults:
    prismElement: {name: PE-1}
    subnets: [{name: vlan-101}]
  patches:
  - path: ../patches/edge.yaml
    target: {kind: Cluster}
-- fleet/patches/edge.yaml --
metadata: {labels: {site: edge}}
`

// change replaces old by new in sample.
func change(old, with string) string {
	if !strings.Contains(sample, old) {
		return "-- fleet/does-not-apply.yaml --\n\t" + old
	}
	return strings.Replace(sample, old, with, 1)
}
