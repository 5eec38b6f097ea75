package simulator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/uuid"
)

// machine is a VM as the server keeps it: what it refers to, by extId.
type machine struct {
	extID, name, cluster, project string
	sockets, cores                int
	memory                        int64
	timezone                      string
	categories                    []string
	nics                          []nic
	disks                         []disk
	boot                          string
	bootOrder                     []string
	customAttributes              []string
	userData, metadata            string

	on bool
	// booted is set for good by the first boot: addresses show from then on.
	booted bool
	// boots counts power changes, so that a boot ends only if nothing came
	// between.
	boots    int
	revision int
}

type nic struct {
	extID, subnet string
	// ip is taken out of the pool when the VM is made.
	ip netip.Addr
}

type disk struct {
	extID, diskExtID, bus string
	index                 int
	size                  int64
	image, container      string
	// flashMode is nil when the request did not say.
	flashMode *bool
}

func newNIC(subnet string) nic { return nic{extID: uuid.NewString(), subnet: subnet} }

func newDisk(bus string, index int, size int64) disk {
	return disk{extID: uuid.NewString(), diskExtID: uuid.NewString(), bus: bus, index: index, size: size}
}

func (m *machine) disksOn(bus string) int {
	n := 0
	for _, d := range m.disks {
		if d.bus == bus {
			n++
		}
	}
	return n
}

func (m *machine) power(on bool) {
	m.on = on
	m.boots++
}

// document is the VM as the v4 API shows it. Whether a real Prism Central
// returns the guest customization is not established; it is left out.
func (m *machine) document() object {
	state := PowerOff
	if m.on {
		state = PowerOn
	}
	doc := typed(vmPackage+"Vm", object{
		"extId":             m.extID,
		"name":              m.name,
		"cluster":           reference(vmPackage+"ClusterReference", m.cluster),
		"numSockets":        m.sockets,
		"numCoresPerSocket": m.cores,
		"numThreadsPerCore": 1,
		"memorySizeBytes":   m.memory,
		"powerState":        state,
	})
	categories := make([]object, 0, len(m.categories))
	for _, id := range m.categories {
		categories = append(categories, reference(vmPackage+"CategoryReference", id))
	}
	disks := make([]object, 0, len(m.disks))
	for _, d := range m.disks {
		disks = append(disks, d.document())
	}
	nics := make([]object, 0, len(m.nics))
	for _, n := range m.nics {
		nics = append(nics, n.document(m.booted))
	}
	doc["categories"], doc["disks"], doc["nics"] = categories, disks, nics
	if m.timezone != "" {
		doc["hardwareClockTimezone"] = m.timezone
	}
	if m.project != "" {
		doc["project"] = reference(vmPackage+"ProjectReference", m.project)
	}
	if len(m.customAttributes) > 0 {
		doc["customAttributes"] = slices.Clone(m.customAttributes)
	}
	if boot := m.bootDocument(); boot != nil {
		doc["bootConfig"] = boot
	}
	return doc
}

func (m *machine) bootDocument() object {
	var boot object
	switch m.boot {
	case BootUEFI:
		boot = typed(vmPackage+"UefiBoot", object{})
	case BootLegacy:
		boot = typed(vmPackage+"LegacyBoot", object{})
	default:
		return nil
	}
	if len(m.bootOrder) > 0 {
		boot["bootOrder"] = m.bootOrder
	}
	return boot
}

func (d disk) document() object {
	backing := typed(vmPackage+"VmDisk", object{"diskExtId": d.diskExtID, "diskSizeBytes": d.size})
	if d.container != "" {
		backing["storageContainer"] = reference(vmPackage+"VmDiskContainerReference", d.container)
	}
	if d.image != "" {
		backing["dataSource"] = typed(vmPackage+"DataSource", object{
			"reference": typed(vmPackage+"ImageReference", object{"imageExtId": d.image}),
		})
	}
	if d.flashMode != nil {
		backing["storageConfig"] = typed(vmPackage+"VmDiskStorageConfig", object{"isFlashModeEnabled": *d.flashMode})
	}
	return typed(vmPackage+"Disk", object{
		"extId":       d.extID,
		"diskAddress": typed(vmPackage+"DiskAddress", object{"busType": d.bus, "index": d.index}),
		"backingInfo": backing,
	})
}

func (n nic) document(booted bool) object {
	info := typed(vmPackage+"NicNetworkInfo", object{
		"nicType": "NORMAL_NIC",
		"subnet":  reference(vmPackage+"SubnetReference", n.subnet),
	})
	if booted {
		info["ipv4Config"] = typed(vmPackage+"Ipv4Config", object{"ipAddress": ipAddress(n.ip), "shouldAssignIp": true})
	}
	return typed(vmPackage+"Nic", object{"extId": n.extID, "networkInfo": info})
}

