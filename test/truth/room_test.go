package truth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// room is what machines take, by the name of a Prism Element.
type room map[string]preflight.Resources

// memory of all Prism Elements, in GiB.
func (r room) memory() (sum int64) {
	for _, one := range r {
		sum += one.MemoryBytes >> 30
	}
	return sum
}

// taken is what the cluster's machines that are on take now.
func (s *stage) taken() room {
	now := room{}
	for _, vm := range s.vms() {
		if vm.PowerState == simulator.PowerOn {
			one := now[vm.PrismElement]
			one.VCPUs += int64(vm.Sockets * vm.CoresPerSocket)
			one.MemoryBytes += vm.MemoryBytes
			now[vm.PrismElement] = one
		}
	}
	return now
}

func (s *stage) vms() []simulator.VM {
	return slices.DeleteFunc(s.World.Prism.Server.VMs(), func(vm simulator.VM) bool { return !strings.HasPrefix(vm.Name, s.name+"-") })
}

// watchRoom looks often at what the machines take, until the function that it returns is called. That says the most that
// was seen beyond what they took in the beginning, of each resource by itself.
func (s *stage) watchRoom() func() room {
	begin, most := s.taken(), room{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for element, now := range s.taken() {
				was, one := begin[element], most[element]
				one.VCPUs = max(one.VCPUs, now.VCPUs-was.VCPUs)
				one.MemoryBytes = max(one.MemoryBytes, now.MemoryBytes-was.MemoryBytes)
				most[element] = one
			}
			select {
			case <-s.T.Context().Done():
				return
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	return func() room {
		close(stop)
		<-stopped
		return most
	}
}

// room that a plan says is needed at the peak.
func (p prediction) room() room {
	all := room{}
	for _, c := range p.report.Capacity {
		all[c.Element] = preflight.Resources{VCPUs: c.NeedVCPUs, MemoryBytes: c.NeedMemoryBytes}
	}
	return all
}

// short says where more was taken than the plan said.
func (p prediction) short(most room) []string {
	said := p.room()
	var out []string
	for _, element := range slices.Sorted(maps.Keys(most)) {
		if had, want := most[element], said[element]; had.VCPUs > want.VCPUs || had.MemoryBytes > want.MemoryBytes {
			out = append(out, fmt.Sprintf("exact: %s needs %d vCPU and %d MiB at the peak, and %d vCPU and %d MiB were taken",
				element, want.VCPUs, want.MemoryBytes>>20, had.VCPUs, had.MemoryBytes>>20))
		}
	}
	return out
}

// sight is what Prism Central holds, and which VMs the cluster's machines are.
type sight struct {
	inventory *site.Inventory
	owned     map[string]bool
}

// look reads Prism Central as the operator does.
func (s *stage) look(t *testing.T) *sight {
	t.Helper()
	p := s.World.Prism
	door, err := prism.Open(prism.Endpoint{
		Address: p.Host, Port: int32(p.Port), Username: p.Username, Password: p.Password, TrustBundle: p.CA,
	}, prism.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	machines := map[string]bool{}
	for _, m := range s.Objects(core, "Machine", s.name) {
		machines[m.GetName()] = true
	}
	owned := map[string]bool{}
	for _, vm := range s.vms() {
		owned[vm.ExtID] = machines[vm.Name]
	}
	return &sight{door.Inventory(t.Context()), owned}
}
