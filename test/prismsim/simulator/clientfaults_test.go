package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	prismgoclient "github.com/nutanix-cloud-native/prism-go-client"
	"github.com/nutanix-cloud-native/prism-go-client/converged"
	convergedv4 "github.com/nutanix-cloud-native/prism-go-client/converged/v4"
	prismv4 "github.com/nutanix-cloud-native/prism-go-client/v4"
	vmmconfig "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/models/vmm/v4/ahv/config"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// impatient makes the real client, which retries without waiting long.
func impatient(t *testing.T, account prismgoclient.Credentials) *convergedv4.Client {
	t.Helper()
	raw, err := prismv4.NewV4Client(account)
	if err != nil {
		t.Fatal(err)
	}
	raw.VmApiInstance.ApiClient.SetRetryIntervalInMilliSeconds(1)
	return convergedv4.NewClientFromV4SDKClient(raw)
}

const listPattern = "GET " + vmsPath

// TestClientUnderFaults tells what prism-go-client v0.7.3 makes of each answer.
func TestClientUnderFaults(t *testing.T) {
	t.Parallel()
	all := func(vms []vmmconfig.Vm, err error) bool { return err == nil && len(vms) == 3 }
	plainError := func(_ []vmmconfig.Vm, err error) bool {
		return err != nil && !converged.IsInternal(err) && !converged.IsRateLimit(err)
	}
	internal := func(_ []vmmconfig.Vm, err error) bool { return converged.IsInternal(err) }
	panics := func(_ []vmmconfig.Vm, err error) bool { return errors.Is(err, errPanic) }
	for name, c := range map[string]struct {
		fault    simulator.Fault
		requests int
		want     func([]vmmconfig.Vm, error) bool
	}{
		"ThrottledOnce":      {simulator.Fault{Effect: simulator.EffectError, Status: 429, Times: 1}, 2, all},
		"ThrottledOnceFor":   {simulator.Fault{Effect: simulator.EffectError, Status: 429, Times: 1, RetryAfter: time.Second}, 2, all},
		"UnavailableOnce":    {simulator.Fault{Effect: simulator.EffectError, Status: 503, Times: 1}, 2, all},
		"ThrottledForEver":   {simulator.Fault{Effect: simulator.EffectError, Status: 429}, 6, plainError},
		"UnavailableForEver": {simulator.Fault{Effect: simulator.EffectError, Status: 503}, 6, plainError},
		"Internal":           {simulator.Fault{Effect: simulator.EffectError, Status: 500}, 1, internal},
		"BadGateway":         {simulator.Fault{Effect: simulator.EffectError, Status: 502}, 1, internal},
		"HTML":               {simulator.Fault{Effect: simulator.EffectHTML}, 1, panics},
		"HTMLCharset":        {simulator.Fault{Effect: simulator.EffectHTML, ContentType: "text/html; charset=utf-8"}, 1, internal},
		"NotJSON":            {simulator.Fault{Effect: simulator.EffectNotJSON}, 1, plainError},
		"Empty":              {simulator.Fault{Effect: simulator.EffectEmpty}, 1, plainError},
		// net/http sends a GET again when a connection breaks that was in use before.
		"Dropped":        {simulator.Fault{Effect: simulator.EffectDrop}, 2, plainError},
		"Cut":            {simulator.Fault{Effect: simulator.EffectCut}, 1, plainError},
		"SessionExpired": {simulator.Fault{Effect: simulator.EffectExpired, Times: 1}, 2, all},
		"Slow":           {simulator.Fault{Effect: simulator.EffectSlow, Delay: 20 * time.Millisecond}, 1, all},
		"TotalLow":       {simulator.Fault{Effect: simulator.EffectTotal, Total: 1}, 1, all},
		"TotalMissing":   {simulator.Fault{Effect: simulator.EffectTotal, Total: -1}, 1, plainError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, manyVMs(3))
			client := impatient(t, credentials(t, s))
			c.fault.Path = vmsPath
			rule, err := s.AddFault(c.fault)
			if err != nil {
				t.Fatal(err)
			}
			vms, err := recovered(func() ([]vmmconfig.Vm, error) { return client.VMs.List(t.Context()) })
			if !c.want(vms, err) {
				t.Errorf("%d VMs, %v", len(vms), err)
			}
			if got := s.Requests()[listPattern]; got != c.requests || rule.Hits() == 0 {
				t.Errorf("%d requests, %d hits, want %d requests", got, rule.Hits(), c.requests)
			}
		})
	}
}

var errPanic = errors.New("the client panicked")

func recovered[T any](f func() (T, error)) (got T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return f()
}

