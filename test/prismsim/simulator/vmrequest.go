package simulator

import (
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// typedRequest takes the $objectType that clients put on every object.
type typedRequest struct {
	ObjectType string `json:"$objectType"`
}

// vmRequest is the part of the SDK's Vm that can be created here. Other fields
// (CD-ROMs, NIC models, …) are refused by [decode].
type vmRequest struct {
	typedRequest
	Name                          string
	NumSockets, NumCoresPerSocket int
	MemorySizeBytes               int64
	HardwareClockTimezone         string
	Cluster                       refRequest
	Categories                    []refRequest
	Project                       refRequest
	Nics                          []nicRequest
	Disks                         []diskRequest
	Gpus                          []gpuRequest
	BootConfig                    *bootRequest
	GuestCustomization            *guestRequest
	CustomAttributes              []string
}

type refRequest struct {
	typedRequest
	ExtID string
}

type nicRequest struct {
	typedRequest
	NetworkInfo struct {
		typedRequest
		Subnet refRequest
	}
}

type diskRequest struct {
	typedRequest
	DiskAddress *struct {
		typedRequest
		BusType string
		Index   int
	}
	BackingInfo struct {
		typedRequest
		DiskSizeBytes int64
		DataSource    *struct {
			typedRequest
			Reference struct {
				typedRequest
				ImageExtID string
			}
		}
		StorageContainer *refRequest
		StorageConfig    *struct {
			typedRequest
			IsFlashModeEnabled bool
		}
	}
}

type gpuRequest struct {
	typedRequest
	Name, Mode, Vendor string
	DeviceID           int
}

type bootRequest struct {
	typedRequest
	BootOrder []string
}

type guestRequest struct {
	typedRequest
	Config struct {
		typedRequest
		DatasourceType  string
		Metadata        string
		CloudInitScript struct {
			typedRequest
			Value string
		}
	}
}

// buses are those that the SDK knows.
var buses = []string{"SCSI", "IDE", "PCI", "SATA", "SPAPR"}

const vmPackage = "vmm.v4.ahv.config."

// machine turns a request into a VM that is not part of the server yet.
func (v vmRequest) machine() (*machine, error) {
	if v.Name == "" || v.NumSockets < 1 || v.NumCoresPerSocket < 1 || v.MemorySizeBytes < 1 {
		return nil, invalid(http.StatusBadRequest, "VM %q needs a name, sockets, cores per socket and memory", v.Name)
	}
	m := &machine{
		extID: uuid.NewString(), name: v.Name, cluster: v.Cluster.ExtID, project: v.Project.ExtID,
		sockets: v.NumSockets, cores: v.NumCoresPerSocket, memory: v.MemorySizeBytes,
		timezone: v.HardwareClockTimezone, customAttributes: v.CustomAttributes,
	}
	for _, c := range v.Categories {
		m.categories = append(m.categories, c.ExtID)
	}
	for _, n := range v.Nics {
		m.nics = append(m.nics, newNIC(n.NetworkInfo.Subnet.ExtID))
	}
	for _, d := range v.Disks {
		if err := d.addTo(m); err != nil {
			return nil, err
		}
	}
	for _, g := range v.Gpus {
		m.gpus = append(m.gpus, gpu{extID: uuid.NewString(), deviceID: g.DeviceID})
	}
	if err := v.BootConfig.addTo(m); err != nil {
		return nil, err
	}
	return m, v.GuestCustomization.addTo(m)
}

func (d diskRequest) addTo(m *machine) error {
	if err := wantType(d.BackingInfo.ObjectType, "VmDisk"); err != nil {
		return err
	}
	// Without an address the next free place on the SCSI bus is taken.
	added := newDisk(freePlace(m.disks, "SCSI"), d.BackingInfo.DiskSizeBytes)
	if d.DiskAddress != nil {
		added.bus, added.index = d.DiskAddress.BusType, d.DiskAddress.Index
		if !slices.Contains(buses, added.bus) {
			return invalid(http.StatusBadRequest, "bus %q is none of %v", added.bus, buses)
		}
	}
	if source := d.BackingInfo.DataSource; source != nil {
		if err := wantType(source.Reference.ObjectType, "ImageReference"); err != nil {
			return err
		}
		added.image = source.Reference.ImageExtID
	}
	if container := d.BackingInfo.StorageContainer; container != nil {
		added.container = container.ExtID
	}
	if config := d.BackingInfo.StorageConfig; config != nil {
		added.flashMode = &config.IsFlashModeEnabled
	}
	m.disks = append(m.disks, added)
	return nil
}

func (b *bootRequest) addTo(m *machine) error {
	if b == nil {
		return nil
	}
	m.bootOrder = b.BootOrder
	switch b.ObjectType {
	case vmPackage + "UefiBoot":
		m.boot = BootUEFI
	case vmPackage + "LegacyBoot":
		m.boot = BootLegacy
	default:
		return notSimulated("body: bootConfig of type %q is not known", b.ObjectType)
	}
	return nil
}

func (g *guestRequest) addTo(m *machine) error {
	if g == nil {
		return nil
	}
	if err := wantType(g.Config.ObjectType, "CloudInit"); err != nil {
		return err
	}
	if err := wantType(g.Config.CloudInitScript.ObjectType, "Userdata"); err != nil {
		return err
	}
	userData, err := base64.StdEncoding.DecodeString(g.Config.CloudInitScript.Value)
	if err != nil {
		return invalid(http.StatusBadRequest, "guestCustomization: the user data is not base64: %v", err)
	}
	metadata, err := base64.StdEncoding.DecodeString(g.Config.Metadata)
	if err != nil {
		return invalid(http.StatusBadRequest, "guestCustomization: the metadata is not base64: %v", err)
	}
	m.userData, m.metadata = string(userData), string(metadata)
	return nil
}

func wantType(got, want string) error {
	if got != vmPackage+want {
		return notSimulated("body: an object of type %q stands where only %s is known", got, vmPackage+want)
	}
	return nil
}
