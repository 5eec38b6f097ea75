package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cost of one changed cluster.
type cost struct {
	Requests map[string]int
	Renders  int64
}

// TestFleets makes fleets of several sizes, one after the other, and counts what they cost: to come up, to have one
// cluster changed, which costs the same in all, and to have nothing done to the largest.
func TestFleets(t *testing.T) {
	all := sizes()
	costs := make([]cost, len(all))
	for i, n := range all {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := comeUp(t, n)
			h.settle()
			costs[i] = h.oneChange()
			if i == len(all)-1 {
				h.heap()
				h.idle()
			}
		})
	}
	if t.Failed() {
		return
	}
	for i, n := range all[1:] {
		if diff := cmp.Diff(costs[0], costs[i+1]); diff != "" {
			t.Errorf("one changed cluster costs another number of requests in a fleet of %d than in one of %d (-%[2]d +%[1]d):\n%[3]s", n, all[0], diff)
		}
	}
}

// isEvent says whether a request tells an event: their number depends on which ones repeat.
func isEvent(r request) bool { return r.Resource == "events" }

// oneChange has a health check of one cluster wait longer.
func (h *herd) oneChange() cost {
	t, n := h.T, len(h.names)
	t.Helper()
	before := h.op.usage(t)
	name, host := names(n / 2)
	text := strings.Replace(clusterFile(name, host, ""), "    replicas: 1\n", "    replicas: 1\n    healthCheck: {enabled: true, nodeStartupTimeoutSeconds: 900}\n", 1)
	h.look(h.Push("a longer timeout", map[string]string{"fleet/" + name + ".yaml": text}))
	h.Within(patience, "the change is applied", func() error {
		o := h.Object("cluster.x-k8s.io/v1beta2", "MachineHealthCheck", name+"-kcp")
		if o == nil || !strings.Contains(fmt.Sprint(o.Object["spec"]), "900") {
			return fmt.Errorf("%v", o)
		}
		return nil
	})
	spent := h.quiet().since(before)
	c := cost{Requests: map[string]int{}, Renders: spent.Renders}
	for r, count := range spent.Requests {
		if r.Verb != "watch" && !isEvent(r) {
			c.Requests[r.String()] += count
		}
	}
	for _, what := range slices.Sorted(maps.Keys(c.Requests)) {
		t.Logf("%4d %s", c.Requests[what], what)
	}
	h.once(spent)
	row(fmt.Sprintf("one changed cluster in a fleet of %d", n), fmt.Sprintf("%d requests, of them %d dry runs and %d writes, and %d events; %d renders",
		spent.total(nil)-spent.total(isEvent), spent.total(isDryRun), spent.total(isWrite)-spent.total(isEvent), spent.total(isEvent), spent.Renders),
		fmt.Sprintf("%.1f s CPU, %.1f MiB received", spent.CPU.Seconds(), float64(spent.Received)/(1<<20)), "the same requests and renders in all")
	return c
}
