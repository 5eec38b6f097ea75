package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// group is what changes for one control plane or pool.
type group struct {
	owner   string
	changes []plan.Change
}

// grouped sets apart what touches machines, the worst first within each owner, from the rest.
func grouped(p plan.Plan) (loud []group, quiet []plan.Change) {
	for _, g := range byOwner(p.Changes) {
		if !g.loud() {
			quiet = append(quiet, g.changes...)
			continue
		}
		g.changes = slices.DeleteFunc(g.changes, g.repeats())
		slices.SortStableFunc(g.changes, func(x, y plan.Change) int { return plan.Rank(y.Severity) - plan.Rank(x.Severity) })
		loud = append(loud, g)
	}
	return loud, quiet
}

func byOwner(changes []plan.Change) []group {
	var out []group
	for _, c := range changes {
		i := slices.IndexFunc(out, func(g group) bool { return g.owner == c.Owner })
		if i < 0 {
			out = append(out, group{owner: c.Owner})
			i = len(out) - 1
		}
		out[i].changes = append(out[i].changes, c)
	}
	return out
}

func (g group) loud() bool {
	return slices.ContainsFunc(g.changes, func(c plan.Change) bool {
		return plan.Rank(c.Severity) >= plan.Rank(v1alpha1.SeverityRollout)
	})
}

func (g group) place() string {
	for _, c := range g.changes {
		if c.Place != "" {
			return c.Place
		}
	}
	return ""
}

// repeats reports of a change whether it only refers to an object by the new name under which another change already
// shows it.
func (g group) repeats() func(plan.Change) bool {
	made := map[string]bool{}
	for _, c := range g.changes {
		if c.Action == plan.Create && c.Field != "" {
			made[c.Object.Name] = true
		}
	}
	return func(c plan.Change) bool { return c.Action == plan.Update && made[c.To] }
}

// effectOf is what a change does to machines, in words.
func effectOf(c plan.Change) string {
	if c.Reason == "" {
		return string(c.Severity)
	}
	return string(c.Severity) + ": " + prose(c.Reason)
}

// gone stands for the wanted value of a field that goes.
const gone = "(gone)"

// arrow is a change of a field: "4Gi → 6Gi".
func arrow(c plan.Change) string {
	from, to := c.Shown()
	switch {
	case from == "":
		return printable(to)
	case to == "":
		return printable(from) + " → " + gone
	default:
		return printable(from) + " → " + printable(to)
	}
}

// speaking sets apart from quiet changes those that say what they do, as many as do not have to fold.
func speaking(quiet []plan.Change) (shows, rest []plan.Change) {
	for _, c := range quiet {
		if c.Reason != "" && len(shows) < foldQuiet {
			shows = append(shows, c)
		} else {
			rest = append(rest, c)
		}
	}
	return shows, rest
}

// folded is quiet changes as counts: "12 objects created, 3 fields changed".
func folded(quiet []plan.Change) string {
	var created, fields, deleted, others int
	for _, c := range quiet {
		switch {
		case c.Field != "":
			fields++
		case c.Action == plan.Create:
			created++
		case c.Action == plan.Delete:
			deleted++
		default:
			others++
		}
	}
	var parts []string
	add := func(n int, what, done string) {
		if n > 0 {
			parts = append(parts, plural(n, what)+" "+done)
		}
	}
	add(created, "object", "created")
	add(fields, "field", "changed")
	add(deleted, "object", "deleted")
	add(others, "object", "let go of or taken over")
	return strings.Join(parts, ", ")
}

// managers of an object that is not ours.
func managers(f plan.Foreign) string {
	if len(f.Managers) == 0 {
		return "no manager"
	}
	return strings.Join(f.Managers, ", ")
}

// capacities, one sentence each, told apart by account where there are several.
func capacities(r Report) []string {
	several := slices.ContainsFunc(r.Capacity, func(c Capacity) bool { return c.Account != r.Capacity[0].Account })
	out := make([]string, 0, len(r.Capacity))
	for _, c := range r.Capacity {
		name := c.Element
		if several || name == "" {
			name = strings.TrimSpace(name + " of account " + c.Account)
		}
		out = append(out, "on "+prose(name)+": "+c.say())
	}
	return out
}

// say is "needs 40 vCPU, 96 GiB at peak; 64 vCPU, 210 GiB free with one host lost".
func (c Capacity) say() string {
	need := "needs " + resources(c.NeedVCPUs, c.NeedMemoryBytes) + " at peak; "
	if !c.Known {
		if c.Why == "" {
			return need + "what is free is not known"
		}
		return need + "what is free is not known: " + prose(c.Why)
	}
	free := resources(c.FreeVCPUs, c.FreeMemoryBytes) + " free"
	if c.OneHostLost {
		free += " with one host lost"
	}
	if c.short() {
		return need + "only " + free + ": it does not fit"
	}
	return need + free
}

// Since tells of room that was enough as shown before and is not now: "PE-1: needs 40 vCPU, 96 GiB at peak; 64 vCPU, 210
// GiB were free at the review, 30 vCPU, 210 GiB are free now with one host lost". Empty where it is enough, was not before,
// or is not known.
func (c Capacity) Since(shown Capacity) string {
	if !c.short() || !shown.Known || shown.short() {
		return ""
	}
	text := fmt.Sprintf("%s: needs %s at peak; %s were free at the review, %s are free now", prose(c.Element),
		resources(c.NeedVCPUs, c.NeedMemoryBytes), resources(shown.FreeVCPUs, shown.FreeMemoryBytes), resources(c.FreeVCPUs, c.FreeMemoryBytes))
	if c.OneHostLost {
		text += " with one host lost"
	}
	return text
}

func (c Capacity) short() bool {
	return c.Known && (c.NeedVCPUs > c.FreeVCPUs || c.NeedMemoryBytes > c.FreeMemoryBytes)
}

func resources(cpus, bytes int64) string { return fmt.Sprintf("%d vCPU, %s", cpus, gibibytes(bytes)) }

// gibibytes with one decimal where it counts.
func gibibytes(bytes int64) string {
	tenths := (bytes*10 + 1<<29) >> 30
	if tenths%10 == 0 {
		return fmt.Sprintf("%d GiB", tenths/10)
	}
	return fmt.Sprintf("%d.%d GiB", tenths/10, max(tenths%10, -(tenths%10)))
}
