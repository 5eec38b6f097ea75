package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Machine is the size of a virtual machine.
//
// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self.memory)) || quantity(string(self.memory)).compareTo(quantity('2Gi')) >= 0",message="memory is at least 2Gi (CAPX refuses less when it creates the machine)"
// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self.systemDisk)) || quantity(string(self.systemDisk)).compareTo(quantity('20Gi')) >= 0",message="systemDisk is at least 20Gi (CAPX refuses less when it creates the machine)"
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
	// +listType=map
	// +listMapKey=key
	// +listMapKey=value
	// +kubebuilder:validation:MaxItems=30
	// +optional
	Categories []Category `json:"categories,omitempty"`
	// project of the machines.
	// +optional
	Project *Identifier `json:"project,omitempty"`
	// sshAuthorizedKeys of the machines' user.
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=8192
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

// HealthCheck replaces machines whose nodes stay unhealthy.
type HealthCheck struct {
	// enabled. Default true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// nodeStartupTimeoutSeconds after which a machine without a node is replaced. Default 600.
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
