// Package faults runs the real controllers of Cluster API and CAPX against a Prism Central that fails, one way after the
// other, and looks at what Refract makes of it: what passes is not told, what CAPX gave up or got wrong is told with the
// machine, the cause and the command that helps, and that command, run as it is written, brings the cluster up.
package faults

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

func TestMain(m *testing.M) {
	// The tests wait much more than they compute: all go side by side, however few the cores.
	if err := flag.Set("test.parallel", "32"); err != nil {
		os.Exit(1)
	}
	os.Exit(rig.Run(m, &shared, world.Options{Managers: true, Model: model()}, controllers.Options{
		StuckAfter: stuckAfter, InventoryInterval: 5 * time.Second,
	}))
}

const (
	// stuckAfter is longer than the real controllers are silent on a busy machine while all is well.
	stuckAfter = 20 * time.Second
	// patience bounds how long they may take for one change there.
	patience = 5 * time.Minute
)

// Where machines are: farElement is that of the failure domain, narrowSubnet has one address to begin with.
const (
	nearElement  = "PE-1"
	farElement   = "PE-far"
	subnet       = "vlan-101"
	narrowSubnet = "vlan-300"
)

// model is a small site: each account reads all of it, again and again.
func model() simulator.Model {
	m := simulator.DefaultModel()
	m.PrismElements = []simulator.PrismElement{{Name: nearElement, AOSVersion: "7.3"}, {Name: farElement, AOSVersion: "7.3"}}
	for i := range m.StorageContainers {
		if c := &m.StorageContainers[i]; c.PrismElement != nearElement {
			c.PrismElement = farElement
		}
	}
	for i := range m.Subnets {
		m.Subnets[i].PrismElements = []string{nearElement, farElement}
	}
	m.Subnets = append(m.Subnets, simulator.Subnet{
		Name: narrowSubnet, VLAN: 300, PrismElements: []string{nearElement},
		Network: netip.MustParsePrefix("10.30.0.0/24"), Gateway: netip.MustParseAddr("10.30.0.1"),
		FirstIP: address(10), LastIP: address(10),
	})
	return m
}

// address is one of narrowSubnet.
func address(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 30, 0, last}) }

// file is a cluster with one control plane and so many workers, in a failure domain or not.
func file(cluster, endpoint string, workers int, domain string) string {
	in, domains, network := "", "", subnet
	if cluster == exhausted {
		network = narrowSubnet
	}
	if domain != "" {
		in = "\n      failureDomain: " + domain
		domains = fmt.Sprintf("\n  failureDomains:\n    - {name: %s, prismElement: {name: %s}, subnets: [{name: %s}]}", domain, farElement, subnet)
	}
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: %[1]s}
spec:
  accountRef: {name: %[1]s}
  profiles: [{name: standard, version: 1.0.0}]
  controlPlane:
    endpoint: {host: %[2]s}
    replicas: 1
    machine: {vcpuSockets: 2, memory: 4Gi, systemDisk: 40Gi}
  nodePools:
    - name: workers
      replicas: %[3]d%[4]s
      machine: {vcpuSockets: 2, memory: 4Gi, systemDisk: 40Gi}
  machineDefaults:
    prismElement: {name: %[5]s}
    subnets: [{name: %[6]s}]%[7]s
`, cluster, endpoint, workers, in, nearElement, network, domains)
}
