package plan

import (
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Compute finds the changes from live to wanted. It cannot fail.
func Compute(pairs []Pair, o Options) Plan { return Plan{Cluster: o.Cluster} }

// Deletion is the plan to delete a whole cluster.
func Deletion(cluster Ref, machines int) Plan { return Plan{} }

// Orphan is the plan to let go of a cluster.
func Orphan(cluster Ref) Plan { return Plan{} }

// Severity of the worst change; None for an empty plan.
func (p Plan) Severity() v1alpha1.Severity { return v1alpha1.SeverityNone }

// Recreated machines, over all owners.
func (p Plan) Recreated() int { return 0 }

// Removed machines, over all owners.
func (p Plan) Removed() int { return 0 }

// Empty reports that there is nothing to do and nothing in the way.
func (p Plan) Empty() bool { return true }

// Summary in one line.
func (p Plan) Summary() string { return "" }

// Digest of the changes.
func (p Plan) Digest() string { return "" }

// CoveredBy reports whether q says all that p does.
func (p Plan) CoveredBy(q Plan) bool { return false }

// Beyond lists the changes of p that q does not cover.
func (p Plan) Beyond(q Plan) []Change { return nil }

// FleetDigest over the held plans of a Fleet.
func FleetDigest(held map[string]Plan) string { return "" }

// LimitsFrom fills what l leaves out.
func LimitsFrom(l v1alpha1.Limits) Limits { return Limits{} }

// Tighten takes the lower of each limit.
func (l Limits) Tighten(c v1alpha1.Limits) Limits { return l }

// Expired reports whether an approval of a plan first recorded at recordedAt is void now.
func Expired(recordedAt, now time.Time) bool { return false }

// Rank orders severities.
func Rank(s v1alpha1.Severity) int { return 0 }

// Marshal stores p.
func Marshal(p Plan) ([]byte, error) { return nil, nil }

// Unmarshal reads what Marshal wrote.
func Unmarshal(data []byte) (Plan, error) { return Plan{}, nil }
