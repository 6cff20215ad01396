//go:build unix

package proctest

import "syscall"

// Freeze stops a process without ending it, Thaw lets it run again.
const (
	Freeze = syscall.SIGSTOP
	Thaw   = syscall.SIGCONT
)
