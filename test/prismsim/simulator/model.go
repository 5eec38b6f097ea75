package simulator

import (
	"net/netip"
	"time"
)

// Model is what a Prism Central holds when the simulator starts. Objects refer
// to each other by name. An empty ExtID is derived from kind and name, so the
// same Model has the same identifiers in every run.
type Model struct {
	PrismCentral      PrismCentral       `json:"prismCentral,omitzero"`
	PrismElements     []PrismElement     `json:"prismElements,omitempty"`
	Subnets           []Subnet           `json:"subnets,omitempty"`
	Images            []Image            `json:"images,omitempty"`
	StorageContainers []StorageContainer `json:"storageContainers,omitempty"`
	VolumeGroups      []VolumeGroup      `json:"volumeGroups,omitempty"`
	Projects          []Project          `json:"projects,omitempty"`
	Categories        []Category         `json:"categories,omitempty"`
	// VMs exist from the start; their hooks are not called.
	VMs []VM `json:"vms,omitempty"`
}

// PrismCentral is what Prism Central says of itself. It shows up in the list of
// clusters, too, with the function PRISM_CENTRAL.
type PrismCentral struct {
	// Name is "prism-central" when empty.
	Name  string `json:"name,omitempty"`
	ExtID string `json:"extId,omitempty"`
	// Version is "7.5" when empty.
	Version string `json:"version,omitempty"`
}

// PrismElement is a Nutanix cluster that Prism Central manages.
type PrismElement struct {
	Name  string `json:"name"`
	ExtID string `json:"extId,omitempty"`
	// AOSVersion is the software version it reports, such as "7.3".
	AOSVersion string `json:"aosVersion,omitempty"`
	// Unavailable means that Prism Central does not reach it: it says so, keeps
	// what it knew, and every task on its VMs fails.
	Unavailable bool `json:"unavailable,omitempty"`
	// Hosts run its VMs. Without hosts there is room for everything.
	Hosts []Host `json:"hosts,omitempty"`
}

// Host is a node of a Prism Element. A VM takes memory and GPUs of one host
// while it is on; virtual CPUs are shared and never run out, as with AHV.
type Host struct {
	Name  string `json:"name"`
	ExtID string `json:"extId,omitempty"`
	// Sockets, Cores and Threads are the totals of the host, not per socket.
	Sockets int `json:"sockets,omitempty"`
	Cores   int `json:"cores,omitempty"`
	Threads int `json:"threads,omitempty"`
	// MemoryBytes is all memory of the host, in bytes.
	MemoryBytes int64 `json:"memoryBytes,omitempty"`
	// Maintenance keeps VMs off the host.
	Maintenance bool `json:"maintenance,omitempty"`
	// GPUs are what VMs on the host can have.
	GPUs []GPU `json:"gpus,omitempty"`
}

// The modes of a [GPU].
const (
	GPUPassthroughCompute  = "PASSTHROUGH_COMPUTE"
	GPUPassthroughGraphics = "PASSTHROUGH_GRAPHICS"
	GPUVirtual             = "VIRTUAL"
)

// GPU is a kind of GPU, and how many of it a host has.
type GPU struct {
	// Name is the device name, such as "NVIDIA A40".
	Name string `json:"name"`
	// DeviceID identifies the kind; it is the same on all hosts.
	DeviceID int `json:"deviceId"`
	// Mode is one of the constants; empty means [GPUPassthroughCompute].
	Mode string `json:"mode,omitempty"`
	// Count is how many VMs can have one at the same time.
	Count int `json:"count"`
}

// Subnet is a VLAN with one pool of managed IPv4 addresses.
type Subnet struct {
	Name  string `json:"name"`
	ExtID string `json:"extId,omitempty"`
	// VLAN is the network identifier, 0 to 4095.
	VLAN int `json:"vlan,omitempty"`
	// PrismElements are the names of the clusters that offer the subnet.
	PrismElements []string `json:"prismElements"`
	// Network and Gateway are what a guest would configure.
	Network netip.Prefix `json:"network"`
	Gateway netip.Addr   `json:"gateway"`
	// FirstIP and LastIP bound the pool, both included.
	FirstIP netip.Addr `json:"firstIP"`
	LastIP  netip.Addr `json:"lastIP"`
}

// Image is a disk image.
type Image struct {
	Name  string `json:"name"`
	ExtID string `json:"extId,omitempty"`
	// SizeBytes is the size of the image, in bytes.
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// SHA256 is its checksum in hexadecimal, or empty.
	SHA256 string `json:"sha256,omitempty"`
	// PrismElements are the names of the clusters that hold a copy; empty means
	// all. A VM cannot be made elsewhere.
	PrismElements []string `json:"prismElements,omitempty"`
	// CreateTime orders images for clients that want the newest.
	CreateTime time.Time `json:"createTime,omitzero"`
}

