//go:build unix

package main

import (
	"fmt"
	"syscall"
	"testing"
)

func TestMetrics_SubscriptionLimit(t *testing.T) {
	t.Parallel()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if n := start(t).metric("sluice_max_connections"); n <= 0 || n >= float64(limit.Cur) {
		t.Errorf("without --max-connections the limit is %v, with %d descriptors", n, limit.Cur)
	}
	if n := start(t, "--max-connections=7").metric("sluice_max_connections"); n != 7 {
		t.Errorf("the limit is %v, want 7", n)
	}
	if n := start(t, fmt.Sprint("--max-connections=", limit.Cur)).metric("sluice_max_connections"); n >= float64(limit.Cur) {
		t.Errorf("got a limit of %v subscriptions with %d descriptors", n, limit.Cur)
	}
}

func mkfifo(path string) error {
	return syscall.Mkfifo(path, 0o600)
}
