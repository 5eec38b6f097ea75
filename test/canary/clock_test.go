package canary

import (
	"runtime/debug"
	"strings"
	"sync"
	"time"

	clocks "k8s.io/utils/clock"
)

// clock is the real time. Once it is set, it panics the next time that it is asked in the middle of what uses
// credentials: a mistake of our own, where it would hurt most.
type clock struct {
	mu     sync.Mutex
	where  []string
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
	if len(c.where) == 0 {
		return false
	}
	stack := string(debug.Stack())
	for _, name := range c.where {
		if !strings.Contains(stack, name) {
			return false
		}
	}
	c.where = nil
	c.sprung++
	return true
}

// Set has it panic once, in the middle of all of these functions.
func (c *clock) Set(functions ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.where = functions
}

// Sprung says how often it did.
func (c *clock) Sprung() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sprung
}