// checkReferences makes sure that all that a VM refers to exists, and fills in
// what Prism Central chooses: the size of a disk cloned whole, its container.
func (s *Server) checkReferences(m *machine) error {
	element, ok := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == m.cluster })
	if !ok {
		return fmt.Errorf("cluster %q does not exist", m.cluster)
	}
	if m.project != "" && s.projectName(m.project) == "" {
		return fmt.Errorf("project %q does not exist", m.project)
	}
	for _, id := range m.categories {
		if s.categories[id] == nil {
			return fmt.Errorf("category %q does not exist", id)
		}
	}
	for _, n := range m.nics {
		subnet, found := find(s.model.Subnets, func(x Subnet) bool { return x.ExtID == n.subnet })
		if !found || !slices.Contains(subnet.PrismElements, element.Name) {
			return fmt.Errorf("subnet %q does not exist on cluster %s", n.subnet, element.Name)
		}
	}
	var errs []error
	for i := range m.disks {
		errs = append(errs, s.completeDisk(&m.disks[i], element))
	}
	return errors.Join(errs...)
}

func (s *Server) completeDisk(d *disk, element PrismElement) error {
	if d.image != "" {
		image, ok := find(s.model.Images, func(i Image) bool { return i.ExtID == d.image })
		if !ok {
			return fmt.Errorf("image %q does not exist", d.image)
		}
		if d.size == 0 {
			d.size = image.SizeBytes
		}
	}
	container, ok := find(s.model.StorageContainers, func(c StorageContainer) bool {
		return c.PrismElement == element.Name && (d.container == "" || c.ExtID == d.container)
	})
	if !ok {
		return fmt.Errorf("storage container %q does not exist on cluster %s", d.container, element.Name)
	}
	d.container = container.ExtID
	return nil
}

// add makes a VM part of the server, with an address for each NIC.
func (s *Server) add(m *machine) error {
	if err := s.checkReferences(m); err != nil {
		return err
	}
	taken := map[netip.Addr]bool{}
	for i := range m.nics {
		ip, err := s.freeAddress(m.nics[i].subnet, taken)
		if err != nil {
			return err
		}
		m.nics[i].ip = ip
		taken[ip] = true
	}
	m.revision = s.nextRevision()
	s.vms[m.extID] = m
	return nil
}

func (s *Server) remove(m *machine) {
	gone := s.view(m)
	m.power(false)
	delete(s.vms, m.extID)
	if hook := s.options.OnDelete; hook != nil {
		s.hooks.add(func() { hook(gone) })
	}
}

// powerOn switches a VM on and lets it boot; one that is on stays as it is.
func (s *Server) powerOn(m *machine) {
	if m.on {
		return
	}
	m.power(true)
	boot := m.boots
	s.after(s.options.BootDelay, func() {
		if m.boots != boot {
			return
		}
		m.booted = true
		m.revision = s.nextRevision()
		if hook := s.options.OnPowerOn; hook != nil {
			up := s.view(m)
			s.hooks.add(func() { hook(up) })
		}
	})
}

// addressesOf returns the addresses of a subnet that VMs hold.
func (s *Server) addressesOf(subnet string) map[netip.Addr]bool {
	held := map[netip.Addr]bool{}
	for _, m := range s.vms {
		for _, n := range m.nics {
			if n.subnet == subnet {
				held[n.ip] = true
			}
		}
	}
	return held
}

func (s *Server) freeAddress(subnetID string, taken map[netip.Addr]bool) (netip.Addr, error) {
	subnet, _ := find(s.model.Subnets, func(n Subnet) bool { return n.ExtID == subnetID })
	held := s.addressesOf(subnetID)
	for ip := subnet.FirstIP; ip.IsValid() && ip.Compare(subnet.LastIP) <= 0; ip = ip.Next() {
		if !held[ip] && !taken[ip] {
			return ip, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("subnet %s has no free address", subnet.Name)
}

func poolSize(n Subnet) int {
	size := 0
	for ip := n.FirstIP; ip.IsValid() && ip.Compare(n.LastIP) <= 0; ip = ip.Next() {
		size++
	}
	return size
}

func find[T any](items []T, is func(T) bool) (T, bool) {
	if i := slices.IndexFunc(items, is); i >= 0 {
		return items[i], true
	}
	var none T
	return none, false
}
