package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// digestVersion is the first line of what is digested; it changes when the form below it does.
const digestVersion = "plan.refract.dev/v1"

// Digest identifies the changes: "sha256:" and 64 hexadecimal digits over cluster, object, field, wanted value, severity
// and number of machines per owner, whatever their order. Not over live values, reasons and places, so that it holds
// while autoscalers and health checks work. Changes of severity None do not count; without any other it is empty, for
// there is nothing to approve. Approvals name the full digest.
func (p Plan) Digest() string {
	var lines []string
	for _, c := range p.Changes {
		if c.counts() {
			lines = append(lines, compact([]any{
				c.Object.APIVersion, c.Object.Kind, c.Object.Namespace, c.Object.Name, c.Field, c.To, c.Severity, c.Owner,
				c.Machines,
			}))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	slices.Sort(lines)
	head := []string{digestVersion, compact(p.Cluster)}
	return digestOf([]byte(strings.Join(append(head, lines...), "\n")))
}

// FleetDigest identifies held plans by cluster name. Plans that no approval can help do not count, as in
// GateResult.Held; without any other it is empty.
func FleetDigest(held map[string]Plan) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if d := held[name].Digest(); d != "" && held[name].Approvable() {
			lines = append(lines, compact([]any{name, d}))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return digestOf([]byte(strings.Join(append([]string{digestVersion, "fleet"}, lines...), "\n")))
}

// Approvable reports whether a person's word can let p go on: nothing in it is Forbidden and no foreign object is in the
// way.
func (p Plan) Approvable() bool {
	return len(p.Foreign) == 0 && Rank(p.Severity()) < Rank(v1alpha1.SeverityForbidden)
}

// counts reports whether a change is anything to approve.
func (c Change) counts() bool { return Rank(c.Severity) > Rank(v1alpha1.SeverityNone) }

// CoveredBy reports whether q says all that p does: each change of p is in q (same object, field and wanted value) with
// the same or a higher severity there, and no owner loses or re-creates more machines than q says. A plan that changes
// nothing is covered by any.
func (p Plan) CoveredBy(q Plan) bool { return len(p.Beyond(q)) == 0 && p.foreignIn(q) }

// Beyond lists the changes of p that q does not cover, see CoveredBy.
func (p Plan) Beyond(q Plan) []Change {
	accepted := map[changeKey]v1alpha1.Severity{}
	if p.Cluster == q.Cluster {
		for _, c := range q.Changes {
			k := c.key()
			if worst, ok := accepted[k]; !ok || Rank(c.Severity) > Rank(worst) {
				accepted[k] = c.Severity
			}
		}
	}
	mine, theirs := p.tally(), q.tally()
	var out []Change
	for _, c := range p.Changes {
		if !c.counts() {
			continue
		}
		severity, ok := accepted[c.key()]
		m, t := mine[c.Owner], theirs[c.Owner]
		ok = ok && Rank(c.Severity) <= Rank(severity)
		if (!ok && !c.announced(q)) || m.recreated > t.recreated || m.removed > t.removed {
			out = append(out, c)
		}
	}
	return out
}

// announced reports whether c makes a template that a change of q refers to. A new template's name is a digest of its
// content, and its machines are counted with the reference: that q has no change for the template itself means only that
// an older one of the same content was still there when q was made.
func (c Change) announced(q Plan) bool {
	return c.Action == Create && c.Owner != "" && strings.HasSuffix(c.Object.Kind, "Template") &&
		slices.ContainsFunc(q.Changes, func(d Change) bool {
			return d.Action == Update && d.Owner == c.Owner && d.To == c.Object.Name
		})
}

func (p Plan) foreignIn(q Plan) bool {
	for _, f := range p.Foreign {
		if !slices.ContainsFunc(q.Foreign, func(g Foreign) bool { return g.Object == f.Object }) {
			return false
		}
	}
	return true
}

// changeKey is what makes two changes the same.
type changeKey struct {
	object    Ref
	field, to string
}

func (c Change) key() changeKey { return changeKey{object: c.Object, field: c.Field, to: c.To} }
