package drift

import (
	"regexp"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

// unowned finds the VMs of the cluster's category that belong to no machine: those that are proved to be ours (Orphan),
// or those that are not (Stranger).
func (x index) unowned(kind Kind) []Finding {
	taken, made := x.taken(), x.machineSets()
	var out []Finding
	for _, vm := range x.members() {
		if x.owned(vm) || taken[vm.Name] || x.ours(vm, made) != (kind == Orphan) {
			continue
		}
		f := Finding{Kind: kind, VM: vm.Name, ExtID: vm.ExtID}
		f.Wanted = "owned by a machine, or gone"
		f.Found = "without a machine, with category " + site.ClusterCategory + "=" + x.Cluster + x.on(vm)
		if kind == Stranger {
			f.Wanted = "of a cluster with a name of its own"
			f.Found += ", and nothing shows that this management cluster made it"
		}
		out = append(out, f)
	}
	return out
}

// members are the VMs with the cluster's category.
func (x index) members() []site.VM {
	var out []site.VM
	if !x.Site.Knows(site.PartVMs) {
		return nil
	}
	for _, vm := range x.Site.VMs {
		for _, id := range vm.Categories {
			if c := x.tags[id]; c.Key == site.ClusterCategory && c.Value == x.Cluster {
				out = append(out, vm)
				break
			}
		}
	}
	return out
}

// taken are names of VMs that are not orphans: of machines whose VM comes or goes, and of those whose doubles are
// reported as such.
func (x index) taken() map[string]bool {
	out := map[string]bool{}
	for _, m := range x.Machines {
		if _, listed := x.vm(m.ExtID); listed || m.ExtID == "" || !m.Settled {
			for _, name := range names(m) {
				out[name] = true
			}
		}
	}
	return out
}

// owned says whether a machine of this management cluster has this VM.
func (x index) owned(vm site.VM) bool { return x.mine[strings.ToLower(vm.ExtID)] }

// ours says whether this management cluster made a VM, see Compare.
func (x index) ours(vm site.VM, machineSets map[string]bool) bool {
	if x.Ours != nil && x.Ours(vm) {
		return true
	}
	if set := machineSet(vm.Name); set != "" && machineSets[set] {
		return true
	}
	for _, a := range vm.CustomAttributes {
		if id, ok := strings.CutPrefix(a, "providerid:"); ok && x.mine[strings.ToLower(id)] {
			return true
		}
	}
	return false
}

// machineSets are the names of the MachineSets that the machines' names tell.
func (x index) machineSets() map[string]bool {
	out := map[string]bool{}
	for _, m := range x.Machines {
		if set := machineSet(m.Name); set != "" {
			out[set] = true
		}
	}
	return out
}

// workerName is a name that Cluster API gives to a worker: <MachineDeployment>-<random>-<random>, in the alphabet of
// apimachinery's rand.String.
var workerName = regexp.MustCompile(`^(.+-[bcdfghjklmnpqrstvwxz2456789]{5})-[bcdfghjklmnpqrstvwxz2456789]{5}$`)

// machineSet is the MachineSet that a name tells, or empty.
func machineSet(name string) string {
	if m := workerName.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return ""
}
