package drift

import (
	"cmp"
	"slices"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

// Compare finds the differences between machines and virtual machines, sorted by VM and field.
//
// Only settled machines are compared, and only what is known on both sides. A VM is missing only if it is in Input.Gone.
//
// A VM of the cluster's category that nobody owns is an orphan only if this management cluster made it, for a cluster of
// the same name under another management cluster has the same category and the same pattern of names. Proof is one of:
// the caller remembers it (Input.Ours); its name is that of a MachineSet of this cluster and five more characters
// (MachineSets have random names, control planes have not); its provider id is that of a VM owned here, so it is a copy.
// All others are left to [Strangers]. No orphan is a VM with the name of a machine that has no VM yet or is not settled.
//
// Machines come and go while an inventory is read: believe an orphan when two inventories in a row show it, with
// Input.Owned taken after the first.
func Compare(in Input) []Finding {
	x := newIndex(in)
	var out []Finding
	for _, m := range in.Machines {
		if m.Settled && m.ExtID != "" {
			out = append(out, x.machine(m)...)
		}
	}
	out = append(out, x.unowned(Orphan)...)
	order(out)
	return out
}

// Suspects are the ExtIDs of settled machines that the list of VMs does not hold, sorted: to be asked for one by one,
// because a list read page by page can miss one. None if the list is not known.
func Suspects(in Input) []string {
	if !in.Site.Knows(site.PartVMs) {
		return nil
	}
	x := newIndex(in)
	var out []string
	for _, m := range in.Machines {
		if _, listed := x.vm(m.ExtID); m.Settled && m.ExtID != "" && !listed {
			out = append(out, m.ExtID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Strangers are the VMs that carry the cluster's category, belong to no machine here, and may be another management
// cluster's: worth saying, not drift.
func Strangers(in Input) []Finding {
	out := newIndex(in).unowned(Stranger)
	order(out)
	return out
}

func order(all []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(
			strings.Compare(a.VM, b.VM), strings.Compare(a.ExtID, b.ExtID),
			strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Field, b.Field),
		)
	})
}

// index is an input with its VMs and categories by name and identifier.
type index struct {
	Input
	vms   map[string]site.VM
	named map[string][]site.VM
	tags  map[string]site.Category
	// mine are the ExtIDs of VMs that a machine has, in lower case.
	mine map[string]bool
	gone map[string]bool
}

func newIndex(in Input) index {
	x := index{
		Input: in, vms: map[string]site.VM{}, named: map[string][]site.VM{}, tags: map[string]site.Category{},
		mine: lower(in.Owned), gone: lower(in.Gone),
	}
	for _, m := range in.Machines {
		if m.ExtID != "" {
			x.mine[strings.ToLower(m.ExtID)] = true
		}
	}
	if in.Site.Knows(site.PartVMs) {
		for _, vm := range in.Site.VMs {
			x.vms[strings.ToLower(vm.ExtID)] = vm
			x.named[vm.Name] = append(x.named[vm.Name], vm)
		}
	}
	if in.Site.Knows(site.PartCategories) {
		for _, c := range in.Site.Categories {
			x.tags[c.ExtID] = c
		}
	}
	return x
}

func lower(set map[string]bool) map[string]bool {
	out := map[string]bool{}
	for id, is := range set {
		out[strings.ToLower(id)] = is
	}
	return out
}

func (x index) vm(extID string) (site.VM, bool) {
	vm, ok := x.vms[strings.ToLower(extID)]
	return vm, ok
}

// machine compares one machine with its VM.
func (x index) machine(m Machine) []Finding {
	vm, listed := x.vm(m.ExtID)
	if !listed {
		if !x.gone[strings.ToLower(m.ExtID)] {
			return nil
		}
		f := Finding{Kind: Missing, Machine: m.Name, VM: m.Name, ExtID: m.ExtID, Wanted: "there", Found: "deleted"}
		f.HandsOff = m.HandsOff
		return []Finding{f}
	}
	c := comparison{index: x, machine: m, vm: vm, want: site.ReadMachine(m.Spec)}
	c.element = x.resolveElement(c.want.Element)
	c.name()
	c.size()
	c.disks()
	c.network()
	c.categories()
	c.project()
	c.place()
	c.boot()
	c.gpus()
	c.power()
	return append(c.found, x.doubles(m, vm)...)
}

// doubles are other VMs with a machine's name that no machine owns.
func (x index) doubles(m Machine, vm site.VM) []Finding {
	var out []Finding
	for _, name := range names(m) {
		for _, other := range x.named[name] {
			if other.ExtID == vm.ExtID || x.owned(other) {
				continue
			}
			out = append(out, Finding{
				Kind: Double, Machine: m.Name, VM: other.Name, ExtID: other.ExtID, Field: "name",
				Wanted: "that of " + vm.ExtID + " alone", Found: "also that of " + other.ExtID + x.on(other), HandsOff: m.HandsOff,
			})
		}
	}
	return out
}

// names of a machine that its VM may have.
func names(m Machine) []string {
	var out []string
	for _, n := range []string{m.Name, m.Infra} {
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// on is " on PE-1", if known.
func (x index) on(vm site.VM) string {
	if name := x.elementName(vm.Element); name != "" {
		return " on " + name
	}
	return ""
}
