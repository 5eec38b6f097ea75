package trial

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/refract-dev/refract/test/world"
)

// Operator is the built operator as a process, behind a door of its own.
type Operator struct {
	// Door between the operator and the API server.
	Door *Door

	t      *testing.T
	world  *world.World
	name   string
	binary string
	args   []string

	mu      sync.Mutex
	program *world.Program
	kills   int // by us
	ends    int // whatever the reason
	retired bool
}

// restartDelay is how long an operator that ended by itself stays away, as with a kubelet's backoff.
const restartDelay = time.Second

// Operate runs the operator until the test ends, and starts it again whenever it ended, as a kubelet does.
func (o *Operator) Operate(more ...string) {
	o.t.Helper()
	o.args = append(o.args, more...)
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan struct{})
	if err := o.start(); err != nil {
		cancel()
		o.t.Fatal(err)
	}
	go func() {
		defer close(done)
		for o.again(ctx) {
			if err := o.start(); err != nil {
				o.t.Error(err)
				return
			}
		}
	}()
	o.t.Cleanup(func() {
		cancel()
		<-done
		if o.t.Failed() {
			o.t.Logf("the end of the log of %s\n%s", o.name, o.program.Tail(60))
		}
	})
}

func (o *Operator) start() error {
	p, err := o.world.Launch(o.name, o.binary, o.args...)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.program = p
	return nil
}

// again waits for the operator's end and says whether to start it again.
func (o *Operator) again(ctx context.Context) bool {
	o.mu.Lock()
	p := o.program
	o.mu.Unlock()
	select {
	case <-ctx.Done():
		p.Kill()
		return false
	case <-p.Exited():
	}
	o.mu.Lock()
	o.ends++
	killed, retired := o.ends <= o.kills, o.retired
	o.mu.Unlock()
	o.Door.Settle()
	if !killed && !retired {
		wait := time.NewTimer(restartDelay)
		defer wait.Stop()
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
	}
	return !retired && ctx.Err() == nil
}

// Kill ends the operator by SIGKILL.
func (o *Operator) Kill() {
	o.mu.Lock()
	p := o.program
	o.kills++
	o.mu.Unlock()
	p.Kill()
}

// Retire is Kill, and the operator does not come back.
func (o *Operator) Retire() {
	o.mu.Lock()
	o.retired = true
	o.mu.Unlock()
	o.Kill()
}

// Ends says how often the operator ended, and how often of that it was killed.
func (o *Operator) Ends() (all, killed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ends, o.kills
}
