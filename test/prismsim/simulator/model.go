package simulator

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Model is what a Prism Central holds when the simulator starts. Objects refer
// to each other by name. An empty ExtID is derived from kind and name, so the
// same Model has the same identifiers in every run.
type Model struct {
	PrismElements     []PrismElement
	Subnets           []Subnet
	Images            []Image
	StorageContainers []StorageContainer
	Projects          []Project
	Categories        []Category
	// VMs exist from the start; their hooks are not called.
	VMs []VM
}

// PrismElement is a Nutanix cluster that Prism Central manages.
type PrismElement struct {
	Name, ExtID string
	// AOSVersion is the software version it reports, such as "7.3".
	AOSVersion string
}

// Subnet is a VLAN with one pool of managed IPv4 addresses.
type Subnet struct {
	Name, ExtID string
	// VLAN is the network identifier, 0 to 4095.
	VLAN int
	// PrismElements are the names of the clusters that offer the subnet.
	PrismElements []string
	// Network and Gateway are what a guest would configure.
	Network netip.Prefix
	Gateway netip.Addr
	// FirstIP and LastIP bound the pool, both included.
	FirstIP, LastIP netip.Addr
}

// Image is a disk image that every Prism Element holds a copy of.
type Image struct {
	Name, ExtID string
	// SizeBytes is the size of the image, in bytes.
	SizeBytes int64
	// CreateTime orders images for clients that want the newest.
	CreateTime time.Time
}

// StorageContainer is where one Prism Element keeps disks.
type StorageContainer struct {
	Name, ExtID string
	// PrismElement is the name of the cluster that it belongs to.
	PrismElement string
}

// Project is a Prism Central project, known to the v3 API only.
type Project struct {
	Name, ExtID string
}

// Category is a key and a value that can be put on a VM.
type Category struct {
	Key, Value, ExtID string
	Description       string
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
	Name string
	// ExtID identifies the VM; empty in a Model means a fresh one.
	ExtID string
	// PrismElement is the name of the cluster that the VM runs on.
	PrismElement string
	// Subnets are the names of the networks of its NICs, in order.
	Subnets []string
	// Sockets and CoresPerSocket multiply to the number of vCPUs.
	Sockets, CoresPerSocket int
	// MemoryBytes is its memory, in bytes.
	MemoryBytes int64
	// DiskBytes is the size of the system disk, in bytes.
	DiskBytes int64
	// Image is the name of the image that the system disk was cloned from.
	Image string
	// Project is the name of its project, or empty.
	Project string
	// Categories are "key=value", sorted.
	Categories []string
	// BootType is [BootUEFI], [BootLegacy] or empty.
	BootType string
	// PowerState is [PowerOn] or [PowerOff]; empty in a Model means off.
	PowerState string
	// CustomAttributes are free strings; CAPX keeps "providerid:<uuid>" there.
	CustomAttributes []string
	// UserData is the decoded cloud-init document, Metadata its meta-data.
	UserData, Metadata string

	// The rest is set by the server and ignored in a Model.

	// IP is the address of the first NIC, empty until the VM has booted once.
	IP string
	// ClusterExtID, SubnetExtIDs, ImageExtID and ProjectExtID are the
	// identifiers behind the names above.
	ClusterExtID string
	SubnetExtIDs []string
	ImageExtID   string
	ProjectExtID string
}

// DefaultModel is a small site: two Prism Elements that share two subnets of
// 512 addresses each, images for a few Kubernetes versions, one storage
// container on each cluster, one project and three categories.
func DefaultModel() Model {
	elements := []string{"PE-1", "PE-2"}
	return Model{
		PrismElements: []PrismElement{
			{Name: "PE-1", AOSVersion: "7.3"},
			{Name: "PE-2", AOSVersion: "7.3"},
		},
		Subnets: []Subnet{defaultSubnet(101, elements), defaultSubnet(102, elements)},
		Images: []Image{
			defaultImage("ubuntu-24.04-kube-v1.32.8", 1),
			defaultImage("ubuntu-24.04-kube-v1.33.4", 2),
			defaultImage("ubuntu-24.04-kube-v1.33.5", 3),
			defaultImage("ubuntu-24.04-kube-v1.34.1", 4),
			defaultImage("ubuntu-24.04-kube-v1.34.2", 5),
			defaultImage("ubuntu-22.04-kube-v1.33.4", 6),
		},
		StorageContainers: []StorageContainer{
			{Name: "default-container", PrismElement: "PE-1"},
			{Name: "default-container", PrismElement: "PE-2"},
		},
		Projects: []Project{{Name: "platform"}},
		Categories: []Category{
			{Key: "Environment", Value: "Production"},
			{Key: "Environment", Value: "Staging"},
			{Key: "Team", Value: "Platform"},
		},
	}
}

func defaultSubnet(vlan byte, elements []string) Subnet {
	return Subnet{
		Name:          fmt.Sprintf("vlan-%d", vlan),
		VLAN:          int(vlan),
		PrismElements: elements,
		Network:       netip.PrefixFrom(netip.AddrFrom4([4]byte{10, vlan, 0, 0}), 22),
		Gateway:       netip.AddrFrom4([4]byte{10, vlan, 0, 1}),
		FirstIP:       netip.AddrFrom4([4]byte{10, vlan, 1, 0}),
		LastIP:        netip.AddrFrom4([4]byte{10, vlan, 2, 255}),
	}
}

func defaultImage(name string, day int) Image {
	return Image{Name: name, SizeBytes: 4 << 30, CreateTime: time.Date(2025, time.October, day, 0, 0, 0, 0, time.UTC)}
}

// withIDs returns a copy in which every object but VMs has an ExtID.
func (m Model) withIDs() Model {
	m.PrismElements = slices.Clone(m.PrismElements)
	for i := range m.PrismElements {
		m.PrismElements[i].ExtID = orID(m.PrismElements[i].ExtID, "cluster", m.PrismElements[i].Name)
	}
	m.Subnets = slices.Clone(m.Subnets)
	for i := range m.Subnets {
		m.Subnets[i].ExtID = orID(m.Subnets[i].ExtID, "subnet", m.Subnets[i].Name)
	}
	m.Images = slices.Clone(m.Images)
	for i := range m.Images {
		m.Images[i].ExtID = orID(m.Images[i].ExtID, "image", m.Images[i].Name)
	}
	m.StorageContainers = slices.Clone(m.StorageContainers)
	for i := range m.StorageContainers {
		c := &m.StorageContainers[i]
		c.ExtID = orID(c.ExtID, "storage-container", c.PrismElement+"/"+c.Name)
	}
	m.Projects = slices.Clone(m.Projects)
	for i := range m.Projects {
		m.Projects[i].ExtID = orID(m.Projects[i].ExtID, "project", m.Projects[i].Name)
	}
	m.Categories = slices.Clone(m.Categories)
	for i := range m.Categories {
		c := &m.Categories[i]
		c.ExtID = orID(c.ExtID, "category", c.Key+"="+c.Value)
	}
	return m
}

func orID(given, kind, name string) string {
	if given != "" {
		return given
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("prismsim:"+kind+"/"+name)).String()
}
