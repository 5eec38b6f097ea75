package controllers

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// tallied are the Machines that were there when an accepted plan was begun, and what it said of them: what was said is
// compared with what went, by UID, also across restarts.
type tallied struct {
	// ID of the accepted entry.
	ID string `json:"id"`
	// Revision that it came from.
	Revision string `json:"revision,omitempty"`
	// Removal: the cluster goes as a whole.
	Removal bool `json:"removal,omitempty"`
	// Owners by the name of the pool, "" for the control plane.
	Owners map[string]tally `json:"owners"`
}

// tally is about one control plane or pool.
type tally struct {
	// Moves that were predicted, with what predecessors left undone.
	plan.Moves
	// Desired size when the plan was begun.
	Desired int32 `json:"desired,omitempty"`
	// Owed are machines that a predecessor was still to remove.
	Owed int `json:"owed,omitempty"`
	// Machines that were there.
	Machines []types.UID `json:"machines,omitempty"`
}

// elsewhere stands for machines of which a plan does not say whose they are, as when the whole cluster goes.
const elsewhere = "*"

// ownerKey is the name under which machines of a plan's owner are counted.
func ownerKey(owner string) string {
	kind, name, _ := strings.Cut(owner, "/")
	switch kind {
	case "KubeadmControlPlane":
		return ""
	case "MachineDeployment":
		return name
	}
	return elsewhere
}

// current is the entry that is being carried out, and whether it is a removal; nil when there is none.
func (r record) current() (e *entry, removal bool) {
	if r.Removal != nil {
		return r.Removal, true
	}
	if r.open() {
		return r.Accepted, false
	}
	return nil, false
}

// begin takes down what is there when a plan is begun, before anything of it is applied.
func begin(e *entry, removal bool, p plan.Plan, left map[string]plan.Moves, now map[string]owned) *tallied {
	t := &tallied{ID: e.ID, Revision: e.Revision, Removal: removal, Owners: map[string]tally{}}
	for name, o := range now {
		t.Owners[name] = tally{Desired: o.desired, Machines: slices.Sorted(maps.Keys(o.there))}
	}
	for owner, moves := range p.Moves() {
		one := t.Owners[ownerKey(owner)]
		one.Recreated += moves.Recreated
		one.Removed += moves.Removed
		one.UpTo = one.UpTo || moves.UpTo
		t.Owners[ownerKey(owner)] = one
	}
	for name, moves := range left {
		one := t.Owners[name]
		one.Owed = max(0, moves.Removed-one.Removed)
		one.Recreated, one.Removed = max(one.Recreated, moves.Recreated), max(one.Removed, moves.Removed)
		one.UpTo = one.UpTo || moves.UpTo
		t.Owners[name] = one
	}
	return t
}

// went counts by owner what went of the Machines that were there.
func (t *tallied) went(now map[string]owned) map[string]plan.Moves {
	all := map[string]plan.Moves{}
	for name, one := range t.Owners {
		o := now[name]
		gone := 0
		for _, uid := range one.Machines {
			if !o.there[uid] {
				gone++
			}
		}
		removed := min(gone, max(0, int(one.Desired)-int(o.desired))+one.Owed)
		if t.Removal {
			removed = gone
		}
		remade := gone - removed
		if remade > one.Recreated {
			// What was there beyond the size, as in the middle of a roll, goes without anything in its place.
			remade = max(one.Recreated, remade-max(0, len(one.Machines)-int(one.Desired)))
		}
		all[name] = plan.Moves{Recreated: remade, Removed: removed}
	}
	return all
}

// left is what was predicted and has not happened.
func (t *tallied) left(now map[string]owned) map[string]plan.Moves {
	all := map[string]plan.Moves{}
	for name, went := range t.went(now) {
		said := t.Owners[name]
		moves := plan.Moves{Recreated: max(0, said.Recreated-went.Recreated), Removed: max(0, said.Removed-went.Removed), UpTo: said.UpTo}
		if moves.Recreated+moves.Removed > 0 {
			all[name] = moves
		}
	}
	return all
}

