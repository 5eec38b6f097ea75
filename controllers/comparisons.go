package controllers

import (
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/render/drift"
	"github.com/refract-dev/refract/render/site"
)

// comparisons are what the machines of each account and cluster were found to be when they were last compared with Prism
// Central. After a restart they are made anew; until then what stands in a status stays.
type comparisons struct {
	mu       sync.Mutex
	accounts map[client.ObjectKey]compared
	clusters map[client.ObjectKey]findings

	// tasks that failed, of machines whose creation no object explains.
	tasks failedTasks
}

// compared is what one comparison of an account's machines knew.
type compared struct {
	// inventory that was compared, and whether machines were looked at one by one since.
	inventory *site.Inventory
	checked   bool
	// owned are the ExtIDs of VMs that a machine of this management cluster names.
	owned map[string]bool
	// once are those that one named since this process started: what is left of them is an orphan of ours.
	once map[string]bool
	// settled are the ExtIDs of VMs whose machines are ready, and since when that is known: what an inventory that was begun
	// later shows of one of them is nobody's work in progress.
	settled map[string]time.Time
	// gone are VMs of machines that Prism Central, asked for them, did not know: they do not come back.
	gone map[string]bool
	// strangers are VMs that were looked at and are nobody's.
	strangers map[string]bool
}

// findings of one cluster, and in how many inventories in a row each was seen.
type findings struct {
	inventory *site.Inventory
	all       []drift.Finding
	times     map[string]int
}

// last is what the last comparison of an account knew.
func (c *comparisons) last(account client.ObjectKey) compared {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accounts[account]
}

func (c *comparisons) keep(account client.ObjectKey, done compared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts == nil {
		c.accounts = map[client.ObjectKey]compared{}
	}
	c.accounts[account] = done
}

// of is what was found about a cluster's machines; false when nothing was compared yet.
func (c *comparisons) of(cluster client.ObjectKey) ([]drift.Finding, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.clusters[cluster]
	return f.all, ok
}

// put keeps what one comparison found about a cluster and says whether that is news, and which findings have lasted for
// two intervals.
func (c *comparisons) put(cluster client.ObjectKey, inventory *site.Inventory, found []drift.Finding) (news bool, lasting []drift.Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clusters == nil {
		c.clusters = map[client.ObjectKey]findings{}
	}
	before, known := c.clusters[cluster]
	times := map[string]int{}
	for _, f := range found {
		n := before.times[identify(f)]
		if before.inventory != inventory {
			n++
			if n > 2 {
				lasting = append(lasting, f)
				n = 0
			}
		}
		times[identify(f)] = n
	}
	c.clusters[cluster] = findings{inventory: inventory, all: found, times: times}
	return !known || !slices.EqualFunc(before.all, found, sameFinding), lasting
}

func (c *comparisons) forget(cluster client.ObjectKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.clusters, cluster)
	c.tasks.forget(cluster)
}

func identify(f drift.Finding) string {
	return string(f.Kind) + " " + f.ExtID + " " + f.VM + " " + f.Field
}

func sameFinding(a, b drift.Finding) bool {
	return identify(a) == identify(b) && a.Wanted == b.Wanted && a.Found == b.Found && a.HandsOff == b.HandsOff && a.Repair == b.Repair
}
