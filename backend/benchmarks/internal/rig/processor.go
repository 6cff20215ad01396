package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
)

// processor is one that programs are kept on, or none.
type processor int

// A server has a processor for itself, and the load another one, so that they do not
// take each other's time. Until [Separate] they run anywhere.
var serverProcessor, loadProcessor = anywhere, anywhere

const anywhere processor = -1

// Separate moves this process to one processor, and has programs start on it or on
// another one. It reports false where there is only one or taskset(1) is missing.
func Separate(ctx context.Context) (bool, error) {
	if _, err := exec.LookPath("taskset"); err != nil || runtime.NumCPU() < 2 {
		return false, nil
	}
	out, err := exec.CommandContext(ctx, "taskset", "--all-tasks", "--cpu-list", "--pid", "1", strconv.Itoa(os.Getpid())).CombinedOutput() //nolint:gosec // the process's own id
	if err != nil {
		return false, fmt.Errorf("taskset: %w: %s", err, out)
	}
	serverProcessor, loadProcessor = 0, 1
	return true, nil
}

// command returns what stands before a program that is kept there.
func (p processor) command() []string {
	if p == anywhere {
		return nil
	}
	return []string{"taskset", "--cpu-list", strconv.Itoa(int(p))}
}
