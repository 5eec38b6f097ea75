package main

import (
	"fmt"
	"slices"
	"strings"
)

// workers of edge-01 have names that begin so.
const workers = "edge-01-workers-"

// roll watches the replacement of edge-01's only worker.
type roll struct {
	before []row
	// gap: at some moment no worker was up.
	gap bool
}

// look takes in what Prism Central holds now.
func (r *roll) look(now []row) {
	if !slices.ContainsFunc(now, func(o row) bool { return o.up() && strings.HasPrefix(o.name, workers) }) {
		r.gap = true
	}
}

// finished returns nil when the worker, and only the worker, is another machine with more memory.
func (r *roll) finished(now []row) error {
	if len(now) != len(r.before) {
		return fmt.Errorf("edge-01 has %d virtual machines, had %d", len(now), len(r.before))
	}
	for _, o := range now {
		old := slices.Contains(r.before, o)
		switch worker := strings.HasPrefix(o.name, workers); {
		case worker && (old || o.memory != "6 GiB"):
			return fmt.Errorf("worker %s is still there, with %s", o.name, o.memory)
		case !worker && !old:
			return fmt.Errorf("%s was not to be touched", o.name)
		}
	}
	return nil
}
