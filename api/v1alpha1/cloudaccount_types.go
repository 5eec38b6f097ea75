package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CloudAccountSpec is one Prism Central endpoint and the Secret to enter it.
type CloudAccountSpec struct {
	// cloud type. Only nutanix.
	// +kubebuilder:validation:Enum=nutanix
	// +kubebuilder:default=nutanix
	// +optional
	Cloud string `json:"cloud,omitempty"`
	// endpoint of Prism Central.
	// +required
	Endpoint AccountEndpoint `json:"endpoint"`
	// credentialsRef names a Secret with the keys username and password.
	// +required
	CredentialsRef LocalReference `json:"credentialsRef"`
	// workloadCredentialsRef names the Secret of a lesser user for what runs inside workload clusters (cloud controller
	// manager, CSI). Default: credentialsRef.
	// +optional
	WorkloadCredentialsRef *LocalReference `json:"workloadCredentialsRef,omitempty"`
	// trustBundleRef names a ConfigMap or Secret whose key ca.crt holds the PEM bundle that signed Prism Central's certificate.
	// +optional
	TrustBundleRef *TrustBundleReference `json:"trustBundleRef,omitempty"`
	// insecure turns TLS verification of Prism Central off, here and in the clusters; the Ready message then warns.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
}

// AccountEndpoint is where Prism Central answers.
type AccountEndpoint struct {
	// address: host name or IP address.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$`
	// +required
	Address string `json:"address"`
	// port. Default 9440.
	// +kubebuilder:default=9440
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`
}

// TrustBundleReference names a ConfigMap or Secret in the same namespace.
type TrustBundleReference struct {
	// kind: ConfigMap or Secret. Default ConfigMap.
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	// +kubebuilder:default=ConfigMap
	// +optional
	Kind string `json:"kind,omitempty"`
	// name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}

// CloudAccountStatus is what Refract reports about an account.
type CloudAccountStatus struct {
	// observedGeneration is the generation that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// clusters that use this account.
	// +optional
	Clusters int32 `json:"clusters,omitempty"`
	// prismCentral is the version of Prism Central, "7.5", once it told.
	// +optional
	PrismCentral string `json:"prismCentral,omitempty"`
	// credentials that are in use, once they were proved.
	// +optional
	Credentials *CredentialsStatus `json:"credentials,omitempty"`
	// inventoryAt is when the inventory was begun that brought what is below. A later one that reads the same writes
	// nothing.
	// +optional
	InventoryAt *metav1.Time `json:"inventoryAt,omitempty"`
	// elements are the Prism Elements that Prism Central has, as of inventoryAt, by name.
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Elements []ElementStatus `json:"elements,omitempty"`
	// unknown says what the last inventory could not read. Nothing follows from such a part being empty or absent.
	// +listType=map
	// +listMapKey=part
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Unknown []UnknownPart `json:"unknown,omitempty"`
	// conditions: Ready, Reconciling, Stalled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CredentialsStatus says which credentials are in use. It tells nothing about their content.
type CredentialsStatus struct {
	// secret that they were read from.
	Secret string `json:"secret"`
	// provedAt is when Prism Central last accepted them for the first time. Clusters keep these until a changed Secret is
	// proved, too.
	ProvedAt metav1.Time `json:"provedAt"`
}

// ElementStatus is what one Prism Element has. What is not known is absent, never 0.
type ElementStatus struct {
	// name of the Prism Element.
	Name string `json:"name"`
	// aosVersion is the version of its software, "7.3".
	// +optional
	AOSVersion string `json:"aosVersion,omitempty"`
	// available says whether Prism Central reaches it.
	// +optional
	Available *bool `json:"available,omitempty"`
	// hosts, those in maintenance included.
	// +optional
	Hosts *int32 `json:"hosts,omitempty"`
	// hostsInMaintenance are those of the hosts that take no virtual machines now.
	// +optional
	HostsInMaintenance *int32 `json:"hostsInMaintenance,omitempty"`
	// cores: physical CPU cores of all hosts.
	// +optional
	Cores *int32 `json:"cores,omitempty"`
	// vcpus: virtual CPUs of all machines that are powered on. They may be more than the cores.
	// +optional
	VCPUs *int32 `json:"vcpus,omitempty"`
	// memory of all hosts.
	// +optional
	Memory *resource.Quantity `json:"memory,omitempty"`
	// freeMemory is what machines that are powered on leave of memory.
	// +optional
	FreeMemory *resource.Quantity `json:"freeMemory,omitempty"`
	// spareVCPUs and spareMemory are what more machines may take, at 4 virtual CPUs to a core, so that all still run when
	// the biggest host is lost; on a single host without losing it. Hosts in maintenance are left out.
	// +optional
	SpareVCPUs *int32 `json:"spareVCPUs,omitempty"`
	// spareMemory: see spareVCPUs.
	// +optional
	SpareMemory *resource.Quantity `json:"spareMemory,omitempty"`
	// storage: physical capacity.
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`
	// freeStorage is what is left of storage.
	// +optional
	FreeStorage *resource.Quantity `json:"freeStorage,omitempty"`
	// vms: number of virtual machines, whoever owns them.
	// +optional
	VMs *int32 `json:"vms,omitempty"`
}

// UnknownPart is a part of an inventory that could not be read.
type UnknownPart struct {
	// part, "subnets".
	Part string `json:"part"`
	// reason says why, and what to do next.
	Reason string `json:"reason"`
}

// CloudAccount is one Prism Central.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="refract.dev/protect=true"
// +kubebuilder:resource:shortName=ca,categories=refract
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.endpoint.address`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.prismCentral`
// +kubebuilder:printcolumn:name="Clusters",type=integer,JSONPath=`.status.clusters`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type CloudAccount struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what people write.
	// +required
	Spec CloudAccountSpec `json:"spec"`
	// status is what Refract reports.
	// +optional
	Status CloudAccountStatus `json:"status,omitempty"`
}

// CloudAccountList is a list of CloudAccounts.
//
// +kubebuilder:object:root=true
type CloudAccountList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CloudAccount `json:"items"`
}

// GetConditions returns the conditions, for fluxcd/pkg/runtime.
func (a *CloudAccount) GetConditions() []metav1.Condition { return a.Status.Conditions }

// SetConditions replaces the conditions, for fluxcd/pkg/runtime.
func (a *CloudAccount) SetConditions(c []metav1.Condition) { a.Status.Conditions = c }
