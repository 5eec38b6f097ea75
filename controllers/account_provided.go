package controllers

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// provided remembers which clusters have their credentials, so that nothing of the others is read when one cluster changes,
// or none does. It is a cache: after a restart each cluster is looked at once.
type provided struct {
	mu sync.Mutex
	by map[client.ObjectKey]string
}

func (g *provided) is(cluster client.ObjectKey, token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return token != "" && g.by[cluster] == token
}

// keep remembers that a cluster has what the token stands for.
func (g *provided) keep(cluster client.ObjectKey, token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by == nil {
		g.by = map[client.ObjectKey]string{}
	}
	g.by[cluster] = token
}

// watched are the objects that hold a cluster's credentials, by the watch on their metadata; nil when one is missing.
func (r *AccountReconciler) watched(ctx context.Context, c *v1alpha1.NutanixClusterSpec, creds credentials) ([]client.Object, error) {
	all := given(client.ObjectKeyFromObject(c))
	if len(creds.trust) == 0 {
		all = all[:2]
	}
	for i, o := range all {
		have := partial(o.GetObjectKind().GroupVersionKind())
		if err := r.Watched.Get(ctx, client.ObjectKeyFromObject(o), have); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		all[i] = have
	}
	return all, nil
}

// tokenOf stands for what a cluster is given, and for the versions in which it is there; empty when it is not.
func tokenOf(a *v1alpha1.CloudAccount, c *v1alpha1.NutanixClusterSpec, creds credentials, there []client.Object) string {
	if len(there) == 0 {
		return ""
	}
	parts := []string{fmt.Sprintf("%s %d %s %d %s %q %q %q", a.UID, a.Generation, c.UID, c.Generation, creds.version, creds.account, creds.workload, creds.trust)}
	for _, o := range there {
		parts = append(parts, string(o.GetUID()), o.GetResourceVersion())
	}
	return digestOf(parts...)
}
