package simulator_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// pagesOf reads so many pages of 50 VMs and returns how often each name came,
// and the total of each page.
func pagesOf(t *testing.T, s *simulator.Server, pages int) (seen map[string]int, totals []int) {
	t.Helper()
	seen = map[string]int{}
	for page := range pages {
		got := call(t, s, http.MethodGet, fmt.Sprintf("%s?$page=%d", vmsPath, page), "")
		items, _ := got.body["data"].([]any)
		for _, item := range items {
			seen[item.(map[string]any)["name"].(string)]++
		}
		totals = append(totals, totalOf(got))
	}
	return seen, totals
}

func manyVMs(n int) func(*simulator.Options) {
	return func(o *simulator.Options) {
		for i := range n {
			o.Model.VMs = append(o.Model.VMs, smallVM(fmt.Sprintf("vm-%03d", i)))
		}
	}
}

func TestListsThatLie(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  simulator.Fault
		totals []int
		// names is how many different VMs are seen, most how often one of them.
		names, most int
		// left is how many VMs there are in the end.
		left int
	}{
		"Honest":     {simulator.Fault{Effect: simulator.EffectSlow, Delay: 1}, []int{120, 120, 120}, 120, 1, 120},
		"TooMany":    {simulator.Fault{Effect: simulator.EffectTotal, Total: 400}, []int{400, 400, 400}, 120, 1, 120},
		"TooFew":     {simulator.Fault{Effect: simulator.EffectTotal, Total: 60, Times: 1}, []int{60, 120, 120}, 120, 1, 120},
		"NoTotal":    {simulator.Fault{Effect: simulator.EffectTotal, Total: -1}, []int{-1, -1, -1}, 120, 1, 120},
		"Repeat":     {simulator.Fault{Effect: simulator.EffectRepeat}, []int{1e9, 1e9, 1e9}, 50, 3, 120},
		"RepeatTo":   {simulator.Fault{Effect: simulator.EffectRepeat, Total: 150}, []int{150, 150, 150}, 50, 3, 120},
		"Vanish":     {simulator.Fault{Effect: simulator.EffectVanish, Times: 1}, []int{120, 119, 119}, 119, 1, 119},
		"VanishOne":  {simulator.Fault{Effect: simulator.EffectVanish, VM: "vm-110", Page: 1}, []int{120, 120, 119}, 119, 1, 119},
		"VanishLate": {simulator.Fault{Effect: simulator.EffectVanish, Page: 9}, []int{120, 120, 120}, 120, 1, 120},
		"Appear":     {simulator.Fault{Effect: simulator.EffectAppear, VM: "vm-999"}, []int{120, 121, 121}, 121, 1, 121},
		"Hide":       {simulator.Fault{Effect: simulator.EffectHide, VM: "vm-010"}, []int{119, 119, 119}, 119, 1, 120},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, manyVMs(120))
			if _, err := s.AddFault(c.fault); err != nil {
				t.Fatal(err)
			}
			seen, totals := pagesOf(t, s, 3)
			most := 0
			for _, n := range seen {
				most = max(most, n)
			}
			if fmt.Sprint(totals) != fmt.Sprint(c.totals) || len(seen) != c.names || most != c.most {
				t.Errorf("totals %v, %d names, up to %d times; want %v, %d, %d", totals, len(seen), most, c.totals, c.names, c.most)
			}
			if got := len(s.VMs()); got != c.left {
				t.Errorf("%d VMs are left, want %d", got, c.left)
			}
		})
	}
}

