package prism_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/site"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

func off(name string) simulator.VM {
	vm := aVM(name)
	vm.PowerState = simulator.PowerOff
	return vm
}

// only is the one virtual machine of a simulated Prism Central.
func (c *prismCentral) only(t *testing.T) simulator.VM {
	t.Helper()
	vms := c.VMs()
	if len(vms) != 1 {
		t.Fatalf("%d machines", len(vms))
	}
	return vms[0]
}

// category is the ExtID of a key and value.
func category(t *testing.T, d *prism.Door, key, value string) string {
	t.Helper()
	for _, c := range d.Inventory(t.Context()).Categories {
		if c.Key == key && c.Value == value {
			return c.ExtID
		}
	}
	t.Fatalf("no category %s=%s", key, value)
	return ""
}

const (
	powerOnPath = vmPath + "/$actions/power-on"
	taskPath    = "/api/prism/v4.2/config/tasks/{extId}"
)

func TestPowerOn(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(off("one")), nil)
	d := open(t, central.endpoint(t), prism.Options{})
	id := central.only(t).ExtID
	if err := d.PowerOn(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if vm := central.only(t); vm.PowerState != simulator.PowerOn {
		t.Errorf("it is %s", vm.PowerState)
	}
	// Once is enough.
	if err := d.PowerOn(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n := central.Requests()["POST "+powerOnPath]; n != 1 {
		t.Errorf("it was switched on %d times", n)
	}
}

func TestAddCategories(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(off("one")), nil)
	d := open(t, central.endpoint(t), prism.Options{})
	team, production := category(t, d, "Team", "Platform"), category(t, d, "Environment", "Production")
	id := central.only(t).ExtID
	for range 2 {
		if err := d.AddCategories(t.Context(), id, []string{production, team}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := central.only(t).Categories, []string{"Environment=Production", "Team=Platform"}; !slices.Equal(got, want) {
		t.Errorf("categories %v, not %v", got, want)
	}
	if n := central.Requests()["POST "+vmPath+"/$actions/associate-categories"]; n != 1 {
		t.Errorf("%d orders, not 1", n)
	}
}

// TestTasksThatDoNotSucceed shows that an order ends whatever becomes of its task: the SDKs' own wait does not.
func TestTasksThatDoNotSucceed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault simulator.Fault
		words []string
	}{
		"Failed":        {simulator.Fault{Effect: simulator.EffectTaskFailed, Message: "no memory left"}, []string{"FAILED", "no memory left"}},
		"FailedNoError": {simulator.Fault{Effect: simulator.EffectTaskFailed}, []string{"FAILED", "without a reason"}},
		"FailedNoText":  {simulator.Fault{Effect: simulator.EffectTaskNoText}, []string{"FAILED", "without a reason"}},
		"Canceled":      {simulator.Fault{Effect: simulator.EffectTaskCanceled}, []string{"CANCELED"}},
		"Suspended":     {simulator.Fault{Effect: simulator.EffectTaskSuspended}, []string{"SUSPENDED"}},
		"Endless":       {simulator.Fault{Effect: simulator.EffectTaskEndless}, []string{"not done after", "list of tasks"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, modelWith(off("one")), nil)
			central.fault(t, c.fault)
			o := prism.Options{}
			if name == "Endless" {
				o.Timeout = time.Second // Four of them are waited for.
			}
			d := open(t, central.endpoint(t), o)
			id := central.only(t).ExtID
			wantReason(t, d.PowerOn(t.Context(), id), prism.TaskFailed, append(c.words, "power on", id)...)
			if name == "Endless" {
				return
			}
			team := category(t, d, "Team", "Platform")
			wantReason(t, d.AddCategories(t.Context(), id, []string{team}), prism.TaskFailed, c.words...)
		})
	}
}

