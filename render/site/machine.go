package site

import "k8s.io/apimachinery/pkg/api/resource"

// ClusterCategory is the key of the category that CAPX gives to every VM; its value is the cluster's name.
const ClusterCategory = "KubernetesClusterName"

// MachineSpec is a machine as CAPX is asked to make it: the spec of a NutanixMachine. What is absent or cannot be read
// is zero.
type MachineSpec struct {
	// Sockets and CoresPerSocket multiply to its virtual CPUs.
	Sockets, CoresPerSocket      int64
	MemoryBytes, SystemDiskBytes int64
	// DataDisks without CD-ROMs.
	DataDisks []DataDisk
	// Element and Subnets are empty where a failure domain chooses them.
	Element ID
	Subnets []ID
	// Categories have no ExtID.
	Categories []Category
	Project    ID
	// Boot is BootUEFI, BootLegacy or empty.
	Boot string
	// Image or, with BaseOS, a lookup by name.
	Image                      ID
	LookupBaseOS, LookupFormat string
	GPUs                       []GPUWish
}

// DataDisk is a wanted disk beside the system disk.
type DataDisk struct {
	// Index in dataDisks.
	Index     int
	SizeBytes int64
	// Container to put it in; zero: Prism Central chooses.
	Container ID
}

// GPUWish asks for a GPU by name or by device id.
type GPUWish struct {
	Name     string
	DeviceID *int64
}

// Is says whether a GPU is one of those that are wished for.
func (w GPUWish) Is(name string, deviceID int64) bool {
	if w.DeviceID != nil {
		return *w.DeviceID == deviceID
	}
	return w.Name == name
}

// ReadMachine reads the spec of a NutanixMachine, or spec.template.spec of a NutanixMachineTemplate.
func ReadMachine(spec map[string]any) MachineSpec {
	lookup := tree(spec["imageLookup"])
	m := MachineSpec{
		Sockets:         integer(spec["vcpuSockets"]),
		CoresPerSocket:  integer(spec["vcpusPerSocket"]),
		MemoryBytes:     bytes(spec["memorySize"]),
		SystemDiskBytes: bytes(spec["systemDiskSize"]),
		Element:         ReadID(spec["cluster"]),
		Project:         ReadID(spec["project"]),
		Boot:            text(spec["bootType"]),
		Image:           ReadID(spec["image"]),
		LookupBaseOS:    text(lookup["baseOS"]),
		LookupFormat:    text(lookup["format"]),
		Subnets:         ReadIDs(spec["subnet"]),
	}
	for _, c := range list(spec["additionalCategories"]) {
		m.Categories = append(m.Categories, Category{Key: text(tree(c)["key"]), Value: text(tree(c)["value"])})
	}
	for i, d := range list(spec["dataDisks"]) {
		disk := tree(d)
		if text(tree(disk["deviceProperties"])["deviceType"]) == "CDRom" {
			continue
		}
		container := ReadID(tree(disk["storageConfig"])["storageContainer"])
		m.DataDisks = append(m.DataDisks, DataDisk{Index: i, SizeBytes: bytes(disk["diskSize"]), Container: container})
	}
	for _, g := range list(spec["gpus"]) {
		m.GPUs = append(m.GPUs, gpuWish(tree(g)))
	}
	return m
}

func gpuWish(v map[string]any) GPUWish {
	if text(v["type"]) != "deviceID" {
		return GPUWish{Name: text(v["name"])}
	}
	id := integer(v["deviceID"])
	return GPUWish{DeviceID: &id}
}

// ReadID reads an identifier as CAPX writes it: type name or uuid, and the field of that name.
func ReadID(v any) ID {
	id := tree(v)
	switch text(id["type"]) {
	case "uuid":
		return ID{UUID: text(id["uuid"])}
	case "name":
		return ID{Name: text(id["name"])}
	}
	return ID{}
}

// ReadIDs reads a list of identifiers.
func ReadIDs(v any) []ID {
	var out []ID
	for _, item := range list(v) {
		out = append(out, ReadID(item))
	}
	return out
}

func tree(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// integer reads a number as JSON decoders leave it.
func integer(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case int32:
		return int64(n)
	case int:
		return int64(n)
	case float64:
		return int64(n)
	}
	return 0
}

// bytes reads a quantity, which may be written as a plain number.
func bytes(v any) int64 {
	s, ok := v.(string)
	if !ok {
		return integer(v)
	}
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return 0
	}
	return q.Value()
}
