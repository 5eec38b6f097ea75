package simulator

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// VMs returns a copy of all VMs, sorted by name.
func (s *Server) VMs() []VM {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := make([]VM, 0, len(s.vms))
	for _, m := range s.sortedVMs() {
		views = append(views, s.view(m))
	}
	return views
}

// RemoveVM deletes a VM behind the clients' backs, at once and without a task.
// OnDelete is called. It is an error when not exactly one VM has the name.
func (s *Server) RemoveVM(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machineNamed(name)
	if err != nil {
		return err
	}
	s.remove(m)
	return nil
}

// EditVM changes a VM behind the clients' backs, at once and without a task; its
// ETag changes. The function gets a copy and must not call the Server. Name,
// sockets, cores, memory, system disk size, project, categories (which must
// exist), boot type, custom attributes and power state can be changed; other
// changes are an error and nothing is changed then. Switching on boots the VM.
func (s *Server) EditVM(name string, edit func(*VM)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machineNamed(name)
	if err != nil {
		return err
	}
	before, after := s.view(m), s.view(m)
	edit(&after)
	if err := checkEdit(before, after); err != nil {
		return fmt.Errorf("edit VM %q: %w", name, err)
	}
	if err := s.apply(m, after); err != nil {
		return fmt.Errorf("edit VM %q: %w", name, err)
	}
	m.revision = s.nextRevision()
	return nil
}

func (s *Server) machineNamed(name string) (*machine, error) {
	var found []*machine
	for _, m := range s.vms {
		if m.name == name {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d VMs have the name %q, want 1", len(found), name)
	}
	return found[0], nil
}

// checkEdit refuses changes that Prism Central would not let anyone make.
func checkEdit(before, after VM) error {
	fixed := func(v VM) []string {
		return slices.Concat([]string{
			v.ExtID, v.PrismElement, v.Image, v.UserData, v.Metadata, v.IP, v.ClusterExtID, v.ImageExtID, v.ProjectExtID,
		}, v.Subnets, v.SubnetExtIDs)
	}
	if !slices.Equal(fixed(before), fixed(after)) {
		return fmt.Errorf("only name, size, project, categories, boot type, custom attributes and power state can be changed")
	}
	if after.DiskBytes < before.DiskBytes {
		return fmt.Errorf("a disk cannot shrink")
	}
	return nil
}

// apply writes what can be edited into a VM, or changes nothing and says why.
func (s *Server) apply(m *machine, v VM) error {
	switch {
	case v.Name == "" || v.Sockets < 1 || v.CoresPerSocket < 1 || v.MemoryBytes < 1:
		return fmt.Errorf("a VM needs a name, sockets, cores per socket and memory")
	case v.PowerState != PowerOn && v.PowerState != PowerOff:
		return fmt.Errorf("power state %q is neither %s nor %s", v.PowerState, PowerOn, PowerOff)
	case v.BootType != "" && v.BootType != BootUEFI && v.BootType != BootLegacy:
		return fmt.Errorf("boot type %q is neither %s nor %s nor empty", v.BootType, BootUEFI, BootLegacy)
	}
	project, err := s.projectID(v.Project)
	if err != nil {
		return err
	}
	categories, err := s.categoryIDs(v.Categories)
	if err != nil {
		return err
	}
	m.name, m.project, m.categories, m.boot = v.Name, project, categories, v.BootType
	m.sockets, m.cores, m.memory = v.Sockets, v.CoresPerSocket, v.MemoryBytes
	m.customAttributes = slices.Clone(v.CustomAttributes)
	if len(m.disks) > 0 {
		m.disks[0].size = v.DiskBytes
	}
	switch on := v.PowerState == PowerOn; {
	case on:
		s.powerOn(m)
	case m.on:
		m.power(false)
	}
	return nil
}

// addModelVM makes a VM of the Model; one that is on has booted.
func (s *Server) addModelVM(v VM) error {
	cluster, err := s.elementID(v.PrismElement)
	if err != nil {
		return err
	}
	m := &machine{
		extID: cmp.Or(v.ExtID, uuid.NewString()), cluster: cluster,
		userData: v.UserData, metadata: v.Metadata,
	}
	for _, name := range v.Subnets {
		subnet, ok := find(s.model.Subnets, func(n Subnet) bool { return n.Name == name })
		if !ok {
			return fmt.Errorf("subnet %q does not exist", name)
		}
		m.nics = append(m.nics, newNIC(subnet.ExtID))
	}
	system := newDisk("SCSI", 0, v.DiskBytes)
	if v.Image != "" {
		image, ok := find(s.model.Images, func(i Image) bool { return i.Name == v.Image })
		if !ok {
			return fmt.Errorf("image %q does not exist", v.Image)
		}
		system.image = image.ExtID
	}
	m.disks = []disk{system}
	m.on, m.booted = v.PowerState == PowerOn, v.PowerState == PowerOn
	v.PowerState = cmp.Or(v.PowerState, PowerOff)
	if err := s.apply(m, v); err != nil {
		return err
	}
	return s.add(m)
}

// view is the VM as its owner sees it.
func (s *Server) view(m *machine) VM {
	element, _ := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == m.cluster })
	v := VM{
		Name: m.name, ExtID: m.extID, PrismElement: element.Name, ClusterExtID: m.cluster,
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
	if len(m.disks) > 0 {
		image, _ := find(s.model.Images, func(i Image) bool { return i.ExtID == m.disks[0].image })
		v.DiskBytes, v.Image, v.ImageExtID = m.disks[0].size, image.Name, image.ExtID
	}
	return v
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
