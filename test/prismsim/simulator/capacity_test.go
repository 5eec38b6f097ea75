package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// smallSite is the default one, but for PE-1: two hosts of 8 GiB, of which the
// first has one GPU, and 100 GiB in its first container.
func smallSite() simulator.Model {
	model := simulator.DefaultModel()
	model.PrismElements[0].Hosts = []simulator.Host{
		{Name: "one", Cores: 8, Threads: 16, MemoryBytes: 8 << 30, GPUs: []simulator.GPU{{Name: "NVIDIA A40", DeviceID: 8757, Count: 1}}},
		{Name: "two", Cores: 8, Threads: 16, MemoryBytes: 8 << 30},
	}
	model.StorageContainers[0].CapacityBytes = 100 << 30
	return model
}

// outcome is the status of a task and the message that it failed with.
func outcome(t *testing.T, s *simulator.Server, task string) string {
	t.Helper()
	got := call(t, s, http.MethodGet, tasksPath+"/"+task, "").data(t)
	messages, _ := got["errorMessages"].([]any)
	if len(messages) == 0 {
		return got["status"].(string)
	}
	return fmt.Sprintf("%s: %s", got["status"], messages[0].(map[string]any)["message"])
}

func TestMemoryOfOneHostLimitsPowerOn(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		o.Model = smallSite()
		o.Model.VMs = []simulator.VM{runningVM("a", "PE-1"), runningVM("b", "PE-1")}
	})
	if a, b := s.VMs()[0].Host, s.VMs()[1].Host; a == "" || a == b {
		t.Errorf("the first VMs run on %q and %q, want them spread", a, b)
	}
	big := smallVM("big")
	big.MemoryBytes, big.DiskBytes = 6<<30, 1<<30
	vm, err := s.AddVM(big)
	if err != nil {
		t.Fatalf("a VM that is off takes no memory: %v", err)
	}
	// 8 GiB are free, but no host has more than 4.
	got := outcome(t, s, act(t, s, vm.ExtID, "power-on", ""))
	if want := "FAILED: NoHostResources: No host has enough available memory for VM big that uses 2 vCPUs and 6144 MB of memory"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := s.VMs()[2]; got.PowerState != simulator.PowerOff {
		t.Errorf("the VM that does not fit is %s", got.PowerState)
	}
	if err := s.EditVM("a", func(v *simulator.VM) { v.PowerState = simulator.PowerOff }); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, s, act(t, s, vm.ExtID, "power-on", "")); got != "SUCCEEDED" {
		t.Errorf("after memory came free: %s", got)
	}
}

func TestHostInMaintenanceTakesNoVMs(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		o.Model = smallSite()
		o.Model.VMs = []simulator.VM{runningVM("a", "PE-1"), smallVM("b"), smallVM("c")}
		for i := range o.Model.VMs {
			o.Model.VMs[i].DiskBytes = 1 << 30
		}
	})
	on := s.VMs()[0].Host
	if err := s.SetHostMaintenance("PE-1", on, true); err != nil {
		t.Fatal(err)
	}
	if got := s.VMs()[0].Host; got == on || got == "" {
		t.Errorf("the VM runs on %q, want it moved away from %q", got, on)
	}
	powerOn := func(name string) error {
		return s.EditVM(name, func(v *simulator.VM) { v.PowerState = simulator.PowerOn })
	}
	if err := powerOn("b"); err != nil {
		t.Errorf("the host that is left is full too early: %v", err)
	}
	if err := powerOn("c"); err == nil || !strings.Contains(err.Error(), "No host has enough available memory") {
		t.Errorf("a third VM on one host of 8 GiB: %v", err)
	}
	if err := s.SetHostMaintenance("PE-1", s.VMs()[0].Host, true); err == nil {
		t.Error("the last host went away under its VMs")
	}
	if err := s.SetHostMaintenance("PE-1", on, false); err != nil {
		t.Fatal(err)
	}
	if err := powerOn("c"); err != nil {
		t.Errorf("after the maintenance: %v", err)
	}
	if err := s.SetHostMaintenance("PE-1", "none", true); err == nil {
		t.Error("a host that does not exist went into maintenance")
	}
}

