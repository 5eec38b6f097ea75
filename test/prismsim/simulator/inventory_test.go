package simulator_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nutanix-cloud-native/prism-go-client/converged"
	convergedv4 "github.com/nutanix-cloud-native/prism-go-client/converged/v4"
	prismv3 "github.com/nutanix-cloud-native/prism-go-client/v3"
	prismv4 "github.com/nutanix-cloud-native/prism-go-client/v4"
	clusterconfig "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/clustermgmt/v4/config"
	clusterstats "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/clustermgmt/v4/stats"
	commonstats "github.com/nutanix/ntnx-api-golang-clients/clustermgmt-go-client/v4/models/common/v1/stats"
	prismconfig "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
	vmmcontent "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/content"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// runningVM is a VM that takes memory, storage and GPUs.
func runningVM(name, element string, gpus ...string) simulator.VM {
	vm := smallVM(name)
	vm.PrismElement, vm.PowerState, vm.GPUs = element, simulator.PowerOn, gpus
	return vm
}

// clients are the two that an inventory needs: the converged one for lists, the
// other one for statistics.
func clients(t *testing.T, s *simulator.Server) (*convergedv4.Client, *prismv4.Client) {
	t.Helper()
	account := credentials(t, s)
	lists, err := convergedv4.NewClient(account)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := prismv4.NewV4Client(account)
	if err != nil {
		t.Fatal(err)
	}
	return lists, raw
}

func TestClientReadsTheInventory(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		o.Model.PrismElements[0].Hosts[3].Maintenance = true
		o.Model.Images[0].PrismElements = []string{"PE-2"}
		o.Model.VMs = []simulator.VM{runningVM("a", "PE-1", "NVIDIA A40"), runningVM("b", "PE-1"), smallVM("off")}
	})
	client, raw := clients(t, s)
	ctx := t.Context()

	version, err := client.DomainManager.GetPrismCentralVersion(ctx)
	if err != nil || version != "7.5" {
		t.Errorf("version %q, %v", version, err)
	}
	manager := only[prismconfig.DomainManager](t)(client.DomainManager.List(ctx))
	must[*prismconfig.DomainManager](t)(client.DomainManager.Get(ctx, *manager.ExtId))

	clusters := must[[]clusterconfig.Cluster](t)(client.Clusters.List(ctx))
	functions := map[string]string{}
	for _, c := range clusters {
		functions[*c.Name] = c.Config.ClusterFunction[0].GetName()
	}
	want := map[string]string{"prism-central": "PRISM_CENTRAL", "PE-1": "AOS", "PE-2": "AOS"}
	if diff := cmp.Diff(want, functions); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
	element := clusters[1]
	if *element.Config.BuildInfo.Version != "7.3" || *element.Nodes.NumberOfNodes != 4 || *element.VmCount != 3 {
		t.Errorf("%s: %v nodes, %d VMs, version %s", *element.Name, element.Nodes, *element.VmCount, *element.Config.BuildInfo.Version)
	}

	hosts := must[[]clusterconfig.Host](t)(client.Clusters.ListClusterHosts(ctx, *element.ExtId))
	if len(hosts) != 4 || *hosts[0].NumberOfCpuCores != 64 || *hosts[0].NumberOfCpuThreads != 128 || *hosts[0].MemorySizeBytes != 1<<40 {
		t.Errorf("hosts %v", hosts)
	}
	if got := hosts[3].Hypervisor.State.GetName(); got != "ENTERED_MAINTENANCE_MODE" {
		t.Errorf("the host in maintenance is in the state %s", got)
	}
	host := must[*clusterconfig.Host](t)(client.Clusters.GetClusterHost(ctx, *element.ExtId, *hosts[0].ExtId))
	if *host.HostName != "PE-1-host-1" || *host.Cluster.Uuid != *element.ExtId {
		t.Errorf("host %s of %v", *host.HostName, host.Cluster)
	}
	if all := must[[]clusterconfig.Host](t)(client.Clusters.ListAllHosts(ctx)); len(all) != 8 {
		t.Errorf("%d hosts in all, want 8", len(all))
	}

	image := only[vmmcontent.Image](t)(client.Images.List(ctx, eq("name eq 'ubuntu-24.04-kube-v1.32.8'")))
	checksum, ok := image.Checksum.GetValue().(vmmcontent.ImageSha256Checksum)
	if !ok || len(*checksum.HexDigest) != 64 || !slices.Equal(image.ClusterLocationExtIds, []string{*clusters[2].ExtId}) {
		t.Errorf("image with checksum %v on %v", image.Checksum, image.ClusterLocationExtIds)
	}
	containers := must[[]clusterconfig.StorageContainer](t)(client.StorageContainers.List(ctx, eq("clusterExtId eq '%s'", *element.ExtId)))
	if len(containers) != 2 || *containers[0].MaxCapacityBytes != 100<<40 {
		t.Errorf("storage containers %v", containers)
	}
	users, err := client.Users.List(ctx, converged.WithLimit(1))
	if err != nil || len(users) != 1 || *users[0].Username != username {
		t.Errorf("users %v, %v", users, err)
	}
	readStats(t, raw, *element.ExtId, *hosts[0].ExtId, *containers[0].ContainerExtId)
	if refused := s.Refused(); len(refused) != 0 {
		t.Errorf("not simulated: %v", refused)
	}
}

