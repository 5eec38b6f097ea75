package accounts

import (
	"regexp"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// command is what preflight tells to run for another endpoint.
var command = regexp.MustCompile(`commit the other address, then run kubectl delete nutanixclusterspec (\S+),`)

// TestEndpointTaken follows preflight's advice word by word: a cluster that is held because its endpoint is in use gets
// another one, which the API server refuses until its object is made anew. Nothing of another cluster is touched.
func TestEndpointTaken(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &shared)
	one, well := edge("taken"), edge("near")
	// Not the first address, which TestPreflightHolds declares: all Prism Centrals are at 127.0.0.1, and on one of them an
	// endpoint is one cluster's.
	address, free := "10.102.1.1", one.Endpoint
	one.Endpoint = address
	prism := newCentral(t, nil)
	for _, name := range []string{"neighbour", "squatter"} {
		added(simulator.VM{Name: name, PowerState: simulator.PowerOn})(t, prism, one.Name)
	}
	pool("10.102.1.2")(t, prism, one.Name)
	l := lack{replace: []string{subnet, "subnets: [{name: vlan-102}]"}}
	files := s.Files(well)
	files["fleet/account.yaml"] = prism.file("pc-east", insecure)
	files[fleets.File(one)] = l.file(one)
	s.Push("a fleet", files)
	s.Start(fleets.Production, nil)
	s.Accepted(well)

	c := s.Stalls(one.Name, v1alpha1.PreflightFailedReason, address+" is used by VM squatter")
	advice := command.FindStringSubmatch(c.Status.Preflight[0].Message)
	if len(advice) == 0 || advice[1] != one.Name {
		t.Fatalf("no advice for %s in %q", one.Name, c.Status.Preflight[0].Message)
	}
	nothingApplied(s, one.Name)
	// CAPX is told of credentials that come after its objects.
	accountSays(s, "pc-east", metav1.ConditionTrue, v1alpha1.SucceededReason, "distributed to 2 clusters")
	before := s.Inventory(well.Name)

	one.Endpoint = free
	s.Commit("another address", map[string]string{fleets.File(one): l.file(one)})
	s.Refused(one.Name, v1alpha1.ForbiddenReason, "endpoint is immutable", "kubectl delete nutanixclusterspec")
	s.Remove(&v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: advice[1]}})
	passes(s, one.Name)
	if now := s.Cluster(one.Name); now.Spec.ControlPlane.Endpoint.Host != free {
		t.Errorf("endpoint is %s", now.Spec.ControlPlane.Endpoint.Host)
	}
	s.Kstatus(one, well)
	s.Same(before, s.Inventory(well.Name))
	quiet(t)
}
