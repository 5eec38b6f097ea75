package simulator_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// A client is throttled once, then sees the VM that was there from the start.
func Example() {
	model := simulator.DefaultModel()
	model.VMs = []simulator.VM{{
		Name: "edge-01-md-0", PrismElement: "PE-1", Subnets: []string{"vlan-101"},
		Sockets: 2, CoresPerSocket: 1, MemoryBytes: 4 << 30,
	}}
	prism := simulator.New(simulator.Options{Model: model, Username: "admin", Password: "secret"})
	defer prism.Close()
	web := httptest.NewTLSServer(prism)
	defer web.Close()

	throttled, err := prism.AddFault(simulator.Fault{Effect: simulator.EffectError, Status: http.StatusTooManyRequests, Times: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, web.URL+"/api/vmm/v4.2/ahv/config/vms", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		request.SetBasicAuth("admin", "secret")
		answer, err := web.Client().Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
	fmt.Println(throttled.Hits(), "strike,", prism.RequestsBy("admin")["GET /api/vmm/v4.2/ahv/config/vms"], "requests,", len(prism.VMs()), "VM")
	// Output:
	// 429
	// 200
	// 1 strike, 2 requests, 1 VM
}
