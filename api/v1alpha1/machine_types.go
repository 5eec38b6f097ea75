package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Machine is the size of a virtual machine, and its devices. A change of any of it re-creates the machines.
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
	// gpus of the machine, each passed through or virtual, as the Prism Element offers it.
	// +kubebuilder:validation:MaxItems=8
	// +optional
	GPUs []GPU `json:"gpus,omitempty"`
	// dataDisks beside the system disk, in order. They come empty and go with the machine.
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.all(d, has(d.deviceIndex) ? self.exists_one(e, has(e.deviceIndex) && e.deviceIndex == d.deviceIndex && (has(e.adapterType) ? e.adapterType : 'SCSI') == (has(d.adapterType) ? d.adapterType : 'SCSI')) : !self.exists(e, has(e.deviceIndex) && (has(e.adapterType) ? e.adapterType : 'SCSI') == (has(d.adapterType) ? d.adapterType : 'SCSI')))",message="of the data disks of one adapterType all have a deviceIndex, each another, or none has (CAPX would give out an index twice)"
	// +optional
	DataDisks []DataDisk `json:"dataDisks,omitempty"`
}

// GPU of a virtual machine. CAPX takes a free one of that kind when it creates the machine.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) != has(self.deviceID)",message="set exactly one of name and deviceID"
type GPU struct {
	// name of the GPU profile, such as Tesla T4 or NVIDIA A40-8Q.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Name string `json:"name,omitempty"`
	// deviceID of the GPU profile, decimal.
	// +kubebuilder:validation:Minimum=1
	// +optional
	DeviceID *int64 `json:"deviceID,omitempty"`
}

// AdapterType is the bus that a disk is attached to.
//
// +kubebuilder:validation:Enum=SCSI;IDE;SATA;PCI
type AdapterType string

// Adapter types of data disks. CAPX's SPAPR is left out: CAPX has no bus type for it in Prism Central's API.
const (
	// AdapterSCSI is the bus of the system disk, too.
	AdapterSCSI AdapterType = "SCSI"
	// AdapterIDE is the bus of the CD-ROM that carries the machine's bootstrap data, too.
	AdapterIDE AdapterType = "IDE"
	// AdapterSATA is a SATA bus.
	AdapterSATA AdapterType = "SATA"
	// AdapterPCI is a virtio disk.
	AdapterPCI AdapterType = "PCI"
)

// DiskMode says where the blocks of a disk are kept.
//
// +kubebuilder:validation:Enum=Standard;Flash
type DiskMode string

// Disk modes.
const (
	// DiskStandard leaves it to Nutanix.
	DiskStandard DiskMode = "Standard"
	// DiskFlash pins the disk to the SSD tier.
	DiskFlash DiskMode = "Flash"
)

// DataDisk is an empty disk of a virtual machine, beside the system disk.
//
// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self.size)) || quantity(string(self.size)).compareTo(quantity('1Gi')) >= 0",message="size is at least 1Gi (CAPX refuses less when it creates the machine)"
type DataDisk struct {
	// size, at least 1Gi.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)?$`
	// +kubebuilder:validation:MaxLength=20
	// +required
	Size resource.Quantity `json:"size"`
	// storageContainer of the machine's Prism Element. Default: Prism Element's own choice.
	// +optional
	StorageContainer *Identifier `json:"storageContainer,omitempty"`
	// adapterType: the bus that the disk is attached to. Default, by CAPX: SCSI.
	// +optional
	AdapterType AdapterType `json:"adapterType,omitempty"`
	// deviceIndex on the bus. Default: the next free one, in the order of the list, from 1 on SCSI and IDE and from 0 on
	// SATA and PCI. CAPX takes 0 as not set.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	// +optional
	DeviceIndex *int32 `json:"deviceIndex,omitempty"`
	// diskMode: Standard, or Flash to pin the disk to the SSD tier. Default, by CAPX: Standard.
	// +optional
	DiskMode DiskMode `json:"diskMode,omitempty"`
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
