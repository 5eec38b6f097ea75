package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	// insecure turns TLS verification of Prism Central off.
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
	// conditions: Ready, Reconciling, Stalled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CloudAccount is one Prism Central.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="refract.dev/protect=true"
// +kubebuilder:resource:shortName=ca,categories=refract
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.endpoint.address`
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
