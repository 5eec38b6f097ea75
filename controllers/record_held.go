package controllers

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/render/plan"
)

// HeldPlan is a plan that waits for a person, as the operator recorded it.
type HeldPlan struct {
	// Plan in full.
	Plan plan.Plan
	// Revision that asks for it, "main@sha1:…"; may be empty.
	Revision string
	// RecordedAt is when it was first recorded.
	RecordedAt time.Time
}

// ReadHeldPlan reads the plan that is held on a cluster from its record, for whoever may read that Secret; nil when none
// is held, or none that this version reads. Nothing in a plan is secret, but the Secret's other keys tell of the cluster.
func ReadHeldPlan(ctx context.Context, reader client.Reader, cluster client.ObjectKey) (*HeldPlan, error) {
	rec, err := records{reader: reader}.get(ctx, cluster)
	if err != nil {
		return nil, err
	}
	p := rec.Held.unpacked()
	if p == nil {
		return nil, nil
	}
	return &HeldPlan{Plan: *p, Revision: rec.Held.Revision, RecordedAt: rec.Held.RecordedAt.Time}, nil
}
