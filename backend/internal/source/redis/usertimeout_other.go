//go:build !linux

package redis

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing: only Linux has the setting.
func setUserTimeout(syscall.RawConn, time.Duration) error {
	return nil
}
