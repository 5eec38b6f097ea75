// Package machines shows what machines are made of, and where: failure domains, GPUs and data disks, from a file in Git
// to the VMs in Prism Central, by the real controllers of Cluster API and CAPX. And it shows what becomes of them: each
// change behind everybody's back is found, nothing else is, and what may be repaired is.
package machines

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var (
	shared  rig.Package
	metrics = prometheus.NewRegistry()
)

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{Managers: true}, controllers.Options{InventoryInterval: time.Second, Metrics: metrics}))
}

const (
	name = "edge-01"
	// aged is the cluster whose machines are changed behind everybody's back.
	aged = "edge-02"
	file = "fleet/" + name + ".yaml"
	// patience bounds how long the real controllers may take for one change on a busy machine.
	patience = 5 * time.Minute
)

// spread is a cluster whose control plane is spread over two Prism Elements. Pool training is on the second, with two
// GPUs, by name and by device id, and data disks; pool general is outside of all failure domains.
func spread(endpoint string) string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: %s}
spec:
  accountRef: {name: pc-east}
  profiles:
    - {name: standard, version: 1.0.0}
  controlPlane:
    endpoint: {host: %q}
    replicas: 3
    machine:
      vcpuSockets: 2
      memory: 4Gi
      systemDisk: 40Gi
      dataDisks: [{size: 10Gi, storageContainer: {name: fast-container}, diskMode: Flash}]
    failureDomains: [rack-a, rack-b]
  nodePools:
    - name: general
      replicas: 1
      machine: {vcpuSockets: 2, memory: 4Gi, systemDisk: 40Gi}
    - name: training
      replicas: 1
      failureDomain: rack-b
      machine:
        vcpuSockets: 2
        memory: 4Gi
        systemDisk: 40Gi
        gpus: [{name: NVIDIA A16-4Q}, {deviceID: 1703}]
        dataDisks:
          - {size: 20Gi}
          - {size: 1Gi}
          - {size: 30Gi, storageContainer: {name: fast-container}, adapterType: PCI}
          - {size: 2Gi, adapterType: SATA, deviceIndex: 3}
  machineDefaults:
    prismElement: {name: PE-1}
    subnets: [{name: vlan-101}]
  failureDomains:
    - {name: rack-a, prismElement: {name: PE-1}, subnets: [{name: vlan-101}]}
    - {name: rack-b, prismElement: {name: PE-2}, subnets: [{name: vlan-102}, {name: vlan-101}]}
`, name, endpoint)
}

func TestMachines(t *testing.T) {
	t.Parallel()
	s := shared.NewScene(t, "machines")
	wanted := spread(s.World.Endpoint())
	s.Push("a cluster over two Prism Elements", map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.World.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		file:                 wanted,
	})
	s.NewFleet("production", nil)
	s.ClusterHas(name, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)

	t.Run("ControlPlaneIsSpread", func(t *testing.T) {
		var at []string
		for _, vm := range vms(s, "kcp") {
			at = append(at, vm.PrismElement+" "+strings.Join(vm.Subnets, " "))
			expect(t, []simulator.Disk{{SizeBytes: gib(10), StorageContainer: "fast-container", Bus: "SCSI", Index: 1, Flash: true}}, vm.DataDisks)
		}
		slices.Sort(at)
		if places := slices.Compact(slices.Clone(at)); len(at) != 3 || !slices.Equal(places, []string{"PE-1 vlan-101", "PE-2 vlan-102 vlan-101"}) {
			t.Errorf("the control plane is at %q", at)
		}
	})
	t.Run("PoolOutsideTakesTheDefaults", func(t *testing.T) {
		vm := only(t, vms(s, "general"))
		expect(t, []string{"PE-1", "vlan-101"}, append([]string{vm.PrismElement}, vm.Subnets...))
	})
	t.Run("PoolInADomainWithDevices", func(t *testing.T) {
		vm := only(t, vms(s, "training"))
		expect(t, []string{"PE-2", "vlan-102", "vlan-101"}, append([]string{vm.PrismElement}, vm.Subnets...))
		expect(t, []string{"NVIDIA A16-4Q", "NVIDIA A16-4Q"}, vm.GPUs)
		expect(t, []simulator.Disk{
			{SizeBytes: gib(20), StorageContainer: "default-container", Bus: "SCSI", Index: 1},
			{SizeBytes: gib(1), StorageContainer: "default-container", Bus: "SCSI", Index: 2},
			{SizeBytes: gib(30), StorageContainer: "fast-container", Bus: "PCI", Index: 0},
			{SizeBytes: gib(2), StorageContainer: "default-container", Bus: "SATA", Index: 3},
		}, vm.DataDisks)
	})
	t.Run("OtherDevicesRollThePoolAlone", func(t *testing.T) { roll(t, s, wanted) })
	if found := seen.Of(s.Cluster(name)); len(found) > 0 {
		t.Errorf("status.drift is %+v", found)
	}
	if refused := s.World.Prism.Server.Refused(); len(refused) > 0 {
		t.Errorf("Prism Central refused %q", refused)
	}
}

// roll takes a GPU off pool training and has a data disk grow: a new machine comes for the old one, and no other moves.
func roll(t *testing.T, s *rig.Scene, wanted string) {
	t.Helper()
	before, old := s.Machines(name), only(t, vms(s, "training"))
	wanted = strings.NewReplacer("{name: NVIDIA A16-4Q}, {deviceID: 1703}", "{deviceID: 1703}", "size: 20Gi", "size: 25Gi").Replace(wanted)
	hash := s.Push("fewer GPUs, a larger disk", map[string]string{file: wanted})
	s.Within(patience, "the pool has a new machine with what is wanted", func() error {
		if c := s.Cluster(name); !strings.HasSuffix(c.Annotations[v1alpha1.RevisionAnnotation], hash) {
			return fmt.Errorf("%+v", c.Status.Conditions)
		}
		found := vms(s, "training")
		if len(found) != 1 || found[0].ExtID == old.ExtID {
			return fmt.Errorf("%d VMs", len(found))
		}
		if gpus, disk := found[0].GPUs, found[0].DataDisks[0]; len(gpus) != 1 || disk.SizeBytes != gib(25) {
			return fmt.Errorf("GPUs %q, first data disk %+v", gpus, disk)
		}
		if n := len(s.Machines(name)); n != len(before) {
			return fmt.Errorf("%d machines", n)
		}
		return nil
	})
	kept := 0
	for uid := range s.Machines(name) {
		if _, ok := before[uid]; ok {
			kept++
		}
	}
	if kept != len(before)-1 {
		t.Errorf("%d of %d machines were kept, want all but one", kept, len(before))
	}
}

func gib(n int64) int64 { return n << 30 }

// vms are those of the control plane (kcp) or a pool.
func vms(s *rig.Scene, of string) []simulator.VM {
	var found []simulator.VM
	for _, vm := range s.World.Prism.Server.VMs() {
		if strings.HasPrefix(vm.Name, name+"-"+of+"-") {
			found = append(found, vm)
		}
	}
	return found
}

func only(t *testing.T, found []simulator.VM) simulator.VM {
	t.Helper()
	if len(found) != 1 {
		t.Fatalf("%d VMs, want 1: %+v", len(found), found)
	}
	return found[0]
}

func expect[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(simulator.Disk{}, "ExtID")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
