package fleets

import (
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// Clock is the real time, moved ahead by what was added.
type Clock struct{ ahead atomic.Int64 }

// Now is the time.
func (c *Clock) Now() time.Time { return clock.RealClock{}.Now().Add(time.Duration(c.ahead.Load())) }

// Since is the time gone by since then.
func (c *Clock) Since(then time.Time) time.Duration { return c.Now().Sub(then) }

// Add moves the clock ahead.
func (c *Clock) Add(d time.Duration) { c.ahead.Add(int64(d)) }
