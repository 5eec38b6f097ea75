package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

var vmSchema = schema{fields: map[string]field{"name": text}}

func (s *Server) vmRoutes() {
	const base, pkg = "/api/vmm/v4.2/ahv/config/vms", "vmm.v4.ahv.config."
	s.v4("GET "+base, pkg+"ListVmsApiResponse", s.listVMs)
	s.v4("POST "+base, pkg+"CreateVmApiResponse", s.createVM)
	s.v4("GET "+base+"/{extId}", pkg+"GetVmApiResponse", s.getVM)
	s.v4("PUT "+base+"/{extId}", pkg+"UpdateVmApiResponse", s.onVM(s.updateVM))
	s.v4("DELETE "+base+"/{extId}", pkg+"DeleteVmApiResponse", s.onVM(s.deleteVM))
	s.v4("POST "+base+"/{extId}/$actions/power-on", pkg+"PowerOnVmApiResponse", s.onVM(s.powerOnVM))
	s.v4("POST "+base+"/{extId}/$actions/power-off", pkg+"PowerOffVmApiResponse", s.onVM(s.powerOffVM))
	s.v4("POST "+base+"/{extId}/$actions/add-custom-attributes", pkg+"AddVmCustomAttributesApiResponse", s.onVM(s.addCustomAttributes))
	s.v4("POST "+base+"/{extId}/$actions/associate-categories", pkg+"AssociateCategoriesApiResponse", s.onVM(s.associateCategories))
	s.v4("POST "+base+"/{extId}/$actions/disassociate-categories", pkg+"DisassociateCategoriesApiResponse", s.onVM(s.disassociateCategories))
}

func (s *Server) listVMs(r *request) (reply, error) {
	named := func(m *machine) object { return object{"name": m.name} }
	return listOf(r, s.sortedVMs(), vmSchema, named, (*machine).document)
}

// sortedVMs returns the VMs in the order in which they were made.
func (s *Server) sortedVMs() []*machine {
	return slices.SortedFunc(maps.Values(s.vms), func(a, b *machine) int {
		return cmp.Or(cmp.Compare(a.created, b.created), strings.Compare(a.extID, b.extID))
	})
}

func (s *Server) getVM(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	m, ok := s.vms[r.PathValue("extId")]
	if !ok {
		return reply{}, notFound("VM", r.PathValue("extId"))
	}
	found := answer(http.StatusOK, m.document())
	found.etag = etag(m.revision)
	return found, nil
}

func (s *Server) createVM(r *request) (reply, error) {
	if _, err := queryOptions(r); err != nil {
		return reply{}, err
	}
	var wanted vmRequest
	if err := decode(r.body, &wanted); err != nil {
		return reply{}, err
	}
	m, err := wanted.machine()
	if err != nil {
		return reply{}, err
	}
	if err := errors.Join(s.checkImages(m), s.checkReferences(m)); err != nil {
		return reply{}, invalid(http.StatusUnprocessableEntity, "VM %q: %v", m.name, err)
	}
	return s.start("kVmCreate", m.extID, func() error {
		if err := s.reachable(m.cluster); err != nil {
			return err
		}
		return s.add(m)
	}), nil
}

// onVM finds the VM of a changing request and checks its If-Match.
func (s *Server) onVM(change func(r *request, m *machine) (reply, error)) handler {
	return func(r *request) (reply, error) {
		if _, err := queryOptions(r); err != nil {
			return reply{}, err
		}
		m, ok := s.vms[r.PathValue("extId")]
		if !ok {
			return reply{}, notFound("VM", r.PathValue("extId"))
		}
		if err := checkMatch(r, m.revision); err != nil {
			return reply{}, err
		}
		return change(r, m)
	}
}

// startOn starts a task that fails when the VM is gone by the time it is done, or
// its cluster is out of reach.
func (s *Server) startOn(operation string, m *machine, work func() error) reply {
	return s.start(operation, m.extID, func() error {
		if s.vms[m.extID] != m {
			return fmt.Errorf("VM %s was deleted", m.extID)
		}
		if err := s.reachable(m.cluster); err != nil {
			return err
		}
		if err := work(); err != nil {
			return err
		}
		m.revision = s.nextRevision()
		return nil
	})
}

// done makes work that cannot fail into the work of a task.
func done(work func()) func() error {
	return func() error {
		work()
		return nil
	}
}

func (s *Server) deleteVM(_ *request, m *machine) (reply, error) {
	return s.startOn("kVmDelete", m, done(func() { s.remove(m) })), nil
}

func (s *Server) powerOnVM(r *request, m *machine) (reply, error) {
	if err := withoutBody(r); err != nil {
		return reply{}, err
	}
	return s.startOn("kVmPowerOn", m, func() error { return s.powerOn(m) }), nil
}

func (s *Server) powerOffVM(r *request, m *machine) (reply, error) {
	if err := withoutBody(r); err != nil {
		return reply{}, err
	}
	return s.startOn("kVmPowerOff", m, done(func() { m.power(false) })), nil
}

func (s *Server) addCustomAttributes(r *request, m *machine) (reply, error) {
	var wanted struct {
		typedRequest
		CustomAttributes []string
	}
	if err := decode(r.body, &wanted); err != nil {
		return reply{}, err
	}
	return s.startOn("kVmAddCustomAttributes", m, done(func() {
		for _, attribute := range wanted.CustomAttributes {
			if !slices.Contains(m.customAttributes, attribute) {
				m.customAttributes = append(m.customAttributes, attribute)
			}
		}
	})), nil
}

func (s *Server) associateCategories(r *request, m *machine) (reply, error) {
	ids, err := s.categoriesOf(r)
	if err != nil {
		return reply{}, err
	}
	return s.startOn("kVmAssociateCategories", m, done(func() {
		for _, id := range ids {
			if !slices.Contains(m.categories, id) {
				m.categories = append(m.categories, id)
			}
		}
	})), nil
}

func (s *Server) disassociateCategories(r *request, m *machine) (reply, error) {
	ids, err := s.categoriesOf(r)
	if err != nil {
		return reply{}, err
	}
	return s.startOn("kVmDisassociateCategories", m, done(func() {
		m.categories = slices.DeleteFunc(m.categories, func(id string) bool { return slices.Contains(ids, id) })
	})), nil
}

// categoriesOf reads the categories of a request; they must exist.
func (s *Server) categoriesOf(r *request) ([]string, error) {
	var wanted struct {
		typedRequest
		Categories []refRequest
	}
	if err := decode(r.body, &wanted); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(wanted.Categories))
	for _, c := range wanted.Categories {
		if s.categories[c.ExtID] == nil {
			return nil, invalid(http.StatusUnprocessableEntity, "category %q does not exist", c.ExtID)
		}
		ids = append(ids, c.ExtID)
	}
	return ids, nil
}

func withoutBody(r *request) error {
	if len(r.body) > 0 {
		return notSimulated("%s takes no body here", r.Pattern)
	}
	return nil
}
