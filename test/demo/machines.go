package main

import (
	"context"
	"errors"
	"strings"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// showMachines changes virtual machines behind everybody's back: Cluster API and CAPX do not look at them again once they
// are ready.
func (d *demo) showMachines(ctx context.Context) error {
	server := d.world.Prism.Server
	off, grown, err := victims(server.VMs())
	if err != nil {
		return err
	}
	d.show.say(`In Prism Central somebody switches %s off and gives %s twice the memory. Cluster API and CAPX do
		not look at a machine again once it is ready. Refract reads Prism Central and compares (every five seconds here, else
		every minute):`, off, grown)
	wanted := int64(0)
	if err = errors.Join(
		server.EditVM(off, func(vm *simulator.VM) { vm.PowerState = simulator.PowerOff }),
		server.EditVM(grown, func(vm *simulator.VM) { wanted, vm.MemoryBytes = vm.MemoryBytes, 2*vm.MemoryBytes }),
	); err != nil {
		return err
	}
	const found = `kubectl get nutanixclusterspec edge-02 -n clusters -o jsonpath='{range .status.drift[*]}{.object} {.field}: wanted {.wanted}, found {.found}{"\n"}{end}'`
	if err = d.until(ctx, promptness, "the difference in the cluster's status", d.answers(found, grown)); err != nil {
		return err
	}
	if err = d.allTyped(ctx, found, status); err != nil {
		return err
	}
	d.show.say(`edge-02 says "drift: {machines: Repair}", so Refract may switch machines on and restore categories. It does
		once a difference has lasted; what only a new machine could mend is told, and stays for a plan:`)
	const events = "kubectl get events -n clusters --field-selector reason=MachineRepaired -o custom-columns=CLUSTER:.involvedObject.name,MESSAGE:.message"
	if err = d.until(ctx, promptness, "the machine switched on again", d.answers(events, off)); err != nil {
		return err
	}
	if _, err = d.typed(ctx, events); err != nil {
		return err
	}
	d.show.say("The memory is put back by the same hand:")
	if err = server.EditVM(grown, func(vm *simulator.VM) { vm.MemoryBytes = wanted }); err != nil {
		return err
	}
	if err = d.until(ctx, promptness, "no difference left", d.answers(`kubectl get nutanixclusterspec edge-02 -n clusters -o jsonpath='{.status.conditions[?(@.type=="InSync")].reason}'`, "InSync")); err != nil {
		return err
	}
	_, err = d.typed(ctx, status)
	return err
}

// victims are a machine of each pool of edge-02.
func victims(vms []simulator.VM) (off, grown string, err error) {
	for _, vm := range vms {
		switch {
		case strings.HasPrefix(vm.Name, "edge-02-apps-"):
			off = vm.Name
		case strings.HasPrefix(vm.Name, "edge-02-data-"):
			grown = vm.Name
		}
	}
	if off == "" || grown == "" {
		return "", "", errors.New("edge-02 has no machine in one of its pools")
	}
	return off, grown, nil
}
