package world

import (
	"os"
	"syscall"
)

// childAttributes make a child end with us, and keep a terminal's Ctrl-C from reaching it before us.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// suspend keeps a process from running until resume.
func suspend(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
