package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command says how to start one program of the world.
type command struct {
	name string
	path string
	args []string
	env  []string // besides the caller's
	as   *syscall.Credential
	// ready reports nil once the program can be used; it is asked until then.
	ready func(ctx context.Context) error
}

// process is a running program. It dies with us, however we end.
type process struct {
	command
	log    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the program has ended
}

// launch starts a program that writes its output to dir/<name>.log, and does not wait for it to be ready.
func launch(dir string, c command) (*process, error) {
	p := &process{command: c, log: filepath.Join(dir, c.name+".log"), exited: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", c.name, err)
	}
	p.cmd = exec.Command(c.path, c.args...) //nolint:gosec,noctx // our own programs; they outlive the context of the start
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), c.env...)
	p.cmd.SysProcAttr = childAttributes()
	p.cmd.SysProcAttr.Credential = c.as
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child when the thread that started it ends, so that thread is kept until then.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		_ = out.Close()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	return p, nil
}

// await waits until the program is ready. The error carries the end of its log.
func (p *process) await(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last := p.ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.failed(errors.New("it ended"))
		case <-ctx.Done():
			return p.failed(fmt.Errorf("not ready: %w", last))
		case <-tick.C:
		}
	}
}

func (p *process) failed(err error) error {
	return fmt.Errorf("%s: %w; the end of its log %s:\n%s", p.name, err, p.log, logTail(p.log, 25))
}

// kill ends the program at once and waits until it is gone. What these programs keep is thrown away with the world.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func logTail(path string, lines int) string {
	text, err := os.ReadFile(path) //nolint:gosec // a log of our own
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