// readStats reads the statistics of a cluster with two VMs of 4 GiB that are on and
// three disks of 40 GiB.
func readStats(t *testing.T, raw *prismv4.Client, cluster, host, container string) {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := start.Add(5 * time.Minute)
	last, every := commonstats.DOWNSAMPLINGOPERATOR_LAST.Ref(), new(30)
	whole := must[*clusterstats.ClusterStatsApiResponse](t)(raw.ClustersApiInstance.GetClusterStats(&cluster, &start, &end, every, last, nil))
	got := whole.GetData().(clusterstats.ClusterStats)
	for name, c := range map[string]struct {
		series []clusterstats.TimeValuePair
		want   int64
	}{
		"memory":          {got.MemoryCapacityBytes, 4 << 40},
		"memory in use":   {got.OverallMemoryUsageBytes, 8 << 30},
		"memory in ppm":   {got.AggregateHypervisorMemoryUsagePpm, 1953},
		"CPU":             {got.CpuCapacityHz, 256 * 2_600_000_000},
		"storage":         {got.StorageCapacityBytes, 120 << 40},
		"storage in use":  {got.StorageUsageBytes, 120 << 30},
		"storage that is": {got.FreePhysicalStorageBytes, 120<<40 - 120<<30},
	} {
		if len(c.series) != 1 || *c.series[0].Value != c.want || !c.series[0].Timestamp.Equal(end) {
			t.Errorf("%s: %v, want %d at %s", name, c.series, c.want, end)
		}
	}
	one := must[*clusterstats.HostStatsApiResponse](t)(raw.ClustersApiInstance.GetHostStats(&cluster, &host, &start, &end, nil, nil, nil))
	if got := one.GetData().(clusterstats.HostStats); *got.MemoryCapacityBytes[0].Value != 1<<40 || *got.OverallMemoryUsageBytes[0].Value != 4<<30 {
		t.Errorf("memory of the host: %v of %v", got.OverallMemoryUsageBytes, got.MemoryCapacityBytes)
	}
	stored := must[*clusterstats.GetStorageContainerStatsApiResponse](t)(
		raw.StorageContainerAPI.GetStorageContainerStats(&container, &start, &end, nil, nil))
	if got := stored.GetData().(clusterstats.StorageContainerStats); *got.StorageFreeBytes[0].Value != 100<<40-120<<30 {
		t.Errorf("free in the storage container: %v", got.StorageFreeBytes)
	}
}

func TestStatsNeedAnInterval(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := extID(t, s, "/api/clustermgmt/v4.2/config/clusters", "PE-1")
	const from, to = "$startTime=2026-01-01T00:00:00Z", "$endTime=2026-01-01T00:05:00Z"
	for query, want := range map[string]int{
		"":                                     http.StatusBadRequest,
		"?" + from:                             http.StatusBadRequest,
		"?" + to:                               http.StatusBadRequest,
		"?" + from + "&$endTime=soon":          http.StatusBadRequest,
		"?" + from + "&$endTime=" + from[11:]:  http.StatusBadRequest,
		"?" + from + "&" + to:                  http.StatusOK,
		"?" + from + "&" + to + "&$statType=X": http.StatusBadRequest,
		"?" + from + "&" + to + "&$samplingInterval=0":         http.StatusBadRequest,
		"?" + from + "&" + to + "&$select=memoryCapacityBytes": http.StatusNotImplemented,
	} {
		if got := call(t, s, http.MethodGet, "/api/clustermgmt/v4.2/stats/clusters/"+id+query, ""); got.status != want {
			t.Errorf("%q: got %d %v, want %d", query, got.status, got.body, want)
		}
	}
}

