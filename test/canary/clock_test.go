package canary

import (
	"runtime/debug"
	"strings"
	"sync"
	"time"

	clocks "k8s.io/utils/clock"
)

// clock is the real time. Once it is set, it panics the next time that it is asked in the middle of what uses a
// Fleet's credentials: a mistake of our own, where it would hurt most.
type clock struct {
	mu     sync.Mutex
	set    bool
	sprung int
}

// Now is the time.
func (c *clock) Now() time.Time {
	if c.springs() {
		panic("the clock stands still")
	}
	return clocks.RealClock{}.Now()
}

// Since is the time gone by since then.
func (c *clock) Since(then time.Time) time.Duration { return clocks.RealClock{}.Since(then) }

func (c *clock) springs() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.set {
		return false
	}
	stack := string(debug.Stack())
	if !strings.Contains(stack, "gitsource.(*Repository).Snapshot") || !strings.Contains(stack, "(*FleetReconciler).Reconcile") {
		return false
	}
	c.set = false
	c.sprung++
	return true
}

// Set has it panic once.
func (c *clock) Set() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = true
}

// Sprung says how often it did.
func (c *clock) Sprung() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sprung
}
