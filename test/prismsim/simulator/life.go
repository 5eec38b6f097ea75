package simulator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// add makes a VM part of the server, with an address for each NIC.
func (s *Server) add(m *machine) error {
	if err := errors.Join(s.checkImages(m), s.checkCopies(m)); err != nil {
		return err
	}
	if err := s.settle(m); err != nil {
		return err
	}
	m.revision = s.nextRevision()
	m.created = m.revision
	s.vms[m.extID] = m
	return nil
}

// settle checks all that a new or changed VM needs, gives its NICs addresses and
// finds it a host when it is on. Nobody else sees m when that fails.
func (s *Server) settle(m *machine) error {
	if err := s.checkReferences(m); err != nil {
		return err
	}
	if err := s.checkStorage(m); err != nil {
		return err
	}
	taken := map[netip.Addr]bool{}
	for i := range m.nics {
		n := &m.nics[i]
		if !n.ip.IsValid() {
			ip, err := s.freeAddress(n.subnet, taken)
			if err != nil {
				return err
			}
			n.ip = ip
		}
		taken[n.ip] = true
	}
	if !m.on {
		return nil
	}
	return s.place(m)
}

// replace makes a settled copy of a VM the VM itself.
func (s *Server) replace(m, changed *machine) {
	*m = *changed
	m.revision = s.nextRevision()
}

func (s *Server) remove(m *machine) {
	gone := s.view(m)
	m.power(false)
	delete(s.vms, m.extID)
	if hook := s.options.OnDelete; hook != nil {
		s.hooks.add(func() { hook(gone) })
	}
}

// powerOn switches a VM on and lets it boot, if a host has room for it; one that
// is on stays as it is.
func (s *Server) powerOn(m *machine) error {
	if m.on {
		return nil
	}
	if err := s.place(m); err != nil {
		return err
	}
	s.boot(m)
	return nil
}

func (s *Server) boot(m *machine) {
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
	return netip.Addr{}, fmt.Errorf("subnet %s has no free address left in its IP pools", subnet.Name)
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
