package plan

import (
	"fmt"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Summary in one line: "3 machines re-created, 1 machine removed"; "no change" for an empty plan.
func (p Plan) Summary() string {
	parts := effects([]Plan{p})
	if len(parts) == 0 {
		return "no change"
	}
	return strings.Join(parts, ", ")
}

// Summarize counts over several clusters: "2 clusters: 5 machines re-created, 1 machine removed". Plans that change
// nothing are left out.
func Summarize(plans []Plan) string {
	var changed []Plan
	for _, p := range plans {
		if len(p.Changes)+len(p.Foreign) > 0 {
			changed = append(changed, p)
		}
	}
	if len(changed) == 0 {
		return "no change"
	}
	return plural(len(changed), "cluster") + ": " + strings.Join(effects(changed), ", ")
}

// effects lists the worst first.
func effects(plans []Plan) []string {
	var foreign, refused, destroyed, recreated, removed, quiet int
	upTo := false
	for _, p := range plans {
		foreign += len(p.Foreign)
		recreated += p.Recreated()
		removed += p.Removed()
		destroys := false
		for _, c := range p.Changes {
			switch c.Severity {
			case v1alpha1.SeverityForbidden:
				refused++
			case v1alpha1.SeverityDestroy:
				destroys = true
			case v1alpha1.SeverityRollout, v1alpha1.SeverityRemove:
				upTo = upTo || c.UpTo
			default:
				quiet++
			}
		}
		if destroys {
			destroyed++
		}
	}
	bound := ""
	if upTo {
		bound = "up to "
	}
	var parts []string
	add := func(n int, format string, args ...any) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(refused, "%s refused", plural(refused, "change"))
	add(foreign, "%s in the way", plural(foreign, "foreign object"))
	add(destroyed, "%s destroyed", plural(destroyed, "cluster"))
	add(recreated, "%s%s re-created", bound, machines(recreated))
	add(removed, "%s%s removed", bound, machines(removed))
	if len(parts) > 0 {
		add(quiet, "%s", plural(quiet, "other change"))
	} else {
		add(quiet, "%s, no living machine touched", plural(quiet, "change"))
	}
	return parts
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
