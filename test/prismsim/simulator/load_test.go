package simulator_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

func TestModelSurvivesYAML(t *testing.T) {
	t.Parallel()
	model := simulator.DefaultModel()
	model.VMs = []simulator.VM{smallVM("edge-01")}
	written, err := model.YAML()
	if err != nil {
		t.Fatal(err)
	}
	read, err := simulator.LoadModel(written)
	if err != nil {
		t.Fatalf("%v in\n%s", err, written)
	}
	addresses := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(model, read, addresses, prefixes); diff != "" {
		t.Errorf("the model changed:\n%s", diff)
	}
}

func TestModelFileWithMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"UnknownField":  {"prismElements: [{name: a, colour: red}]", `"colour"`},
		"UnknownPart":   {"clusters: []", `"clusters"`},
		"Twice":         {"images: []\nimages: []", "images"},
		"NotYAML":       {"images: [", "model"},
		"Contradiction": {"vms: [{name: a, prismElement: b, sockets: 1, coresPerSocket: 1, memoryBytes: 1}]", `VM "a"`},
	} {
		if _, err := simulator.LoadModel([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestFaultsFromAFile(t *testing.T) {
	t.Parallel()
	got, err := simulator.LoadFaults([]byte(`
- name: throttled
  method: GET
  path: /api/vmm/*
  effect: Error
  status: 429
  retryAfter: 2s
  times: 3
- effect: Slow
  delay: 1m30s
  after: 1
  vm: edge-01
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []simulator.Fault{
		{
			Name: "throttled", Method: http.MethodGet, Path: "/api/vmm/*", Effect: simulator.EffectError,
			Status: 429, RetryAfter: 2 * time.Second, Times: 3,
		},
		{Effect: simulator.EffectSlow, Delay: 90 * time.Second, After: 1, VM: "edge-01"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct{ file, want string }{
		"UnknownField": {"- {effect: Drop, when: always}", `"when"`},
		"Delay":        {"- {effect: Slow, delay: soon}", "delay"},
		"Number":       {"- {effect: Slow, delay: 5}", "delay"},
		"NoList":       {"effect: Slow", "faults"},
	} {
		if _, err := simulator.LoadFaults([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