func TestOrdersThatFail(t *testing.T) {
	t.Parallel()
	t.Run("ChangedMeanwhile", func(t *testing.T) {
		t.Parallel()
		// Somebody changes the machine between our reading and our order: once.
		var central *prismCentral
		changed := false
		central = newCentral(t, modelWith(off("one")), func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/power-on") && !changed {
					changed = true
					if err := central.EditVM("one", func(vm *simulator.VM) { vm.Sockets = 8 }); err != nil {
						t.Error(err)
					}
				}
				h.ServeHTTP(w, r)
			})
		})
		d := open(t, central.endpoint(t), prism.Options{})
		if err := d.PowerOn(t.Context(), central.only(t).ExtID); err != nil {
			t.Fatal(err)
		}
		if vm := central.only(t); vm.PowerState != simulator.PowerOn || vm.Sockets != 8 {
			t.Errorf("it is %s with %d sockets", vm.PowerState, vm.Sockets)
		}
	})
	t.Run("Gone", func(t *testing.T) {
		t.Parallel()
		d := open(t, newCentral(t, modelWith(), nil).endpoint(t), prism.Options{})
		wantReason(t, d.PowerOn(t.Context(), "7d3c5a4e-0000-4000-8000-000000000000"), prism.NotFound)
		wantReason(t, d.PowerOn(t.Context(), ""), prism.NotFound)
	})
	t.Run("NotReadyIsNotRepeated", func(t *testing.T) {
		t.Parallel()
		// A 503 may come after the order was taken: sent again, it would be a second order.
		central := newCentral(t, modelWith(off("one")), nil)
		rule := central.fault(t, simulator.Fault{Effect: simulator.EffectError, Status: 503, Path: powerOnPath})
		d := open(t, central.endpoint(t), prism.Options{})
		wantReason(t, d.PowerOn(t.Context(), central.only(t).ExtID), prism.Unreachable)
		if rule.Hits() != 1 {
			t.Errorf("it was ordered %d times", rule.Hits())
		}
	})
	t.Run("AnswerWithoutTask", func(t *testing.T) {
		t.Parallel()
		central := newCentral(t, modelWith(off("one")), nil)
		central.fault(t, simulator.Fault{Effect: simulator.EffectEmpty, Path: powerOnPath})
		d := open(t, central.endpoint(t), prism.Options{})
		wantReason(t, d.PowerOn(t.Context(), central.only(t).ExtID), prism.Misbehaving, "no task")
	})
	t.Run("TaskWithoutState", func(t *testing.T) {
		t.Parallel()
		central := newCentral(t, modelWith(off("one")), nil)
		central.fault(t, simulator.Fault{Effect: simulator.EffectEmpty, Path: taskPath})
		d := open(t, central.endpoint(t), prism.Options{})
		wantReason(t, d.PowerOn(t.Context(), central.only(t).ExtID), prism.Misbehaving)
	})
}

// TestVM shows that a machine is only missing when Prism Central itself says so.
func TestVM(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(off("one")), nil)
	d := open(t, central.endpoint(t), prism.Options{})
	id := central.only(t).ExtID
	vm, found, err := d.VM(t.Context(), id)
	if err != nil || !found || vm.Name != "one" || vm.Power != site.PowerOff {
		t.Errorf("%+v, %v, %v", vm, found, err)
	}
	if err = central.RemoveVM("one"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, found, err = d.VM(t.Context(), id); err != nil || found {
			t.Errorf("after it was deleted: %v, %v", found, err)
		}
	}
	for name, fault := range map[string]simulator.Fault{
		"GatewayDoesNotKnowIt": {Effect: simulator.EffectNotJSON, Status: 404, Body: `{"message":"no route matched"}`},
		"PageNotFound":         {Effect: simulator.EffectHTML, Status: 404},
		"ZeroValue":            {Effect: simulator.EffectEmpty},
		"AnotherMachine": {Effect: simulator.EffectNotJSON, Body: `{"data":{"$objectType":"vmm.v4.ahv.config.Vm",` +
			`"extId":"7d3c5a4e-0000-4000-8000-000000000000"}}`},
	} {
		fault.Path = vmPath
		rule := central.fault(t, fault)
		_, found, err := d.VM(t.Context(), id)
		if found {
			t.Errorf("%s: found", name)
		}
		t.Run(name, func(t *testing.T) { wantReason(t, err, prism.Misbehaving) }) //nolint:paralleltest // It only names.
		rule.Remove()
	}
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(off("one"), off("two"), off("three"), off("four")), nil)
	d := open(t, central.endpoint(t), prism.Options{})
	ids := map[string]string{}
	for _, vm := range central.VMs() {
		ids[vm.Name] = vm.ExtID
	}
	for _, c := range []struct {
		vm, message string
		effect      simulator.Effect
	}{
		{"one", "no memory left", simulator.EffectTaskFailed},
		{"two", "the host is down", simulator.EffectTaskFailed},
		{"one", "no address left", simulator.EffectTaskFailed},
		{"four", "", simulator.EffectTaskCanceled},
	} {
		rule := central.fault(t, simulator.Fault{Effect: c.effect, Message: c.message})
		wantReason(t, d.PowerOn(t.Context(), ids[c.vm]), prism.TaskFailed)
		rule.Remove()
	}
	if err := d.PowerOn(t.Context(), ids["three"]); err != nil {
		t.Fatal(err)
	}
	got, err := d.Troubles(t.Context(), []string{"one", "three", "four", "unknown"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["one"] != "no address left" || got["four"] != "it is CANCELED and gives no reason" {
		t.Errorf("troubles: %v", got)
	}
	before := d.Requests()
	if got, err := d.Troubles(t.Context(), nil); err != nil || len(got) != 0 || d.Requests() != before {
		t.Errorf("of no machines: %v, %v, %d requests", got, err, d.Requests()-before)
	}
}
