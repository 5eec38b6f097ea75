package prism_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/site"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

const (
	vmsPath = "/api/vmm/v4.2/ahv/config/vms"
	vmPath  = vmsPath + "/{extId}"
)

// TestOneListThatFails shows that each way in which a list of virtual machines can go wrong makes just that part
// unknown, says so, and leaves the process alone.
func TestOneListThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault simulator.Fault
		words []string
	}{
		"HTMLThatSDKsPanicOn": {simulator.Fault{Effect: simulator.EffectHTML, Status: 200}, []string{"text/html", "address and port"}},
		"HTMLWithAnError":     {simulator.Fault{Effect: simulator.EffectHTML, Status: 502}, []string{"502", "health"}},
		"ZipForAnAnswer":      {simulator.Fault{Effect: simulator.EffectHTML, Status: 200, ContentType: "application/zip"}, []string{"application/zip"}},
		"CSVForAnAnswer":      {simulator.Fault{Effect: simulator.EffectHTML, Status: 200, ContentType: "text/csv"}, []string{"text/csv"}},
		"NotJSON":             {simulator.Fault{Effect: simulator.EffectNotJSON, Body: `{"data":[`}, []string{"announced as JSON"}},
		"Null":                {simulator.Fault{Effect: simulator.EffectNotJSON, Body: `null`}, []string{"announced as JSON"}},
		"ZeroValue":           {simulator.Fault{Effect: simulator.EffectEmpty}, []string{"without saying what there is"}},
		"NullForAnEntry":      {simulator.Fault{Effect: simulator.EffectNotJSON, Body: `{"data":[null],"metadata":{"totalAvailableResults":1}}`}, []string{"without identifiers"}},
		"EntryWithoutID": {simulator.Fault{Effect: simulator.EffectNotJSON, Body: `{"$objectType":"x","data":[{"$objectType":"vmm.v4.ahv.config.Vm"}],` +
			`"metadata":{"totalAvailableResults":1}}`}, []string{"without identifiers"}},
		"ObjectForAList": {simulator.Fault{Effect: simulator.EffectNotJSON, Body: `{"data":{"$objectType":"vmm.v4.error.ErrorResponse"}}`}, []string{"list"}},
		"WordForANumber": {
			simulator.Fault{Effect: simulator.EffectNotJSON, Body: `{"data":[{"$objectType":"vmm.v4.ahv.config.Vm","numSockets":"two"}]}`},
			[]string{"without saying what there is"},
		},
		"Endless":             {simulator.Fault{Effect: simulator.EffectEndless}, []string{"more than 1 MiB"}},
		"Hung":                {simulator.Fault{Effect: simulator.EffectHang}, []string{"did not answer within", "network"}},
		"Dropped":             {simulator.Fault{Effect: simulator.EffectDrop}, []string{"broke"}},
		"CutShort":            {simulator.Fault{Effect: simulator.EffectCut}, []string{"broke"}},
		"ServerError":         {simulator.Fault{Effect: simulator.EffectError, Status: 500, Message: "disk on fire"}, []string{"500", "disk on fire"}},
		"Forbidden":           {simulator.Fault{Effect: simulator.EffectError, Status: 403}, []string{"give the user a role", user}},
		"Redirect":            {simulator.Fault{Effect: simulator.EffectError, Status: 302}, []string{"redirect"}},
		"NoContent":           {simulator.Fault{Effect: simulator.EffectError, Status: 204}, []string{"204"}},
		"Throttled":           {simulator.Fault{Effect: simulator.EffectError, Status: 429}, []string{"come back later"}},
		"ThrottledForAnHour":  {simulator.Fault{Effect: simulator.EffectError, Status: 429, RetryAfter: time.Hour}, []string{"come back later"}},
		"NotReady":            {simulator.Fault{Effect: simulator.EffectError, Status: 503}, []string{"503", "not ready"}},
		"RepeatedPage":        {simulator.Fault{Effect: simulator.EffectRepeat}, []string{"do not fit together"}},
		"TotalTooHigh":        {simulator.Fault{Effect: simulator.EffectTotal, Total: 500}, []string{"there should be 500 entries and 150 came"}},
		"TotalTooLow":         {simulator.Fault{Effect: simulator.EffectTotal, Total: 3}, []string{"there should be 3 entries and 100 came"}},
		"VMsVanishAllTheTime": {simulator.Fault{Effect: simulator.EffectVanish}, []string{"do not fit together", "then"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, crowd(sizeFor(c.fault)), nil)
			d := open(t, central.endpoint(t), prism.Options{MaxBytes: 1 << 20, Timeout: timeoutFor(c.fault)})
			c.fault.Method, c.fault.Path = http.MethodGet, vmsPath
			rule := central.fault(t, c.fault)
			found := d.Inventory(t.Context())
			if rule.Hits() == 0 {
				t.Fatal("the fault did not strike")
			}
			why := found.Unknown[site.PartVMs]
			for _, word := range c.words {
				if !strings.Contains(why, word) {
					t.Errorf("it does not say %q: %s", word, why)
				}
			}
			if len(found.VMs) != 0 {
				t.Errorf("%d machines of a list that could not be read", len(found.VMs))
			}
			if len(found.Unknown) != 1 {
				t.Errorf("unknown, too: %v", found.Unknown)
			}
			if rule.Hits() > 6 {
				t.Errorf("%d requests for a list that fails", rule.Hits())
			}
			// The door is still good.
			rule.Remove()
			if found := d.Inventory(t.Context()); len(found.Unknown) != 0 || len(found.VMs) == 0 {
				t.Errorf("afterwards %d machines, unknown: %v", len(found.VMs), found.Unknown)
			}
		})
	}
}

