// Package proctest runs programs for tests, waits for conditions, and disconnects TCP connections.
package proctest

import (
	"bytes"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a running program.
type Process struct {
	// Exited is closed when the program has ended.
	Exited <-chan struct{}

	cmd *exec.Cmd
}

// Start starts a program and kills it when the test ends.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // usually killed; see Status
	}()
	p := &Process{Exited: exited, cmd: cmd}
	t.Cleanup(func() { p.End(syscall.SIGKILL) })
	return p
}

// PID returns the process id.
func (p *Process) PID() int {
	return p.cmd.Process.Pid
}

// Status returns the exit status. It must be called after the program has exited.
func (p *Process) Status() int {
	<-p.Exited
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal to the process.
func (p *Process) Signal(signal syscall.Signal) error {
	return p.cmd.Process.Signal(signal)
}

// End sends a signal and waits for the end of the process.
func (p *Process) End(signal syscall.Signal) {
	_ = p.Signal(signal) // the process may have ended
	<-p.Exited
}

// Output collects the output of a program. It may be read at any time.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns the output so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// poll is the interval of Await.
const poll = 5 * time.Millisecond

// Await polls a condition until it holds, and fails the test after a timeout.
func Await(t testing.TB, timeout time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !holds(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", timeout, what)
		}
	}
}
