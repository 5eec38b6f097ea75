package prism_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/site"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// TestPartsOfOneElement shows that what fails for one Prism Element is still read of the others, and that figures that
// are left out are unknown.
func TestPartsOfOneElement(t *testing.T) {
	t.Parallel()
	t.Run("Fails", func(t *testing.T) {
		t.Parallel()
		central := newCentral(t, modelWith(), nil)
		central.fault(t, simulator.Fault{Effect: simulator.EffectError, Status: 500, Times: 1, Path: "/api/clustermgmt/v4.2/config/clusters/{extId}/hosts"})
		found := open(t, central.endpoint(t), prism.Options{}).Inventory(t.Context())
		wantLack(t, found, 0, site.PartHosts, "500")
		if why := found.Missing()[site.PartHosts]; !strings.Contains(why, "Prism Element PE-1: ") || !strings.Contains(why, "500") || len(found.Missing()) != 1 {
			t.Errorf("missing: %v", found.Missing())
		}
		if len(found.Elements) != 2 || len(found.Elements[0].Hosts) != 0 || len(found.Elements[1].Hosts) != 4 {
			t.Errorf("elements: %+v", found.Elements)
		}
	})
	for name, c := range map[string]struct {
		path   string
		lost   []site.Part
		reason string
	}{
		"StatisticsFail": {"stats/clusters/{extId}", []site.Part{site.PartStorage}, "an answer without figures is not 0"},
		"GPUsFail":       {"config/clusters/{extId}/physical-gpu-profiles", []site.Part{site.PartGPUs}, "one of two kinds is not all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, modelWith(aVM("one")), nil)
			rule := central.fault(t, simulator.Fault{Effect: simulator.EffectError, Status: 500, Times: 1, Path: "/api/clustermgmt/v4.2/" + c.path})
			found := open(t, central.endpoint(t), prism.Options{}).Inventory(t.Context())
			if rule.Hits() != 1 {
				t.Fatal("the fault did not strike")
			}
			for _, part := range c.lost {
				wantLack(t, found, 0, part, "500")
			}
			if len(found.Missing()) != len(c.lost) || len(found.Elements[0].Hosts) != 4 || found.Elements[1].FreeStorageBytes == nil {
				t.Errorf("%s: missing %v", c.reason, found.Missing())
			}
		})
	}
	// One Prism Element for which nothing is answered costs one time-out, and nothing of all else.
	t.Run("Silent", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		central := newCentral(t, modelWith(aVM("one")), nil)
		first := open(t, central.endpoint(t), prism.Options{}).Inventory(t.Context()).Elements[0].ExtID
		hung := newCentralBehind(t, central.Server, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/clusters/"+first) {
					asked.Add(1)
					<-r.Context().Done()
					return
				}
				h.ServeHTTP(w, r)
			})
		})
		found := open(t, endpointOf(t, hung), prism.Options{Timeout: brief}).Inventory(t.Context())
		for _, part := range []site.Part{site.PartHosts, site.PartStorage, site.PartGPUs} {
			wantLack(t, found, 0, part, "")
		}
		if len(found.Unknown) != 0 || len(found.VMs) != 1 || len(found.Elements[1].Hosts) != 4 {
			t.Errorf("unknown: %v", found.Unknown)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
	})
	t.Run("LeavesOut", func(t *testing.T) {
		t.Parallel()
		central := newCentral(t, modelWith(), func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := ""
				switch {
				case strings.HasSuffix(r.URL.Path, "/hosts"):
					body = `{"data":[{"$objectType":"clustermgmt.v4.config.Host","extId":"h","hostName":"h-1"}],"metadata":{"totalAvailableResults":1}}`
				case strings.Contains(r.URL.Path, "/stats/"):
					body = `{"data":{"$objectType":"clustermgmt.v4.stats.ClusterStats"}}`
				case strings.HasSuffix(r.URL.Path, "/subnets"):
					body = `{"data":[{"$objectType":"networking.v4.config.Subnet","extId":"s"}],"metadata":{"totalAvailableResults":1}}`
				default:
					h.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, body)
			})
		})
		found := open(t, central.endpoint(t), prism.Options{}).Inventory(t.Context())
		for i := range found.Elements {
			if why := found.Elements[i].Unknown[site.PartHosts]; !strings.Contains(why, "h-1") || !strings.Contains(why, "memory") {
				t.Errorf("hosts: %s", why)
			}
		}
		if why := found.Missing()[site.PartHosts]; !strings.HasSuffix(why, "(nor of 1 more)") {
			t.Errorf("missing: %s", why)
		}
		if e := found.Elements[0]; e.StorageBytes != nil || e.FreeStorageBytes != nil {
			t.Errorf("storage: %v, %v", e.StorageBytes, e.FreeStorageBytes)
		}
		if s := found.Subnets[0]; s.FreeIPs != nil || s.Prefix.IsValid() || len(s.Pools) != 0 {
			t.Errorf("subnet: %+v", s)
		}
	})
}

// wantLack checks that a part is unknown of one Prism Element, and of no other.
func wantLack(t *testing.T, found *site.Inventory, element int, part site.Part, word string) {
	t.Helper()
	for i, e := range found.Elements {
		why, lacks := found.Lacks(part, e)
		if lacks != (i == element) || lacks && (why == "" || !strings.Contains(why, word)) {
			t.Errorf("%s of %s: %t, %q", part, e.Name, lacks, why)
		}
	}
}