// StorageContainer is where one Prism Element keeps disks.
type StorageContainer struct {
	Name  string `json:"name"`
	ExtID string `json:"extId,omitempty"`
	// PrismElement is the name of the cluster that it belongs to.
	PrismElement string `json:"prismElement"`
	// CapacityBytes is shared by the full sizes of all disks in it, thin
	// provisioning or not; 0 means that it never fills up and that Prism Central
	// has no figures of it.
	CapacityBytes int64 `json:"capacityBytes,omitempty"`
}

// VolumeGroup is storage that can be attached to VMs, as a CSI driver does.
type VolumeGroup struct {
	Name  string `json:"name"`
	ExtID string `json:"extId,omitempty"`
	// PrismElement is the name of the cluster that it belongs to.
	PrismElement string `json:"prismElement"`
}

// Project is a Prism Central project, known to the v3 API only.
type Project struct {
	Name  string `json:"name"`
	ExtID string `json:"extId,omitempty"`
}

// Category is a key and a value that can be put on a VM.
type Category struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	ExtID       string `json:"extId,omitempty"`
	Description string `json:"description,omitempty"`
}

// The power states of a [VM].
const (
	PowerOn  = "ON"
	PowerOff = "OFF"
)

// The boot types of a [VM]. An empty boot type means that the request named
// none; Prism Central then boots in legacy mode.
const (
	BootUEFI   = "uefi"
	BootLegacy = "legacy"
)

// VM is a virtual machine as its owner sees it.
type VM struct {
	Name string `json:"name"`
	// ExtID identifies the VM; empty in a Model means a fresh one.
	ExtID string `json:"extId,omitempty"`
	// PrismElement is the name of the cluster that the VM runs on.
	PrismElement string `json:"prismElement"`
	// Subnets are the names of the networks of its NICs, in order.
	Subnets []string `json:"subnets,omitempty"`
	// Sockets and CoresPerSocket multiply to the number of vCPUs.
	Sockets        int `json:"sockets"`
	CoresPerSocket int `json:"coresPerSocket"`
	// MemoryBytes is its memory, in bytes.
	MemoryBytes int64 `json:"memoryBytes"`
	// DiskBytes is the size of the system disk, in bytes.
	DiskBytes int64 `json:"diskBytes,omitempty"`
	// Image is the name of the image that the system disk was cloned from.
	Image string `json:"image,omitempty"`
	// StorageContainer is the name of the container of the system disk; empty
	// means the first one of the cluster.
	StorageContainer string `json:"storageContainer,omitempty"`
	// DataDisks are the disks besides the system disk, in order.
	DataDisks []Disk `json:"dataDisks,omitempty"`
	// GPUs are the names of its GPUs.
	GPUs []string `json:"gpus,omitempty"`
	// VolumeGroups are the names of what is attached to it.
	VolumeGroups []string `json:"volumeGroups,omitempty"`
	// Project is the name of its project, or empty.
	Project string `json:"project,omitempty"`
	// Categories are "key=value", sorted.
	Categories []string `json:"categories,omitempty"`
	// BootType is [BootUEFI], [BootLegacy] or empty.
	BootType string `json:"bootType,omitempty"`
	// PowerState is [PowerOn] or [PowerOff]; empty in a Model means off.
	PowerState string `json:"powerState,omitempty"`
	// CustomAttributes are free strings; CAPX keeps "providerid:<uuid>" there.
	CustomAttributes []string `json:"customAttributes,omitempty"`
	// UserData is the decoded cloud-init document, Metadata its meta-data.
	UserData string `json:"userData,omitempty"`
	Metadata string `json:"metadata,omitempty"`

	// The rest is set by the server and ignored in a Model.

	// IP is the address of the first NIC, empty until the VM has booted once.
	IP string `json:"-"`
	// Host is the name of the host that it runs on, empty while it is off or
	// when the cluster has no hosts.
	Host string `json:"-"`
	// ClusterExtID, SubnetExtIDs, ImageExtID and ProjectExtID are the
	// identifiers behind the names above.
	ClusterExtID string   `json:"-"`
	SubnetExtIDs []string `json:"-"`
	ImageExtID   string   `json:"-"`
	ProjectExtID string   `json:"-"`
}

// Disk is a data disk of a [VM].
type Disk struct {
	// SizeBytes is its size, in bytes.
	SizeBytes int64 `json:"sizeBytes"`
	// StorageContainer is a name; empty means the first one of the cluster.
	StorageContainer string `json:"storageContainer,omitempty"`
	// Bus is SCSI, IDE, PCI, SATA or SPAPR, Index the place on it. A disk
	// without a Bus gets the next free place on the SCSI bus.
	Bus   string `json:"bus,omitempty"`
	Index int    `json:"index,omitempty"`
	// Flash is true when the disk is pinned to flash storage.
	Flash bool `json:"flash,omitempty"`

	// ExtID is set by the server; it tells disks apart when a VM is edited.
	ExtID string `json:"-"`
}
