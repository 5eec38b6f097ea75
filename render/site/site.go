// Package site is what one Prism Central holds, as values: controllers/prism reads it, render/preflight asks it whether
// machines can come up, render/drift compares its virtual machines with the wanted ones.
//
// Unknown is not empty: what could not be read is named in [Inventory.Unknown] and [Element.Unknown], and what an API may leave out is a
// pointer that is nil.
package site

import (
	"fmt"
	"maps"
	"net/netip"
	"time"
)

// Part of an inventory that is read by itself.
type Part string

// Parts of an inventory.
const (
	// PartVersion is Inventory.Version.
	PartVersion Part = "version"
	// PartElements is Inventory.Elements, but for what the other parts fill in.
	PartElements Part = "Prism Elements"
	// PartHosts is Element.Hosts.
	PartHosts Part = "hosts"
	// PartStorage is the capacity of elements and containers.
	PartStorage Part = "storage capacity"
	// PartGPUs is Element.GPUs.
	PartGPUs Part = "GPU profiles"
	// PartSubnets is Inventory.Subnets.
	PartSubnets Part = "subnets"
	// PartImages is Inventory.Images.
	PartImages Part = "images"
	// PartContainers is Inventory.Containers.
	PartContainers Part = "storage containers"
	// PartCategories is Inventory.Categories.
	PartCategories Part = "categories"
	// PartProjects is Inventory.Projects.
	PartProjects Part = "projects"
	// PartVMs is Inventory.VMs.
	PartVMs Part = "virtual machines"
)

// Parts are all parts of an inventory.
func Parts() []Part {
	return []Part{
		PartVersion, PartElements, PartHosts, PartStorage, PartGPUs, PartSubnets, PartImages, PartContainers, PartCategories,
		PartProjects, PartVMs,
	}
}

// Inventory is what was found at one time. It is shared: nobody writes to it.
type Inventory struct {
	// At is when the reading began.
	At time.Time
	// Version of Prism Central, such as "7.3".
	Version string
	// Elements are the Prism Elements that run virtual machines, without Prism Central's own.
	Elements   []Element
	Subnets    []Subnet
	Images     []Image
	Containers []Container
	Categories []Category
	Projects   []Project
	VMs        []VM
	// Unknown says of each part that could not be read, why. Nothing follows from such a part being empty. A part that
	// some Prism Elements lack is in their own Unknown instead.
	Unknown map[Part]string
}

// Knows says whether a part was read.
func (i *Inventory) Knows(p Part) bool {
	if i == nil {
		return false
	}
	_, unknown := i.Unknown[p]
	return !unknown
}

// Lacks says whether a part of a Prism Element was not read, and why: PartHosts, PartStorage or PartGPUs. i is not nil.
func (i *Inventory) Lacks(p Part, e Element) (why string, lacks bool) {
	if why, lacks = i.Unknown[p]; lacks {
		return why, true
	}
	why, lacks = e.Unknown[p]
	return why, lacks
}

// Missing says of each part that could not be read, of all Prism Elements or of some, why. It is empty when all was read.
func (i *Inventory) Missing() map[Part]string {
	all := map[Part]string{}
	others := map[Part]int{}
	for _, e := range i.Elements {
		for part, why := range e.Unknown {
			if all[part] != "" {
				others[part]++
				continue
			}
			all[part] = "Prism Element " + e.Name + ": " + why
		}
	}
	for part, n := range others {
		all[part] += fmt.Sprintf(" (nor of %d more)", n)
	}
	maps.Copy(all, i.Unknown)
	return all
}

// Element is a Prism Element (AHV cluster).
type Element struct {
	ExtID, Name string
	// AOSVersion is its software, such as "7.3".
	AOSVersion string
	// Available says whether Prism Central reaches it; nil when it does not say.
	Available *bool
	Hosts     []Host
	GPUs      []GPUProfile
	// StorageBytes and FreeStorageBytes are its physical storage; nil when not known.
	StorageBytes, FreeStorageBytes *int64
	// Unknown says of PartHosts, PartStorage and PartGPUs, where they could not be read of this Prism Element, why.
	Unknown map[Part]string
}

