// Package flavors runs the cluster templates of CAPX's own end-to-end suite on the simulated Prism Central, without
// Refract: what the simulator says must be enough for whatever the provider itself is tested with.
package flavors

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/world"
)

// patience bounds how long a cluster may take on a busy computer.
const patience = 6 * time.Minute

// API versions of what is looked at.
const (
	core         = "cluster.x-k8s.io/v1beta2"
	controlPlane = "controlplane.cluster.x-k8s.io/v1beta2"
)

var (
	here      *world.World
	admin     client.Client
	builder   *controlplane.Builder
	generator string
)

func TestMain(m *testing.M) {
	// The tests wait much more than they compute: all go side by side, however few the cores.
	if err := flag.Set("test.parallel", "32"); err != nil {
		os.Exit(1)
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if here, err = world.Start(ctx, world.Options{Out: os.Stderr, Managers: true, Model: model(), FeatureGates: []string{"MachineTaintPropagation=true"}}); err != nil {
		return 1, err
	}
	defer func() {
		if stopped := here.Stop(); err == nil {
			err = stopped
		}
	}()
	if admin, err = client.New(here.REST, client.Options{}); err != nil {
		return 1, err
	}
	if builder, err = controlplane.New(ctx, os.Stderr); err != nil {
		return 1, err
	}
	built, err := builder.Build(ctx, controlplane.Clusterctl)
	if err != nil {
		return 1, err
	}
	generator = built[0].Path
	return m.Run(), nil
}

// model has what the flavors name: three Prism Elements, and Prism Central's system categories.
func model() simulator.Model {
	m := simulator.DefaultModel()
	m.PrismElements = append(m.PrismElements, simulator.PrismElement{Name: "PE-3", AOSVersion: "7.3", Hosts: m.PrismElements[1].Hosts})
	for i := range m.PrismElements[2].Hosts {
		m.PrismElements[2].Hosts[i].Name = fmt.Sprintf("PE-3-host-%d", i+1)
	}
	for i := range m.Subnets {
		m.Subnets[i].PrismElements = append(m.Subnets[i].PrismElements, "PE-3")
	}
	m.StorageContainers = append(m.StorageContainers, simulator.StorageContainer{Name: "default-container", PrismElement: "PE-3", CapacityBytes: 100 << 40})
	for _, c := range [][2]string{{"AppType", "Kubernetes"}, {"Environment", "Dev"}, {"Environment", "Testing"}} {
		m.Categories = append(m.Categories, simulator.Category{Key: c[0], Value: c[1]})
	}
	return m
}

// TestReady brings up a cluster with one control plane and one worker of each flavor.
func TestReady(t *testing.T) {
	cases := map[string]func(vm simulator.VM) bool{
		"cluster-template": nil, "cluster-template-csi": nil, "cluster-template-csi3": nil,
		"cluster-template-kcp-remediation": nil, "cluster-template-kcp-scale-in": nil, "cluster-template-md-remediation": nil,
		"cluster-template-md-taints": nil, "cluster-template-upgrades": nil,
		"cluster-template-image-lookup": func(vm simulator.VM) bool { return vm.Image == image },
		"cluster-template-project":      func(vm simulator.VM) bool { return vm.Project == "platform" },
		"cluster-template-additional-categories": func(vm simulator.VM) bool {
			return slices.Contains(vm.Categories, "AppType=Kubernetes") && slices.Contains(vm.Categories, "Environment=Dev")
		},
		"cluster-template-failure-domains": nil, "cluster-template-failure-domains-migration": nil,
	}
	for name, right := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlavor(t, name)
			f.apply()
			running := f.available()
			vms := f.vms()
			if len(vms) != running || running == 0 {
				t.Errorf("there are %d VMs: %+v", len(vms), vms)
			}
			for _, vm := range vms {
				if right != nil && !right(vm) {
					t.Errorf("not as the template wants it: %+v", vm)
				}
			}
		})
	}
}

// TestTopology brings up a cluster of CAPX's ClusterClass.
func TestTopology(t *testing.T) {
	t.Parallel()
	f := newFlavor(t, "cluster-template-topology")
	class := f
	class.name = "cluster-template-clusterclass"
	class.apply()
	f.apply()
	f.available()
}

// TestNeverReady applies the flavors that lack something: no VM is made, and the object that waits for it is there.
func TestNeverReady(t *testing.T) {
	for name, waits := range map[string]struct{ kind, condition string }{
		"cluster-template-no-nutanix-cluster": {"Cluster", "InfrastructureReady"},
		"cluster-template-no-secret":          {"Cluster", "InfrastructureReady"},
		"cluster-template-no-nmt":             {"Cluster", "ControlPlaneAvailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlavor(t, name)
			f.apply()
			NewWithT(t).Eventually(func() string { return f.condition(waits.kind, waits.condition) }).
				WithTimeout(patience).Should(Equal("False"))
			if vms := f.vms(); len(vms) > 0 {
				t.Errorf("VMs were made: %+v", vms)
			}
		})
	}
}
