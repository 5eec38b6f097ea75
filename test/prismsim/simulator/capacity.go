package simulator

import (
	"fmt"
	"slices"
)

// What is enforced, and when: storage and addresses when a VM is made, memory
// and GPUs when it is switched on, as AHV does. A VM must fit on one host.

// hostUse is what the VMs on one host take of it.
type hostUse struct {
	vms    int
	vcpus  int
	memory int64
	// gpus counts by device id.
	gpus map[int]int
}

// uses returns what is taken of each host, by extId, leaving out one VM.
func (s *Server) uses(without string) map[string]hostUse {
	all := map[string]hostUse{}
	for _, m := range s.vms {
		if !m.on || m.host == "" || m.extID == without {
			continue
		}
		use := all[m.host]
		if use.gpus == nil {
			use.gpus = map[int]int{}
		}
		use.vms++
		use.vcpus += m.sockets * m.cores
		use.memory += m.memory
		for _, g := range m.gpus {
			use.gpus[g.deviceID]++
		}
		all[m.host] = use
	}
	return all
}

// place puts a VM on a host with room for it: the one that it is on, else the
// one with the most free memory. The words are those of AHV.
func (s *Server) place(m *machine) error {
	element, _ := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == m.cluster })
	if len(element.Hosts) == 0 {
		m.host = ""
		return nil
	}
	uses := s.uses(m.extID)
	memory, best, chosen := false, int64(-1), ""
	for _, h := range element.Hosts {
		free := h.MemoryBytes - uses[h.ExtID].memory
		if h.Maintenance || free < m.memory {
			continue
		}
		memory = true
		if !h.hasGPUs(m.gpus, uses[h.ExtID]) {
			continue
		}
		if h.ExtID == m.host {
			return nil
		}
		if free > best {
			best, chosen = free, h.ExtID
		}
	}
	needs := fmt.Sprintf("VM %s that uses %d vCPUs and %d MB of memory", m.name, m.sockets*m.cores, m.memory>>20)
	switch {
	case !memory:
		return fmt.Errorf("NoHostResources: No host has enough available memory for %s", needs)
	case chosen == "":
		return fmt.Errorf("NoHostResources: No host has enough available GPU resources for %s", needs)
	}
	m.host = chosen
	return nil
}

func (h Host) hasGPUs(wanted []gpu, use hostUse) bool {
	need := map[int]int{}
	for _, g := range wanted {
		need[g.deviceID]++
	}
	for id, n := range need {
		offered, _ := find(h.GPUs, func(g GPU) bool { return g.DeviceID == id })
		if offered.Count-use.gpus[id] < n {
			return false
		}
	}
	return true
}

// profilesOf returns the kinds of GPU of a cluster, each with the sum of its
// hosts that are not in maintenance.
func profilesOf(element PrismElement) []GPU {
	var profiles []GPU
	for _, h := range element.Hosts {
		for _, g := range h.GPUs {
			if g.Mode == "" {
				g.Mode = GPUPassthroughCompute
			}
			if h.Maintenance {
				g.Count = 0
			}
			i := slices.IndexFunc(profiles, func(p GPU) bool { return p.DeviceID == g.DeviceID })
			if i < 0 {
				profiles = append(profiles, g)
				continue
			}
			profiles[i].Count += g.Count
		}
	}
	return profiles
}

// stored returns the bytes in each storage container, by extId, leaving out one
// VM.
func (s *Server) stored(without string) map[string]int64 {
	bytes := map[string]int64{}
	for _, m := range s.vms {
		if m.extID == without {
			continue
		}
		for _, d := range m.disks {
			bytes[d.container] += d.size
		}
	}
	return bytes
}

// checkStorage makes sure that the disks of a VM fit in their containers.
func (s *Server) checkStorage(m *machine) error {
	need := map[string]int64{}
	for _, d := range m.disks {
		need[d.container] += d.size
	}
	stored := s.stored(m.extID)
	for _, c := range s.model.StorageContainers {
		free := c.CapacityBytes - stored[c.ExtID]
		if c.CapacityBytes > 0 && need[c.ExtID] > free {
			return fmt.Errorf("StorageContainerFull: Storage container %s of cluster %s has not enough space for VM %s: it needs %d bytes, %d bytes are free",
				c.Name, c.PrismElement, m.name, need[c.ExtID], max(free, 0))
		}
	}
	return nil
}

// reachable fails for a cluster that Prism Central does not reach.
func (s *Server) reachable(clusterExtID string) error {
	element, ok := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == clusterExtID })
	if ok && s.away(element) {
		return fmt.Errorf("cluster %s is not reachable from Prism Central", element.Name)
	}
	return nil
}
