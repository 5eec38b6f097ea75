package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// NutanixClusterSpecSpec is one cluster.
//
// +kubebuilder:validation:XValidation:rule="self.controlPlane.failureDomains.all(n, self.failureDomains.exists(d, d.name == n))",message="controlPlane.failureDomains names a failure domain that spec.failureDomains does not have"
// +kubebuilder:validation:XValidation:rule="self.nodePools.all(p, !has(p.failureDomain) || p.failureDomain == '' || self.failureDomains.exists(d, d.name == p.failureDomain))",message="a node pool names a failure domain that spec.failureDomains does not have"
type NutanixClusterSpecSpec struct {
	// accountRef names the CloudAccount.
	// +required
	AccountRef LocalReference `json:"accountRef"`
	// profiles to build the cluster from: one of type Infra or Full, any number of type AddOn.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +required
	Profiles []ProfileReference `json:"profiles"`
	// controlPlane machines.
	// +required
	ControlPlane ControlPlane `json:"controlPlane"`
	// nodePools of worker machines.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:default={}
	// +optional
	NodePools []NodePool `json:"nodePools"`
	// machineDefaults for every machine.
	// +required
	MachineDefaults MachineDefaults `json:"machineDefaults"`
	// failureDomains that machines may be placed in.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:default={}
	// +optional
	FailureDomains []FailureDomain `json:"failureDomains"`
	// network of the cluster. Immutable.
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="network is immutable: make a new cluster with the wanted CIDRs and move the workloads"
	// +optional
	Network Network `json:"network,omitempty"`
	// limits of this cluster; they may only tighten the Fleet's.
	// +optional
	Limits Limits `json:"limits,omitempty"`
	// patches on the rendered Cluster API objects, applied after all layers.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Patches []Patch `json:"patches,omitempty"`
	// deletionPolicy says what happens to the cluster when its file goes. Default Protect.
	// +kubebuilder:default=Protect
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// drift says what happens when live objects differ.
	// +kubebuilder:default={}
	// +optional
	Drift DriftPolicy `json:"drift,omitempty"`
	// driftIgnore lists fields that belong to somebody else.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	DriftIgnore []DriftIgnore `json:"driftIgnore,omitempty"`
	// adopt takes over existing objects of the same names. Default false: they hold the cluster back.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
	// suspend stops Refract for this cluster.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// paused sets Cluster.spec.paused, too, so that Cluster API stops as well.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// ProfileReference is a profile in some version, with values for its variables.
type ProfileReference struct {
	// name of the profile (spec.profile of a ClusterProfile, not the object's name).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`
	// version or range: 1.4.0, 1.4.x, ^1.4.0, ">=1.4.0 <2.0.0". A range takes the highest version that matches; mirrored
	// objects hold the resolved version.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Version string `json:"version"`
	// variables of the profile, by name.
	// +kubebuilder:validation:MaxProperties=100
	// +optional
	Variables map[string]string `json:"variables,omitempty"`
}

// Endpoint is where the workload cluster's API answers.
type Endpoint struct {
	// host: IP address that kube-vip announces, free in the machines' subnet.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Host string `json:"host"`
	// port. Default 6443.
	// +kubebuilder:default=6443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`
}

// Machine is the size of a virtual machine.
//
// +kubebuilder:validation:XValidation:rule="quantity(string(self.memory)).compareTo(quantity('2Gi')) >= 0",message="memory is at least 2Gi (CAPX refuses less when it creates the machine)"
// +kubebuilder:validation:XValidation:rule="quantity(string(self.systemDisk)).compareTo(quantity('20Gi')) >= 0",message="systemDisk is at least 20Gi (CAPX refuses less when it creates the machine)"
type Machine struct {
	// vcpuSockets: number of virtual CPU sockets.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	// +required
	VCPUSockets int32 `json:"vcpuSockets"`
	// vcpusPerSocket: virtual CPUs of each socket. Default 1.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	// +optional
	VCPUsPerSocket int32 `json:"vcpusPerSocket,omitempty"`
	// memory, at least 2Gi.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)?$`
	// +kubebuilder:validation:MaxLength=20
	// +required
	Memory resource.Quantity `json:"memory"`
	// systemDisk size, at least 20Gi.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)?$`
	// +kubebuilder:validation:MaxLength=20
	// +required
	SystemDisk resource.Quantity `json:"systemDisk"`
}

// ControlPlane is the set of control-plane machines.
type ControlPlane struct {
	// endpoint of the cluster. Immutable.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="endpoint is immutable: make a new cluster with the wanted endpoint and move the workloads"
	// +required
	Endpoint Endpoint `json:"endpoint"`
	// replicas: 1, 3 or 5.
	// +kubebuilder:validation:Enum=1;3;5
	// +required
	Replicas int32 `json:"replicas"`
	// machine size.
	// +required
	Machine Machine `json:"machine"`
	// failureDomains to spread over, by their names in spec.failureDomains.
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:default={}
	// +optional
	FailureDomains []string `json:"failureDomains"`
	// rollout strategy.
	// +optional
	Rollout ControlPlaneRollout `json:"rollout,omitempty"`
	// healthCheck of the machines.
	// +optional
	HealthCheck HealthCheck `json:"healthCheck,omitempty"`
}

// ControlPlaneRollout says how control-plane machines are replaced.
type ControlPlaneRollout struct {
	// maxSurge: how many machines may be added while rolling: 1 (default), or 0 to remove before adding.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1
	// +optional
	MaxSurge *int32 `json:"maxSurge,omitempty"`
}

// HealthCheck replaces machines whose nodes stay unhealthy.
type HealthCheck struct {
	// enabled. Default true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// nodeStartupTimeout after which a machine without a node is replaced, in seconds. Default 600.
	// +kubebuilder:validation:Minimum=60
	// +optional
	NodeStartupTimeoutSeconds *int32 `json:"nodeStartupTimeoutSeconds,omitempty"`
	// unhealthyTimeoutSeconds after which a machine whose node is not ready is replaced. Default 300.
	// +kubebuilder:validation:Minimum=30
	// +optional
	UnhealthyTimeoutSeconds *int32 `json:"unhealthyTimeoutSeconds,omitempty"`
	// maxUnhealthyPercent above which no machine is replaced. Default 40 for pools, 34 for the control plane.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	MaxUnhealthyPercent *int32 `json:"maxUnhealthyPercent,omitempty"`
}

// NodePool is a set of equal worker machines.
//
// +kubebuilder:validation:XValidation:rule="has(self.replicas) != has(self.autoscaling)",message="set exactly one of replicas and autoscaling"
// +kubebuilder:validation:XValidation:rule="(has(self.objectName) ? self.objectName : '') == (has(oldSelf.objectName) ? oldSelf.objectName : '')",message="objectName is immutable: make a new node pool instead"
type NodePool struct {
	// name of the pool, unique in the cluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`
	// replicas: number of machines.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// autoscaling leaves the number to the cluster autoscaler.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`
	// machine size.
	// +required
	Machine Machine `json:"machine"`
	// labels of the nodes. Labels outside node-role.kubernetes.io, node-restriction.kubernetes.io and
	// node.cluster.x-k8s.io go through the kubelet: changing them re-creates the machines.
	// +kubebuilder:validation:MaxProperties=50
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// taints of the nodes. They go through the kubelet: changing them re-creates the machines.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Taints []Taint `json:"taints,omitempty"`
	// rollout strategy.
	// +optional
	Rollout PoolRollout `json:"rollout,omitempty"`
	// healthCheck of the machines.
	// +optional
	HealthCheck HealthCheck `json:"healthCheck,omitempty"`
	// failureDomain to place the machines in, by its name in spec.failureDomains.
	// +kubebuilder:validation:MaxLength=15
	// +optional
	FailureDomain string `json:"failureDomain,omitempty"`
	// objectName is the MachineDeployment's name, for adoption. Immutable. Default: cluster-pool.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	ObjectName string `json:"objectName,omitempty"`
}

// Autoscaling bounds a pool for the cluster autoscaler.
//
// +kubebuilder:validation:XValidation:rule="self.min <= self.max",message="autoscaling.min is at most autoscaling.max"
type Autoscaling struct {
	// min machines; also the number at creation.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +required
	Min int32 `json:"min"`
	// max machines.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +required
	Max int32 `json:"max"`
}

// Taint of a node.
type Taint struct {
	// key of the taint.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key"`
	// value of the taint.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Value string `json:"value,omitempty"`
	// effect on pods that do not tolerate the taint.
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	// +required
	Effect string `json:"effect"`
}

// PoolRollout says how a pool's machines are replaced.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.maxSurge) && self.maxSurge == 0 && (!has(self.maxUnavailable) || self.maxUnavailable == 0))",message="maxSurge and maxUnavailable cannot both be 0: nothing could ever be replaced"
type PoolRollout struct {
	// maxSurge: how many machines may be added while rolling. Default 1.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxSurge *int32 `json:"maxSurge,omitempty"`
	// maxUnavailable: how many machines may be missing while rolling. Default 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxUnavailable *int32 `json:"maxUnavailable,omitempty"`
}

// MachineDefaults are common to all machines of a cluster.
type MachineDefaults struct {
	// prismElement (AHV cluster) that machines run on, where no failure domain says otherwise.
	// +required
	PrismElement Identifier `json:"prismElement"`
	// subnets of the machines' NICs, in order, where no failure domain says otherwise.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +required
	Subnets []Identifier `json:"subnets"`
	// categories of the machines, beside the one that CAPX sets.
	// +kubebuilder:validation:MaxItems=30
	// +optional
	Categories []Category `json:"categories,omitempty"`
	// project of the machines.
	// +optional
	Project *Identifier `json:"project,omitempty"`
	// sshAuthorizedKeys of the machines' user.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	SSHAuthorizedKeys []string `json:"sshAuthorizedKeys,omitempty"`
}

// FailureDomain is a Prism Element with its subnets.
type FailureDomain struct {
	// name of the failure domain in this cluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`
	// prismElement (AHV cluster).
	// +required
	PrismElement Identifier `json:"prismElement"`
	// subnets of the machines' NICs, in order.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +required
	Subnets []Identifier `json:"subnets"`
}

// CIDR is an IP prefix.
//
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="not a valid CIDR such as 172.20.0.0/16"
type CIDR string

// Network of a cluster.
//
// +kubebuilder:validation:XValidation:rule="self.podCIDRs.all(p, !isCIDR(p) || self.serviceCIDRs.all(s, !isCIDR(s) || (!cidr(p).containsIP(cidr(s).ip()) && !cidr(s).containsIP(cidr(p).ip()))))",message="podCIDRs and serviceCIDRs overlap"
type Network struct {
	// podCIDRs: one, or one IPv4 and one IPv6. Default 172.20.0.0/16, as in the provider's template.
	// +kubebuilder:default={"172.20.0.0/16"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +optional
	PodCIDRs []CIDR `json:"podCIDRs,omitempty"`
	// serviceCIDRs: one, or one IPv4 and one IPv6. Default 172.19.0.0/16, as in the provider's template.
	// +kubebuilder:default={"172.19.0.0/16"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +optional
	ServiceCIDRs []CIDR `json:"serviceCIDRs,omitempty"`
	// serviceDomain of the cluster. Default cluster.local.
	// +kubebuilder:default=cluster.local
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceDomain string `json:"serviceDomain,omitempty"`
}

// DeletionPolicy says what happens to a cluster when its file goes.
//
// +kubebuilder:validation:Enum=Protect;Orphan;Delete
type DeletionPolicy string

// Deletion policies.
const (
	// DeletionProtect keeps the cluster, with its last spec and its drift correction.
	DeletionProtect DeletionPolicy = "Protect"
	// DeletionOrphan lets go of the cluster and leaves its objects.
	DeletionOrphan DeletionPolicy = "Orphan"
	// DeletionDelete deletes the cluster and its machines, within limits or approved.
	DeletionDelete DeletionPolicy = "Delete"
)

// DriftPolicy says what happens when live objects differ from the wanted ones.
type DriftPolicy struct {
	// objects: Correct (default) puts back, Report only says.
	// +kubebuilder:validation:Enum=Correct;Report
	// +kubebuilder:default=Correct
	// +optional
	Objects string `json:"objects,omitempty"`
	// machines: reserved for the comparison of virtual machines. Only Report.
	// +kubebuilder:validation:Enum=Report
	// +kubebuilder:default=Report
	// +optional
	Machines string `json:"machines,omitempty"`
}

// Values of DriftPolicy.
const (
	// DriftCorrect puts differing fields back.
	DriftCorrect = "Correct"
	// DriftReport says what differs and leaves it.
	DriftReport = "Report"
)

// DriftIgnore names fields that belong to somebody else: neither rendered nor compared.
type DriftIgnore struct {
	// kind of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Kind string `json:"kind"`
	// name of the object. Default: all of that kind.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Name string `json:"name,omitempty"`
	// paths are JSON pointers (RFC 6901), such as /spec/template/metadata/annotations.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +required
	Paths []string `json:"paths"`
}
