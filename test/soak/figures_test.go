package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// figures of a run.
type figures struct {
	clusters, vms, rounds, repairs int
	interval                       time.Duration
	took                           []time.Duration // from each change until its status was seen
	kinds                          map[string]int
}

func (f *figures) found(kind string, took time.Duration) {
	if f.kinds == nil {
		f.kinds = map[string]int{}
	}
	f.kinds[kind]++
	f.took = append(f.took, took)
}

// String is a line for people. Times are multiples of the interval.
func (f *figures) String() string {
	if len(f.took) == 0 {
		return "nothing was changed"
	}
	slices.Sort(f.took)
	var sum time.Duration
	for _, t := range f.took {
		sum += t
	}
	of := func(d time.Duration) float64 { return float64(d) / float64(f.interval) }
	var counts []string
	for _, name := range slices.Sorted(maps.Keys(f.kinds)) {
		counts = append(counts, fmt.Sprintf("%s %d", name, f.kinds[name]))
	}
	return fmt.Sprintf(
		"%d clusters, %d VMs, %d rounds, %d changes (%s), all found, %d repaired; from change to status in intervals of %s: mean %.2f, median %.2f, longest %.2f",
		f.clusters, f.vms, f.rounds, len(f.took), strings.Join(counts, ", "), f.repairs, f.interval,
		of(sum/time.Duration(len(f.took))), of(f.took[len(f.took)/2]), of(f.took[len(f.took)-1]))
}
