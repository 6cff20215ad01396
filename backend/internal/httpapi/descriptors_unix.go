//go:build unix

package httpapi

import (
	"math"
	"syscall"
)

// descriptorLimit returns how many files this process may have open. Go has raised that
// to the hard limit.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // signed on some systems
}