// outcome compares what was predicted with what went.
func (t *tallied) outcome(now map[string]owned, before *v1alpha1.MachineOutcome, carriedOut bool) *v1alpha1.MachineOutcome {
	var said, did, spare plan.Moves
	for name, went := range t.went(now) {
		one := t.Owners[name]
		said.Recreated, said.Removed = said.Recreated+one.Recreated, said.Removed+one.Removed
		did.Recreated, did.Removed = did.Recreated+went.Recreated, did.Removed+went.Removed
		if one.UpTo {
			spare.Recreated += max(0, one.Recreated-went.Recreated)
			spare.Removed += max(0, one.Removed-went.Removed)
		}
	}
	if carriedOut && before != nil && before.CarriedOut && before.Revision == t.Revision {
		// It is over: what goes now is not its doing, but for what this process's cache was late to show.
		did.Recreated = min(did.Recreated, max(int(before.Recreated), said.Recreated))
		did.Removed = min(did.Removed, max(int(before.Removed), said.Removed))
	}
	o := &v1alpha1.MachineOutcome{
		Revision: t.Revision, CarriedOut: carriedOut,
		PredictedRecreated: count32(said.Recreated), Recreated: count32(did.Recreated),
		PredictedRemoved: count32(said.Removed), Removed: count32(did.Removed),
	}
	beyond := max(0, did.Recreated-said.Recreated) + max(0, did.Removed-said.Removed)
	short := max(0, said.Recreated-did.Recreated-spare.Recreated) + max(0, said.Removed-did.Removed-spare.Removed)
	switch {
	case beyond > 0:
		o.Difference = count32(beyond)
	case carriedOut:
		o.Difference = -count32(short)
	}
	return o
}

// count32 is a number of machines as the API holds it.
func count32(n int) int32 { return int32(min(n, 1<<30)) } //nolint:gosec // bounded

// reportOutcome says in status what an accepted plan was predicted to do to machines, and what went.
func (v *view) reportOutcome() {
	if t := v.record.Tallied; t != nil && v.machines != nil {
		v.cluster.Status.Outcome = t.outcome(v.machines, v.cluster.Status.Outcome, !t.Removal && v.record.CarriedOut == t.ID)
	}
}

// beginTally begins to count for a plan that was accepted since, before anything of it is applied. What a predecessor
// left undone is still to come.
func (r *ClusterReconciler) beginTally(ctx context.Context, v *view) error {
	now := v.machines
	e, removal := v.record.current()
	p := e.unpacked()
	before := v.record.Tallied
	if now == nil || p == nil || (before != nil && before.ID == e.ID) {
		return nil
	}
	var left map[string]plan.Moves
	if before != nil && !before.Removal && v.record.CarriedOut != before.ID && !removal {
		left = before.left(now)
	}
	t := begin(e, removal, *p, left, now)
	key := client.ObjectKeyFromObject(v.cluster)
	if err := r.records.put(ctx, key, map[string]any{keyTallied: t}); err != nil {
		return err
	}
	v.record.Tallied = t
	v.cluster.Status.Outcome = nil
	for name, one := range t.Owners {
		add(r.metrics.predicted, key, recreated, one.Recreated-left[name].Recreated)
		add(r.metrics.predicted, key, removed, one.Removed-left[name].Removed)
	}
	return nil
}

// sumOutcomes adds up what the newest revision that changed a cluster was predicted to do to machines, and what it did.
func (s *scene) sumOutcomes() *v1alpha1.MachineOutcome {
	newest := s.newestChange()
	sum := &v1alpha1.MachineOutcome{Revision: newest, CarriedOut: true}
	found := false
	for _, c := range s.mirrors {
		o := c.Status.Outcome
		if o == nil || o.Revision != newest {
			continue
		}
		found = true
		sum.PredictedRecreated += o.PredictedRecreated
		sum.Recreated += o.Recreated
		sum.PredictedRemoved += o.PredictedRemoved
		sum.Removed += o.Removed
		sum.Difference += max(o.Difference, -o.Difference)
		sum.CarriedOut = sum.CarriedOut && o.CarriedOut
	}
	if !found {
		return nil
	}
	return sum
}

// newestChange is the revision of the plan that was accepted last.
func (s *scene) newestChange() string {
	newest, at := "", time.Time{}
	for _, name := range slices.Sorted(maps.Keys(s.mirrors)) {
		if a := s.records[name].Accepted; a != nil && a.Revision != "" && !a.RecordedAt.Time.Before(at) {
			newest, at = a.Revision, a.RecordedAt.Time
		}
	}
	return newest
}
