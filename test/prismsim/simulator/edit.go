package simulator

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// edit makes a VM what its owner wants it to be, or changes nothing and says why.
func (s *Server) edit(m *machine, before, after VM) error {
	if err := checkEdit(before, after); err != nil {
		return err
	}
	changed := m.clone()
	if err := s.apply(changed, after); err != nil {
		return err
	}
	on := after.PowerState == PowerOn
	changed.on = on
	if err := s.settle(changed); err != nil {
		return err
	}
	changed.on = m.on
	s.replace(m, changed)
	switch {
	case on && !m.on:
		s.boot(m)
	case !on && m.on:
		m.power(false)
	}
	return nil
}

// checkEdit refuses to change what makes a VM this VM.
func checkEdit(before, after VM) error {
	fixed := func(v VM) []string {
		return slices.Concat([]string{
			v.ExtID, v.Image, v.UserData, v.Metadata, v.IP, v.Host, v.ClusterExtID, v.ImageExtID, v.ProjectExtID,
		}, v.SubnetExtIDs)
	}
	if !slices.Equal(fixed(before), fixed(after)) {
		return fmt.Errorf("its identity, image, user data and what the server sets cannot be changed")
	}
	return nil
}

// apply writes what can be edited into a VM that nobody else sees yet.
func (s *Server) apply(m *machine, v VM) error {
	switch {
	case v.Name == "" || v.Sockets < 1 || v.CoresPerSocket < 1 || v.MemoryBytes < 1:
		return fmt.Errorf("a VM needs a name, sockets, cores per socket and memory")
	case v.PowerState != PowerOn && v.PowerState != PowerOff:
		return fmt.Errorf("power state %q is neither %s nor %s", v.PowerState, PowerOn, PowerOff)
	case v.BootType != "" && v.BootType != BootUEFI && v.BootType != BootLegacy:
		return fmt.Errorf("boot type %q is neither %s nor %s nor empty", v.BootType, BootUEFI, BootLegacy)
	}
	element, ok := find(s.model.PrismElements, func(e PrismElement) bool { return e.Name == v.PrismElement })
	if !ok {
		return fmt.Errorf("prism element %q does not exist", v.PrismElement)
	}
	project, err := s.projectID(v.Project)
	if err != nil {
		return err
	}
	categories, err := s.categoryIDs(v.Categories)
	if err != nil {
		return err
	}
	m.name, m.cluster, m.project, m.categories, m.boot = v.Name, element.ExtID, project, categories, v.BootType
	m.sockets, m.cores, m.memory = v.Sockets, v.CoresPerSocket, v.MemoryBytes
	m.customAttributes = slices.Clone(v.CustomAttributes)
	if err := s.applyNICs(m, v.Subnets); err != nil {
		return err
	}
	if err := m.applyGPUs(element, v.GPUs); err != nil {
		return err
	}
	return s.applyDisks(m, v)
}

// applyNICs keeps the NICs whose subnet stays, in the wanted order.
func (s *Server) applyNICs(m *machine, subnets []string) error {
	left, wanted := slices.Clone(m.nics), make([]nic, 0, len(subnets))
	for _, name := range subnets {
		subnet, ok := find(s.model.Subnets, func(n Subnet) bool { return n.Name == name })
		if !ok {
			return fmt.Errorf("subnet %q does not exist", name)
		}
		kept := newNIC(subnet.ExtID)
		if i := slices.IndexFunc(left, func(n nic) bool { return n.subnet == subnet.ExtID }); i >= 0 {
			kept = left[i]
			left = slices.Delete(left, i, i+1)
		}
		wanted = append(wanted, kept)
	}
	m.nics = wanted
	return nil
}

func (m *machine) applyGPUs(element PrismElement, names []string) error {
	left, wanted := slices.Clone(m.gpus), make([]gpu, 0, len(names))
	for _, name := range names {
		profile, ok := find(profilesOf(element), func(p GPU) bool { return p.Name == name })
		if !ok {
			return fmt.Errorf("GPU %q does not exist on cluster %s", name, element.Name)
		}
		kept := gpu{extID: uuid.NewString(), deviceID: profile.DeviceID}
		if i := slices.IndexFunc(left, func(g gpu) bool { return g.deviceID == profile.DeviceID }); i >= 0 {
			kept = left[i]
			left = slices.Delete(left, i, i+1)
		}
		wanted = append(wanted, kept)
	}
	m.gpus = wanted
	return nil
}

// applyDisks changes the system disk and makes the data disks and the attached
// volume groups what is wanted.
func (s *Server) applyDisks(m *machine, v VM) error {
	old := m.disks
	var disks []disk
	if len(old) > 0 && old[0].volumeGroup == "" {
		system := old[0]
		if err := s.resize(&system, v.PrismElement, v.StorageContainer, v.DiskBytes); err != nil {
			return err
		}
		disks = append(disks, system)
	}
	for _, wanted := range v.DataDisks {
		added, err := s.dataDisk(old, disks, wanted, v.PrismElement)
		if err != nil {
			return err
		}
		disks = append(disks, added)
	}
	for _, name := range v.VolumeGroups {
		group, ok := find(s.model.VolumeGroups, func(g VolumeGroup) bool { return g.Name == name && g.PrismElement == v.PrismElement })
		if !ok {
			return fmt.Errorf("volume group %q does not exist on cluster %s", name, v.PrismElement)
		}
		attached, ok := find(old, func(d disk) bool { return d.volumeGroup == group.ExtID })
		if !ok {
			attached = newDisk(freePlace(slices.Concat(old, disks), "SCSI"), 0)
			attached.volumeGroup = group.ExtID
		}
		disks = append(disks, attached)
	}
	m.disks = disks
	return nil
}

// dataDisk finds the wanted disk among the old ones, or makes a new one.
func (s *Server) dataDisk(old, taken []disk, wanted Disk, element string) (disk, error) {
	d, ok := find(old, func(d disk) bool { return d.extID == wanted.ExtID && d.volumeGroup == "" })
	if !ok {
		d = newDisk(freePlace(slices.Concat(old, taken), "SCSI"), 0)
	}
	if wanted.Bus != "" {
		d.bus, d.index = wanted.Bus, wanted.Index
	}
	if wanted.Flash || d.flashMode != nil {
		d.flashMode = &wanted.Flash
	}
	return d, s.resize(&d, element, wanted.StorageContainer, wanted.SizeBytes)
}

func (s *Server) resize(d *disk, element, container string, size int64) error {
	if size < d.size {
		return fmt.Errorf("a disk cannot shrink")
	}
	d.size = size
	c, ok := find(s.model.StorageContainers, func(c StorageContainer) bool {
		return c.PrismElement == element && (container == "" || c.Name == container)
	})
	if !ok && container != "" {
		return fmt.Errorf("storage container %q does not exist on cluster %s", container, element)
	}
	d.container = c.ExtID
	return nil
}