func TestGPUsLimitPowerOn(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		o.Model = smallSite()
		first, second := runningVM("first", "PE-1", "NVIDIA A40"), smallVM("second")
		second.GPUs = []string{"NVIDIA A40"}
		o.Model.VMs = []simulator.VM{first, second}
	})
	if got := s.VMs()[0].Host; got != "one" {
		t.Errorf("the VM with a GPU runs on %q", got)
	}
	got := outcome(t, s, act(t, s, s.VMs()[1].ExtID, "power-on", ""))
	if want := "FAILED: NoHostResources: No host has enough available GPU resources for VM second that uses 2 vCPUs and 4096 MB of memory"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if err := s.RemoveVM("first"); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, s, act(t, s, s.VMs()[0].ExtID, "power-on", "")); got != "SUCCEEDED" {
		t.Errorf("after the GPU came free: %s", got)
	}
}

func TestStorageLimitsCreation(t *testing.T) {
	t.Parallel()
	body := vmBody(t, simulator.DefaultModel(), "c")
	s := newServer(t, func(o *simulator.Options) {
		o.Model = smallSite()
		o.Model.VMs = []simulator.VM{smallVM("a"), smallVM("b")}
	})
	got := outcome(t, s, create(t, s, body))
	want := "FAILED: StorageContainerFull: Storage container default-container of cluster PE-1 has not enough space for VM c: " +
		"it needs 42949672960 bytes, 21474836480 bytes are free"
	if got != want || len(s.VMs()) != 2 {
		t.Errorf("got %s with %d VMs\nwant %s", got, len(s.VMs()), want)
	}
	if err := s.RemoveVM("a"); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, s, create(t, s, body)); got != "SUCCEEDED" {
		t.Errorf("after space came free: %s", got)
	}
}

func TestImageMustBeOnTheCluster(t *testing.T) {
	t.Parallel()
	body := vmBody(t, simulator.DefaultModel(), "a")
	s := newServer(t, func(o *simulator.Options) { o.Model.Images[1].PrismElements = []string{"PE-2"} })
	if got := outcome(t, s, create(t, s, body)); got != "FAILED: image ubuntu-24.04-kube-v1.33.4 is not on cluster PE-1" {
		t.Errorf("got %s", got)
	}
}

