package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
)

// claims has newcomers of all Fleets come one at a time, so that no two take the same name or endpoint.
type claims struct {
	mu sync.Mutex
	// by is the reconcile that claimed last. What it listed, with its own newcomers, serves it for a while.
	by     *scene
	listed time.Time
	taken  flow.Mirrored
}

// listedFor is how long a reconcile with many newcomers goes by what it listed. Fleets of this operator are told of each
// other at once; only what a person creates by hand meanwhile is seen later.
const listedFor = 5 * time.Second

// acceptNew accepts a cluster that has no mirror yet. Newcomers come one at a time, until their mirror is there for others
// to see.
func (r *FleetReconciler) acceptNew(ctx context.Context, s *scene, p *proposal) error {
	r.claims.mu.Lock()
	defer r.claims.mu.Unlock()
	if err := r.claim(ctx, s, p); err != nil {
		return err
	}
	if err := r.acceptOne(ctx, s, p); err != nil {
		r.claims.by = nil // who knows what is there now
		return err
	}
	r.claims.add(s, p)
	return nil
}

// claim looks again whether a newcomer's name and endpoint are free: another Fleet may have taken them since this
// reconcile began, and then it begins anew.
func (r *FleetReconciler) claim(ctx context.Context, s *scene, p *proposal) error {
	if r.claims.by != s || r.Now().Sub(r.claims.listed) > listedFor {
		listed := r.Now()
		clusters, accounts := &v1alpha1.NutanixClusterSpecList{}, &v1alpha1.CloudAccountList{}
		if err := r.Reader.List(ctx, clusters); err != nil {
			return fmt.Errorf("listing NutanixClusterSpecs: %w", err)
		}
		if err := r.Reader.List(ctx, accounts); err != nil {
			return fmt.Errorf("listing CloudAccounts: %w", err)
		}
		r.claims.by, r.claims.listed = s, listed
		r.claims.taken = flow.Mirrored{Namespace: s.fleet.Namespace, Clusters: clusters.Items, Accounts: accounts.Items}
	}
	if err := r.claims.taken.Taken(*p.declared); err != nil {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("nutanixclusterspecs").GroupResource(), p.name, err)
	}
	return nil
}

// add notes a newcomer that was accepted, and its account.
func (c *claims) add(s *scene, p *proposal) {
	if mirror := s.mirrors[p.name]; mirror != nil {
		c.taken.Clusters = append(c.taken.Clusters, *mirror)
	}
	account := s.entered[p.declared.Account.Object.Name]
	if account == nil {
		return
	}
	at := slices.IndexFunc(c.taken.Accounts, func(a v1alpha1.CloudAccount) bool {
		return a.Namespace == account.Namespace && a.Name == account.Name
	})
	if at < 0 {
		c.taken.Accounts = append(c.taken.Accounts, *account)
		return
	}
	c.taken.Accounts[at] = *account
}

// done lets go of what a reconcile listed.
func (c *claims) done(s *scene) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == s {
		c.by, c.taken = nil, flow.Mirrored{}
	}
}
