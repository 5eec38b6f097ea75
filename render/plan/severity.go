package plan

import "github.com/refract-dev/refract/api/v1alpha1"

// Rank orders severities from None (0) to Forbidden (6). A word that is none of them ranks as Forbidden, and "" as None.
func Rank(s v1alpha1.Severity) int {
	switch s {
	case "", v1alpha1.SeverityNone:
		return 0
	case v1alpha1.SeverityMetadata:
		return 1
	case v1alpha1.SeverityInPlace:
		return 2
	case v1alpha1.SeverityRollout:
		return 3
	case v1alpha1.SeverityRemove:
		return 4
	case v1alpha1.SeverityDestroy:
		return 5
	default:
		return 6
	}
}

// Severity of the worst change; None for an empty plan.
func (p Plan) Severity() v1alpha1.Severity {
	worst := v1alpha1.SeverityNone
	for _, c := range p.Changes {
		if Rank(c.Severity) > Rank(worst) {
			worst = c.Severity
		}
	}
	return worst
}

// Recreated is how many machines are re-created, over all owners. Machines of an autoscaled pool count with its maximum.
func (p Plan) Recreated() int { return p.tally().recreated() }

// Removed is how many machines go with nothing in their place, over all owners, whole clusters included.
func (p Plan) Removed() int { return p.tally().removed() }

// Empty reports that live is as wanted: nothing to do and nothing in the way.
func (p Plan) Empty() bool { return len(p.Changes) == 0 && len(p.Objects) == 0 && len(p.Foreign) == 0 }

// count is what happens to the machines of one owner.
type count struct {
	recreated, removed int
	upTo               bool
}

// Moves is what a plan does to the machines of one owner.
type Moves struct {
	// Recreated machines.
	Recreated int `json:"recreated,omitempty"`
	// Removed machines, with nothing in their place.
	Removed int `json:"removed,omitempty"`
	// UpTo: the numbers are upper bounds, since an autoscaler moves them.
	UpTo bool `json:"upTo,omitempty"`
}

// Moves gives by owner, Kind/name, what happens to machines. Owners of which nothing moves are left out.
func (p Plan) Moves() map[string]Moves {
	all := map[string]Moves{}
	for owner, n := range p.tally() {
		all[owner] = Moves{Recreated: n.recreated, Removed: n.removed, UpTo: n.upTo}
	}
	return all
}

// tally counts machines by owner. Changes of one owner and severity speak of the same machines, so the highest number
// holds, not the sum.
type tally map[string]count

func (p Plan) tally() tally {
	t := tally{}
	for _, c := range p.Changes {
		n := t[c.Owner]
		switch c.Severity {
		case v1alpha1.SeverityRollout:
			n.recreated = max(n.recreated, c.Machines)
		case v1alpha1.SeverityRemove, v1alpha1.SeverityDestroy:
			n.removed = max(n.removed, c.Machines)
		default:
			continue
		}
		n.upTo = n.upTo || c.UpTo
		t[c.Owner] = n
	}
	return t
}

func (t tally) recreated() int {
	sum := 0
	for _, n := range t {
		sum += n.recreated
	}
	return sum
}

func (t tally) removed() int {
	sum := 0
	for _, n := range t {
		sum += n.removed
	}
	return sum
}