func TestClientSeesWhichGPUsAreFree(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		for i := range o.Model.PrismElements[0].Hosts {
			o.Model.PrismElements[0].Hosts[i].GPUs = nil
		}
		o.Model.PrismElements[0].Hosts[0].GPUs = []simulator.GPU{{Name: "NVIDIA L40S", DeviceID: 9913, Count: 2}}
		o.Model.VMs = []simulator.VM{
			runningVM("one", "PE-1", "NVIDIA L40S"), runningVM("two", "PE-1", "NVIDIA L40S"), runningVM("virtual", "PE-2", "NVIDIA A16-4Q"),
		}
	})
	client, _ := clients(t, s)
	first, second := extID(t, s, "/api/clustermgmt/v4.2/config/clusters", "PE-1"), extID(t, s, "/api/clustermgmt/v4.2/config/clusters", "PE-2")
	physical := only[clusterconfig.PhysicalGpuProfile](t)(
		client.Clusters.ListClusterPhysicalGPUs(t.Context(), first, eq("physicalGpuConfig/deviceName eq 'NVIDIA L40S'")))
	if c := physical.PhysicalGpuConfig; !*c.IsInUse || *c.Assignable != 0 || len(physical.AllocatedVmExtIds) != 2 || *c.VendorName != "kNvidia" {
		t.Errorf("two of two taken, but it is %v with %d free for %v", *c.IsInUse, *c.Assignable, physical.AllocatedVmExtIds)
	}
	virtual := only[clusterconfig.VirtualGpuProfile](t)(client.Clusters.ListClusterVirtualGPUs(t.Context(), second, eq("virtualGpuConfig/deviceId eq 1703")))
	if c := virtual.VirtualGpuConfig; *c.IsInUse || *c.Assignable != 31 {
		t.Errorf("one of 32 taken, but it is %v with %d free", *c.IsInUse, *c.Assignable)
	}
	if none := must[[]clusterconfig.VirtualGpuProfile](t)(client.Clusters.ListClusterVirtualGPUs(t.Context(), first)); len(none) != 0 {
		t.Errorf("PE-1 has the virtual GPUs %v", none)
	}
	if err := s.EditVM("two", func(v *simulator.VM) { v.PowerState = simulator.PowerOff }); err != nil {
		t.Fatal(err)
	}
	physical = only[clusterconfig.PhysicalGpuProfile](t)(client.Clusters.ListClusterPhysicalGPUs(t.Context(), first))
	if c := physical.PhysicalGpuConfig; *c.IsInUse || *c.Assignable != 1 {
		t.Errorf("one came free, but it is %v with %d free", *c.IsInUse, *c.Assignable)
	}
}

func TestV3Client(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v3, err := prismv3.NewV3Client(credentials(t, s))
	if err != nil {
		t.Fatal(err)
	}
	pc, err := v3.V3.GetPrismCentral(t.Context())
	if err != nil || *pc.Resources.Version != "7.5" || pc.Resources.ClusterUUID == "" {
		t.Errorf("Prism Central %v, %v", pc, err)
	}
	me, err := v3.V3.GetCurrentLoggedInUser(t.Context())
	if err != nil || *me.Status.Name != username {
		t.Errorf("user %v, %v", me, err)
	}
}

func TestListsKeepTheOrderOfCreation(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, name := range []string{"c", "a", "b", "a"} {
		if _, err := s.AddVM(smallVM(name)); err != nil {
			t.Fatal(err)
		}
	}
	names := func(collection, field string) string {
		var got []string
		for _, item := range call(t, s, http.MethodGet, collection, "").body["data"].([]any) {
			got = append(got, fmt.Sprint(item.(map[string]any)[field]))
		}
		return strings.Join(got, " ")
	}
	if got := names(vmsPath, "name"); got != "c a b a" {
		t.Errorf("VMs are listed as %s", got)
	}
	if err := s.EditVM("b", func(v *simulator.VM) { v.Name = "z" }); err != nil {
		t.Fatal(err)
	}
	if got := names(vmsPath, "name"); got != "c a z a" {
		t.Errorf("after a change VMs are listed as %s", got)
	}
	call(t, s, http.MethodPost, categoriesPath, `{"key":"A","value":"first by name"}`)
	if got := names(categoriesPath, "key"); got != strings.Join([]string{"Environment", "Environment", "Team", "A"}, " ") {
		t.Errorf("categories are listed as %s", got)
	}
}
