package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// cost of one changed cluster.
type cost struct {
	Requests map[string]int
	Renders  int64
}

// TestFleets makes fleets of several sizes, one after the other, and counts what they cost: to come up, to have one
// cluster changed, which costs the same in all, and to have nothing done to the largest.
func TestFleets(t *testing.T) {
	every, err := inventories()
	if err != nil {
		t.Fatal(err)
	}
	all := sizes()
	costs := make([]cost, len(all))
	for i, n := range all {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := comeUp(t, n, every)
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
		for _, much := range costs[i+1].beyond(costs[0]) {
			t.Errorf("one changed cluster costs more in a fleet of %d than in one of %d: %s", n, all[0], much)
		}
	}
}

// slack is how often something may be asked more in one run than in another: what a change sets off may come in one
// reconcile or in two. It is less than what each cluster of a larger fleet would add.
const slack = 4

// beyond says what costs more than in another fleet.
func (c cost) beyond(other cost) []string {
	var all []string
	for _, asked := range slices.Sorted(maps.Keys(c.Requests)) {
		if c.Requests[asked] > other.Requests[asked]+slack {
			all = append(all, fmt.Sprintf("%s %d times, not %d", asked, c.Requests[asked], other.Requests[asked]))
		}
	}
	if c.Renders > other.Renders+1 {
		all = append(all, fmt.Sprintf("%d renders, not %d", c.Renders, other.Renders))
	}
	return all
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
	for _, asked := range slices.Sorted(maps.Keys(c.Requests)) {
		t.Logf("%4d %s", c.Requests[asked], asked)
	}
	h.once(spent)
	row(fmt.Sprintf("one changed cluster in a fleet of %d", n), fmt.Sprintf("%d requests, of them %d dry runs and %d writes, and %d events; %d renders",
		spent.total(nil)-spent.total(isEvent), spent.total(isDryRun), spent.total(isWrite)-spent.total(isEvent), spent.total(isEvent), spent.Renders),
		fmt.Sprintf("%.1f s CPU, %.1f MiB received", spent.CPU.Seconds(), float64(spent.Received)/(1<<20)), "the same requests and renders in all")
	return c
}
