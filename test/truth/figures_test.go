package truth

import (
	"fmt"
	"sync"
)

// tally is what was tried.
var tally figures

// figures of a run, over all scenarios.
type figures struct {
	mu sync.Mutex
	// scenarios that were applied, and those of them that were refused.
	scenarios, refused int
	// recreated and removed machines as the offline and the exact plans said, and as it came.
	offline, exact, actual count
	// rolled counts scenarios that were carried out and took room; memory at their peaks, in GiB, as the exact plans said, and as it came.
	rolled, exactPeak, actualPeak int64
	// differences between a plan and what came.
	differences int
}

func (f *figures) add(offline, exact prediction, actual outcome, differences int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scenarios++
	if actual.refused != "" {
		f.refused++
	}
	f.offline = f.offline.plus(offline.total())
	f.exact = f.exact.plus(exact.total())
	f.actual = f.actual.plus(actual.total())
	if actual.refused == "" && exact.refused == "" && actual.total() != (count{}) {
		f.rolled++
		f.exactPeak += exact.room().memory()
		f.actualPeak += actual.room.memory()
	}
	f.differences += differences
}

// String is one line for the log.
func (f *figures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("truth: seed %d: %d scenarios, %d of them refused; machines re-created and removed: %s predicted from the files, "+
		"%s predicted exactly, %s actually; GiB at the peaks of %d rollouts: at most %d predicted, %d actually; %d differences",
		seed, f.scenarios, f.refused, f.offline, f.exact, f.actual, f.rolled, f.exactPeak, f.actualPeak, f.differences)
}

// count is what happens to the machines of one owner.
type count struct {
	recreated, removed int
	// upTo: an autoscaler may have made it less.
	upTo bool
}

func (c count) String() string {
	if c.upTo {
		return fmt.Sprintf("up to %d and %d", c.recreated, c.removed)
	}
	return fmt.Sprintf("%d and %d", c.recreated, c.removed)
}

func (c count) plus(d count) count {
	return count{recreated: c.recreated + d.recreated, removed: c.removed + d.removed, upTo: c.upTo || d.upTo}
}

func total(counts map[string]count) count {
	var sum count
	for _, c := range counts {
		sum = sum.plus(c)
	}
	return sum
}
