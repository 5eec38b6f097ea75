package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	convergedv4 "github.com/nutanix-cloud-native/prism-go-client/converged/v4"
	clusterconfig "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/clustermgmt/v4/config"
	networkconfig "github.com/nutanix/ntnx-api-golang-clients/networking-go-client/v4/models/networking/v4/config"
	prismconfig "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
	vmmconfig "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/ahv/config"
	vmmcontent "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/content"
	volumesconfig "github.com/nutanix/ntnx-api-golang-clients/volumes-go-client/v4/models/volumes/v4/config"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

func TestClientChangesAVM(t *testing.T) {
	t.Parallel()
	off := richVM()
	off.PowerState = simulator.PowerOff
	s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{off} })
	client, _ := clients(t, s)
	id := s.VMs()[0].ExtID
	vm := must[*vmmconfig.Vm](t)(client.VMs.Get(t.Context(), id))
	vm.MemorySizeBytes, vm.NumSockets, vm.NumCoresPerSocket = new(int64(8<<30)), new(4), new(2)
	vm.Name, vm.Project, vm.Categories = new("b"), nil, nil
	vm.BootConfig = vmmconfig.NewOneOfVmBootConfig()
	if err := vm.BootConfig.SetValue(*vmmconfig.NewLegacyBoot()); err != nil {
		t.Fatal(err)
	}
	got := must[*vmmconfig.Vm](t)(client.VMs.Update(t.Context(), id, vm))
	if *got.MemorySizeBytes != 8<<30 || len(got.Disks) != 3 || len(got.Nics) != 2 || len(got.Gpus) != 1 {
		t.Errorf("the client got %+v", got)
	}
	now := s.VMs()[0]
	if now.Name != "b" || now.Sockets != 4 || now.CoresPerSocket != 2 || now.Project != "" || len(now.Categories) != 0 ||
		now.BootType != simulator.BootLegacy || len(now.DataDisks) != 2 {
		t.Errorf("the owner sees %+v", now)
	}

	// What has its own request is refused, not half done.
	for name, change := range map[string]func(*vmmconfig.Vm){
		"Disks": func(v *vmmconfig.Vm) { v.Disks = v.Disks[:1] },
		"NICs":  func(v *vmmconfig.Vm) { v.Nics = nil },
		"Power": func(v *vmmconfig.Vm) { v.PowerState = vmmconfig.POWERSTATE_ON.Ref() },
		"Text":  func(v *vmmconfig.Vm) { v.Description = new("words") },
	} {
		changed := must[*vmmconfig.Vm](t)(client.VMs.Get(t.Context(), id))
		change(changed)
		if _, err := client.VMs.Update(t.Context(), id, changed); err == nil || !strings.Contains(err.Error(), "prismsim") {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	if refused := s.Refused(); len(refused) != 4 {
		t.Errorf("%d requests were refused, want 4: %v", len(refused), refused)
	}
}

func TestResizeOfAVMThatIsOn(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		o.Model = smallSite()
		o.Model.VMs = []simulator.VM{runningVM("a", "PE-1")}
	})
	path := vmsPath + "/" + s.VMs()[0].ExtID
	resize := func(replace ...string) string {
		current := call(t, s, http.MethodGet, path, "")
		encoded, err := json.Marshal(current.data(t))
		if err != nil {
			t.Fatal(err)
		}
		body := strings.NewReplacer(replace...).Replace(string(encoded))
		got := call(t, s, http.MethodPut, path, body, "If-Match", current.header.Get("ETag"))
		if got.status != http.StatusAccepted {
			t.Fatalf("update: %d %v", got.status, got.body)
		}
		return outcome(t, s, got.data(t)["extId"].(string))
	}
	memory := func(bytes int64) string { return fmt.Sprintf(`"memorySizeBytes":%d`, bytes) }
	if got := resize(memory(4<<30), memory(6<<30)); got != "SUCCEEDED" || s.VMs()[0].MemoryBytes != 6<<30 {
		t.Errorf("more memory: %s, %d bytes", got, s.VMs()[0].MemoryBytes)
	}
	if got := resize(memory(6<<30), memory(2<<30)); !strings.HasPrefix(got, "FAILED: InvalidVmState: VM a must be powered off") {
		t.Errorf("less memory: %s", got)
	}
	if got := resize(memory(6<<30), memory(16<<30)); !strings.HasPrefix(got, "FAILED: NoHostResources: No host has enough available memory") {
		t.Errorf("more memory than a host has: %s", got)
	}
	if got := s.VMs()[0].MemoryBytes; got != 6<<30 {
		t.Errorf("after failed tasks the VM has %d bytes", got)
	}
	stale := call(t, s, http.MethodPut, path, "{}", "If-Match", `"stale"`)
	if stale.status != http.StatusPreconditionFailed {
		t.Errorf("with a stale ETag: %d", stale.status)
	}
}

