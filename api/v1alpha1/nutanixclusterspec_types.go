package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NutanixClusterSpecSpec is one cluster.
//
// +kubebuilder:validation:XValidation:rule="self.controlPlane.failureDomains.all(n, self.failureDomains.exists(d, d.name == n))",message="controlPlane.failureDomains names a failure domain that spec.failureDomains does not have"
// +kubebuilder:validation:XValidation:rule="self.nodePools.all(p, !has(p.failureDomain) || size(p.failureDomain) == 0 || self.failureDomains.exists(d, d.name == p.failureDomain))",message="a node pool names a failure domain that spec.failureDomains does not have"
// +kubebuilder:validation:XValidation:rule="self.nodePools.all(p, !has(p.objectName) || size(p.objectName) == 0 || self.nodePools.exists_one(q, has(q.objectName) && q.objectName == p.objectName))",message="two node pools have the same objectName"
// +kubebuilder:validation:XValidation:rule="!isIP(self.controlPlane.endpoint.host) || self.network.podCIDRs.all(c, !isCIDR(c) || !cidr(c).containsIP(self.controlPlane.endpoint.host)) && self.network.serviceCIDRs.all(c, !isCIDR(c) || !cidr(c).containsIP(self.controlPlane.endpoint.host))",message="controlPlane.endpoint.host lies in podCIDRs or serviceCIDRs: take an address of the machines' subnet"
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
	// machines: Report (default) says which virtual machines in Prism Central differ. Repair, too, and powers on and
	// restores categories once a difference has lasted two inventory intervals. Never more: re-creating a machine is a
	// plan. Left alone are machines annotated refract.dev/hands-off, and those that a MachineHealthCheck is replacing.
	// +kubebuilder:validation:Enum=Report;Repair
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
	// DriftRepair powers virtual machines on and restores their categories.
	DriftRepair = "Repair"
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
	// +kubebuilder:validation:items:Pattern=`^/`
	// +kubebuilder:validation:items:MaxLength=512
	// +required
	Paths []string `json:"paths"`
}

// NutanixClusterSpec is one Kubernetes cluster on Nutanix.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="refract.dev/protect=true"
// +kubebuilder:resource:shortName=ncs,categories=refract
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Profile",type=string,JSONPath=`.status.profile`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.kubernetesVersion`
// +kubebuilder:printcolumn:name="CP",type=string,JSONPath=`.status.controlPlane.summary`
// +kubebuilder:printcolumn:name="Workers",type=string,JSONPath=`.status.workers.summary`
// +kubebuilder:printcolumn:name="Sync",type=string,JSONPath=`.status.conditions[?(@.type=="InSync")].reason`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.shortRevision`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 30",message="a cluster name has at most 30 characters"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.contains('.')",message="a cluster name has no dots: host names are made of it"
type NutanixClusterSpec struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what people write.
	// +required
	Spec NutanixClusterSpecSpec `json:"spec"`
	// status is what Refract reports.
	// +optional
	Status NutanixClusterSpecStatus `json:"status,omitempty"`
}

// NutanixClusterSpecList is a list of NutanixClusterSpecs.
//
// +kubebuilder:object:root=true
type NutanixClusterSpecList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NutanixClusterSpec `json:"items"`
}

// GetConditions returns the conditions, for fluxcd/pkg/runtime.
func (c *NutanixClusterSpec) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions, for fluxcd/pkg/runtime.
func (c *NutanixClusterSpec) SetConditions(v []metav1.Condition) { c.Status.Conditions = v }
