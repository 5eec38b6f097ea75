package controllers

import (
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/render/plan"
	planview "github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/render/preflight"
)

// measure looks whether what a pull request showed to fit into Prism Central still does. Where that is not known, nothing
// is said: the cluster's own preflight decides.
func (r *FleetReconciler) measure(s *scene) {
	s.roomless = nil
	if s.reviewed == nil || len(s.reviewed.Capacity) == 0 || r.sites == nil || flow.Modes(s.fleet).Capacity == v1alpha1.PreflightOff {
		return
	}
	var ins []preflight.Input
	for _, name := range slices.Sorted(maps.Keys(s.proposed)) {
		if in, ok := r.need(s, s.proposed[name]); ok {
			ins = append(ins, in)
		}
	}
	s.roomless = roomless(flow.Capacity(ins), s.reviewed.Capacity)
	for _, in := range ins {
		if len(s.roomless[in.Cluster.Name]) > 0 {
			r.sites.refresh(client.ObjectKey{Namespace: s.fleet.Namespace, Name: in.Cluster.Spec.AccountRef.Name}, freshInventory)
		}
	}
}

// need is what the new machines of a cluster that Git changes need; false when there are none, or they were accepted
// before.
func (r *FleetReconciler) need(s *scene, p *proposal) (preflight.Input, bool) {
	if p.held != nil || p.declared == nil || p.cause != plan.CauseGit || !p.flow.Plan.Approvable() {
		return preflight.Input{}, false
	}
	if u := s.records[p.name].unfinished(); u != nil && p.flow.Plan.CoveredBy(u.Plan) {
		return preflight.Input{}, false
	}
	coming := p.flow.Coming()
	if len(coming) == 0 {
		return preflight.Input{}, false
	}
	account := client.ObjectKey{Namespace: s.fleet.Namespace, Name: p.declared.Object.Spec.AccountRef.Name}
	in := p.flow.Needs(p.declared.Object, coming)
	in.Site, in.Owned = r.sites.of(account).inventory, r.compared.last(account).owned
	return in, true
}

// roomless says, by cluster, which room that was shown is not enough any more.
func roomless(now, shown []planview.Capacity) map[string][]string {
	gone := map[string][]string{}
	for _, c := range now {
		for _, was := range shown {
			if was.Account != c.Account || was.Element != c.Element {
				continue
			}
			if words := c.Since(was); words != "" {
				for _, name := range c.Clusters {
					gone[name] = append(gone[name], words)
				}
			}
		}
	}
	return gone
}
