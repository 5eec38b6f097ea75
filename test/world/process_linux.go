package world

import "syscall"

// childAttributes make a child end with us, and keep a terminal's Ctrl-C from reaching it before us.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
