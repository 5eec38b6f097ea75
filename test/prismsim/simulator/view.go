package simulator

import (
	"fmt"
	"slices"
)

// view is the VM as its owner sees it.
func (s *Server) view(m *machine) VM {
	element, _ := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == m.cluster })
	host, _ := find(element.Hosts, func(h Host) bool { return h.ExtID == m.host })
	v := VM{
		Name: m.name, ExtID: m.extID, PrismElement: element.Name, ClusterExtID: m.cluster, Host: host.Name,
		Sockets: m.sockets, CoresPerSocket: m.cores, MemoryBytes: m.memory,
		Project: s.projectName(m.project), ProjectExtID: m.project,
		BootType: m.boot, PowerState: PowerOff, CustomAttributes: slices.Clone(m.customAttributes),
		UserData: m.userData, Metadata: m.metadata,
	}
	if m.on {
		v.PowerState = PowerOn
	}
	for _, id := range m.categories {
		v.Categories = append(v.Categories, s.categories[id].String())
	}
	slices.Sort(v.Categories)
	for _, n := range m.nics {
		subnet, _ := find(s.model.Subnets, func(x Subnet) bool { return x.ExtID == n.subnet })
		v.Subnets, v.SubnetExtIDs = append(v.Subnets, subnet.Name), append(v.SubnetExtIDs, n.subnet)
	}
	if m.booted && len(m.nics) > 0 {
		v.IP = m.nics[0].ip.String()
	}
	for _, g := range m.gpus {
		v.GPUs = append(v.GPUs, g.name)
	}
	for i, d := range m.disks {
		s.viewDisk(&v, d, i == 0)
	}
	return v
}

func (s *Server) viewDisk(v *VM, d disk, first bool) {
	container, _ := find(s.model.StorageContainers, func(c StorageContainer) bool { return c.ExtID == d.container })
	switch {
	case d.volumeGroup != "":
		group, _ := find(s.model.VolumeGroups, func(g VolumeGroup) bool { return g.ExtID == d.volumeGroup })
		v.VolumeGroups = append(v.VolumeGroups, group.Name)
	case first:
		image, _ := s.image(d.image)
		v.DiskBytes, v.Image, v.ImageExtID, v.StorageContainer = d.size, image.Name, d.image, container.Name
	default:
		v.DataDisks = append(v.DataDisks, Disk{
			ExtID: d.extID, SizeBytes: d.size, StorageContainer: container.Name,
			Bus: d.bus, Index: d.index, Flash: d.flashMode != nil && *d.flashMode,
		})
	}
}

func (s *Server) elementID(name string) (string, error) {
	e, ok := find(s.model.PrismElements, func(e PrismElement) bool { return e.Name == name })
	if !ok {
		return "", fmt.Errorf("prism element %q does not exist", name)
	}
	return e.ExtID, nil
}

func (s *Server) projectID(name string) (string, error) {
	p, ok := find(s.model.Projects, func(p Project) bool { return p.Name == name })
	if !ok && name != "" {
		return "", fmt.Errorf("project %q does not exist", name)
	}
	return p.ExtID, nil
}

func (s *Server) projectName(extID string) string {
	p, _ := find(s.model.Projects, func(p Project) bool { return p.ExtID == extID })
	return p.Name
}

func (s *Server) categoryIDs(names []string) ([]string, error) {
	ids := make([]string, 0, len(names))
	for _, name := range names {
		id, err := s.categoryID(name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
