package simulator_test

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	prismgoclient "github.com/nutanix-cloud-native/prism-go-client"
	"github.com/nutanix-cloud-native/prism-go-client/converged"
	convergedv4 "github.com/nutanix-cloud-native/prism-go-client/converged/v4"
	prismv3 "github.com/nutanix-cloud-native/prism-go-client/v3"
	clusterconfig "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/clustermgmt/v4/config"
	networkconfig "github.com/nutanix/ntnx-api-golang-clients/networking-go-client/v4/models/networking/v4/config"
	prismconfig "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
	vmmconfig "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/ahv/config"
	vmmcontent "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/content"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// credentials serves s over TLS and returns what a client needs to reach it.
func credentials(t *testing.T, s *simulator.Server) prismgoclient.Credentials {
	t.Helper()
	web := httptest.NewTLSServer(s)
	t.Cleanup(web.Close)
	at, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	return prismgoclient.Credentials{
		URL: at.Host, Endpoint: at.Host, Port: at.Port(),
		Username: username, Password: password, Insecure: true, SessionAuth: true,
	}
}

// must fails the test on an error, and on fields that the SDK does not know.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(got T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		noUnknownFields(t, reflect.ValueOf(got), fmt.Sprintf("%T", got))
		return got
	}
}

// noUnknownFields finds what the server sent and the model has no field for.
func noUnknownFields(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			noUnknownFields(t, v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			noUnknownFields(t, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "UnknownFields_" && v.Field(i).Len() > 0 {
				t.Errorf("%s: the SDK does not know %v", path, v.Field(i))
			}
			noUnknownFields(t, v.Field(i), path+"."+name)
		}
	default:
	}
}

func eq(format string, args ...any) converged.ODataOption {
	return converged.WithFilter(fmt.Sprintf(format, args...))
}

// only returns the one element of a list.
func only[T any](t *testing.T) func([]T, error) T {
	t.Helper()
	return func(list []T, err error) T {
		t.Helper()
		must[[]T](t)(list, err)
		if len(list) != 1 {
			t.Fatalf("got %d of %T, want 1", len(list), list)
		}
		return list[0]
	}
}

