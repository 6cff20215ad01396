//go:build unix

package admission

import (
	"math"
	"syscall"
)

// DescriptorLimit returns the limit of open files of this process.
// The Go runtime has raised it to the hard limit.
func DescriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // signed on some systems
}
