package drift_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/drift"
	"github.com/refract-dev/refract/render/site"
)

// A VM that the list does not hold is missing only once Prism Central, asked for it, says so.
func TestMissing(t *testing.T) {
	w := newWorld()
	w.in.Site.VMs = nil
	if diff := cmp.Diff([]string{"vm-1"}, drift.Suspects(w.in)); diff != "" {
		t.Error(diff)
	}
	w.in.Gone = map[string]bool{"vm-1": true}
	want := []drift.Finding{{
		Kind: drift.Missing, Machine: "edge-01-workers-x7k2p-bcd2f", VM: "edge-01-workers-x7k2p-bcd2f", ExtID: "vm-1",
		Wanted: "there", Found: "deleted",
	}}
	if diff := cmp.Diff(want, drift.Compare(w.in)); diff != "" {
		t.Error(diff)
	}
}

func TestNoSuspects(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"Listed":     func(*world) {},
		"Unsettled":  func(w *world) { w.in.Site.VMs = nil; w.machine().Settled = false },
		"NoVMYet":    func(w *world) { w.in.Site.VMs = nil; w.machine().ExtID = "" },
		"VMsUnknown": func(w *world) { w.in.Site.VMs = nil; w.unknown(site.PartVMs) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			change(w)
			if got := drift.Suspects(w.in); len(got) != 0 {
				t.Error(got)
			}
		})
	}
}

func TestDouble(t *testing.T) {
	w := newWorld()
	w.add(site.VM{ExtID: "vm-2", Name: w.machine().Name, Element: "pe-2", Categories: []string{"cat-own"}})
	want := []drift.Finding{{
		Kind: drift.Double, Machine: w.machine().Name, VM: w.machine().Name, ExtID: "vm-2", Field: "name",
		Wanted: "that of vm-1 alone", Found: "also that of vm-2 on PE-2",
	}}
	if diff := cmp.Diff(want, drift.Compare(w.in)); diff != "" {
		t.Error(diff)
	}
	w.in.Owned["vm-2"] = true // then it is another machine's that was renamed, which is reported there
	if got := drift.Compare(w.in); len(got) != 0 {
		t.Error(got)
	}
}

// Which VMs of the cluster's category are called orphans, and which may be somebody else's.
func TestUnowned(t *testing.T) {
	member := func(name string) site.VM {
		return site.VM{ExtID: "vm-2", Name: name, Element: "pe-1", Categories: []string{"cat-own"}}
	}
	const orphan, stranger, neither = drift.Orphan, drift.Stranger, drift.Kind("")
	for name, c := range map[string]struct {
		vm     site.VM
		change func(w *world)
		want   drift.Kind
	}{
		"OfOurMachineSet":     {member("edge-01-workers-x7k2p-zzzzz"), nil, orphan},
		"OfAnotherMachineSet": {member("edge-01-workers-ffff2-zzzzz"), nil, stranger},
		"ControlPlane":        {member("edge-01-kcp-zzzzz"), nil, stranger},
		"ControlPlaneOfOurs": {member("edge-01-kcp-zzzzz"), func(w *world) {
			m := *w.machine()
			m.Name, m.Infra, m.ExtID = "edge-01-kcp-bcd2f", "", "vm-9"
			w.in.Machines = append(w.in.Machines, m)
		}, stranger},
		"Remembered": {member("edge-01-kcp-zzzzz"), func(w *world) {
			w.in.Ours = func(vm site.VM) bool { return vm.ExtID == "vm-2" }
		}, orphan},
		"Copy": {member("copy"), func(w *world) { w.in.Site.VMs[1].CustomAttributes = []string{"providerid:vm-1"} }, orphan},
		"OwnProviderID": {member("edge-01-kcp-zzzzz"), func(w *world) {
			w.in.Site.VMs[1].CustomAttributes = []string{"providerid:vm-2"}
		}, stranger},
		"OwnedElsewhereHere": {member("edge-01-workers-x7k2p-zzzzz"), func(w *world) { w.in.Owned["vm-2"] = true }, neither},
		"BeingCreated": {member("edge-01-workers-x7k2p-zzzzz"), func(w *world) {
			w.in.Machines = append(w.in.Machines, drift.Machine{Name: "edge-01-workers-x7k2p-zzzzz"})
		}, neither},
		"BeingDeleted": {member("edge-01-workers-x7k2p-zzzzz"), func(w *world) {
			w.in.Machines = append(w.in.Machines, drift.Machine{Name: "edge-01-workers-x7k2p-zzzzz", ExtID: "vm-old"})
		}, neither},
		"OtherCluster":      {member("edge-01-workers-x7k2p-zzzzz"), func(w *world) { w.in.Site.VMs[1].Categories = []string{"cat-prod"} }, neither},
		"CategoriesUnknown": {member("edge-01-workers-x7k2p-zzzzz"), func(w *world) { w.unknown(site.PartCategories) }, neither},
		"VMsUnknown":        {member("edge-01-workers-x7k2p-zzzzz"), func(w *world) { w.unknown(site.PartVMs) }, neither},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.add(c.vm)
			if c.change != nil {
				c.change(w)
			}
			var got drift.Kind
			for _, f := range slices.Concat(drift.Compare(w.in), drift.Strangers(w.in)) {
				if f.ExtID == "vm-2" {
					got += f.Kind
				}
			}
			if got != c.want {
				t.Errorf("want %q, got %q", c.want, got)
			}
		})
	}
}

// Whatever order Prism Central and the API server list in, the findings are the same.
func TestOrder(t *testing.T) {
	build := func(turn bool) []drift.Finding {
		w := newWorld()
		second := *w.machine()
		second.Name, second.Infra, second.ExtID = "edge-01-workers-x7k2p-ccccc", "", "vm-2"
		w.in.Machines = append(w.in.Machines, second)
		vm := *w.vm()
		vm.ExtID, vm.Name, vm.Sockets, vm.Power = "vm-2", second.Name, 1, site.PowerOff
		w.vm().Categories = nil
		w.add(vm)
		w.add(site.VM{ExtID: "vm-3", Name: "edge-01-workers-x7k2p-zzzzz", Categories: []string{"cat-own"}})
		if turn {
			slices.Reverse(w.in.Machines)
			slices.Reverse(w.in.Site.VMs)
			slices.Reverse(w.in.Site.Categories)
		}
		return drift.Compare(w.in)
	}
	if got := build(false); len(got) != 4 {
		t.Errorf("want 4 findings, got %+v", got)
	}
	if diff := cmp.Diff(build(false), build(true)); diff != "" {
		t.Error(diff)
	}
}