// timeoutFor is short only where a time-out is what is being tested.
func timeoutFor(f simulator.Fault) time.Duration {
	if f.Effect == simulator.EffectHang {
		return 3 * time.Second
	}
	return patient
}

// sizeFor makes two pages where a fault is about pages.
func sizeFor(f simulator.Fault) int {
	switch f.Effect {
	case simulator.EffectRepeat, simulator.EffectTotal, simulator.EffectVanish, simulator.EffectAppear:
		return 150
	default:
		return 3
	}
}

func TestWhatPasses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault simulator.Fault
		vms   int
	}{
		"ThrottledOnce":           {simulator.Fault{Effect: simulator.EffectError, Status: 429, Times: 1}, 3},
		"ThrottledForASecond":     {simulator.Fault{Effect: simulator.EffectError, Status: 429, RetryAfter: time.Second, Times: 1}, 3},
		"NotReadyOnce":            {simulator.Fault{Effect: simulator.EffectError, Status: 503, Times: 1}, 3},
		"SessionExpired":          {simulator.Fault{Effect: simulator.EffectExpired, Times: 1}, 3},
		"SessionExpiresEachTime":  {simulator.Fault{Effect: simulator.EffectExpired}, 3},
		"NoTotal":                 {simulator.Fault{Effect: simulator.EffectTotal, Total: -1}, 150},
		"VMVanishesBetweenPages":  {simulator.Fault{Effect: simulator.EffectVanish, Times: 1}, 149},
		"VMAppearsBetweenPages":   {simulator.Fault{Effect: simulator.EffectAppear, VM: "new", Times: 1}, 151},
		"SecondPageRepeatsOnce":   {simulator.Fault{Effect: simulator.EffectRepeat, After: 1, Times: 1}, 150},
		"TotalLiesOnce":           {simulator.Fault{Effect: simulator.EffectTotal, Total: 120, Times: 1}, 150},
		"SlowButWithinTheTimeOut": {simulator.Fault{Effect: simulator.EffectSlow, Delay: 50 * time.Millisecond}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, crowd(sizeFor(c.fault)), nil)
			c.fault.Path = vmsPath
			rule := central.fault(t, c.fault)
			found := open(t, central.endpoint(t), prism.Options{}).Inventory(t.Context())
			if rule.Hits() == 0 {
				t.Fatal("the fault did not strike")
			}
			if len(found.Unknown) != 0 || len(found.VMs) != c.vms {
				t.Errorf("%d machines, not %d; unknown: %v", len(found.VMs), c.vms, found.Unknown)
			}
		})
	}
}

