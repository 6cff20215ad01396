//go:build !unix

package proctest

import "syscall"

// Freeze and Thaw do not exist on this system: sending them fails.
const (
	Freeze = syscall.Signal(-1)
	Thaw   = syscall.Signal(-2)
)
