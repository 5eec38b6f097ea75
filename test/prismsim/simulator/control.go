package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// VMs returns a copy of all VMs, sorted by name and then by age.
func (s *Server) VMs() []VM {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := make([]VM, 0, len(s.vms))
	for _, m := range s.sortedVMs() {
		views = append(views, s.view(m))
	}
	slices.SortStableFunc(views, func(a, b VM) int { return strings.Compare(a.Name, b.Name) })
	return views
}

// AddVM makes a VM behind the clients' backs, at once and without a task: an
// orphan, or a double of another one. It is like a VM of the [Model]: one that is
// on has booted, and OnPowerOn is not called. The VM is returned as it became.
func (s *Server) AddVM(v VM) (VM, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.newVM(v)
	if err != nil {
		return VM{}, fmt.Errorf("add VM %q: %w", v.Name, err)
	}
	return s.view(m), nil
}

// RemoveVM deletes a VM behind the clients' backs, at once and without a task.
// OnDelete is called. The VM is named by its name or its ExtID; it is an error
// when not exactly one VM has the name.
func (s *Server) RemoveVM(nameOrExtID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machineNamed(nameOrExtID)
	if err != nil {
		return err
	}
	s.remove(m)
	return nil
}

// EditVM changes a VM behind the clients' backs, at once and without a task; its
// ETag changes. The VM is named by its name or its ExtID. The function gets a
// copy and must not call the Server.
//
// Everything but what identifies a VM or went into its first boot can be changed:
// ExtID, Image, UserData, Metadata and the fields that the server sets stay. A NIC
// whose subnet stays keeps its address; a data disk is the same one when its ExtID
// is; disks cannot shrink. Another PrismElement moves the VM there with its disks.
// What does not fit (a category that does not exist, no memory left) is an error,
// and nothing is changed then. Switching on boots the VM.
func (s *Server) EditVM(nameOrExtID string, edit func(*VM)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machineNamed(nameOrExtID)
	if err != nil {
		return err
	}
	before, after := s.view(m), s.view(m)
	edit(&after)
	if err := s.edit(m, before, after); err != nil {
		return fmt.Errorf("edit VM %q: %w", nameOrExtID, err)
	}
	return nil
}

// SetElementAvailable says whether Prism Central reaches a Prism Element. While
// it does not, the cluster shows isAvailable false, its statistics have no values,
// and the tasks on its VMs fail when they end. Its VMs run on.
func (s *Server) SetElementAvailable(name string, available bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.model.PrismElements {
		if s.model.PrismElements[i].Name == name {
			s.model.PrismElements[i].Unavailable = !available
			return nil
		}
	}
	return fmt.Errorf("prism element %q does not exist", name)
}

// SetHostMaintenance takes a host out of service or back. VMs that run on it move
// to other hosts; it is an error when one finds no room, and nothing changes then.
func (s *Server) SetHostMaintenance(element, host string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.host(element, host)
	if h == nil {
		return fmt.Errorf("host %q of prism element %q does not exist", host, element)
	}
	was := h.Maintenance
	h.Maintenance = on
	if on {
		if err := s.evacuate(h.ExtID); err != nil {
			h.Maintenance = was
			return fmt.Errorf("host %q: %w", host, err)
		}
	}
	return nil
}

// EditModel changes what the site is made of: Prism Central itself, Prism Elements
// and their hosts, subnets, images, storage containers, volume groups and
// projects. The function gets a copy and must not call the Server. VMs and
// categories are no part of it; VMs outlive the image that they came from. What
// contradicts itself, or takes away what a VM refers to, is an error, and nothing
// is changed then. VMs stay where they are, even when there is no room for them
// any more.
func (s *Server) EditModel(edit func(*Model)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.model
	changed, err := was.copied()
	if err != nil {
		return err
	}
	edit(&changed)
	changed.Categories, changed.VMs = was.Categories, was.VMs
	s.model = changed.withIDs()
	errs := []error{s.model.check()}
	vms := s.sortedVMs()
	completed := make([]*machine, 0, len(vms))
	for _, m := range vms {
		c := m.clone()
		if err := s.stillThere(c); err != nil {
			errs = append(errs, fmt.Errorf("VM %q: %w", m.name, err))
		}
		completed = append(completed, c)
	}
	if err := errors.Join(errs...); err != nil {
		s.model = was
		return fmt.Errorf("edit the model: %w", err)
	}
	for i, m := range vms {
		*m = *completed[i]
	}
	return nil
}

// stillThere makes sure that all that a VM has and runs on exists.
func (s *Server) stillThere(m *machine) error {
	element, _ := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == m.cluster })
	if m.host != "" && !slices.ContainsFunc(element.Hosts, func(h Host) bool { return h.ExtID == m.host }) {
		return fmt.Errorf("it runs on a host that is gone")
	}
	return s.checkReferences(m)
}

// copied returns a copy that shares nothing with m.
func (m Model) copied() (Model, error) {
	var c Model
	encoded, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(encoded, &c)
	}
	if err != nil {
		return Model{}, fmt.Errorf("copy the model: %w", err)
	}
	return c, nil
}

// host finds a host by names; nil means that there is none.
func (s *Server) host(element, name string) *Host {
	for i := range s.model.PrismElements {
		e := &s.model.PrismElements[i]
		for j := range e.Hosts {
			if e.Name == element && e.Hosts[j].Name == name {
				return &e.Hosts[j]
			}
		}
	}
	return nil
}

func (s *Server) evacuate(host string) error {
	moved := map[*machine]bool{}
	for _, m := range s.sortedVMs() {
		if m.host != host {
			continue
		}
		if err := s.place(m); err != nil {
			for back := range moved {
				back.host = host
			}
			return err
		}
		moved[m] = true
	}
	for m := range moved {
		m.revision = s.nextRevision()
	}
	return nil
}

func (s *Server) machineNamed(nameOrExtID string) (*machine, error) {
	if m, ok := s.vms[nameOrExtID]; ok {
		return m, nil
	}
	var found []*machine
	for _, m := range s.vms {
		if m.name == nameOrExtID {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d VMs have the name %q, want 1", len(found), nameOrExtID)
	}
	return found[0], nil
}

func (s *Server) addModelVM(v VM) error {
	_, err := s.newVM(v)
	return err
}

// newVM makes a VM of the Model; one that is on has booted.
func (s *Server) newVM(v VM) (*machine, error) {
	if s.vms[v.ExtID] != nil {
		return nil, fmt.Errorf("extId %s is taken", v.ExtID)
	}
	m := &machine{extID: cmp.Or(v.ExtID, uuid.NewString()), userData: v.UserData, metadata: v.Metadata}
	system := newDisk(0, v.DiskBytes)
	if v.Image != "" {
		image, ok := find(s.model.Images, func(i Image) bool { return i.Name == v.Image })
		if !ok {
			return nil, fmt.Errorf("image %q does not exist", v.Image)
		}
		system.image = image.ExtID
	}
	m.disks = []disk{system}
	v.PowerState = cmp.Or(v.PowerState, PowerOff)
	if err := s.apply(m, v); err != nil {
		return nil, err
	}
	m.on, m.booted = v.PowerState == PowerOn, v.PowerState == PowerOn
	if err := s.add(m); err != nil {
		return nil, err
	}
	return m, nil
}
