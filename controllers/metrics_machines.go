package controllers

import (
	"context"
	"fmt"
	"maps"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/kube"
)

// Labels by which Cluster API says what a Machine belongs to.
const (
	clusterNameLabel    = "cluster.x-k8s.io/cluster-name"
	controlPlaneLabel   = "cluster.x-k8s.io/control-plane"
	deploymentNameLabel = "cluster.x-k8s.io/deployment-name"
)

// ledger tells Machines that were re-created from those that were removed, by comparing one look at a cluster with the
// one before. It is kept in memory: what happens while nobody looks is not counted.
type ledger struct {
	mu sync.Mutex
	by map[client.ObjectKey]map[string]owned
}

// owned are the Machines of a control plane or pool.
type owned struct {
	desired int32
	there   map[types.UID]bool
	// owed is how many are still to go with nothing in their place.
	owed int
}

// look takes what is there now and says what went since the last look. A Machine that went although as many are wanted
// as before was re-created, or is about to be.
func (l *ledger) look(cluster client.ObjectKey, now map[string]owned) (recreated, removed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[client.ObjectKey]map[string]owned{}
	}
	before := l.by[cluster]
	for name := range before {
		if _, ok := now[name]; !ok {
			now[name] = owned{}
		}
	}
	for name, o := range now {
		was := before[name]
		gone := 0
		for uid := range was.there {
			if !o.there[uid] {
				gone++
			}
		}
		o.owed = max(0, was.owed+int(was.desired)-int(o.desired))
		took := min(gone, o.owed)
		removed, recreated = removed+took, recreated+gone-took
		if o.owed -= took; len(o.there) <= int(o.desired) {
			o.owed = 0
		}
		now[name] = o
		if len(o.there) == 0 && o.desired == 0 {
			delete(now, name)
		}
	}
	l.by[cluster] = now
	return recreated, removed
}

func (l *ledger) forget(cluster client.ObjectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, cluster)
}

// countMachines counts the Machines of a cluster that went since the last look, and gives those that are there; nil
// without a Cluster.
func (r *ClusterReconciler) countMachines(ctx context.Context, key client.ObjectKey, h kube.Health) (map[string]owned, error) {
	if !h.Found {
		return nil, nil //nolint:nilnil // no Cluster, no Machines
	}
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(machineGVK.GroupVersion().WithKind("MachineList"))
	if err := r.List(ctx, all, client.InNamespace(key.Namespace), client.MatchingLabels{clusterNameLabel: key.Name}); err != nil {
		return nil, fmt.Errorf("listing Machines: %w", err)
	}
	now := map[string]owned{"": {desired: h.ControlPlane.Desired, there: map[types.UID]bool{}}}
	for name, counts := range h.Pools {
		now[name] = owned{desired: counts.Desired, there: map[types.UID]bool{}}
	}
	for i := range all.Items {
		m := &all.Items[i]
		name, pool := m.Labels[deploymentNameLabel]
		if _, ours := m.Labels[controlPlaneLabel]; !ours && !pool {
			continue // made by hand
		}
		if _, ok := now[name]; !ok {
			now[name] = owned{there: map[types.UID]bool{}}
		}
		now[name].there[m.UID] = true
	}
	r.metrics.begin(key)
	remade, gone := r.machines.look(key, maps.Clone(now))
	add(r.metrics.observed, key, recreated, remade)
	add(r.metrics.observed, key, removed, gone)
	return now, nil
}