func TestEditModel(t *testing.T) {
	t.Parallel()
	vm := runningVM("a", "PE-1")
	vm.Project = "platform"
	s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{vm} })
	const images = "/api/vmm/v4.2/content/images"
	before := extID(t, s, images, "ubuntu-24.04-kube-v1.32.8")
	err := s.EditModel(func(m *simulator.Model) {
		m.Images[0].Name = "renamed"
		m.PrismElements[0].Hosts = append(m.PrismElements[0].Hosts, simulator.Host{Name: "new", MemoryBytes: 1 << 40})
		m.PrismCentral.Version = "7.6"
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := extID(t, s, images, "renamed"); got != before {
		t.Errorf("the image has the extId %s now, and had %s", got, before)
	}
	if total := totalOf(call(t, s, http.MethodGet, "/api/clustermgmt/v4.2/config/hosts", "")); total != 9 {
		t.Errorf("%d hosts, want 9", total)
	}
	for name, edit := range map[string]func(*simulator.Model){
		"ProjectInUse": func(m *simulator.Model) { m.Projects = nil },
		"SubnetInUse":  func(m *simulator.Model) { m.Subnets[0].PrismElements[0] = "PE-2" },
		"ElementInUse": func(m *simulator.Model) { m.PrismElements = m.PrismElements[1:] },
		"HostInUse":    func(m *simulator.Model) { m.PrismElements[0].Hosts = m.PrismElements[0].Hosts[1:] },
		"Contradicts":  func(m *simulator.Model) { m.StorageContainers[3].PrismElement = "PE-9" },
	} {
		if err := s.EditModel(edit); err == nil {
			t.Errorf("%s: the change was accepted", name)
		}
	}
	if total := totalOf(call(t, s, http.MethodGet, images, "")); total != 6 {
		t.Errorf("after refused changes there are %d images, want 6", total)
	}
	if err := s.EditModel(func(m *simulator.Model) { m.Images = nil }); err != nil {
		t.Errorf("the images went: %v", err)
	}
	if err := s.EditVM("a", func(v *simulator.VM) { v.Sockets++ }); err != nil {
		t.Errorf("a VM without its image: %v", err)
	}
}

func TestElementOutOfReachFailsTasks(t *testing.T) {
	t.Parallel()
	body := vmBody(t, simulator.DefaultModel(), "b")
	s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{smallVM("a")} })
	vm := s.VMs()[0].ExtID
	if err := s.SetElementAvailable("PE-1", false); err != nil {
		t.Fatal(err)
	}
	id := extID(t, s, "/api/clustermgmt/v4.2/config/clusters", "PE-1")
	config := call(t, s, http.MethodGet, "/api/clustermgmt/v4.2/config/clusters/"+id, "").data(t)["config"].(map[string]any)
	if config["isAvailable"] != false {
		t.Errorf("the cluster shows %v", config)
	}
	for name, task := range map[string]string{"create": create(t, s, body), "power-on": act(t, s, vm, "power-on", "")} {
		if got := outcome(t, s, task); got != "FAILED: cluster PE-1 is not reachable from Prism Central" {
			t.Errorf("%s: %s", name, got)
		}
	}
	stats := call(t, s, http.MethodGet, "/api/clustermgmt/v4.2/stats/clusters/"+id+
		"?$startTime=2026-01-01T00:00:00Z&$endTime=2026-01-01T00:05:00Z", "").data(t)
	if got := stats["memoryCapacityBytes"]; len(got.([]any)) != 0 {
		t.Errorf("statistics of a cluster out of reach: %v", got)
	}
	if err := s.SetElementAvailable("PE-1", true); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, s, act(t, s, vm, "power-on", "")); got != "SUCCEEDED" {
		t.Errorf("after it came back: %s", got)
	}
	if err := s.SetElementAvailable("PE-9", true); err == nil {
		t.Error("a cluster that does not exist came back")
	}
}

func TestModelNamesWhatItHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*simulator.Model)
		want   string
	}{
		"Subnet":     {func(m *simulator.Model) { m.Subnets[0].PrismElements = []string{"PE-9"} }, `subnet "vlan-101": prism element "PE-9" does not exist`},
		"Image":      {func(m *simulator.Model) { m.Images[0].PrismElements = []string{"PE-9"} }, `prism element "PE-9" does not exist`},
		"Container":  {func(m *simulator.Model) { m.StorageContainers[0].PrismElement = "PE-9" }, `storage container "default-container"`},
		"Volumes":    {func(m *simulator.Model) { m.VolumeGroups = []simulator.VolumeGroup{{Name: "pvc"}} }, `volume group "pvc"`},
		"TwoHosts":   {func(m *simulator.Model) { m.PrismElements[0].Hosts[1].Name = "PE-1-host-1" }, `host "PE-1-host-1" of prism element "PE-1" exists twice`},
		"TwoOfAName": {func(m *simulator.Model) { m.PrismElements[1].Name = "PE-1" }, `prism element "PE-1" exists twice`},
		"GPUMode":    {func(m *simulator.Model) { m.PrismElements[0].Hosts[0].GPUs[0].Mode = "vGPU" }, `mode "vGPU"`},
		"TooMuch": {func(m *simulator.Model) {
			vm := runningVM("huge", "PE-1")
			vm.MemoryBytes = 2 << 40
			m.VMs = []simulator.VM{vm}
		}, "No host has enough available memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(o *simulator.Options) { c.change(&o.Model) })
			if message, _ := call(t, s, http.MethodGet, vmsPath, "").message(t); !strings.Contains(message, c.want) {
				t.Errorf("got %q, want it to say %q", message, c.want)
			}
		})
	}
}
