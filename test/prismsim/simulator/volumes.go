package simulator

import (
	"fmt"
	"net/http"
	"slices"
)

// volumeRoutes serves what CAPX does before it deletes a VM with volume groups
// attached to it, as a CSI driver leaves behind.
func (s *Server) volumeRoutes() {
	const base, pkg = "/api/volumes/v4.2/config/volume-groups", "volumes.v4.config."
	s.v4("GET "+base+"/{extId}", pkg+"GetVolumeGroupApiResponse", func(r *request) (reply, error) {
		if _, err := queryOptions(r); err != nil {
			return reply{}, err
		}
		group, err := s.volumeGroupOf(r)
		if err != nil {
			return reply{}, err
		}
		cluster, err := s.elementID(group.PrismElement)
		return answer(http.StatusOK, typed(pkg+"VolumeGroup", object{
			"extId": group.ExtID, "name": group.Name, "clusterReference": cluster,
		})), err
	})
	s.v4("POST "+base+"/{extId}/$actions/detach-vm", pkg+"DetachVmApiResponse", s.detachVM)
}

func (s *Server) volumeGroupOf(r *request) (VolumeGroup, error) {
	id := r.PathValue("extId")
	group, ok := find(s.model.VolumeGroups, func(g VolumeGroup) bool { return g.ExtID == id })
	if !ok {
		return VolumeGroup{}, notFound("volume group", id)
	}
	return group, nil
}

func (s *Server) detachVM(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	group, err := s.volumeGroupOf(r)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		typedRequest
		ExtID string
	}
	if err := decode(r.body, &wanted); err != nil {
		return reply{}, err
	}
	if s.vms[wanted.ExtID] == nil {
		return reply{}, notFound("VM", wanted.ExtID)
	}
	return s.start("kVolumeGroupDetachVm", group.ExtID, func() error {
		m := s.vms[wanted.ExtID]
		if m == nil {
			return fmt.Errorf("VM %s was deleted", wanted.ExtID)
		}
		if err := s.reachable(m.cluster); err != nil {
			return err
		}
		attached := func(d disk) bool { return d.volumeGroup == group.ExtID }
		if !slices.ContainsFunc(m.disks, attached) {
			return fmt.Errorf("volume group %s is not attached to VM %s", group.Name, m.name)
		}
		m.disks = slices.DeleteFunc(m.disks, attached)
		m.revision = s.nextRevision()
		return nil
	}), nil
}
