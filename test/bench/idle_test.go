package bench

import (
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// heap is what each settled cluster takes of the operator's memory.
func (h *herd) heap() {
	h.T.Helper()
	now := h.op.usage(h.T).Heap
	each := (float64(now) - float64(h.empty.Heap)) / float64(len(h.names)) / 1024
	row(fmt.Sprintf("heap after garbage collection, fleet of %d", len(h.names)),
		fmt.Sprintf("%.0f KiB a cluster", each), fmt.Sprintf("%.1f MiB in all", float64(now)/(1<<20)), "at most 100 KiB a cluster")
	if full() && len(h.names) >= 100 && each > 100 {
		h.T.Errorf("each cluster takes %.0f KiB of the heap, want at most 100", each)
	}
}

// idle watches a fleet to which nothing is done: each interval costs one ref listing, and nothing is written or dry-run.
// A measurement lasts as long as it takes to look at every cluster once.
func (h *herd) idle() {
	h.T.Helper()
	interval, long := 5*time.Second, 15*time.Second
	if full() {
		interval, long = 30*time.Second, 5*time.Minute
	}
	f := &v1alpha1.Fleet{}
	f.Namespace, f.Name = h.Namespace, fleetName
	patch := fmt.Appendf(nil, `{"spec":{"interval":%q}}`, interval)
	if err := h.Client.Patch(h.T.Context(), f, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		h.T.Fatal(err)
	}
	h.listings(2) // the change of the interval is said in the status
	before, begin := h.op.usage(h.T), time.Now()
	n := h.listings(int64(long / interval))
	took := time.Since(begin)
	spent := h.op.usage(h.T).since(before)
	if allowed := int64(took/interval) + 1; n > allowed {
		h.T.Errorf("%d ref listings in %s, want at most %d", n, took, allowed)
	}
	for r, count := range spent.Requests {
		if r.writes() {
			h.T.Errorf("an idle fleet is written: %s %s, %d times", r, r.Name, count)
		}
	}
	minutes := took.Minutes()
	row(fmt.Sprintf("idle fleet of %d, interval %s, inventories every %s", len(h.names), interval, h.every),
		fmt.Sprintf("%.0f requests a minute, all reads; %d ref listings in %d intervals", float64(spent.total(nil))/minutes, n, int64(long/interval)),
		fmt.Sprintf("%.1f s CPU a minute", spent.CPU.Seconds()/minutes), "no write, no dry run, one ref listing an interval")
}

// listings waits until the refs have been listed some more times, and says how often they were.
func (h *herd) listings(more int64) int64 {
	h.T.Helper()
	begin := h.listed.Load()
	h.Within(patience, fmt.Sprintf("%d ref listings", more), func() error {
		if n := h.listed.Load() - begin; n < more {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	return h.listed.Load() - begin
}
