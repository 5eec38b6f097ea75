package seen

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// VMList is the route by which all VMs are listed.
const VMList = "/api/vmm/v4.2/ahv/config/vms"

// Readings waits until Prism Central has been read for each account so many times more, from the beginning to the end.
func Readings(s *rig.Scene, n int) {
	s.T.Helper()
	counter, err := s.World.Prism.Server.AddFault(simulator.Fault{
		Method: http.MethodGet, Path: VMList, Effect: simulator.EffectSlow, Delay: 1,
		Match: func(r *http.Request) bool {
			return !strings.Contains(r.URL.RawQuery, "filter") && !strings.Contains(r.URL.RawQuery, "page=1")
		},
	})
	if err != nil {
		s.T.Fatal(err)
	}
	defer counter.Remove()
	ctx, cancel := context.WithTimeout(s.T.Context(), 10*time.Minute)
	defer cancel()
	accounts := &v1alpha1.CloudAccountList{}
	if err := s.Client.List(ctx, accounts); err != nil {
		s.T.Fatal(err)
	}
	if err := counter.Wait(ctx, (n+1)*len(accounts.Items)); err != nil {
		s.T.Fatal(err)
	}
}

// VMs are the VMs of a cluster's category, by name.
func VMs(s *rig.Scene, cluster string) []simulator.VM {
	return slices.DeleteFunc(s.World.Prism.Server.VMs(), func(vm simulator.VM) bool {
		return !slices.Contains(vm.Categories, "KubernetesClusterName="+cluster)
	})
}

// Restore makes a VM what it was, but for what Prism Central sets.
func Restore(now *simulator.VM, was simulator.VM) {
	before := *now
	*now = was
	now.Host, now.IP, now.ClusterExtID = before.Host, before.IP, before.ClusterExtID
	now.SubnetExtIDs, now.ProjectExtID = before.SubnetExtIDs, before.ProjectExtID
}