func TestClientChangesCategories(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{smallVM("a")} })
	client, raw := clients(t, s)
	id := s.VMs()[0].ExtID
	team := only[prismconfig.Category](t)(client.Categories.List(t.Context(), eq("key eq 'Team' and value eq 'Platform'")))
	reference := vmmconfig.NewCategoryReference()
	reference.ExtId = team.ExtId
	match := func() map[string]any {
		vm, err := raw.VmApiInstance.GetVmById(&id)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"If-Match": new(raw.VmApiInstance.ApiClient.GetEtag(vm))}
	}
	added := vmmconfig.NewAssociateVmCategoriesParams()
	added.Categories = []vmmconfig.CategoryReference{*reference}
	must[*vmmconfig.AssociateCategoriesApiResponse](t)(raw.VmApiInstance.AssociateCategories(&id, added, match()))
	if got := s.VMs()[0].Categories; len(got) != 1 || got[0] != "Team=Platform" {
		t.Errorf("after it was put on: %v", got)
	}
	removed := vmmconfig.NewDisassociateVmCategoriesParams()
	removed.Categories = added.Categories
	must[*vmmconfig.DisassociateCategoriesApiResponse](t)(raw.VmApiInstance.DisassociateCategories(&id, removed, match()))
	if got := s.VMs()[0].Categories; len(got) != 0 {
		t.Errorf("after it was taken off: %v", got)
	}
	reference.ExtId = &id
	added.Categories = []vmmconfig.CategoryReference{*reference}
	if _, err := raw.VmApiInstance.AssociateCategories(&id, added, match()); err == nil {
		t.Error("a category that does not exist was put on")
	}
}

