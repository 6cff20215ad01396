//go:build unix

package proctest

import "syscall"

// Freeze stops a process without ending it. Thaw continues it.
const (
	Freeze = syscall.SIGSTOP
	Thaw   = syscall.SIGCONT
)
