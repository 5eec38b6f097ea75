package plan

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Compute finds the changes from live to wanted. It cannot fail: what is not known counts as the worse.
//
// A refused or foreign object yields no step. A plan with Forbidden changes or Foreign objects is never to be applied.
func Compute(pairs []Pair, o Options) Plan {
	c := computation{
		options: o,
		owners:  ownersOf(pairs),
		cluster: liveCluster(pairs),
		plan:    Plan{Cluster: o.Cluster},
	}
	total, upTo, gone := deletedCluster(pairs)
	if gone {
		c.destroy(pairs, total, upTo)
		return c.plan
	}
	c.machines = total
	c.lookAtControlPlane(pairs)
	for _, p := range pairs {
		if p.Want != nil {
			c.wanted(p)
		}
	}
	for _, p := range slices.Backward(pairs) {
		if p.Want == nil && p.Live != nil && len(p.Foreign) == 0 {
			c.unwanted(p)
		}
	}
	return c.plan
}

// Deletion is the plan to delete a whole cluster with so many machines: one change, a Destroy. Count an autoscaled pool
// with its maximum, or the digest goes stale when the pool grows; upTo says that there is one.
func Deletion(cluster Ref, machines int, upTo bool) Plan {
	return Plan{Cluster: cluster.Name, Changes: []Change{{
		Object: cluster, Action: Delete, To: "deleted", Severity: v1alpha1.SeverityDestroy, Machines: machines, UpTo: upTo,
		Owner: cluster.String(), Reason: "deletes the whole cluster with " + bounded(machines, upTo),
	}}}
}

// Orphan is the plan to let go of a cluster and leave all of it as it is.
func Orphan(cluster Ref) Plan {
	return Plan{Cluster: cluster.Name, Changes: []Change{{
		Object: cluster, Action: Release, To: "released", Severity: v1alpha1.SeverityMetadata, Owner: cluster.String(),
		Reason: "Refract lets go of the cluster; nothing of it is deleted",
	}}}
}

// computation is one run of Compute: the plan so far, and what rules look up beside their own pair.
type computation struct {
	options Options
	owners  []owner
	cluster *unstructured.Unstructured
	// machines of the cluster now, and those of its control plane.
	machines, controlPlane int
	// domains are the control plane's failure domains by name, as wanted.
	domains map[string]bool
	plan    Plan
}

func (c *computation) lookAtControlPlane(pairs []Pair) {
	c.domains = map[string]bool{}
	for _, p := range pairs {
		switch {
		case p.Want == nil:
		case p.Want.GetKind() == kindControlPlane && p.Live != nil:
			c.controlPlane, _ = owned(p)
		case p.Want.GetKind() == kindNutanixCluster:
			list, _ := lookup(p.Want, "spec", "controlPlaneFailureDomains").([]any)
			for name := range byKey(list, "name") {
				c.domains[name] = true
			}
		}
	}
}

func (c *computation) wanted(p Pair) {
	ref := RefOf(p.Want)
	if len(p.Foreign) > 0 {
		c.plan.Foreign = append(c.plan.Foreign, Foreign{Object: ref, Managers: slices.Clone(p.Foreign)})
		return
	}
	before := len(c.plan.Changes)
	c.plan.Predicted = c.plan.Predicted || (p.DryRun == nil && p.Refused == "")
	if p.Live == nil {
		c.create(p, ref)
	} else {
		c.update(p, ref)
	}
	if p.Refused != "" {
		c.add(p, Change{
			Object: ref, Action: actionOn(p), To: "refused", Severity: v1alpha1.SeverityForbidden, Owner: c.ownerOf(ref).name,
			Reason: "the API server refuses it: " + refusal(p),
		})
		return
	}
	if len(c.plan.Changes) == before {
		return
	}
	if p.Live != nil {
		c.untold(p, ref, before)
	}
	step := Step{Action: actionOn(p), Object: ref, Want: p.Want}
	if p.Live != nil {
		step.UID, step.Generation = p.Live.GetUID(), p.Live.GetGeneration()
	}
	c.plan.Objects = append(c.plan.Objects, step)
}

// untold adds the machines that Cluster API re-creates once p is applied although no change of p says so: whatever made
// it, a roll is never part of a plan in place.
func (c *computation) untold(p Pair, ref Ref, before int) {
	r := freshRoll(p)
	if r.machines == 0 {
		return
	}
	for _, change := range c.plan.Changes[before:] {
		if change.Severity == v1alpha1.SeverityRollout || change.Severity == v1alpha1.SeverityForbidden {
			return
		}
	}
	c.add(p, Change{
		Object: ref, Action: Update, To: "rolled", Severity: v1alpha1.SeverityRollout, Machines: r.machines, UpTo: r.upTo,
		Owner: ref.String(), Reason: "Cluster API would replace machines with this: " + r.reason(),
	})
}

func actionOn(p Pair) Action {
	if p.Live == nil {
		return Create
	}
	return Update
}