func TestClientMakesAVMWithGPUAndDisks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, _ := clients(t, s)
	ctx := t.Context()
	element := only[clusterconfig.Cluster](t)(client.Clusters.List(ctx, eq("name eq 'PE-1'")))
	subnet := only[networkconfig.Subnet](t)(client.Subnets.List(ctx, eq("name eq 'vlan-101'")))
	image := only[vmmcontent.Image](t)(client.Images.List(ctx, eq("name eq 'ubuntu-24.04-kube-v1.33.4'")))
	fast := only[clusterconfig.StorageContainer](t)(client.StorageContainers.List(ctx, eq("name eq 'fast-container' and clusterExtId eq '%s'", *element.ExtId)))
	team := only[prismconfig.Category](t)(client.Categories.List(ctx, eq("key eq 'Team'")))
	profile := only[clusterconfig.PhysicalGpuProfile](t)(client.Clusters.ListClusterPhysicalGPUs(ctx, *element.ExtId))

	wanted := capxVM(t, "gpu", *element.ExtId, *subnet.ExtId, *image.ExtId, *fast.ContainerExtId, *team.ExtId, "")
	wanted.Project = nil
	second := dataDisk(t, *fast.ContainerExtId)
	second.DiskAddress.BusType, second.DiskAddress.Index = vmmconfig.DISKBUSTYPE_SATA.Ref(), new(0)
	wanted.Disks = append(wanted.Disks, second)
	device := vmmconfig.NewGpu()
	device.Name, device.DeviceId = profile.PhysicalGpuConfig.DeviceName, new(int(*profile.PhysicalGpuConfig.DeviceId))
	device.Mode, device.Vendor = vmmconfig.GPUMODE_PASSTHROUGH_COMPUTE.Ref(), vmmconfig.GPUVENDOR_NVIDIA.Ref()
	wanted.Gpus = []vmmconfig.Gpu{*device}

	vm := must[*vmmconfig.Vm](t)(client.VMs.Create(ctx, wanted))
	if len(vm.Gpus) != 1 || *vm.Gpus[0].Name != "NVIDIA A40" || vm.Gpus[0].Mode.GetName() != "PASSTHROUGH_COMPUTE" || vm.Host != nil {
		t.Errorf("GPUs %v on host %v", vm.Gpus, vm.Host)
	}
	if len(vm.Disks) != 3 || vm.Disks[2].DiskAddress.BusType.GetName() != "SATA" {
		t.Errorf("disks %v", vm.Disks)
	}
	on, err := client.VMs.PowerOnVM(*vm.ExtId)
	if err != nil {
		t.Fatal(err)
	}
	vm = must[[]*vmmconfig.Vm](t)(on.Wait(ctx))[0]
	if host := must[*clusterconfig.Host](t)(client.Clusters.GetClusterHost(ctx, *element.ExtId, *vm.Host.ExtId)); len(host.GpuList) != 1 {
		t.Errorf("it runs on %s, which has the GPUs %v", *host.HostName, host.GpuList)
	}
	got := s.VMs()[0]
	if len(got.GPUs) != 1 || len(got.DataDisks) != 2 || got.DataDisks[1].StorageContainer != "fast-container" || got.DataDisks[1].Bus != "SATA" {
		t.Errorf("the owner sees %+v", got)
	}

	off, err := client.VMs.PowerOffVM(*vm.ExtId)
	if err != nil {
		t.Fatal(err)
	}
	if vm = must[[]*vmmconfig.Vm](t)(off.Wait(ctx))[0]; vm.PowerState.GetName() != "OFF" || vm.Host != nil {
		t.Errorf("after power-off: %s on host %v", vm.PowerState.GetName(), vm.Host)
	}

	*device.DeviceId = 4711
	wanted.Gpus = []vmmconfig.Gpu{*device}
	if _, err := client.VMs.Create(ctx, wanted); err == nil {
		t.Error("a GPU that the cluster does not have was accepted")
	}
	wanted.Gpus = nil
	wanted.Disks[2].DiskAddress = wanted.Disks[1].DiskAddress
	if _, err := client.VMs.Create(ctx, wanted); err == nil || !strings.Contains(err.Error(), "SCSI.1") {
		t.Errorf("two disks at one address: %v", err)
	}
}

func TestClientDetachesVolumes(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		vm := smallVM("a")
		vm.VolumeGroups = []string{"pvc-1"}
		o.Model.VolumeGroups = []simulator.VolumeGroup{{Name: "pvc-1", PrismElement: "PE-1"}}
		o.Model.VMs = []simulator.VM{vm}
	})
	client, _ := clients(t, s)
	vm := only[vmmconfig.Vm](t)(client.VMs.List(t.Context()))
	attached, ok := vm.Disks[1].GetBackingInfo().(vmmconfig.ADSFVolumeGroupReference)
	if !ok {
		t.Fatalf("disks %v", vm.Disks)
	}
	group := detach(t, client, *attached.VolumeGroupExtId, *vm.ExtId)
	if *group.Name != "pvc-1" || len(s.VMs()[0].VolumeGroups) != 0 {
		t.Errorf("detached %v, the VM has %v", group, s.VMs()[0].VolumeGroups)
	}
	if _, err := client.VolumeGroups.Get(t.Context(), *vm.ExtId); err == nil {
		t.Error("a volume group that does not exist was found")
	}
}

func detach(t *testing.T, client *convergedv4.Client, group, vm string) *volumesconfig.VolumeGroup {
	t.Helper()
	body := volumesconfig.NewVmAttachment()
	body.ExtId = &vm
	return must[*volumesconfig.VolumeGroup](t)(client.VolumeGroups.DetachFromVM(t.Context(), group, *body))
}
