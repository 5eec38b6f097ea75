package simulator_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

func smallVM(name string) simulator.VM {
	return simulator.VM{
		Name: name, PrismElement: "PE-1", Subnets: []string{"vlan-101"}, Image: "ubuntu-24.04-kube-v1.33.4",
		Sockets: 2, CoresPerSocket: 1, MemoryBytes: 4 << 30, DiskBytes: 40 << 30,
	}
}

func extID(t *testing.T, s *simulator.Server, collection, name string) string {
	t.Helper()
	got := call(t, s, http.MethodGet, collection+"?$filter=name eq '"+name+"'", "")
	items, _ := got.body["data"].([]any)
	if len(items) == 0 {
		t.Fatalf("no %s in %s: %v", name, collection, got.body)
	}
	return items[0].(map[string]any)["extId"].(string)
}

// vmBody is the body of a VM as CAPX posts it, with texts replaced (old, new, and so on).
func vmBody(t *testing.T, model simulator.Model, name string, replace ...string) string {
	t.Helper()
	s := newServer(t, func(o *simulator.Options) { o.Model = model })
	ref := func(kind, id string) map[string]any {
		return map[string]any{"$objectType": "vmm.v4.ahv.config." + kind, "$reserved": map[string]any{"$fv": "v4.r2"}, "extId": id}
	}
	image := extID(t, s, "/api/vmm/v4.2/content/images", "ubuntu-24.04-kube-v1.33.4")
	body, err := json.Marshal(map[string]any{
		"name": name, "numSockets": 2, "numCoresPerSocket": 1, "memorySizeBytes": int64(4 << 30), "hardwareClockTimezone": "UTC",
		"cluster": ref("ClusterReference", extID(t, s, "/api/clustermgmt/v4.2/config/clusters", "PE-1")),
		"nics": []any{map[string]any{"networkInfo": map[string]any{
			"subnet": ref("SubnetReference", extID(t, s, "/api/networking/v4.2/config/subnets", "vlan-101")),
		}}},
		"disks": []any{map[string]any{"backingInfo": map[string]any{
			"$objectType": "vmm.v4.ahv.config.VmDisk", "diskSizeBytes": int64(40 << 30),
			"dataSource": map[string]any{"reference": map[string]any{
				"$objectType": "vmm.v4.ahv.config.ImageReference", "imageExtId": image,
			}},
		}}},
		"guestCustomization": map[string]any{"config": map[string]any{
			"$objectType": "vmm.v4.ahv.config.CloudInit", "datasourceType": "CONFIG_DRIVE_V2",
			"metadata": base64.StdEncoding.EncodeToString([]byte(`{"hostname":"` + name + `"}`)),
			"cloudInitScript": map[string]any{
				"$objectType": "vmm.v4.ahv.config.Userdata",
				"value":       base64.StdEncoding.EncodeToString([]byte("#cloud-config\n")),
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(replace...).Replace(string(body))
}

// create posts a VM and returns the id of its task.
func create(t *testing.T, s *simulator.Server, body string) string {
	t.Helper()
	got := call(t, s, http.MethodPost, vmsPath, body)
	if got.status != http.StatusAccepted {
		t.Fatalf("create: %d %v", got.status, got.body)
	}
	return got.data(t)["extId"].(string)
}

// act posts an action with the current ETag and returns the id of its task.
func act(t *testing.T, s *simulator.Server, vm, action, body string) string {
	t.Helper()
	current := call(t, s, http.MethodGet, vmsPath+"/"+vm, "").header.Get("ETag")
	got := call(t, s, http.MethodPost, vmsPath+"/"+vm+"/$actions/"+action, body, "If-Match", current)
	if got.status != http.StatusAccepted {
		t.Fatalf("%s: %d %v", action, got.status, got.body)
	}
	return got.data(t)["extId"].(string)
}

func taskStatus(t *testing.T, s *simulator.Server, id string) string {
	t.Helper()
	return call(t, s, http.MethodGet, tasksPath+"/"+id, "").data(t)["status"].(string)
}

func TestETagIsEnforcedAndMovesOn(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{smallVM("a")} })
	vm := s.VMs()[0].ExtID
	current := func() string { return call(t, s, http.MethodGet, vmsPath+"/"+vm, "").header.Get("ETag") }
	first := current()
	for _, c := range []struct{ method, path string }{
		{http.MethodDelete, ""},
		{http.MethodPost, "/$actions/power-on"},
		{http.MethodPost, "/$actions/power-off"},
		{http.MethodPost, "/$actions/add-custom-attributes"},
	} {
		missing := call(t, s, c.method, vmsPath+"/"+vm+c.path, "")
		if _, code := missing.message(t); missing.status != http.StatusPreconditionRequired || code != "PLAT-10004" {
			t.Errorf("%s %s without If-Match: %d %s", c.method, c.path, missing.status, code)
		}
		stale := call(t, s, c.method, vmsPath+"/"+vm+c.path, "", "If-Match", `"stale"`)
		if _, code := stale.message(t); stale.status != http.StatusPreconditionFailed || code != "PLAT-10005" {
			t.Errorf("%s %s with a stale If-Match: %d %s", c.method, c.path, stale.status, code)
		}
	}
	if got := current(); got != first || first == "" {
		t.Errorf("refused requests moved the ETag from %q to %q", first, got)
	}
	seen := []string{first}
	for name, mutate := range map[string]func(){
		"Attributes": func() { act(t, s, vm, "add-custom-attributes", `{"customAttributes":["a:b"]}`) },
		"PowerOn":    func() { act(t, s, vm, "power-on", "") },
		"PowerOff":   func() { act(t, s, vm, "power-off", "") },
		"Edit": func() {
			if err := s.EditVM("a", func(v *simulator.VM) { v.MemoryBytes *= 2 }); err != nil {
				t.Error(err)
			}
		},
	} {
		mutate()
		if got := current(); slices.Contains(seen, got) {
			t.Errorf("%s: ETag %s was there before", name, got)
		} else {
			seen = append(seen, got)
		}
	}
}

func TestTasksTakeTheirTime(t *testing.T) {
	t.Parallel()
	body := vmBody(t, simulator.DefaultModel(), "a")
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(o *simulator.Options) { o.TaskDelay = 10 * time.Second })
		id := create(t, s, body)
		for _, step := range []struct {
			status string
			vms    int
		}{{"QUEUED", 0}, {"RUNNING", 0}, {"SUCCEEDED", 1}} {
			synctest.Wait()
			if got := taskStatus(t, s, id); got != step.status || len(s.VMs()) != step.vms {
				t.Errorf("got %s with %d VMs, want %s with %d", got, len(s.VMs()), step.status, step.vms)
			}
			<-time.After(5 * time.Second)
		}
		vm := s.VMs()[0].ExtID
		inProgress := "?$filter=entitiesAffected/any(a:a/extId eq '" + vm + "') and " +
			"(status eq Prism.Config.TaskStatus'RUNNING' or status eq Prism.Config.TaskStatus'QUEUED')"
		if total := totalOf(call(t, s, http.MethodGet, tasksPath+inProgress, "")); total != 0 {
			t.Errorf("%v tasks in progress after the creation, want 0", total)
		}
		act(t, s, vm, "power-on", "")
		if total := totalOf(call(t, s, http.MethodGet, tasksPath+inProgress, "")); total != 1 {
			t.Errorf("%v tasks in progress during power-on, want 1", total)
		}
	})
}

func TestTaskOnAVMThatWentAwayFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(o *simulator.Options) {
			o.TaskDelay, o.Model.VMs = time.Second, []simulator.VM{smallVM("a")}
		})
		id := act(t, s, s.VMs()[0].ExtID, "power-on", "")
		if err := s.RemoveVM("a"); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if got := taskStatus(t, s, id); got != "FAILED" {
			t.Errorf("got %s, want FAILED", got)
		}
	})
}

// events records hooks.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(what string) func(simulator.VM) {
	return func(v simulator.VM) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.list = append(e.list, what+" "+v.Name+" "+v.IP)
	}
}

func (e *events) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

func TestAddressComesWithTheBoot(t *testing.T) {
	t.Parallel()
	body := vmBody(t, simulator.DefaultModel(), "a")
	synctest.Test(t, func(t *testing.T) {
		var seen events
		s := newServer(t, func(o *simulator.Options) {
			o.BootDelay, o.OnPowerOn, o.OnDelete = 30*time.Second, seen.add("on"), seen.add("deleted")
		})
		create(t, s, body)
		vm := s.VMs()[0].ExtID
		act(t, s, vm, "power-on", "")
		<-time.After(29 * time.Second)
		if v := s.VMs()[0]; v.IP != "" || v.PowerState != simulator.PowerOn {
			t.Errorf("during the boot: IP %q, %s", v.IP, v.PowerState)
		}
		act(t, s, vm, "power-off", "")
		<-time.After(time.Minute)
		if got := seen.all(); len(got) != 0 {
			t.Errorf("switched off during the boot, but the hooks saw %v", got)
		}
		act(t, s, vm, "power-on", "")
		<-time.After(31 * time.Second)
		synctest.Wait()
		if got := s.VMs()[0].IP; got != "10.101.1.0" {
			t.Errorf("after the boot: IP %q, want the first of the pool", got)
		}
		if err := s.RemoveVM("a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"on a 10.101.1.0", "deleted a 10.101.1.0"}
		if diff := cmp.Diff(want, seen.all()); diff != "" {
			t.Errorf("hooks (-want +got):\n%s", diff)
		}
	})
}

func TestAddressesComeFromThePoolAndGoBack(t *testing.T) {
	t.Parallel()
	model := simulator.DefaultModel()
	model.Subnets[0].LastIP = netip.MustParseAddr("10.101.1.1")
	body := vmBody(t, model, "third")
	for _, name := range []string{"first", "second"} {
		vm := smallVM(name)
		vm.PowerState = simulator.PowerOn
		model.VMs = append(model.VMs, vm)
	}
	s := newServer(t, func(o *simulator.Options) { o.Model = model })
	if a, b := s.VMs()[0].IP, s.VMs()[1].IP; a != "10.101.1.0" || b != "10.101.1.1" {
		t.Fatalf("addresses %s and %s", a, b)
	}
	failed := call(t, s, http.MethodGet, tasksPath+"/"+create(t, s, body), "").data(t)
	if messages := fmt.Sprint(failed["errorMessages"]); failed["status"] != "FAILED" || !strings.Contains(messages, "vlan-101 has no free address") {
		t.Errorf("no address left: %v %s", failed["status"], messages)
	}
	if err := s.RemoveVM("first"); err != nil {
		t.Fatal(err)
	}
	create(t, s, body)
	act(t, s, s.VMs()[1].ExtID, "power-on", "")
	if got := s.VMs()[1]; got.Name != "third" || got.IP != "10.101.1.0" {
		t.Errorf("%s got %s, want the address that came free", got.Name, got.IP)
	}
}

func TestCreateNeedsWhatItRefersTo(t *testing.T) {
	t.Parallel()
	model := simulator.DefaultModel()
	s := newServer(t)
	for name, collection := range map[string]string{
		"PE-1":                      "/api/clustermgmt/v4.2/config/clusters",
		"vlan-101":                  "/api/networking/v4.2/config/subnets",
		"ubuntu-24.04-kube-v1.33.4": "/api/vmm/v4.2/content/images",
	} {
		body := vmBody(t, model, "a", extID(t, s, collection, name), "none")
		if got := call(t, s, http.MethodPost, vmsPath, body); got.status != http.StatusUnprocessableEntity {
			t.Errorf("without %s: got %d %v, want 422", name, got.status, got.body)
		}
	}
}

func TestEditVM(t *testing.T) {
	t.Parallel()
	var seen events
	s := newServer(t, func(o *simulator.Options) {
		o.Model.VMs, o.OnPowerOn = []simulator.VM{smallVM("a")}, seen.add("on")
	})
	before := s.VMs()[0]
	err := s.EditVM("a", func(v *simulator.VM) {
		v.MemoryBytes, v.Sockets, v.Project = 8<<30, 8, "platform"
		v.Categories = []string{"Team=Platform", "Environment=Staging"}
		v.PowerState = simulator.PowerOn
	})
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.MemoryBytes, want.Sockets, want.Project = 8<<30, 8, "platform"
	want.Categories, want.PowerState, want.IP = []string{"Environment=Staging", "Team=Platform"}, simulator.PowerOn, "10.101.1.0"
	ignore := cmpopts.IgnoreFields(simulator.VM{}, "ProjectExtID", "Host")
	if diff := cmp.Diff(want, s.VMs()[0], ignore); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wire := call(t, s, http.MethodGet, vmsPath+"/"+before.ExtID, "").data(t)
	if wire["memorySizeBytes"] != float64(8<<30) || wire["powerState"] != "ON" || len(wire["categories"].([]any)) != 2 {
		t.Errorf("clients see %v", wire)
	}

	for name, edit := range map[string]func(*simulator.VM){
		"Image":      func(v *simulator.VM) { v.Image = "ubuntu-22.04-kube-v1.33.4" },
		"ExtID":      func(v *simulator.VM) { v.ExtID = "x" },
		"Subnet":     func(v *simulator.VM) { v.Name, v.Subnets[0] = "b", "vlan-9" },
		"Category":   func(v *simulator.VM) { v.Name, v.Categories = "b", []string{"No=Such"} },
		"PowerState": func(v *simulator.VM) { v.Name, v.PowerState = "b", "PAUSED" },
		"Shrink":     func(v *simulator.VM) { v.DiskBytes-- },
	} {
		if err := s.EditVM("a", edit); err == nil {
			t.Errorf("%s: the change was accepted", name)
		}
	}
	if diff := cmp.Diff(want, s.VMs()[0], ignore); diff != "" {
		t.Errorf("a refused change was made (-want +got):\n%s", diff)
	}
	if err := s.EditVM("b", func(*simulator.VM) {}); err == nil {
		t.Error("a VM that does not exist was edited")
	}
	if err := s.RemoveVM("b"); err == nil {
		t.Error("a VM that does not exist was removed")
	}
}

func TestCategoryInUseStays(t *testing.T) {
	t.Parallel()
	vm := smallVM("a")
	vm.Categories = []string{"Team=Platform"}
	s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{vm} })
	found := call(t, s, http.MethodGet, categoriesPath+"?$filter=key eq 'Team' and value eq 'Platform'", "")
	id := found.body["data"].([]any)[0].(map[string]any)["extId"].(string)
	current := call(t, s, http.MethodGet, categoriesPath+"/"+id, "").header.Get("ETag")
	if got := call(t, s, http.MethodDelete, categoriesPath+"/"+id, "", "If-Match", current); got.status != http.StatusConflict {
		t.Errorf("while in use: %d, want 409", got.status)
	}
	if err := s.RemoveVM("a"); err != nil {
		t.Fatal(err)
	}
	if got := call(t, s, http.MethodDelete, categoriesPath+"/"+id, "", "If-Match", current); got.status != http.StatusNoContent {
		t.Errorf("after the VM went: %d, want 204", got.status)
	}
	if got := call(t, s, http.MethodPost, categoriesPath, `{"key":"Environment","value":"Staging"}`); got.status != http.StatusConflict {
		t.Errorf("created twice: %d, want 409", got.status)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	t.Parallel()
	body := vmBody(t, simulator.DefaultModel(), "NAME")
	s := newServer(t)
	t.Run("Clients", func(t *testing.T) {
		for i := range 40 {
			name := fmt.Sprintf("vm-%02d", i)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				create(t, s, strings.ReplaceAll(body, "NAME", name))
				act(t, s, extID(t, s, vmsPath, name), "power-on", "")
			})
		}
	})
	owner := map[string]string{}
	for _, vm := range s.VMs() {
		if other, taken := owner[vm.IP]; taken || vm.IP == "" {
			t.Errorf("%s has the address %q, as %q has", vm.Name, vm.IP, other)
		}
		owner[vm.IP] = vm.Name
	}
	if len(owner) != 40 {
		t.Errorf("got %d VMs with an address, want 40", len(owner))
	}
}