// Host of a Prism Element.
type Host struct {
	ExtID, Name string
	// Cores are its physical CPU cores, Threads its logical ones.
	Cores, Threads int64
	MemoryBytes    int64
	// Maintenance: it takes no virtual machines now.
	Maintenance bool
}

// Modes of GPUs.
const (
	GPUPassthrough = "Passthrough"
	GPUVirtual     = "Virtual"
)

// GPUProfile is a kind of GPU that a Prism Element offers.
type GPUProfile struct {
	Name     string
	DeviceID int64
	// Mode is GPUPassthrough or GPUVirtual.
	Mode string
	// Assignable are how many more VMs can have one; nil when not known.
	Assignable *int64
}

// Subnet is a network of virtual machines.
type Subnet struct {
	ExtID, Name string
	// Elements are the ExtIDs of the Prism Elements that offer it.
	Elements []string
	// Prefix of its addresses; invalid when Prism Central does not manage them.
	Prefix netip.Prefix
	// Pools of addresses that are given to virtual machines.
	Pools []Range
	// FreeIPs are left in the pools; nil when not known.
	FreeIPs *int64
}

// Range of addresses, both ends included.
type Range struct{ First, Last netip.Addr }

// Contains says whether an address is in the range.
func (r Range) Contains(a netip.Addr) bool {
	return r.First.IsValid() && r.Last.IsValid() && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

// Image is a disk image.
type Image struct {
	ExtID, Name string
	// Created orders images of one lookup.
	Created time.Time
	// SizeBytes of the disk.
	SizeBytes int64
	// Elements are the ExtIDs of the Prism Elements that hold a copy; empty when Prism Central does not say.
	Elements []string
}

// Container is a storage container of one Prism Element.
type Container struct {
	ExtID, Name string
	// Element is the ExtID of its Prism Element.
	Element string
}

// Category is a key with a value.
type Category struct{ ExtID, Key, Value string }

// Project of Prism Central.
type Project struct{ ExtID, Name string }

// Power states of a VM. Others that Prism Central knows (paused, undetermined) appear in its own words.
const (
	PowerOn  = "ON"
	PowerOff = "OFF"
)

// Boot types of a VM, in CAPX's words.
const (
	BootUEFI   = "uefi"
	BootLegacy = "legacy"
)

// VM is a virtual machine.
type VM struct {
	ExtID, Name string
	// Element is the ExtID of the Prism Element that it runs on.
	Element string
	// Sockets and CoresPerSocket multiply to its virtual CPUs.
	Sockets, CoresPerSocket int64
	MemoryBytes             int64
	// Disks without CD-ROMs; the system disk is the one with an image, or the first.
	Disks []Disk
	NICs  []NIC
	// Categories are ExtIDs.
	Categories []string
	// Project is an ExtID, or empty.
	Project string
	// Power is PowerOn, PowerOff or what Prism Central says.
	Power string
	// Boot is BootUEFI, BootLegacy, or empty when Prism Central does not say.
	Boot string
	GPUs []GPU
	// CustomAttributes are free strings; CAPX keeps "providerid:<uuid>" there.
	CustomAttributes []string
}

// Disk of a VM.
type Disk struct {
	// Bus and Index are its address, such as SCSI 0.
	Bus       string
	Index     int64
	SizeBytes int64
	// Image and Container are ExtIDs, or empty.
	Image, Container string
}

// NIC of a VM.
type NIC struct {
	// Subnet is an ExtID.
	Subnet string
	// IPs that it has, given or learned.
	IPs []netip.Addr
}

// GPU of a VM.
type GPU struct {
	Name     string
	DeviceID int64
	// Mode is GPUPassthrough or GPUVirtual.
	Mode string
}
