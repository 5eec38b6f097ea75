package crash

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/crash/trial"
)

// elected are the flags of an operator that is one of several, as the chart runs it.
func elected(x *trial.Trial) []string {
	return []string{"--leader-elect", "--leader-election-namespace=" + x.Namespace}
}

// leader is who holds the lease.
func leader(x *trial.Trial) (string, error) {
	lease := &coordinationv1.Lease{}
	if err := x.Client.Get(x.T.Context(), client.ObjectKey{Namespace: x.Namespace, Name: "refract.dev"}, lease); err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return "", errors.New("nobody holds the lease")
	}
	return *lease.Spec.HolderIdentity, nil
}

// leads waits until somebody else than before leads.
func leads(x *trial.Trial, before string) string {
	x.T.Helper()
	now := ""
	x.Within(trial.Long, "there is a leader", func() error {
		var err error
		if now, err = leader(x); err == nil && now == before {
			err = fmt.Errorf("it is %s still", before)
		}
		return err
	})
	return now
}

// leaderKilled kills the leader of two replicas in mid-apply, without coming back: the other one completes it, once the
// lease has run out.
func leaderKilled(t *testing.T, l *life) {
	t.Helper()
	x := shared.New(t, "trial-replicas")
	x.Operate(elected(x)...)
	first := leads(x, "")
	other := x.Another("other")
	other.Operate(elected(x)...)
	const at = 20
	x.Door.Trap(at, false, func(write string) {
		t.Logf("the leader was killed at %s", write)
		x.Retire()
	})
	for i, s := range l.steps {
		if s.enough() {
			break
		}
		s.do(x)
		l.same(x, i, other.Door.Looks)
	}
	leads(x, first)
	if n := len(x.Door.Writes()); n != at {
		t.Errorf("the first leader wrote %d times, want %d", n, at)
	}
}

// away has the API server go away in mid-apply of two steps. An operator that must hold a lease gives up and is started
// again until the server is back; one that need not goes on trying. In the long form it is away for a minute, else until
// that has shown.
func away(t *testing.T, l *life, namespace string, lease bool) {
	t.Helper()
	x := shared.New(t, namespace)
	if lease {
		x.Operate(elected(x)...)
	} else {
		x.Operate()
	}
	for i, s := range l.steps {
		if s.enough() {
			break
		}
		ends, _ := x.Ends()
		shut := make(chan struct{})
		const at = 20
		if s.name == "Create" || s.name == "Approve" {
			x.Door.Trap(at, false, func(write string) {
				t.Logf("%s: the API server went away at %s", s.name, write)
				x.Door.Shut()
				close(shut)
			})
			s.do(x)
			<-shut
			x.Within(trial.Long, "it was missed", func() error { return missed(x, lease, ends) })
			if full {
				pass(t.Context(), time.Minute)
			}
			x.Door.Open()
		} else {
			s.do(x)
		}
		l.same(x, i, x.Door.Looks)
	}
	if all, _ := x.Ends(); !lease && all > 0 {
		t.Errorf("the operator ended %d times, without a lease to lose", all)
	}
}

// missed says whether an operator noticed that the API server is away.
func missed(x *trial.Trial, lease bool, before int) error {
	if all, _ := x.Ends(); lease && all < before+2 {
		return fmt.Errorf("the operator ended %d times", all-before)
	}
	if n := x.Door.Turned(); n < 10 {
		return fmt.Errorf("%d requests were turned away", n)
	}
	return nil
}

// TestSlowEtcd has etcd stand still again and again. The short form ends once a change was applied.
func TestSlowEtcd(t *testing.T) {
	x := shared.New(t, "trial-slow")
	x.Operate()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- pulse(ctx, 400*time.Millisecond, 100*time.Millisecond) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for i, s := range reference.steps {
		if s.enough() {
			break
		}
		s.do(x)
		reference.same(x, i, x.Door.Looks)
	}
}

// pulse stops etcd for a while and lets it run for another, until ctx ends.
func pulse(ctx context.Context, stopped, running time.Duration) error {
	for ctx.Err() == nil {
		resume, err := shared.World.Pause(controlplane.Etcd)
		if err != nil {
			return err
		}
		pass(ctx, stopped)
		if err := resume(); err != nil {
			return err
		}
		pass(ctx, running)
	}
	return nil
}

// pass waits for d, or until ctx ends.
func pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
