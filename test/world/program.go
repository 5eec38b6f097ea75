package world

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// Program is one that a test starts beside a world, to end it when it likes. It dies with the test's process.
type Program struct{ p *process }

// Launch starts a program that writes to <name>.log in Dir, after what earlier programs of that name wrote, and does
// not wait for it to be ready.
func (w *World) Launch(name, path string, args ...string) (*Program, error) {
	p, err := launch(w.dir, command{name: name, path: path, args: args})
	if err != nil {
		return nil, err
	}
	return &Program{p}, nil
}

// Command says how to start a program that needs no world.
type Command struct {
	// Name of the program's log, and Path of its file.
	Name, Path string
	// Args of the program, and Env beside the caller's.
	Args, Env []string
	// As is whom it runs as; nil: as the caller.
	As *syscall.Credential
	// Ready reports nil once the program can be used; it is asked until then.
	Ready func(ctx context.Context) error
}

// Spawn starts a program without a world and waits until it is ready. It writes to <name>.log in dir, and dies with this
// process. The error carries the end of its log.
func Spawn(ctx context.Context, dir string, c Command) (*Program, error) {
	p, err := launch(dir, command{name: c.Name, path: c.Path, args: c.Args, env: c.Env, as: c.As, ready: c.Ready})
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, startTimeout); err != nil {
		p.kill()
		return nil, err
	}
	return &Program{p}, nil
}

// Kill ends the program at once, as SIGKILL does, and waits until it is gone. It is safe to call twice.
func (p *Program) Kill() { p.p.kill() }

// Interrupt asks the program to end by itself.
func (p *Program) Interrupt() error { return p.p.cmd.Process.Signal(os.Interrupt) }

// Exited is closed once the program has ended, for whatever reason.
func (p *Program) Exited() <-chan struct{} { return p.p.exited }

// Log is the path of what the program writes.
func (p *Program) Log() string { return p.p.log }

// Tail is the end of that.
func (p *Program) Tail(lines int) string { return logTail(p.p.log, lines) }

// Pause stops a running program of the world, with all that it has in hand, until the returned function has it go on.
func (w *World) Pause(name string) (goOn func() error, err error) {
	w.mu.Lock()
	p, running := w.processes[name]
	w.mu.Unlock()
	if !running {
		return nil, fmt.Errorf("%s does not run", name)
	}
	if err := suspend(p.cmd.Process); err != nil {
		return nil, fmt.Errorf("pausing %s: %w", name, err)
	}
	return func() error { return resume(p.cmd.Process) }, nil
}
