package v1alpha1

// ControlPlane is the set of control-plane machines.
//
// +kubebuilder:validation:XValidation:rule="!has(self.rollout) || !has(self.rollout.maxSurge) || self.rollout.maxSurge != 0 || self.replicas >= 3",message="rollout.maxSurge 0 needs at least 3 replicas: removing the only machine first would lose the cluster"
type ControlPlane struct {
	// endpoint of the cluster. Immutable.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="endpoint is immutable: make a new cluster with the wanted endpoint and move the workloads; if nothing of this one was made yet, commit, then kubectl delete nutanixclusterspec"
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
	// +kubebuilder:validation:items:MaxLength=15
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

// Endpoint is where the workload cluster's API answers.
type Endpoint struct {
	// host: IP address that kube-vip announces, free in the machines' subnet.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="host is an IP address, since kube-vip announces it by ARP"
	// +required
	Host string `json:"host"`
	// port. Default 6443.
	// +kubebuilder:default=6443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`
}
