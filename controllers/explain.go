package controllers

import (
	"context"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/prism"
)

// askAgain is how often Prism Central is asked at most about the failed tasks of one cluster.
const askAgain = time.Minute

// failedTasks are what Prism Central said of failed tasks when it was asked last, by cluster and VM name.
type failedTasks struct {
	mu    sync.Mutex
	asked map[client.ObjectKey]time.Time
	found map[client.ObjectKey]map[string]string
}

// of is what was found about a cluster, and whether it is time to ask again, which then counts as done.
func (f *failedTasks) of(cluster client.ObjectKey, now time.Time) (found map[string]string, ask bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked, f.found = map[client.ObjectKey]time.Time{}, map[client.ObjectKey]map[string]string{}
	}
	at, before := f.asked[cluster]
	ask = !before || now.Sub(at) >= askAgain
	if ask {
		f.asked[cluster] = now
	}
	return f.found[cluster], ask
}

func (f *failedTasks) put(cluster client.ObjectKey, found map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found[cluster] = found
}

func (f *failedTasks) forget(cluster client.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.asked, cluster)
	delete(f.found, cluster)
}

// explain completes what holds a cluster up by what Prism Central says of tasks that failed, where no object says
// anything. Nothing waits for the answer: it is there at the next look.
func (r *ClusterReconciler) explain(v *view) {
	cluster := v.cluster
	names := v.health.Silent()
	if len(names) == 0 {
		return
	}
	key := client.ObjectKeyFromObject(cluster)
	found, ask := r.compared.tasks.of(key, r.Now())
	v.health.Explain(found)
	if !ask {
		return
	}
	account := client.ObjectKey{Namespace: cluster.Namespace, Name: cluster.Spec.AccountRef.Name}
	r.sites.order(account, func(ctx context.Context, door *prism.Door) {
		// What cannot be asked now is asked again.
		if troubles, err := door.Troubles(ctx, names); err == nil {
			r.compared.tasks.put(key, troubles)
		}
	})
}
