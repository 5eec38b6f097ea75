// Package bench measures what Refract costs: requests, CPU time and memory, as counts and ratios of one run. go test
// runs it with small fleets, to guard the counts; make bench runs it with large ones and prints a table.
package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sizes of the fleets to measure, the largest last; REFRACT_BENCH names them.
func sizes() []int {
	var all []int
	for field := range strings.SplitSeq(os.Getenv("REFRACT_BENCH"), ",") {
		if n, err := strconv.Atoi(field); err == nil && n > 0 {
			all = append(all, n)
		}
	}
	if len(all) == 0 {
		return []int{3, 12}
	}
	return all
}

// inventories is how often the operator reads Prism Central while fleets are measured; REFRACT_BENCH_INVENTORY says so.
// By default it is the operator's own default.
func inventories() (time.Duration, error) {
	text := os.Getenv("REFRACT_BENCH_INVENTORY")
	if text == "" {
		return time.Minute, nil
	}
	every, err := time.ParseDuration(text)
	if err == nil && every <= quietFor {
		err = fmt.Errorf("REFRACT_BENCH_INVENTORY is %s: an operator that reads Prism Central so often is never quiet for %s", every, quietFor)
	}
	return every, err
}

// full says whether this is a measurement, and not a guard of the counts.
func full() bool { return os.Getenv("REFRACT_BENCH") != "" }

// renders is how many clusters are rendered: 1,000 beside the largest fleets.
func renders() int {
	if !full() {
		return 20
	}
	return 1000
}

// spend is the CPU time of the whole process during f.
func spend(f func()) time.Duration {
	before := used()
	f()
	return used() - before
}

func used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func perCluster(d time.Duration, n int) float64 { return d.Seconds() * 1000 / float64(n) }

var table struct {
	mu   sync.Mutex
	rows []string
}

// row adds a line to the table: what was measured, how, the result, and what it should be.
func row(cells ...string) {
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, "| "+strings.Join(cells, " | ")+" |")
	fmt.Fprintln(os.Stderr, table.rows[len(table.rows)-1])
}
