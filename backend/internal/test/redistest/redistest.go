// Package redistest starts real redis-server processes for tests, and does to them
// what happens to servers: they are stopped, killed, frozen, and come back. It knows
// nothing of Sluice.
package redistest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/test/proctest"
)

// startTimeout bounds how long a server may take to answer, its first PING too, on a
// machine that does much else.
const startTimeout = 20 * time.Second

// commandTimeout bounds one command, which may fill hundreds of megabytes on a busy machine.
const commandTimeout = 90 * time.Second

// program is the server to start; SLUICE_REDIS_SERVER names another than the one in PATH,
// for instance that of Valkey.
var program = cmp.Or(os.Getenv("SLUICE_REDIS_SERVER"), "redis-server")

// Server is a redis-server process on a loopback port of its own. Its methods are for
// one goroutine at a time.
type Server struct {
	t    testing.TB
	dir  string
	port int
	args []string // all but the port
	main string   // a file that comes before the arguments, if any

	process *proctest.Process // nil while it does not run
	log     proctest.Output
}

// Start starts a server that keeps nothing on disk; args are further arguments for
// redis-server, for instance "--requirepass", "secret". It returns when the server
// answers. The end of the test kills it.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := Reserve(t, args...)
	s.Restart()
	return s
}

// Reserve returns a server that has not been started: its address refuses connections
// until Restart.
func Reserve(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs %s: install the Debian package redis-server, or the like", program)
	}
	s := &Server{t: t, dir: t.TempDir(), port: FreePort(t)}
	s.args = append([]string{"--dir", s.dir, "--save", "", "--appendonly", "no"}, args...)
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("log of redis-server on port %d:\n%s", s.port, s.log.String())
		}
	})
	return s
}

// Ports are given from a range that no outgoing connection uses, so a server that restarts finds
// its port free. Each process has a part of the range, and gives no port twice before the end of
// its part.
const (
	firstPort   = 10_000
	partOfPorts = 500 // of one process
	portParts   = 44
)

var portsGiven atomic.Int64

// FreePort returns a port that nobody listens on now.
func FreePort(t testing.TB) int {
	t.Helper()
	for range partOfPorts {
		port := firstPort + os.Getpid()%portParts*partOfPorts + int(portsGiven.Add(1)%partOfPorts)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatalf("redistest: none of %d ports is free", partOfPorts)
	return 0
}

// Addr returns host:port.
func (s *Server) Addr() string {
	return fmt.Sprintf("127.0.0.1:%d", s.port)
}

// URL returns the address as redis://host:port.
func (s *Server) URL() string {
	return "redis://" + s.Addr()
}

// Client returns a client that the end of the test closes. It does not repeat
// commands.
func (s *Server) Client() *redis.Client {
	s.t.Helper()
	client := s.connect()
	s.t.Cleanup(func() { client.Close() })
	return client
}

func (s *Server) connect() *redis.Client {
	s.t.Helper()
	options, err := redis.ParseURL(s.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	options.MaxRetries = -1
	options.ReadTimeout = commandTimeout
	options.Password = s.argument("--requirepass")
	return redis.NewClient(options)
}

// Monitor returns a scanner of the commands that clients send from now on, one a line, until
// the end of the test or the time that anything here may take.
func (s *Server) Monitor() *bufio.Scanner {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(startTimeout))
	commands := bufio.NewScanner(conn)
	if _, err := fmt.Fprint(conn, "MONITOR\r\n"); err != nil || !commands.Scan() || commands.Text() != "+OK" {
		s.t.Fatalf("MONITOR: %v, %q", err, commands.Text())
	}
	return commands
}

// argument returns the value of one of the server's arguments, "" if it has none.
func (s *Server) argument(name string) string {
	for i, arg := range s.args {
		if arg == name && i+1 < len(s.args) {
			return s.args[i+1]
		}
	}
	return ""
}

// Restart starts the server again on the same port, empty, after Stop, Kill or
// Reserve, and returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	if s.process != nil {
		s.t.Fatal("redistest: Restart of a server that runs")
	}
	deadline := time.Now().Add(startTimeout)
	for {
		s.launch()
		err := s.awaitAnswer(deadline)
		if err == nil {
			return
		}
		s.Kill()
		// Another process may have taken the port for a moment.
		if errors.Is(err, errExited) && time.Now().Before(deadline) {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.t.Fatalf("redis-server on port %d: %v\n%s", s.port, err, s.log.String())
	}
}

func (s *Server) launch() {
	s.t.Helper()
	args := append([]string{"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--daemonize", "no"}, s.args...)
	if s.main != "" {
		args = append([]string{s.main}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	s.process = proctest.Start(s.t, cmd)
}

var errExited = errors.New("it ended at once")

// awaitAnswer waits until the server answers PING, be it that it wants a password.
func (s *Server) awaitAnswer(deadline time.Time) error {
	err := errors.New("no answer")
	for time.Now().Before(deadline) {
		select {
		case <-s.process.Exited:
			return errExited
		default:
		}
		if err = ping(s.Addr()); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func ping(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if text := string(answer[:n]); !strings.HasPrefix(text, "+PONG") && !strings.HasPrefix(text, "-NOAUTH") {
		return fmt.Errorf("PING was answered with %q", text)
	}
	return nil
}

// Stop ends the server as an operator would, with SIGTERM. It returns when the process
// is gone.
func (s *Server) Stop() {
	s.end(syscall.SIGTERM)
}

// Kill ends the server as a crash would, with SIGKILL. It returns when the process is
// gone.
func (s *Server) Kill() {
	s.end(syscall.SIGKILL)
}

func (s *Server) end(signal syscall.Signal) {
	if s.process == nil {
		return
	}
	s.process.End(signal)
	s.process = nil
}

// Pause freezes the server with SIGSTOP: its connections stay open, and nothing
// answers.
func (s *Server) Pause() {
	s.signal(proctest.Freeze)
}

// Continue ends Pause.
func (s *Server) Continue() {
	s.signal(proctest.Thaw)
}

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Signal(signal); err != nil {
		s.t.Fatalf("signalling redis-server: %v", err)
	}
}

// Do runs one command and returns its reply, or fails the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := s.connect()
	defer client.Close()
	reply, err := client.Do(ctx, args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("%v: %v", args, err)
	}
	return reply
}