func (c *computation) create(p Pair, ref Ref) {
	own := c.ownerOf(ref)
	if p.Previous != nil && c.renamed(p, ref, own) {
		return
	}
	v := c.creation(p, own)
	c.add(p, Change{
		Object: ref, Action: Create, To: contentDigest(ref.Kind, substance(p.Want)), Severity: v.severity,
		Machines: v.machines, UpTo: v.upTo, Owner: own.name, Reason: v.reason,
	})
}

// renamed shows a template under a new name as the fields by which it differs from the one referred to now; false when
// it differs in none.
func (c *computation) renamed(p Pair, ref Ref, own owner) bool {
	v := templateVerdict(own)
	if c.forControlPlane(ref) {
		v = c.staysBehind()
	}
	deltas := c.deltas(Pair{Want: p.Want, Live: p.Previous, DryRun: p.DryRun})
	shown := false
	for _, d := range deltas {
		if !d.path.under("spec") {
			continue
		}
		shown = true
		c.addField(p, Change{Object: ref, Action: Create, Owner: own.name}, d, v)
	}
	return shown
}

func (c *computation) update(p Pair, ref Ref) {
	own := c.ownerOf(ref)
	deltas := c.deltas(p)
	for _, d := range deltas {
		c.addField(p, Change{Object: ref, Action: Update, Owner: own.name}, d, c.judge(p, own, d))
	}
	if len(deltas) == 0 && p.Adopt && p.Refused == "" {
		c.add(p, Change{
			Object: ref, Action: Update, To: "adopted", Severity: v1alpha1.SeverityMetadata, Owner: own.name,
			Reason: "Refract takes the object over; nothing else of it changes",
		})
	}
}

// deltas compares live with what the API server would store, or, where it was not asked, with what is wanted. Fields of
// driftIgnore are none of its business: the shell left them out of what it asked for, so a difference would be written.
func (c *computation) deltas(p Pair) []delta {
	d := differ{subset: p.DryRun == nil && !c.options.Rendered}
	target := p.DryRun
	if target == nil {
		target = p.Want
	}
	d.compare(nil, side{substance(p.Live), true}, side{substance(target), true})
	return d.deltas
}

func (c *computation) addField(p Pair, change Change, d delta, v verdict) {
	change.Field = d.path.String()
	change.From, change.To = show(change.Object.Kind, d)
	change.Opaque = secret(change.Object.Kind, d.path) || holdsSecret(d.to)
	change.Severity, change.Machines, change.UpTo, change.Reason = v.severity, v.machines, v.upTo, v.reason
	c.add(p, change)
}

func (c *computation) add(p Pair, change Change) {
	change.Place = p.Origin
	if c.options.Place != nil {
		change.Place = cmp.Or(c.options.Place(p, change.Field), p.Origin)
	}
	c.plan.Changes = append(c.plan.Changes, change)
}

func (c *computation) unwanted(p Pair) {
	ref := RefOf(p.Live)
	v := deletion(p)
	c.add(p, Change{
		Object: ref, Action: Delete, To: "deleted", Severity: v.severity, Machines: v.machines, UpTo: v.upTo,
		Owner: ref.String(), Reason: v.reason,
	})
	c.plan.Objects = append(c.plan.Objects, Step{Action: Delete, Object: ref, UID: p.Live.GetUID()})
}

// destroy plans the deletion of the Cluster alone: Cluster API takes the rest with it.
func (c *computation) destroy(pairs []Pair, total int, upTo bool) {
	for _, p := range pairs {
		if !deletes(p) {
			continue
		}
		change := Deletion(RefOf(p.Live), total, upTo).Changes[0]
		c.add(p, change)
		c.plan.Objects = append(c.plan.Objects, Step{Action: Delete, Object: change.Object, UID: p.Live.GetUID()})
	}
}

// deletedCluster reports whether the Cluster itself goes, and how many machines with it, at most if upTo.
func deletedCluster(pairs []Pair) (total int, upTo, gone bool) {
	for _, p := range pairs {
		if p.Live == nil {
			continue
		}
		n, bound := owned(p)
		total, upTo = total+n, upTo || bound
		gone = gone || deletes(p)
	}
	return total, upTo, gone
}

// deletes reports whether p is the Cluster and no longer wanted.
func deletes(p Pair) bool {
	return p.Want == nil && p.Live != nil && p.Live.GetKind() == kindCluster && len(p.Foreign) == 0
}

func liveCluster(pairs []Pair) *unstructured.Unstructured {
	for _, p := range pairs {
		if p.Live != nil && p.Live.GetKind() == kindCluster {
			return p.Live
		}
	}
	return nil
}

// ownerOf is the object itself when it owns machines, else the one control plane or pool that refers to it. An object
// that none or several refer to stands for itself and moves no machines.
func (c *computation) ownerOf(ref Ref) owner {
	found := owner{name: ref.String()}
	referrers := 0
	for _, o := range c.owners {
		if o.name == ref.String() {
			return o
		}
		if o.refersTo[ref.String()] {
			referrers++
			found = o
		}
	}
	if referrers > 1 {
		return owner{name: ref.String()}
	}
	return found
}
