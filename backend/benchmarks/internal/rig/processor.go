package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
)

// processor is the number of a processor that programs run on, or anywhere.
type processor int

// Servers and the load use different processors, so the load does not affect the servers. Before
// [Separate] is called they run on any processor.
var serverProcessor, loadProcessor = anywhere, anywhere

const anywhere processor = -1

// Separate moves this process to one processor. Redis starts on the same processor afterwards, and
// servers on another one. It returns false if the machine has only one processor or no taskset(1).
func Separate(ctx context.Context) (bool, error) {
	if _, err := exec.LookPath("taskset"); err != nil || runtime.NumCPU() < 2 {
		return false, nil
	}
	out, err := exec.CommandContext(ctx, "taskset", "--all-tasks", "--cpu-list", "--pid", "1", strconv.Itoa(os.Getpid())).CombinedOutput() //nolint:gosec // the id of this process
	if err != nil {
		return false, fmt.Errorf("taskset: %w: %s", err, out)
	}
	serverProcessor, loadProcessor = 0, 1
	return true, nil
}

// command returns the command prefix that keeps a program on the processor.
func (p processor) command() []string {
	if p == anywhere {
		return nil
	}
	return []string{"taskset", "--cpu-list", strconv.Itoa(int(p))}
}