// TestLifeOfAVM makes the requests of CAPX v1.9.2 in its order, with the client
// library that it uses.
func TestLifeOfAVM(t *testing.T) {
	t.Parallel()
	var seen events
	s := newServer(t, func(o *simulator.Options) { o.OnPowerOn, o.OnDelete = seen.add("on"), seen.add("deleted") })
	account := credentials(t, s)
	client, err := convergedv4.NewClient(account)
	if err != nil {
		t.Fatal(err)
	}
	v3, err := prismv3.NewV3Client(account)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	// The cluster: its category is made.
	const byKeyAndValue = "key eq 'KubernetesClusterName' and value eq '%s'"
	if found := must[[]prismconfig.Category](t)(client.Categories.List(ctx, eq(byKeyAndValue, "edge-01"))); len(found) != 0 {
		t.Fatalf("found %v before it was made", found)
	}
	made := must[*prismconfig.Category](t)(client.Categories.Create(ctx, &prismconfig.Category{
		Key: new("KubernetesClusterName"), Value: new("edge-01"), Description: new("Managed by CAPX"),
	}))
	category := only[prismconfig.Category](t)(client.Categories.List(ctx, eq(byKeyAndValue, "edge-01")))
	if *category.ExtId != *made.ExtId || *category.Description != "Managed by CAPX" {
		t.Errorf("made %v, found %v", made, category)
	}

	// The machine: all that it refers to is looked up by name.
	if found := must[[]vmmconfig.Vm](t)(client.VMs.List(ctx, eq("name eq 'edge-01-cp-0'"))); len(found) != 0 {
		t.Fatalf("found %v before it was made", found)
	}
	element := only[clusterconfig.Cluster](t)(client.Clusters.List(ctx, eq("name eq '%s'", "PE-1")))
	if element.Config.ClusterFunction[0].GetName() != "AOS" || !*element.Config.IsAvailable {
		t.Errorf("cluster config %v", element.Config)
	}
	subnet := only[networkconfig.Subnet](t)(client.Subnets.List(ctx, eq("name eq '%s'", "vlan-101")))
	if subnet.SubnetType.GetName() != "VLAN" || *subnet.ClusterReference != *element.ExtId || *subnet.IpUsage.NumFreeIPs != 512 {
		t.Errorf("subnet %v of %v with %d free addresses", subnet.SubnetType, subnet.ClusterReferenceList, *subnet.IpUsage.NumFreeIPs)
	}
	image := only[vmmcontent.Image](t)(client.Images.List(ctx, eq("name eq '%s'", "ubuntu-24.04-kube-v1.33.4")))
	if busy := must[[]prismconfig.Task](t)(client.Tasks.List(ctx, eq("entitiesAffected/any(a:a/extId eq '%s') "+
		"and (status eq Prism.Config.TaskStatus'RUNNING' or status eq Prism.Config.TaskStatus'QUEUED') "+
		"and (operation eq 'kImageDelete')", *image.ExtId))); len(busy) != 0 {
		t.Errorf("the image is being deleted by %v", busy)
	}
	container := only[clusterconfig.StorageContainer](t)(client.StorageContainers.List(ctx,
		eq("name eq '%s' and clusterExtId eq '%s'", "default-container", *element.ExtId)))
	gpus, err := client.Clusters.ListClusterPhysicalGPUs(ctx, *element.ExtId, eq("physicalGpuConfig/deviceId eq %d", 1))
	if err != nil || len(gpus) != 0 {
		t.Errorf("GPUs %v, %v", gpus, err)
	}
	projects, err := v3.V3.ListAllProject(ctx, "")
	if err != nil || len(projects.Entities) != 2 || projects.Entities[0].Spec.Name != "platform" {
		t.Fatalf("projects %v, %v", projects, err)
	}
	project := *projects.Entities[0].Metadata.UUID
	byID, err := v3.V3.GetProject(ctx, project)
	if err != nil || byID.Spec.Name != "platform" {
		t.Errorf("project by id %v, %v", byID, err)
	}
	if _, err = v3.V3.GetProject(ctx, *element.ExtId); err == nil || !strings.Contains(err.Error(), "ENTITY_NOT_FOUND") {
		t.Errorf("project that does not exist: %v", err)
	}

	// Created, tagged with its provider id, switched on.
	wanted := capxVM(t, "edge-01-cp-0", *element.ExtId, *subnet.ExtId, *image.ExtId, *container.ContainerExtId, *category.ExtId, project)
	vm := must[*vmmconfig.Vm](t)(client.VMs.Create(ctx, wanted))
	if vm.PowerState.GetName() != "OFF" || len(vm.Nics) != 1 || vm.Nics[0].NetworkInfo.Ipv4Config != nil {
		t.Errorf("a new VM is %s with NICs %v", vm.PowerState.GetName(), vm.Nics)
	}
	disk := vm.Disks[0].GetBackingInfo().(vmmconfig.VmDisk)
	if *disk.StorageContainer.ExtId != *container.ContainerExtId || *vm.Disks[0].DiskAddress.Index != 0 {
		t.Errorf("system disk at %v in %v", vm.Disks[0].DiskAddress, disk.StorageContainer)
	}
	data := vm.Disks[1].GetBackingInfo().(vmmconfig.VmDisk)
	if *data.DiskSizeBytes != 10<<30 || !*data.StorageConfig.IsFlashModeEnabled || *vm.Disks[1].DiskAddress.Index != 1 {
		t.Errorf("data disk at %v with %d bytes, %v", vm.Disks[1].DiskAddress, *data.DiskSizeBytes, data.StorageConfig)
	}
	id := *vm.ExtId
	vm = must[*vmmconfig.Vm](t)(client.VMs.AddVmCustomAttributes(ctx, id, []string{"providerid:" + id}))
	if len(vm.CustomAttributes) != 1 || vm.CustomAttributes[0] != "providerid:"+id {
		t.Errorf("custom attributes %v", vm.CustomAttributes)
	}
	on, err := client.VMs.PowerOnVM(id)
	if err != nil {
		t.Fatal(err)
	}
	vm = must[[]*vmmconfig.Vm](t)(on.Wait(ctx))[0]
	ip := *vm.Nics[0].NetworkInfo.Ipv4Config.IpAddress.Value
	if vm.PowerState.GetName() != "ON" || ip != "10.101.1.0" {
		t.Errorf("after power-on: %s with %s", vm.PowerState.GetName(), ip)
	}
	if found := only[vmmconfig.Vm](t)(client.VMs.List(ctx, eq("name eq 'edge-01-cp-0'"))); *found.ExtId != id {
		t.Errorf("found %s by name, want %s", *found.ExtId, id)
	}

	got := s.VMs()[0]
	if got.Name != "edge-01-cp-0" || got.ExtID != id || got.IP != ip || got.Image != "ubuntu-24.04-kube-v1.33.4" ||
		got.PrismElement != "PE-1" || got.Project != "platform" || got.BootType != simulator.BootUEFI ||
		got.Sockets != 2 || got.CoresPerSocket != 1 || got.MemoryBytes != 4<<30 || got.DiskBytes != 40<<30 ||
		strings.Join(got.Categories, ",") != "KubernetesClusterName=edge-01" ||
		got.UserData != "#cloud-config\nhostname: edge-01-cp-0\n" || got.Metadata != `{"hostname": "edge-01-cp-0"}` {
		t.Errorf("the owner sees %+v", got)
	}

	// Deleted: first the VM, then the category.
	if err := client.Categories.Delete(ctx, *category.ExtId); err == nil {
		t.Error("a category in use was deleted")
	}
	if busy, err := client.Tasks.List(ctx, eq("entitiesAffected/any(a:a/extId eq '%s') "+
		"and (status eq Prism.Config.TaskStatus'RUNNING' or status eq Prism.Config.TaskStatus'QUEUED')", id)); err != nil || len(busy) != 0 {
		t.Errorf("the VM is busy with %v, %v", busy, err)
	}
	if _, err := client.VMs.DeleteAsync(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := client.VMs.Get(ctx, id); !converged.IsNotFound(err) {
		t.Errorf("after the deletion: %v, want not found", err)
	}
	if err := client.Categories.Delete(ctx, *category.ExtId); err != nil {
		t.Error(err)
	}
	if _, err := client.Categories.Get(ctx, *category.ExtId); !converged.IsNotFound(err) {
		t.Errorf("after the deletion of the category: %v, want not found", err)
	}
	if refused := s.Refused(); len(refused) != 0 {
		t.Errorf("not simulated: %v", refused)
	}
	s.Close()
	if got := strings.Join(seen.all(), ", "); got != "on edge-01-cp-0 10.101.1.0, deleted edge-01-cp-0 10.101.1.0" {
		t.Errorf("hooks saw %s", got)
	}
}

// capxVM builds a VM as CAPX does.
func capxVM(t *testing.T, name, cluster, subnet, image, container, category, project string) *vmmconfig.Vm {
	t.Helper()
	vm := &vmmconfig.Vm{
		Name: &name, NumSockets: new(2), NumCoresPerSocket: new(1), MemorySizeBytes: new(int64(4 << 30)),
		HardwareClockTimezone: new("UTC"),
	}
	vm.Cluster = vmmconfig.NewClusterReference()
	vm.Cluster.ExtId = &cluster
	vm.Project = vmmconfig.NewProjectReference()
	vm.Project.ExtId = &project
	tag := vmmconfig.NewCategoryReference()
	tag.ExtId = &category
	vm.Categories = []vmmconfig.CategoryReference{*tag}
	nic := vmmconfig.NewNic()
	nic.NetworkInfo = vmmconfig.NewNicNetworkInfo()
	nic.NetworkInfo.Subnet = vmmconfig.NewSubnetReference()
	nic.NetworkInfo.Subnet.ExtId = &subnet
	vm.Nics = []vmmconfig.Nic{*nic}
	vm.Gpus, vm.CdRoms = []vmmconfig.Gpu{}, []vmmconfig.CdRom{}

	reference := vmmconfig.NewImageReference()
	reference.ImageExtId = &image
	backing := vmmconfig.NewVmDisk()
	backing.DiskSizeBytes = new(int64(40 << 30))
	backing.DataSource = vmmconfig.NewDataSource()
	system := vmmconfig.NewDisk()
	uefi := vmmconfig.NewUefiBoot()
	uefi.BootOrder = []vmmconfig.BootDeviceType{vmmconfig.BOOTDEVICETYPE_CDROM, vmmconfig.BOOTDEVICETYPE_DISK}
	vm.BootConfig = vmmconfig.NewOneOfVmBootConfig()
	script := vmmconfig.NewUserdata()
	script.Value = new(base64.StdEncoding.EncodeToString([]byte("#cloud-config\nhostname: " + name + "\n")))
	cloudInit := vmmconfig.NewCloudInit()
	cloudInit.DatasourceType = vmmconfig.CLOUDINITDATASOURCETYPE_CONFIG_DRIVE_V2.Ref()
	cloudInit.Metadata = new(base64.StdEncoding.EncodeToString([]byte(`{"hostname": "` + name + `"}`)))
	vm.GuestCustomization = vmmconfig.NewGuestCustomizationParams()
	for _, err := range []error{
		backing.DataSource.SetReference(*reference),
		system.SetBackingInfo(*backing),
		vm.BootConfig.SetValue(*uefi),
		cloudInit.SetCloudInitScript(*script),
		vm.GuestCustomization.SetConfig(*cloudInit),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	backing.DataSource.ReferenceItemDiscriminator_ = nil
	cloudInit.CloudInitScriptItemDiscriminator_ = nil
	vm.Disks = []vmmconfig.Disk{*system, dataDisk(t, container)}
	return vm
}

func dataDisk(t *testing.T, container string) vmmconfig.Disk {
	t.Helper()
	backing := vmmconfig.NewVmDisk()
	backing.DiskSizeBytes = new(int64(10 << 30))
	backing.StorageConfig = vmmconfig.NewVmDiskStorageConfig()
	backing.StorageConfig.IsFlashModeEnabled = new(true)
	backing.StorageContainer = vmmconfig.NewVmDiskContainerReference()
	backing.StorageContainer.ExtId = &container
	disk := vmmconfig.NewDisk()
	disk.DiskAddress = vmmconfig.NewDiskAddress()
	disk.DiskAddress.BusType = vmmconfig.DISKBUSTYPE_SCSI.Ref()
	disk.DiskAddress.Index = new(1)
	if err := disk.SetBackingInfo(*backing); err != nil {
		t.Fatal(err)
	}
	return *disk
}

func TestClientReadsAllPages(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		for i := range 120 {
			o.Model.VMs = append(o.Model.VMs, smallVM(fmt.Sprintf("vm-%03d", i)))
		}
	})
	client, err := convergedv4.NewClient(credentials(t, s))
	if err != nil {
		t.Fatal(err)
	}
	vms := must[[]vmmconfig.Vm](t)(client.VMs.List(t.Context()))
	if len(vms) != 120 || *vms[119].Name != "vm-119" {
		t.Errorf("got %d VMs", len(vms))
	}
	images, err := client.Images.List(t.Context())
	if err != nil || len(images) != 6 || images[0].CreateTime == nil {
		t.Errorf("got %d images, %v", len(images), err)
	}
	if _, err := client.Clusters.Get(t.Context(), *vms[0].ExtId); !converged.IsNotFound(err) {
		t.Errorf("a cluster that does not exist: %v", err)
	}
	if requests := s.Requests(); requests["GET "+vmsPath] != 3 {
		t.Errorf("%d list requests, want 3: %v", requests["GET "+vmsPath], requests)
	}
}

func TestClientWithWrongPassword(t *testing.T) {
	t.Parallel()
	account := credentials(t, newServer(t))
	account.Password = "wrong"
	client, err := convergedv4.NewClient(account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.VMs.List(t.Context()); err == nil {
		t.Error("the client got in")
	}
}
