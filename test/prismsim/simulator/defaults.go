package simulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	gib = int64(1) << 30
	tib = int64(1) << 40
)

// DefaultModel is a site with room for about 600 VMs: two Prism Elements of four
// hosts with 64 cores and 1 TiB each that share two subnets of 512 addresses,
// images for a few Kubernetes versions, two storage containers on each cluster,
// two projects and three categories. PE-1 has GPUs to pass through, PE-2 has
// virtual ones.
func DefaultModel() Model {
	elements := []string{"PE-1", "PE-2"}
	return Model{
		PrismCentral: PrismCentral{Name: "prism-central", Version: "7.5"},
		PrismElements: []PrismElement{
			{Name: "PE-1", AOSVersion: "7.3", Hosts: defaultHosts("PE-1", GPU{
				Name: "NVIDIA A40", DeviceID: 8757, Mode: GPUPassthroughCompute, Count: 4,
			})},
			{Name: "PE-2", AOSVersion: "7.3", Hosts: defaultHosts("PE-2", GPU{
				Name: "NVIDIA A16-4Q", DeviceID: 1703, Mode: GPUVirtual, Count: 16,
			})},
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
			{Name: "default-container", PrismElement: "PE-1", CapacityBytes: 100 * tib},
			{Name: "default-container", PrismElement: "PE-2", CapacityBytes: 100 * tib},
			{Name: "fast-container", PrismElement: "PE-1", CapacityBytes: 20 * tib},
			{Name: "fast-container", PrismElement: "PE-2", CapacityBytes: 20 * tib},
		},
		Projects: []Project{{Name: "platform"}, {Name: "edge"}},
		Categories: []Category{
			{Key: "Environment", Value: "Production"},
			{Key: "Environment", Value: "Staging"},
			{Key: "Team", Value: "Platform"},
		},
	}
}

// defaultHosts makes four hosts, of which the first two have GPUs.
func defaultHosts(element string, gpu GPU) []Host {
	hosts := make([]Host, 0, 4)
	for i := range 4 {
		h := Host{Name: fmt.Sprintf("%s-host-%d", element, i+1), Sockets: 2, Cores: 64, Threads: 128, MemoryBytes: tib}
		if i < 2 {
			h.GPUs = []GPU{gpu}
		}
		hosts = append(hosts, h)
	}
	return hosts
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
	sum := sha256.Sum256([]byte(name))
	return Image{
		Name: name, SizeBytes: 4 * gib, SHA256: hex.EncodeToString(sum[:]),
		CreateTime: time.Date(2025, time.October, day, 0, 0, 0, 0, time.UTC),
	}
}

// withIDs returns a copy in which every object but VMs has an ExtID.
func (m Model) withIDs() Model {
	m.PrismCentral.Name = cmp.Or(m.PrismCentral.Name, "prism-central")
	m.PrismCentral.Version = cmp.Or(m.PrismCentral.Version, "7.5")
	m.PrismCentral.ExtID = orID(m.PrismCentral.ExtID, "prism-central", m.PrismCentral.Name)
	m.PrismElements = identified(m.PrismElements, func(e *PrismElement) (*string, string) { return &e.ExtID, "cluster/" + e.Name })
	for i := range m.PrismElements {
		e := &m.PrismElements[i]
		e.Hosts = identified(e.Hosts, func(h *Host) (*string, string) { return &h.ExtID, "host/" + e.Name + "/" + h.Name })
	}
	m.Subnets = identified(m.Subnets, func(n *Subnet) (*string, string) { return &n.ExtID, "subnet/" + n.Name })
	m.Images = identified(m.Images, func(i *Image) (*string, string) { return &i.ExtID, "image/" + i.Name })
	m.StorageContainers = identified(m.StorageContainers, func(c *StorageContainer) (*string, string) {
		return &c.ExtID, "storage-container/" + c.PrismElement + "/" + c.Name
	})
	m.VolumeGroups = identified(m.VolumeGroups, func(v *VolumeGroup) (*string, string) { return &v.ExtID, "volume-group/" + v.Name })
	m.Projects = identified(m.Projects, func(p *Project) (*string, string) { return &p.ExtID, "project/" + p.Name })
	m.Categories = identified(m.Categories, func(c *Category) (*string, string) { return &c.ExtID, "category/" + c.Key + "=" + c.Value })
	return m
}

// identified returns a copy of items in which each has an identifier, made from
// its key where there is none.
func identified[T any](items []T, of func(*T) (extID *string, key string)) []T {
	items = slices.Clone(items)
	for i := range items {
		if extID, key := of(&items[i]); *extID == "" {
			*extID = derivedID(key)
		}
	}
	return items
}

func orID(given, kind, name string) string { return cmp.Or(given, derivedID(kind+"/"+name)) }

func derivedID(key string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("prismsim:"+key)).String()
}
