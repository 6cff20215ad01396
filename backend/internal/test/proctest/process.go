// Package proctest runs programs for tests, waits for what they do, and cuts their lines.
// It knows none of them.
package proctest

import (
	"bytes"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs.
type Process struct {
	// Exited is closed when it has ended.
	Exited <-chan struct{}

	cmd *exec.Cmd
}

// Start starts a program that the end of the test kills, if it is still there.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // most are killed; who wants to know looks at the status
	}()
	p := &Process{Exited: exited, cmd: cmd}
	t.Cleanup(func() { p.End(syscall.SIGKILL) })
	return p
}

// PID returns the number of the process.
func (p *Process) PID() int {
	return p.cmd.Process.Pid
}

// Status returns what a program that has ended by itself ended with.
func (p *Process) Status() int {
	<-p.Exited
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal.
func (p *Process) Signal(signal syscall.Signal) error {
	return p.cmd.Process.Signal(signal)
}

// End sends a signal, and returns when the process is gone.
func (p *Process) End(signal syscall.Signal) {
	_ = p.Signal(signal) // it may have ended already
	<-p.Exited
}

// Output takes the output of a program while a test reads it.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what has come so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// poll is the time between two looks at what nothing announces.
const poll = 5 * time.Millisecond

// Await waits until a condition holds that nothing announces, or fails the test.
func Await(t testing.TB, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}
