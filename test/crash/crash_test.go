package crash

import (
	"fmt"
	"testing"
)

// TestCrash has the operator crash in each step of a cluster's life: after each step there is what there is in a life
// without crashes, and nothing was created more often.
func TestCrash(t *testing.T) {
	reference = newLife(t)
	t.Run("Undisturbed", func(t *testing.T) {
		t.Parallel()
		reference.undisturbed(t)
	})
	t.Run("LeaderKilled", func(t *testing.T) {
		t.Parallel()
		leaderKilled(t, reference)
	})
	t.Run("ServerAway", func(t *testing.T) {
		t.Parallel()
		away(t, reference, "trial-away", false)
	})
	t.Run("ServerAwayLeaseLost", func(t *testing.T) {
		t.Parallel()
		away(t, reference, "trial-away-lease", true)
	})
	t.Run("LastWrite", func(t *testing.T) {
		t.Parallel()
		disturbed(t, reference, "trial-last", func(i int) (int, bool) { return len(reference.after(t, i).writes), i%2 == 0 })
	})
	for n := 1; n <= most; n++ {
		if !full && n%14 != 10 && n != 1 {
			continue
		}
		t.Run(fmt.Sprintf("Write%02d", n), func(t *testing.T) {
			t.Parallel()
			reference.needs(t, n)
			disturbed(t, reference, fmt.Sprintf("trial-%d-a", n), func(i int) (int, bool) { return n, (n+i)%2 == 0 })
		})
		if !full {
			continue
		}
		t.Run(fmt.Sprintf("Write%02dOtherwise", n), func(t *testing.T) {
			t.Parallel()
			reference.needs(t, n)
			disturbed(t, reference, fmt.Sprintf("trial-%d-b", n), func(i int) (int, bool) { return n, (n+i)%2 != 0 })
		})
	}
}

// disturbed kills the operator once in each step, at its n-th write, of which it may get the answer first, or may not.
// at says both. A step of fewer writes is left in peace.
func disturbed(t *testing.T, l *life, namespace string, at func(step int) (n int, delivered bool)) {
	t.Helper()
	x := shared.New(t, namespace)
	x.Operate()
	for i, s := range l.steps {
		n, delivered := at(i)
		x.Door.Trap(n, delivered, func(write string) {
			t.Logf("%s: killed at write %d, %s, answer delivered: %v", s.name, n, write, delivered)
			x.Kill()
		})
		s.do(x)
		l.same(x, i, x.Door.Looks)
		x.Door.Untrap()
	}
	if all, killed := x.Ends(); all != killed {
		t.Errorf("the operator ended %d times, and was killed %d times", all, killed)
	}
}
