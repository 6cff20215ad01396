//go:build !unix

package proctest

import "syscall"

// Freeze and Thaw are not supported on this system.
const (
	Freeze = syscall.Signal(-1)
	Thaw   = syscall.Signal(-2)
)
