package kube_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// settings of the sample cluster that tests change.
type settings struct {
	name             string
	host             string // control-plane endpoint
	prismHost        string
	prismPort        int
	version          string
	replicas         int64 // of the control plane
	workers          int64
	template         string // suffix of the control plane's template name
	workerTemplate   string // suffix of the pool's machine template name
	configTemplate   string // suffix of the pool's bootstrap template name
	memory           string
	workerMemory     string
	nodeLabels       string // kubelet's, of the pool
	unhealthyTimeout int64
}

func sample(name string) settings {
	return settings{
		name: name, host: "127.0.10.1", prismHost: "127.0.0.1", prismPort: 9440, version: "v1.34.1", replicas: 1, workers: 2,
		template: "0a0a0a0a", workerTemplate: "0a0a0a0a", configTemplate: "0a0a0a0a", memory: "4Gi", workerMemory: "4Gi",
		nodeLabels: "tier=app", unhealthyTimeout: 300,
	}
}

// objects of the cluster, in the order of application.
func (s settings) objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	text := strings.NewReplacer(
		"$NAME", s.name, "$HOST", s.host, "$PRISM", s.prismHost, "$PORT", fmt.Sprint(s.prismPort), "$VERSION", s.version,
		"$REPLICAS", fmt.Sprint(s.replicas), "$WORKERS", fmt.Sprint(s.workers), "$WTEMPLATE", s.workerTemplate,
		"$TEMPLATE", s.template, "$CONFIG", s.configTemplate, "$WMEMORY", s.workerMemory, "$MEMORY", s.memory,
		"$LABELS", s.nodeLabels, "$UNHEALTHY", fmt.Sprint(s.unhealthyTimeout),
	).Replace(sampleText)
	objects := parse(t, text)
	for _, o := range objects {
		o.SetNamespace(namespace)
		o.SetLabels(map[string]string{v1alpha1.ClusterLabel: s.name, "cluster.x-k8s.io/cluster-name": s.name})
	}
	return objects
}

func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewBufferString(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}

func pick(t *testing.T, objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind {
			return o
		}
	}
	t.Fatalf("no %s among the objects", kind)
	return nil
}

func set(t *testing.T, o *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

// create posts objects as another tool would.
func create(ctx context.Context, t *testing.T, objects ...*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		if err := admin.Create(ctx, o); err != nil {
			t.Fatalf("create %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

const namespace = "clusters"

const sampleText = `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: NutanixMachineTemplate
metadata: {name: $NAME-kcp-$TEMPLATE}
spec:
  template:
    spec:
      bootType: uefi
      vcpuSockets: 2
      vcpusPerSocket: 1
      memorySize: $MEMORY
      systemDiskSize: 40Gi
      cluster: {type: name, name: PE-1}
      subnet: [{type: name, name: vlan-101}]
      image: {type: name, name: ubuntu-24.04-kube-$VERSION}
---
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: NutanixMachineTemplate
metadata: {name: $NAME-workers-$WTEMPLATE}
spec:
  template:
    spec:
      bootType: uefi
      vcpuSockets: 2
      vcpusPerSocket: 1
      memorySize: $WMEMORY
      systemDiskSize: 40Gi
      cluster: {type: name, name: PE-1}
      subnet: [{type: name, name: vlan-101}]
      image: {type: name, name: ubuntu-24.04-kube-$VERSION}
---
apiVersion: bootstrap.cluster.x-k8s.io/v1beta2
kind: KubeadmConfigTemplate
metadata: {name: $NAME-workers-$CONFIG}
spec:
  template:
    spec:
      joinConfiguration:
        nodeRegistration:
          kubeletExtraArgs:
          - {name: cloud-provider, value: external}
          - {name: node-labels, value: "$LABELS"}
      preKubeadmCommands: ['hostnamectl set-hostname "{{ ds.meta_data.hostname }}"']
---
apiVersion: v1
kind: ConfigMap
metadata: {name: $NAME-notes}
data: {notes: hello}
---
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: NutanixCluster
metadata: {name: $NAME}
spec:
  controlPlaneEndpoint: {host: $HOST, port: 6443}
  prismCentral:
    address: $PRISM
    port: $PORT
    insecure: true
    credentialRef: {kind: Secret, name: $NAME-pc-credentials}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: $NAME}
spec:
  clusterNetwork:
    pods: {cidrBlocks: [172.20.0.0/16]}
    services: {cidrBlocks: [172.21.0.0/16]}
    serviceDomain: cluster.local
  controlPlaneRef: {apiGroup: controlplane.cluster.x-k8s.io, kind: KubeadmControlPlane, name: $NAME-kcp}
  infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixCluster, name: $NAME}
---
apiVersion: controlplane.cluster.x-k8s.io/v1beta2
kind: KubeadmControlPlane
metadata: {name: $NAME-kcp}
spec:
  replicas: $REPLICAS
  version: $VERSION
  machineTemplate:
    spec:
      infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixMachineTemplate, name: $NAME-kcp-$TEMPLATE}
  kubeadmConfigSpec:
    clusterConfiguration:
      apiServer: {certSANs: [localhost, 127.0.0.1]}
      controllerManager: {extraArgs: [{name: cloud-provider, value: external}]}
    initConfiguration:
      nodeRegistration: {kubeletExtraArgs: [{name: cloud-provider, value: external}]}
    joinConfiguration:
      nodeRegistration: {kubeletExtraArgs: [{name: cloud-provider, value: external}]}
    preKubeadmCommands: ['hostnamectl set-hostname "{{ ds.meta_data.hostname }}"']
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineDeployment
metadata: {name: $NAME-workers}
spec:
  clusterName: $NAME
  replicas: $WORKERS
  selector: {matchLabels: {}}
  template:
    spec:
      clusterName: $NAME
      version: $VERSION
      bootstrap:
        configRef: {apiGroup: bootstrap.cluster.x-k8s.io, kind: KubeadmConfigTemplate, name: $NAME-workers-$CONFIG}
      infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: NutanixMachineTemplate, name: $NAME-workers-$WTEMPLATE}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineHealthCheck
metadata: {name: $NAME-workers}
spec:
  clusterName: $NAME
  selector: {matchLabels: {cluster.x-k8s.io/deployment-name: $NAME-workers}}
  checks:
    nodeStartupTimeoutSeconds: 600
    unhealthyNodeConditions: [{type: Ready, status: Unknown, timeoutSeconds: $UNHEALTHY}]
  remediation:
    triggerIf: {unhealthyLessThanOrEqualTo: 40%}
`
