// Package rig starts the programs that a benchmark needs as separate processes, assigns processors
// to them and to the benchmark, and measures their CPU time and memory.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

const (
	// startPatience bounds the time until a program is ready.
	startPatience = 30 * time.Second
	// stopPatience is the time after SIGTERM after which a program is killed.
	stopPatience = 5 * time.Second
	tick         = 20 * time.Millisecond
	// keptOutput bounds the bytes of a program's output that are kept.
	keptOutput = 4 << 10
)

// Process is a running program.
type Process struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{}
	output tail
}

// Start starts a program with additional environment variables, on the processor for servers. line is
// a shell command; the shell replaces itself with the program. The end of ctx ends the program with
// SIGTERM.
func Start(ctx context.Context, name, line string, env ...string) (*Process, error) {
	return start(ctx, serverProcessor, name, line, env)
}

func start(ctx context.Context, on processor, name, line string, env []string) (*Process, error) {
	args := append(on.command(), "sh", "-c", "exec "+line)
	p := &Process{name: name, cmd: exec.CommandContext(ctx, args[0], args[1:]...), exited: make(chan struct{})} //nolint:gosec // the user names the program
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopPatience
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit status does not matter
		close(p.exited)
	}()
	return p, nil
}

// Await calls ready until it returns nil. It returns an error with the output of the program if the
// program exits, ctx ends, or the program is not ready within startPatience.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s exited; its output:\n%s", p.name, p.output.String())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its output:\n%s", p.name, err, p.output.String())
		case <-time.After(tick):
		}
	}
}

// Stop kills the program and waits until it has ended.
func (p *Process) Stop() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// Usage is the CPU time and the memory of a process.
type Usage struct {
	CPU time.Duration // user and system time of all threads so far
	RSS uint64        // in bytes
}

// Usage returns the current usage of the process.
func (p *Process) Usage() (Usage, error) {
	proc, err := process.NewProcess(int32(p.cmd.Process.Pid))
	if err != nil {
		return Usage{}, fmt.Errorf("%s: %w", p.name, err)
	}
	times, err := proc.Times()
	if err != nil {
		return Usage{}, fmt.Errorf("%s: %w", p.name, err)
	}
	memory, err := proc.MemoryInfo()
	if err != nil {
		return Usage{}, fmt.Errorf("%s: %w", p.name, err)
	}
	return Usage{time.Duration((times.User + times.System) * float64(time.Second)), memory.RSS}, nil
}

// Sleep waits for d. It returns the error of ctx if ctx ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// FreePort returns a TCP port of the loopback address that is free now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// StartRedis starts a Redis without persistence, on the processor for the load. It returns the URL
// when the Redis is ready.
func StartRedis(ctx context.Context) (*Process, string, error) {
	port, err := FreePort()
	if err != nil {
		return nil, "", err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	p, err := start(ctx, loadProcessor, "redis-server", fmt.Sprintf("redis-server --port %d --bind 127.0.0.1 --save '' --appendonly no --client-output-buffer-limit 'pubsub 0 0 0'", port), nil)
	if err != nil {
		return nil, "", err
	}
	if err := p.Await(ctx, func(ctx context.Context) error { return ping(ctx, addr) }); err != nil {
		p.Stop()
		return nil, "", err
	}
	return p, "redis://" + addr, nil
}

func ping(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer := make([]byte, len("+PONG"))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != "+PONG" {
		return errors.New("not a Redis")
	}
	return nil
}

// tail is a writer that keeps the last keptOutput bytes.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if excess := len(t.text) - keptOutput; excess > 0 {
		t.text = append(t.text[:0], t.text[excess:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
