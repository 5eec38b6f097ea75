package simulator

import (
	"errors"
	"fmt"
	"slices"
)

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
		if slices.ContainsFunc(m.disks[:i], func(d disk) bool { return d.bus == m.disks[i].bus && d.index == m.disks[i].index }) {
			errs = append(errs, fmt.Errorf("two disks have the address %s.%d", m.disks[i].bus, m.disks[i].index))
		}
	}
	for i := range m.gpus {
		errs = append(errs, m.gpus[i].complete(element))
	}
	return errors.Join(errs...)
}

func (s *Server) completeDisk(d *disk, element PrismElement) error {
	if d.volumeGroup != "" {
		return nil
	}
	if image, ok := s.image(d.image); ok && d.size == 0 {
		d.size = image.SizeBytes
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

// checkImages makes sure that the images that the disks of a new VM are cloned
// from exist. A VM that is there already does without them.
func (s *Server) checkImages(m *machine) error {
	for _, d := range m.disks {
		if _, ok := s.image(d.image); !ok && d.image != "" {
			return fmt.Errorf("image %q does not exist", d.image)
		}
	}
	return nil
}

// checkCopies makes sure that the cluster of a new VM holds those images.
func (s *Server) checkCopies(m *machine) error {
	element, _ := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == m.cluster })
	for _, d := range m.disks {
		image, _ := s.image(d.image)
		if len(image.PrismElements) > 0 && !slices.Contains(image.PrismElements, element.Name) {
			return fmt.Errorf("image %s is not on cluster %s", image.Name, element.Name)
		}
	}
	return nil
}

func (s *Server) image(extID string) (Image, bool) {
	return find(s.model.Images, func(i Image) bool { return i.ExtID == extID })
}

// complete fills in what the cluster knows of a GPU.
func (g *gpu) complete(element PrismElement) error {
	for _, p := range profilesOf(element) {
		if p.DeviceID == g.deviceID {
			g.name, g.mode = p.Name, p.Mode
			return nil
		}
	}
	return fmt.Errorf("GPU with device id %d does not exist on cluster %s", g.deviceID, element.Name)
}
