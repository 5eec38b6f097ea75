// Command demo shows Refract at work: it starts a whole world on loopback addresses (a management cluster with Cluster
// API and CAPX, a simulated Prism Central, a Git server with the sample fleet in fleet/), runs the real operator in it,
// and takes the fleet through a working day, one step after the other. Each step is also a check: what it announces must
// be seen within a bounded time. Afterwards the world stays up until Ctrl-C; with --once the program ends by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Exit codes, beside 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) //nolint:forbidigo // the program's root
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out *os.File, errOut io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(errOut)
	once := flags.Bool("once", false, "run all steps once and exit, instead of staying up until Ctrl-C")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return exitUsage
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go watchParent(ctx, cancel)

	dir, err := os.MkdirTemp("", "refract-demo-")
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "error:", err)
		return exitFailed
	}
	d := &demo{dir: dir, show: newShow(out)}
	if !*once && d.show.terminal && isTerminal(os.Stdin) {
		d.enter = lines(os.Stdin)
	}
	err = d.play(ctx)
	if err == nil && !*once {
		err = d.stay(ctx)
	}
	interrupted := ctx.Err() != nil
	if err != nil && !interrupted {
		d.explain(err)
	}
	keep := err != nil && !interrupted
	if closing := d.close(keep); closing != nil {
		_, _ = fmt.Fprintln(errOut, "error:", closing)
		return exitFailed
	}
	switch {
	case interrupted && *once:
		return exitInterrupted
	case err != nil && !interrupted:
		return exitFailed
	}
	return 0
}

// watchParent ends the demo when whoever started it is gone: `go run` does not hand a SIGTERM on.
func watchParent(ctx context.Context, end func()) {
	parent := os.Getppid()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent {
				end()
				return
			}
		}
	}
}

// stay keeps the world up until ctx ends. It fails when one of its programs does.
func (d *demo) stay(ctx context.Context) error {
	d.byHand()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.world.Failed(); err != nil {
				return err
			}
		}
	}
}

// explain tells which step failed, why, and what the operator said last.
func (d *demo) explain(err error) {
	d.show.failure(fmt.Sprintf("Step %d (%s) failed: %v", d.number, d.title, err))
	if d.world == nil {
		return
	}
	if d.world.Failed() == nil { // else err has the end of the log of the program that ended
		d.show.say("The end of the operator's log, %s:", d.log(operatorName))
		d.show.output(tail(d.log(operatorName), 25))
	}
	d.show.say("This directory is kept with the logs of all programs: %s", d.world.Dir())
}

// close ends all programs and removes the directory, but for the logs if they are to be kept.
func (d *demo) close(keepLogs bool) error {
	d.show.say("Stopping.")
	var err error
	if d.world != nil {
		err = d.world.Stop()
	}
	if d.git != nil {
		d.git.Close()
	}
	if d.gitLog != nil {
		err = errors.Join(err, d.gitLog.Close())
	}
	if !keepLogs {
		return errors.Join(err, os.RemoveAll(d.dir))
	}
	return errors.Join(err, removeBut(d.dir, ".log"))
}

// removeBut removes all files below a directory whose names do not end with a suffix, and then what is empty.
func removeBut(dir, suffix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clearing up: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			err = errors.Join(err, removeBut(path, suffix))
		case filepath.Ext(path) != suffix:
			err = errors.Join(err, os.Remove(path))
		}
	}
	_ = os.Remove(dir) // fails while there are logs in it, as it should
	return err
}
