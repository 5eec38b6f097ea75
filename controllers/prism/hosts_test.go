package prism_test

import (
	"io"
	"net/http"
	"strings"
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
		if why := found.Unknown[site.PartHosts]; !strings.Contains(why, "PE-1") || !strings.Contains(why, "500") {
			t.Errorf("hosts: %s", why)
		}
		if len(found.Elements) != 2 || len(found.Elements[0].Hosts) != 0 || len(found.Elements[1].Hosts) != 4 {
			t.Errorf("elements: %+v", found.Elements)
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
		if why := found.Unknown[site.PartHosts]; !strings.Contains(why, "h-1") || !strings.Contains(why, "memory") {
			t.Errorf("hosts: %s", why)
		}
		if e := found.Elements[0]; e.StorageBytes != nil || e.FreeStorageBytes != nil {
			t.Errorf("storage: %v, %v", e.StorageBytes, e.FreeStorageBytes)
		}
		if s := found.Subnets[0]; s.FreeIPs != nil || s.Prefix.IsValid() || len(s.Pools) != 0 {
			t.Errorf("subnet: %+v", s)
		}
	})
}
