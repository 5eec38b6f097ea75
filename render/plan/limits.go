package plan

import (
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Limits that hold where a Fleet says nothing.
const (
	defaultDeletedClusters   = 0
	defaultRemovedMachines   = 3
	defaultRecreatedMachines = 10
	defaultPrunedPercent     = 20
)

// approvalLife is how long an approval may be given after its plan was first recorded.
const approvalLife = 7 * 24 * time.Hour

// LimitsFrom fills what a Fleet leaves out: 0 deleted clusters, so that a deletion always needs an approval; 3 removed
// and 10 re-created machines; 20 percent of the clusters pruned.
func LimitsFrom(l v1alpha1.Limits) Limits {
	return Limits{
		DeletedClusters:   or(l.DeletedClusters, defaultDeletedClusters),
		RemovedMachines:   or(l.RemovedMachines, defaultRemovedMachines),
		RecreatedMachines: or(l.RecreatedMachines, defaultRecreatedMachines),
		PrunedPercent:     or(l.PrunedPercent, defaultPrunedPercent),
	}
}

// Tighten takes the lower of each limit. A cluster cannot loosen its Fleet's.
func (l Limits) Tighten(c v1alpha1.Limits) Limits {
	return Limits{
		DeletedClusters:   min(l.DeletedClusters, or(c.DeletedClusters, l.DeletedClusters)),
		RemovedMachines:   min(l.RemovedMachines, or(c.RemovedMachines, l.RemovedMachines)),
		RecreatedMachines: min(l.RecreatedMachines, or(c.RecreatedMachines, l.RecreatedMachines)),
		PrunedPercent:     min(l.PrunedPercent, or(c.PrunedPercent, l.PrunedPercent)),
	}
}

func or(n *int32, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return int(*n)
}

// Expired reports whether an approval of a plan first recorded at recordedAt is void at now: 7 days later, or when it is
// not known when it was recorded.
func Expired(recordedAt, now time.Time) bool {
	return recordedAt.IsZero() || now.Sub(recordedAt) >= approvalLife
}
