package machines

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// vmList is where all VMs are listed.
const vmList = "/api/vmm/v4.2/ahv/config/vms"

// readings waits until Prism Central has been read for each account so many times more, from the beginning to the end.
func readings(s *rig.Scene, n int) {
	s.T.Helper()
	counter, err := s.World.Prism.Server.AddFault(simulator.Fault{
		Method: http.MethodGet, Path: vmList, Effect: simulator.EffectSlow, Delay: 1,
		Match: func(r *http.Request) bool {
			return !strings.Contains(r.URL.RawQuery, "filter") && !strings.Contains(r.URL.RawQuery, "page=1")
		},
	})
	if err != nil {
		s.T.Fatal(err)
	}
	defer counter.Remove()
	ctx, cancel := context.WithTimeout(s.T.Context(), patience)
	defer cancel()
	accounts := &v1alpha1.CloudAccountList{}
	if err := s.Client.List(ctx, accounts); err != nil {
		s.T.Fatal(err)
	}
	if err := counter.Wait(ctx, (n+1)*len(accounts.Items)); err != nil {
		s.T.Fatal(err)
	}
}

// ofCluster are the VMs of a cluster's category, by name.
func ofCluster(s *rig.Scene, cluster string) []simulator.VM {
	return slices.DeleteFunc(s.World.Prism.Server.VMs(), func(vm simulator.VM) bool {
		return !slices.Contains(vm.Categories, "KubernetesClusterName="+cluster)
	})
}