// TestVMVanishesBetweenPages shows what a naive reader misses: the VM that moved
// onto the page that was read already.
func TestVMVanishesBetweenPages(t *testing.T) {
	t.Parallel()
	s := newServer(t, manyVMs(60))
	if _, err := s.AddFault(simulator.Fault{Effect: simulator.EffectVanish, VM: "vm-010", Times: 1}); err != nil {
		t.Fatal(err)
	}
	seen, _ := pagesOf(t, s, 2)
	if seen["vm-010"] != 1 || seen["vm-050"] != 0 || len(seen) != 59 {
		t.Errorf("saw vm-010 %d times, vm-050 %d times, %d in all", seen["vm-010"], seen["vm-050"], len(seen))
	}
	again, _ := pagesOf(t, s, 2)
	if again["vm-010"] != 0 || again["vm-050"] != 1 {
		t.Errorf("the second time: vm-010 %d times, vm-050 %d times", again["vm-010"], again["vm-050"])
	}
}

func TestTasksThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   simulator.Fault
		status  string
		message string
		errors  int
	}{
		"Failed":      {simulator.Fault{Effect: simulator.EffectTaskFailed, Message: "no host"}, "FAILED", "no host", 1},
		"Silent":      {simulator.Fault{Effect: simulator.EffectTaskFailed}, "FAILED", "", 0},
		"NoText":      {simulator.Fault{Effect: simulator.EffectTaskNoText}, "FAILED", "", 1},
		"Canceled":    {simulator.Fault{Effect: simulator.EffectTaskCanceled}, "CANCELED", "", 0},
		"Suspended":   {simulator.Fault{Effect: simulator.EffectTaskSuspended}, "SUSPENDED", "", 0},
		"Endless":     {simulator.Fault{Effect: simulator.EffectTaskEndless}, "RUNNING", "", 0},
		"Element":     {simulator.Fault{Effect: simulator.EffectTaskFailed, Element: "PE-1", Message: "x"}, "FAILED", "x", 1},
		"OtherVM":     {simulator.Fault{Effect: simulator.EffectTaskFailed, VM: "edge-02"}, "SUCCEEDED", "", 0},
		"Unreachable": {simulator.Fault{Effect: simulator.EffectUnreachable, Element: "PE-1"}, "FAILED", "cluster PE-1 is not reachable from Prism Central", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			rule, err := s.AddFault(c.fault)
			if err != nil {
				t.Fatal(err)
			}
			started := call(t, s, http.MethodPost, vmsPath, vmBody(t, simulator.DefaultModel(), "edge-01"))
			task := call(t, s, http.MethodGet, tasksPath+"/"+started.data(t)["extId"].(string), "").data(t)
			messages, _ := task["errorMessages"].([]any)
			message := ""
			if len(messages) > 0 {
				message, _ = messages[0].(map[string]any)["message"].(string)
			}
			if task["status"] != c.status || message != c.message || len(messages) != c.errors {
				t.Errorf("task %v", task)
			}
			affected := task["entitiesAffected"].([]any)[0].(map[string]any)
			if affected["name"] != "edge-01" || affected["rel"] != "vmm:ahv:config:vm" || task["createdTime"] == "" {
				t.Errorf("task %v does not name the VM", task)
			}
			created := 0
			if c.status == "SUCCEEDED" {
				created = 1
			}
			if len(s.VMs()) != created || rule.Hits() != 1-created {
				t.Errorf("%d VMs and %d hits", len(s.VMs()), rule.Hits())
			}
		})
	}
}

func TestUnreachablePrismElement(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	available := func() map[string]any {
		got := map[string]any{}
		for _, item := range call(t, s, http.MethodGet, "/api/clustermgmt/v4.2/config/clusters", "").body["data"].([]any) {
			cluster := item.(map[string]any)
			got[cluster["name"].(string)] = cluster["config"].(map[string]any)["isAvailable"]
		}
		return got
	}
	rule, err := s.AddFault(simulator.Fault{Effect: simulator.EffectUnreachable, Element: "PE-2"})
	if err != nil {
		t.Fatal(err)
	}
	if got := available(); got["PE-1"] != true || got["PE-2"] != false {
		t.Errorf("available %v, want PE-1 only", got)
	}
	rule.Remove()
	if got := available(); got["PE-2"] != true {
		t.Errorf("available %v, want both again", got)
	}
}
