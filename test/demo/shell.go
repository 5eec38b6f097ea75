package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// typed shows a command as it could be typed in the clone, runs it just so and shows what it answers. It fails unless
// the exit code is one of codes; none means 0.
func (d *demo) typed(ctx context.Context, command string, codes ...int) (string, error) {
	d.show.command(command)
	out, err := d.run(ctx, command, codes...)
	if err == nil {
		d.show.output(out)
	}
	return out, err
}

// allTyped runs commands one after the other.
func (d *demo) allTyped(ctx context.Context, commands ...string) error {
	for _, command := range commands {
		if _, err := d.typed(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command in the clone and returns what it writes.
func (d *demo) run(ctx context.Context, command string, codes ...int) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command) //nolint:gosec // the commands of the steps
	cmd.Dir = d.git.Clone()
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+d.kubeconfig(), "PATH="+d.bin()+string(os.PathListSeparator)+os.Getenv("PATH"),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat",
		"no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	code := 0
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		code, err = failed.ExitCode(), nil
	}
	if len(codes) == 0 {
		codes = []int{0}
	}
	if err == nil && !slices.Contains(codes, code) {
		err = fmt.Errorf("exit code %d, want one of %v", code, codes)
	}
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return string(out), nil
}

// head is the newest commit of the clone.
func (d *demo) head(ctx context.Context) (string, error) {
	out, err := d.run(ctx, "git rev-parse HEAD")
	return strings.TrimSpace(out), err
}

// until asks check again and again until it returns nil. After so long a time it fails with what, and check's last
// error.
func (d *demo) until(ctx context.Context, most time.Duration, what string, check func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(limited)
		if err == nil {
			return nil
		}
		if ended := d.world.Failed(); ended != nil {
			return fmt.Errorf("waiting for %s: a program has ended: %w", what, ended)
		}
		if last == nil || limited.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limited.Done():
			return fmt.Errorf("not seen within %s: %s: %w", most, what, last)
		case <-tick.C:
		}
	}
}

// watch is until with the board: it shows the virtual machines whose names begin with prefix.
func (d *demo) watch(ctx context.Context, prefix, what string, check func(context.Context) error) error {
	b := board{show: d.show}
	defer b.done()
	start := time.Now() //nolint:forbidigo // shown to a person, decides nothing
	return d.until(ctx, patience, what, func(ctx context.Context) error {
		phases, err := d.phases(ctx, prefix)
		if err != nil {
			return err
		}
		err = check(ctx)
		b.update(scene{rows: rowsOf(d.world.Prism.Server.VMs(), prefix), clusters: phases}, time.Since(start)) //nolint:forbidigo // as above
		return err
	})
}
