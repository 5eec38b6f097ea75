package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
)

// vmUpdate is the part of a VM that can be changed by PUT here. Disks, NICs, GPUs
// and power have their own requests; a PUT that changes them, or anything else
// that is not listed, is refused.
type vmUpdate struct {
	Name                          string
	NumSockets, NumCoresPerSocket int
	MemorySizeBytes               int64
	HardwareClockTimezone         string
	Categories                    []refRequest
	Project                       refRequest
	BootConfig                    *bootRequest
}

var changeable = []string{
	"name", "numSockets", "numCoresPerSocket", "memorySizeBytes", "hardwareClockTimezone", "categories", "project", "bootConfig",
}

// updateVM replaces a VM by what the client sends: the document that it got, with
// changes. What is left out is taken away.
func (s *Server) updateVM(r *request, m *machine) (reply, error) {
	var sent map[string]any
	if err := decode(r.body, &sent); err != nil {
		return reply{}, err
	}
	if err := onlyChangeable(sent, m.document()); err != nil {
		return reply{}, err
	}
	maps.DeleteFunc(sent, func(name string, _ any) bool { return !slices.Contains(changeable, name) })
	body, err := json.Marshal(sent)
	if err != nil {
		return reply{}, fmt.Errorf("encode the changes: %w", err)
	}
	var wanted vmUpdate
	if err := decode(body, &wanted); err != nil {
		return reply{}, err
	}
	changed := m.clone()
	if err := wanted.applyTo(changed); err != nil {
		return reply{}, err
	}
	if err := s.checkReferences(changed); err != nil {
		return reply{}, invalid(http.StatusUnprocessableEntity, "VM %q: %v", m.name, err)
	}
	return s.startOn("kVmUpdate", m, func() error {
		changed := m.clone()
		if err := wanted.applyTo(changed); err != nil {
			return err
		}
		if err := hotPlug(m, changed); err != nil {
			return err
		}
		if err := s.settle(changed); err != nil {
			return err
		}
		s.replace(m, changed)
		return nil
	}), nil
}

// onlyChangeable refuses a body that differs from the document in other fields
// than those that can be changed.
func onlyChangeable(sent map[string]any, document object) error {
	encoded, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode the VM: %w", err)
	}
	current := map[string]any{}
	if err := json.Unmarshal(encoded, &current); err != nil {
		return fmt.Errorf("decode the VM: %w", err)
	}
	names := slices.Concat(slices.Collect(maps.Keys(sent)), slices.Collect(maps.Keys(current)))
	slices.Sort(names)
	for _, name := range names {
		if name[0] == '$' || slices.Contains(changeable, name) {
			continue
		}
		if !reflect.DeepEqual(bare(sent[name]), bare(current[name])) {
			return notSimulated("body: a PUT that changes %s is not known", name)
		}
	}
	return nil
}

// bare is a JSON value without what clients and server add for bookkeeping, and
// without what is empty.
func bare(value any) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range v {
			if b := bare(inner); b != nil && name[0] != '$' {
				kept[name] = b
			}
		}
		return kept
	case []any:
		if len(v) == 0 {
			return nil
		}
		kept := make([]any, 0, len(v))
		for _, inner := range v {
			kept = append(kept, bare(inner))
		}
		return kept
	}
	return value
}

func (v vmUpdate) applyTo(m *machine) error {
	if v.Name == "" || v.NumSockets < 1 || v.NumCoresPerSocket < 1 || v.MemorySizeBytes < 1 {
		return invalid(http.StatusBadRequest, "VM %q needs a name, sockets, cores per socket and memory", v.Name)
	}
	m.name, m.sockets, m.cores, m.memory = v.Name, v.NumSockets, v.NumCoresPerSocket, v.MemorySizeBytes
	m.timezone, m.project = v.HardwareClockTimezone, v.Project.ExtID
	m.categories = nil
	for _, c := range v.Categories {
		m.categories = append(m.categories, c.ExtID)
	}
	m.boot, m.bootOrder = "", nil
	return v.BootConfig.addTo(m)
}

// hotPlug refuses what AHV does not do to a VM that is on: take sockets or memory
// away, or change the cores of a socket.
func hotPlug(m, changed *machine) error {
	if m.on && (changed.sockets < m.sockets || changed.memory < m.memory || changed.cores != m.cores) {
		return fmt.Errorf("InvalidVmState: VM %s must be powered off to lower its memory or sockets or to change its cores per socket", m.name)
	}
	return nil
}
