// Package faults runs the real controllers of Cluster API and CAPX against a Prism Central that fails, one way after the
// other, and looks at what Refract makes of it: what passes is not told, what CAPX gave up or got wrong is told with the
// machine, the cause and the command that helps, and that command, run as it is written, brings the cluster up.
package faults

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
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
	if err := flag.Set("test.parallel", "64"); err != nil {
		os.Exit(1)
	}
	os.Exit(rig.Run(m, &shared, world.Options{Managers: true, Model: model()}, controllers.Options{
		StuckAfter: stuckAfter, InventoryInterval: 3 * time.Second,
	}))
}

const (
	// stuckAfter is longer than the real controllers are silent on a busy machine while all is well.
	stuckAfter = 20 * time.Second
	// patience bounds how long they may take for one change there.
	patience = 5 * time.Minute
)

// model gives each cluster a Prism Element and a subnet of its own, so that what goes wrong there is its own as well.
func model() simulator.Model {
	m := simulator.DefaultModel()
	element := func(name string) {
		m.PrismElements = append(m.PrismElements, simulator.PrismElement{Name: name, AOSVersion: "7.3"})
		m.StorageContainers = append(m.StorageContainers, simulator.StorageContainer{Name: "default-container", PrismElement: name})
	}
	for i, cluster := range clusters() {
		element(elementOf(cluster))
		m.Subnets = append(m.Subnets, simulator.Subnet{
			Name: subnetOf(cluster), VLAN: 200 + i, PrismElements: []string{elementOf(cluster), farElement},
			Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), 0}), 24),
			Gateway: netip.AddrFrom4([4]byte{10, 200, byte(i), 1}),
			FirstIP: address(i, 10), LastIP: address(i, 99),
		})
	}
	element(farElement)
	return m
}

func address(cluster int, last byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 200, byte(cluster), last})
}

// farElement is where the failure domain is.
const farElement = "PE-far"

func elementOf(cluster string) string { return "PE-" + cluster }

func subnetOf(cluster string) string { return "net-" + cluster }

// clusters are the names of all clusters, in order.
func clusters() []string {
	names := []string{adopted, unreachable, exhausted, reader}
	for name := range trials {
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	return names
}

// file is a cluster with one control plane and so many workers, in a failure domain or not.
func file(cluster, endpoint string, workers int, domain string) string {
	in, domains := "", ""
	if domain != "" {
		in = "\n      failureDomain: " + domain
		domains = fmt.Sprintf("\n  failureDomains:\n    - {name: %s, prismElement: {name: %s}, subnets: [{name: %s}]}", domain, farElement, subnetOf(cluster))
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
`, cluster, endpoint, workers, in, elementOf(cluster), subnetOf(cluster), domains)
}