// TestClientListsForEver bounds the fault, not the client: it would not stop.
func TestClientListsForEver(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]simulator.Fault{
		"RepeatedPage": {Effect: simulator.EffectRepeat},
		"TotalTooHigh": {Effect: simulator.EffectTotal, Total: 121},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, manyVMs(120))
			client := impatient(t, credentials(t, s))
			lie.Path = vmsPath
			rule, err := s.AddFault(lie)
			if err != nil {
				t.Fatal(err)
			}
			stop, err := s.AddFault(simulator.Fault{Effect: simulator.EffectError, Status: 500, Path: vmsPath, After: 8})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.VMs.List(t.Context()); !converged.IsInternal(err) || rule.Hits() != 8 || stop.Hits() != 1 {
				t.Errorf("%d pages and %v, want the list to go on until it fails", rule.Hits(), err)
			}
		})
	}
}

// TestClientIgnoresItsContext sends a request under a context that has ended,
// and waits for as long as the server likes.
func TestClientIgnoresItsContext(t *testing.T) {
	t.Parallel()
	s := newServer(t, manyVMs(1))
	client := impatient(t, credentials(t, s))
	rule, err := s.AddFault(simulator.Fault{Effect: simulator.EffectHang, Path: vmsPath})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := client.VMs.List(ctx)
		done <- err
	}()
	hit(t, rule)
	select {
	case err := <-done:
		t.Errorf("the client gave up: %v", err)
	default:
	}
	rule.Remove()
	if err := <-done; errors.Is(err, context.Canceled) {
		t.Error("the client looked at its context")
	}
}

// TestClientTakesNothingForSomething shows that a wrong answer to a GET is no
// error for the client.
func TestClientTakesNothingForSomething(t *testing.T) {
	t.Parallel()
	for _, effect := range []simulator.Effect{simulator.EffectEmpty, simulator.EffectNotJSON} {
		t.Run(string(effect), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, manyVMs(1))
			client := impatient(t, credentials(t, s))
			if _, err := s.AddFault(simulator.Fault{Effect: effect, VM: "vm-000"}); err != nil {
				t.Fatal(err)
			}
			if vm, err := client.VMs.Get(t.Context(), s.VMs()[0].ExtID); err != nil || vm != nil && vm.Name != nil {
				t.Errorf("got %v, %v", vm, err)
			}
		})
	}
}

// TestClientWaitsForTasks follows the waiting of prism-go-client v0.7.3, which
// CAPX does without a deadline.
func TestClientWaitsForTasks(t *testing.T) {
	t.Parallel()
	const taskPattern = "GET " + tasksPath + "/{extId}"
	for name, c := range map[string]struct {
		effect  simulator.Effect
		message string
		// hangs says that only the deadline ended the waiting.
		hangs bool
		want  string
	}{
		"Failed":    {simulator.EffectTaskFailed, "no host has the memory", false, "no host has the memory"},
		"NoText":    {simulator.EffectTaskNoText, "", false, errPanic.Error()},
		"Silent":    {simulator.EffectTaskFailed, "", true, ""},
		"Canceled":  {simulator.EffectTaskCanceled, "", true, ""},
		"Suspended": {simulator.EffectTaskSuspended, "", true, ""},
		"Endless":   {simulator.EffectTaskEndless, "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, manyVMs(1))
			client := impatient(t, credentials(t, s))
			if _, err := s.AddFault(simulator.Fault{Effect: c.effect, Message: c.message, VM: "vm-000"}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			polls, err := s.AddFault(simulator.Fault{
				Effect: simulator.EffectSlow, Delay: time.Nanosecond, Path: tasksPath + "/{extId}", VM: "vm-000",
			})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if polls.Wait(ctx, 2) == nil {
					cancel()
				}
			}()
			on, err := client.VMs.PowerOnVM(s.VMs()[0].ExtID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = recovered(func() ([]*vmmconfig.Vm, error) { return on.Wait(ctx) })
			if err == nil || !strings.Contains(err.Error(), c.want) || c.hangs != (ctx.Err() != nil) {
				t.Errorf("after %d polls: %v", s.Requests()[taskPattern], err)
			}
		})
	}
}

func TestClientWithAnAPIKey(t *testing.T) {
	t.Parallel()
	s := newServer(t, manyVMs(3), func(o *simulator.Options) { o.Users = []simulator.User{{Name: "capx", APIKey: "k-1"}} })
	account := credentials(t, s)
	account.Username, account.Password, account.APIKey = "", "", "k-1"
	client, err := convergedv4.NewClient(account)
	if err != nil {
		t.Fatal(err)
	}
	if vms, err := client.VMs.List(t.Context()); err != nil || len(vms) != 3 {
		t.Errorf("%d VMs, %v", len(vms), err)
	}
	if got := s.RequestsBy("capx"); got[listPattern] != 1 {
		t.Errorf("requests %v", got)
	}
}