func TestListsAreNotEndless(t *testing.T) {
	t.Parallel()
	// Without a total, and with pages that are always full, nothing ends such a list.
	central := newCentral(t, crowd(450), nil)
	central.fault(t, simulator.Fault{Effect: simulator.EffectTotal, Total: -1, Path: vmsPath})
	d := open(t, central.endpoint(t), prism.Options{MaxPages: 4})
	found := d.Inventory(t.Context())
	if why := found.Unknown[site.PartVMs]; !strings.Contains(why, "more than 4 pages") {
		t.Errorf("unknown: %q", why)
	}
	if n := central.Requests()["GET "+vmsPath]; n != 4 {
		t.Errorf("%d pages were read", n)
	}
}

// TestHungCentralIsGivenUp shows that a Prism Central that hangs does not cost a time-out per list.
func TestHungCentralIsGivenUp(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(), nil)
	rule := central.fault(t, simulator.Fault{Effect: simulator.EffectHang})
	found := open(t, central.endpoint(t), prism.Options{Timeout: brief}).Inventory(t.Context())
	for _, part := range []site.Part{site.PartVersion, site.PartElements, site.PartHosts, site.PartVMs, site.PartProjects} {
		if found.Knows(part) || found.Unknown[part] == "" {
			t.Errorf("%s: %q", part, found.Unknown[part])
		}
	}
	if rule.Hits() > 3 {
		t.Errorf("it was asked %d times", rule.Hits())
	}
}

func TestContextEndsACall(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *prism.Door) error{
		"Prove": func(ctx context.Context, d *prism.Door) error { _, err := d.Prove(ctx); return err },
		"VM":    func(ctx context.Context, d *prism.Door) error { _, _, err := d.VM(ctx, "some"); return err },
		"PowerOn": func(ctx context.Context, d *prism.Door) error {
			return d.PowerOn(ctx, "7d3c5a4e-0000-4000-8000-000000000000")
		},
		"Troubles": func(ctx context.Context, d *prism.Door) error {
			_, err := d.Troubles(ctx, []string{"one"})
			return err
		},
		"Inventory": func(ctx context.Context, d *prism.Door) error {
			if why := d.Inventory(ctx).Unknown[site.PartVMs]; !strings.Contains(why, context.Canceled.Error()) {
				return errors.New(why)
			}
			return context.Canceled
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, modelWith(), nil)
			rule := central.fault(t, simulator.Fault{Effect: simulator.EffectHang})
			// The time-out would be an hour.
			d := open(t, central.endpoint(t), prism.Options{Timeout: time.Hour})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- call(ctx, d) }()
			if err := rule.Wait(within(t), 1); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
			// One that has already ended sends nothing: the SDKs would.
			before := d.Requests()
			if err := call(ctx, d); !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
			if d.Requests() != before {
				t.Error("a call that had ended asked Prism Central")
			}
		})
	}
}

func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(), nil)
	rule := central.fault(t, simulator.Fault{Effect: simulator.EffectHang})
	d := open(t, central.endpoint(t), prism.Options{Timeout: time.Hour, Concurrent: 1})
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() { _, _, err := d.VM(t.Context(), "some"); ended <- err }()
	}
	if err := rule.Wait(within(t), 1); err != nil {
		t.Fatal(err)
	}
	d.Close()
	for range cap(ended) {
		wantReason(t, <-ended, prism.Unreachable, "closed")
	}
	_, err := d.Prove(t.Context())
	wantReason(t, err, prism.Unreachable, "closed")
	d.Close()
}

// TestManyAtOnce is for the race detector: the SDKs' clients may not be shared.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(aVM("one"), aVM("two")), nil)
	var mu sync.Mutex
	underWay, most := 0, 0
	wrapped := newCentralBehind(t, central.Server, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			underWay++
			most = max(most, underWay)
			mu.Unlock()
			defer func() { mu.Lock(); underWay--; mu.Unlock() }()
			h.ServeHTTP(w, r)
		})
	})
	d := open(t, endpointOf(t, wrapped), prism.Options{Concurrent: 3})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			found := d.Inventory(t.Context())
			if len(found.Unknown) != 0 || len(found.VMs) != 2 {
				t.Errorf("%d machines, unknown: %v", len(found.VMs), found.Unknown)
				return
			}
			for _, vm := range found.VMs {
				if _, known, err := d.VM(t.Context(), vm.ExtID); err != nil || !known {
					t.Errorf("machine %s: %v, %v", vm.Name, known, err)
				}
			}
		})
	}
	group.Wait()
	if most > 3 {
		t.Errorf("%d requests at a time, not 3", most)
	}
}
