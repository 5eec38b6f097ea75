package render

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// API versions of what is rendered. Core Cluster API objects are v1beta2; CAPX has v1beta1 only.
const (
	groupCore           = "cluster.x-k8s.io"
	groupControlPlane   = "controlplane.cluster.x-k8s.io"
	groupBootstrap      = "bootstrap.cluster.x-k8s.io"
	groupAddons         = "addons.cluster.x-k8s.io"
	groupInfrastructure = "infrastructure.cluster.x-k8s.io"

	versionCore           = groupCore + "/v1beta2"
	versionControlPlane   = groupControlPlane + "/v1beta2"
	versionBootstrap      = groupBootstrap + "/v1beta2"
	versionAddons         = groupAddons + "/v1beta2"
	versionInfrastructure = groupInfrastructure + "/v1beta1"
	versionKubernetes     = "v1"
)

// Kinds that render may yield.
const (
	kindCluster                = "Cluster"
	kindKubeadmControlPlane    = "KubeadmControlPlane"
	kindKubeadmConfigTemplate  = "KubeadmConfigTemplate"
	kindMachineDeployment      = "MachineDeployment"
	kindMachineHealthCheck     = "MachineHealthCheck"
	kindClusterResourceSet     = "ClusterResourceSet"
	kindNutanixCluster         = "NutanixCluster"
	kindNutanixMachineTemplate = "NutanixMachineTemplate"
	kindNutanixFailureDomain   = "NutanixFailureDomain"
	kindSecret                 = "Secret"
	kindConfigMap              = "ConfigMap"
)

// Kinds lists the kinds that render may yield, which are those of a cluster's inventory, in the order in which they are
// applied: what is referred to comes before what refers to it. They are pruned in reverse.
func Kinds() []schema.GroupVersionKind { return slices.Clone(applyOrder) }

var applyOrder = kindsOf([][2]string{
	{versionInfrastructure, kindNutanixFailureDomain},
	{versionInfrastructure, kindNutanixMachineTemplate},
	{versionBootstrap, kindKubeadmConfigTemplate},
	{versionKubernetes, kindConfigMap},
	{versionKubernetes, kindSecret},
	{versionInfrastructure, kindNutanixCluster},
	{versionControlPlane, kindKubeadmControlPlane},
	{versionCore, kindCluster},
	{versionCore, kindMachineDeployment},
	{versionCore, kindMachineHealthCheck},
	{versionAddons, kindClusterResourceSet},
})

func kindsOf(all [][2]string) []schema.GroupVersionKind {
	out := make([]schema.GroupVersionKind, len(all))
	for i, k := range all {
		out[i] = schema.FromAPIVersionAndKind(k[0], k[1])
	}
	return out
}
