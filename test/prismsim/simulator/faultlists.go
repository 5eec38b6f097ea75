package simulator

import (
	"cmp"
	"slices"
	"strings"
)

const (
	vmList = "GET /api/vmm/v4.2/ahv/config/vms"
	// neverReached is more than any client collects.
	neverReached = 1_000_000_000
)

// spoilList lets the faults at a list happen: answered is page number page.
func (s *Server) spoilList(r *request, answered *reply, first func() []object, page int) {
	struck := s.strike(atList, r, func(f Fault) bool {
		switch f.Effect {
		case EffectVanish:
			return r.Pattern == vmList && page == f.Page && s.chosen(f.VM, answered.data) != nil
		case EffectAppear:
			return r.Pattern == vmList && page == f.Page && s.chosen("", answered.data) != nil
		case EffectHide:
			return r.Pattern == vmList && s.chosen(f.VM, answered.data) != nil
		default:
			return true
		}
	})
	if struck == nil {
		return
	}
	switch f := struck.fault; f.Effect {
	case EffectRepeat:
		answered.total = cmp.Or(f.Total, neverReached)
		if shown := first(); len(shown) > 0 {
			answered.data = shown
		}
	case EffectTotal:
		answered.total = f.Total
	case EffectHide:
		s.hide(f.VM, answered)
	case EffectVanish:
		s.remove(s.chosen(f.VM, answered.data))
	default:
		s.appear(f.VM, answered.data)
	}
}

// chosen is the first VM of a name, or of a page.
func (s *Server) chosen(name string, page any) *machine {
	if name != "" {
		for _, m := range s.sortedVMs() {
			if m.name == name {
				return m
			}
		}
		return nil
	}
	shown, _ := page.([]object)
	for _, doc := range shown {
		if id, ok := doc["extId"].(string); ok {
			return s.vms[id]
		}
	}
	return nil
}

// hide leaves VMs of a name out of a page, and one of them out of the total.
func (s *Server) hide(name string, answered *reply) {
	shown, _ := answered.data.([]object)
	answered.data = slices.DeleteFunc(shown, func(doc object) bool { return doc["name"] == name })
	answered.total--
}

func (s *Server) appear(name string, page any) {
	born := s.view(s.chosen("", page))
	born.Name, born.ExtID, born.PowerState, born.CustomAttributes = name, "", PowerOff, nil
	if err := s.addModelVM(born); err != nil {
		s.logf("VM %s cannot appear: %v", name, err)
	}
}

// spoilTask ends a task otherwise than by doing its work. It says whether it did.
func (s *Server) spoilTask(t *task, struck *Rule) bool {
	if struck == nil {
		return false
	}
	f := struck.fault
	switch f.Effect {
	case EffectTaskCanceled:
		t.status = taskCanceled
	case EffectTaskSuspended:
		t.status = taskSuspended
	case EffectTaskEndless:
		t.status = taskRunning
		return true
	case EffectUnreachable:
		t.status, t.failure = taskFailed, "cluster "+f.Element+" is not reachable from Prism Central"
	case EffectTaskNoText:
		t.status, t.noText = taskFailed, true
	default:
		t.status, t.failure = taskFailed, f.Message
	}
	s.ended(t)
	s.logf("task %s of VM %s: %s by fault %s", t.operation, t.entity, strings.ToLower(t.status), f.Name)
	return true
}
