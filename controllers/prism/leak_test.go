package prism_test

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// TestCloseLeavesNothingBehind cannot run beside others: it counts what runs in the whole process. An account whose
// Secret changes gets a new door each time.
func TestCloseLeavesNothingBehind(t *testing.T) {
	central := newCentral(t, modelWith(aVM("one")), nil)
	for range 3 {
		d := open(t, central.endpoint(t), prism.Options{})
		if found := d.Inventory(t.Context()); len(found.Unknown) != 0 {
			t.Fatal(found.Unknown)
		}
		rule := central.fault(t, simulator.Fault{Effect: simulator.EffectHang})
		ended := make(chan struct{})
		go func() { _, _, _ = d.VM(t.Context(), "some"); close(ended) }()
		if err := rule.Wait(within(t), 1); err != nil {
			t.Fatal(err)
		}
		d.Close()
		<-ended
		rule.Remove()
	}
	central.web.CloseClientConnections()
	central.web.Close()
	ctx, tick := within(t), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for left := leftovers(t); left != ""; left = leftovers(t) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(left)
		}
	}
}

// leftovers are goroutines of doors, of the SDKs and of their connections.
func leftovers(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		t.Fatal(err)
	}
	var left []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, "leftovers") {
			continue
		}
		for _, of := range []string{"controllers/prism.(*", "controllers/prism.Open", "controllers/prism.withDone", "net/http.(*persistConn)", "net/http.(*conn)", "retryablehttp"} {
			if strings.Contains(stack, of) {
				left = append(left, stack)
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}
