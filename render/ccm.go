package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// cloudControllerManager returns what brings the Nutanix cloud controller manager into the cluster: nothing without
// spec.cloudControllerManager in the profile. Secret nutanix-creds and, where the account has a trust bundle, ConfigMap
// nutanix-ccm-pc-trusted-ca-bundle (both in kube-system) are in the Secret that the account controller writes.
func (b base) cloudControllerManager() ([]object, error) {
	if b.kubernetes.CloudControllerManager == nil {
		return nil, nil
	}
	objects, err := b.cloudControllerManagerObjects()
	if err != nil {
		return nil, fmt.Errorf("cloud controller manager: %w", err)
	}
	out, err := resourceSet(b.cluster, b.name()+"-ccm", objects)
	if err != nil {
		return nil, fmt.Errorf("cloud controller manager: %w", err)
	}
	for i := range out {
		out[i].origin, out[i].delivered = "cluster "+b.name(), true
		if out[i].GetKind() == kindClusterResourceSet {
			appendResource(out[i], kindSecret, b.workloadCredentialsName())
		}
	}
	return out, nil
}

func (b base) cloudControllerManagerObjects() ([]document, error) {
	parsed, err := parsedManifest()
	if err != nil {
		return nil, err
	}
	config, err := json.MarshalIndent(b.cloudConfig(), "", "  ")
	if err != nil {
		return nil, err
	}
	args := list{"--leader-elect=true", "--cloud-config=/etc/cloud/nutanix_config.json"}
	if suites := b.kubernetes.TLSCipherSuites; suites != "" {
		args = append(args, "--tls-cipher-suites="+suites)
	}
	out := slices.Clone(parsed)
	for i, d := range out {
		o := d.DeepCopy()
		switch d.GetKind() {
		case kindConfigMap:
			set(o.Object, string(config), "data", "nutanix_config.json")
		case "Deployment":
			rewriteContainer(o, args, b.kubernetes.CloudControllerManager.Image)
		default:
			continue
		}
		changed, err := documents([]*unstructured.Unstructured{o})
		if err != nil {
			return nil, err
		}
		out[i] = changed[0]
	}
	return out, nil
}

// cloudConfig is the configuration file of the cloud controller manager.
func (b base) cloudConfig() tree {
	account := b.account.Spec
	central := tree{
		"address":       account.Endpoint.Address,
		"port":          number(cmp.Or(account.Endpoint.Port, defaultCentralPort)),
		"insecure":      account.Insecure,
		"credentialRef": tree{"kind": "secret", "name": "nutanix-creds", "namespace": "kube-system"},
	}
	if account.TrustBundleRef != nil {
		central["additionalTrustBundle"] = tree{
			"kind": kindConfigMap, "name": "nutanix-ccm-pc-trusted-ca-bundle", "namespace": "kube-system",
		}
	}
	return tree{
		"prismCentral":         central,
		"enableCustomLabeling": false,
		"topologyDiscovery":    tree{"type": "Prism"},
		"ignoredNodeIPs":       list{b.cluster.Spec.ControlPlane.Endpoint.Host}, // the endpoint's address is no node's
	}
}

// rewriteContainer sets arguments and image of a Deployment's only container.
func rewriteContainer(o *unstructured.Unstructured, args list, image string) {
	containers, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec", "containers")
	if containers, ok := containers.(list); ok && len(containers) == 1 {
		if c, ok := containers[0].(tree); ok {
			c["args"], c["image"] = args, image
		}
	}
}

// parsedManifest is read once for all clusters; nobody changes it.
var parsedManifest = sync.OnceValues(func() ([]document, error) {
	var objects []*unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(cloudControllerManagerManifest), &objects); err != nil {
		return nil, err
	}
	return documents(objects)
})

// cloudControllerManagerManifest is what the manager needs; its image, arguments and configuration are put in later.
const cloudControllerManagerManifest = `
- apiVersion: v1
  kind: ServiceAccount
  metadata: {name: cloud-controller-manager, namespace: kube-system}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: nutanix-config, namespace: kube-system}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: system:cloud-controller-manager
    annotations: {rbac.authorization.kubernetes.io/autoupdate: "true"}
  rules:
  - {apiGroups: [""], resources: [secrets], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [events], verbs: [create, patch, update]}
  - {apiGroups: [""], resources: [nodes], verbs: ["*"]}
  - {apiGroups: [""], resources: [nodes/status], verbs: [patch]}
  - {apiGroups: [""], resources: [serviceaccounts], verbs: [create]}
  - {apiGroups: [""], resources: [endpoints], verbs: [create, get, list, watch, update]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, create, update, patch, delete]}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata: {name: system:cloud-controller-manager}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:cloud-controller-manager}
  subjects:
  - {kind: ServiceAccount, name: cloud-controller-manager, namespace: kube-system}
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: nutanix-cloud-controller-manager
    namespace: kube-system
    labels: {k8s-app: nutanix-cloud-controller-manager}
  spec:
    replicas: 1
    selector: {matchLabels: {k8s-app: nutanix-cloud-controller-manager}}
    strategy: {type: Recreate}
    template:
      metadata:
        labels: {k8s-app: nutanix-cloud-controller-manager}
      spec:
        hostNetwork: true
        dnsPolicy: Default
        priorityClassName: system-cluster-critical
        serviceAccountName: cloud-controller-manager
        nodeSelector: {node-role.kubernetes.io/control-plane: ""}
        affinity:
          podAntiAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
            - labelSelector: {matchLabels: {k8s-app: nutanix-cloud-controller-manager}}
              topologyKey: kubernetes.io/hostname
        tolerations:
        - {effect: NoSchedule, key: node-role.kubernetes.io/master, operator: Exists}
        - {effect: NoSchedule, key: node-role.kubernetes.io/control-plane, operator: Exists}
        - {effect: NoExecute, key: node.kubernetes.io/unreachable, operator: Exists, tolerationSeconds: 120}
        - {effect: NoExecute, key: node.kubernetes.io/not-ready, operator: Exists, tolerationSeconds: 120}
        - {effect: NoSchedule, key: node.cloudprovider.kubernetes.io/uninitialized, operator: Exists}
        - {effect: NoSchedule, key: node.kubernetes.io/not-ready, operator: Exists}
        containers:
        - name: nutanix-cloud-controller-manager
          imagePullPolicy: IfNotPresent
          env:
          - name: POD_NAMESPACE
            valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
          resources: {requests: {cpu: 100m, memory: 50Mi}}
          volumeMounts:
          - {mountPath: /etc/cloud, name: nutanix-config-volume, readOnly: true}
        volumes:
        - name: nutanix-config-volume
          configMap: {name: nutanix-config}
`
