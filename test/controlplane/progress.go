package controlplane

import (
	"fmt"
	"io"
	"time"
)

// heartbeat is how often a long build says that it is still at it.
const heartbeat = 20 * time.Second

// stopwatch starts counting and returns a function that tells the time since.
func stopwatch() func() time.Duration {
	start := time.Now()                                                         //nolint:forbidigo // shown to a person, decides nothing
	return func() time.Duration { return time.Since(start).Round(time.Second) } //nolint:forbidigo // as above
}

// progress prints what is being done every so often until the returned function is called with how it ended.
func progress(out io.Writer, every time.Duration, what string) (done func(how string)) {
	since := stopwatch()
	stop, stopped := make(chan struct{}), make(chan struct{})
	say(out, "%s …\n", what)
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				say(out, "%s … %s\n", what, since())
			}
		}
	}()
	return func(how string) {
		close(stop)
		<-stopped
		say(out, "%s … %s after %s\n", what, how, since())
	}
}

// say writes what nobody can do anything about if it is not read.
func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
