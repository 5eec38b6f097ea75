package bench

import (
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// pageSize is how many entries a page of a list of Prism Central holds.
const pageSize = 100

// TestInventory counts what one reading of a Prism Central asks, with more and more virtual machines: pages of lists, and
// nothing for each machine.
func TestInventory(t *testing.T) {
	crowds := []int{10, 100}
	if full() {
		crowds = append(crowds, 1000)
	}
	beside := -1
	for _, n := range crowds {
		asked := inventory(t, n)
		total, pages := 0, (n+pageSize-1)/pageSize
		for route, count := range asked {
			total += count
			if strings.Contains(route, "/vms/") {
				t.Errorf("%d machines: %s, %d times: a machine is asked for by itself", n, route, count)
			}
		}
		if beside < 0 {
			beside = total - pages
		}
		if total != beside+pages {
			t.Errorf("%d machines: %d requests, want %d and %d pages of machines: %v", n, total, beside, pages, asked)
		}
		row(fmt.Sprintf("Prism Central with %d VMs and 2 Prism Elements", n), fmt.Sprintf("%d requests an inventory", total),
			fmt.Sprintf("%d of them pages of VMs", pages), "pages of the lists, nothing per VM")
	}
}

// inventory is what a second reading asks of a Prism Central with so many machines, by route: the first one logs in.
func inventory(t *testing.T, machines int) map[string]int {
	t.Helper()
	central := simulator.New(simulator.Options{Model: crowd(machines), Username: "refract", Password: "nothing-secret"})
	defer central.Close()
	web := httptest.NewTLSServer(central)
	defer web.Close()
	host, text, err := net.SplitHostPort(web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	door, err := prism.Open(prism.Endpoint{
		Address: host, Port: int32(port), Username: "refract", Password: "nothing-secret",
		TrustBundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}),
	}, prism.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	door.Inventory(t.Context())
	before := central.Requests()
	found := door.Inventory(t.Context())
	if len(found.VMs) != machines || len(found.Unknown) > 0 {
		t.Fatalf("%d machines of %d, unknown: %v", len(found.VMs), machines, found.Unknown)
	}
	asked := central.Requests()
	for route, count := range before {
		asked[route] -= count
	}
	maps.DeleteFunc(asked, func(_ string, count int) bool { return count == 0 })
	return asked
}

// crowd is a site of many machines that are off, without limits of memory.
func crowd(n int) simulator.Model {
	m := simulator.DefaultModel()
	for i := range m.PrismElements {
		m.PrismElements[i].Hosts = nil
	}
	for i := range n {
		vm := machineOf(m, fmt.Sprintf("vm-%04d", i))
		vm.PowerState, vm.Subnets = simulator.PowerOff, []string{m.Subnets[i%len(m.Subnets)].Name}
		m.VMs = append(m.VMs, vm)
	}
	return m
}

func machineOf(m simulator.Model, name string) simulator.VM {
	return simulator.VM{
		Name: name, PrismElement: m.PrismElements[0].Name, Subnets: []string{m.Subnets[0].Name}, Sockets: 2, CoresPerSocket: 1,
		MemoryBytes: 4 << 30, DiskBytes: 20 << 30, Image: m.Images[0].Name, PowerState: simulator.PowerOn,
	}
}

// changes of a machine that are measured, each begun when the one before is seen: so right after a reading, which is the
// worst moment.
const changes = 6

// TestChangeOfAMachine switches a machine off and on in Prism Central, and measures how long it takes until the cluster's
// status says so.
func TestChangeOfAMachine(t *testing.T) {
	every := 2 * time.Second
	if full() {
		every = 30 * time.Second
	}
	h, _, _ := newHerd(t, 1, every)
	h.ready()
	vm := h.give(h.names[0] + "-workers-0")
	var worst time.Duration
	for i := range 1 + changes {
		state, differs := simulator.PowerOff, true
		if i%2 == 1 {
			state, differs = simulator.PowerOn, false
		}
		begin := time.Now()
		if err := pack.World.Prism.Server.EditVM(vm, func(vm *simulator.VM) { vm.PowerState = state }); err != nil {
			t.Fatal(err)
		}
		h.Within(patience, fmt.Sprintf("the status says that %s is %s", vm, state), func() error {
			if drift := h.Cluster(h.names[0]).Status.Drift; powerDiffers(drift, vm) != differs {
				return fmt.Errorf("%+v", drift)
			}
			return nil
		})
		if i > 0 { // before the first the machine was not known yet
			worst = max(worst, time.Since(begin))
		}
	}
	multiple := worst.Seconds() / every.Seconds()
	row(fmt.Sprintf("from a change in Prism Central to the status, interval %s", every),
		fmt.Sprintf("%.2f intervals", multiple), fmt.Sprintf("the longest of %d, each begun right after a reading", changes), "at most 1.2 intervals")
	if full() && multiple > 1.2 {
		t.Errorf("a change is seen after %.2f intervals, want at most 1.2", multiple)
	}
}

func powerDiffers(drift []v1alpha1.DriftFinding, vm string) bool {
	return slices.ContainsFunc(drift, func(f v1alpha1.DriftFinding) bool { return f.Object == "VM "+vm && f.Field == "power" })
}

// give makes a virtual machine for a NutanixMachine, and says its name.
func (h *herd) give(name string) string {
	h.T.Helper()
	vm, err := pack.World.Prism.Server.AddVM(machineOf(simulator.DefaultModel(), name))
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { _ = pack.World.Prism.Server.RemoveVM(name) })
	m := machines{h.Client, h.Namespace, h.names[0]}
	infra, err := m.get(h.T.Context(), infraKind, name)
	if err != nil {
		h.T.Fatal(err)
	}
	if err := m.say(h.T.Context(), infra, map[string]any{"ready": true, "vmUUID": vm.ExtID}); err != nil {
		h.T.Fatal(err)
	}
	return name
}
