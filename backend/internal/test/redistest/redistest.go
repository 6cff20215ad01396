// Package redistest runs redis-server processes for tests: it starts, stops, kills, freezes and
// restarts them. It does not depend on Sluice.
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

// startTimeout bounds how long a server may take to answer PING, on a busy machine.
const startTimeout = 20 * time.Second

// commandTimeout bounds one command, which may fill hundreds of megabytes on a busy machine.
const commandTimeout = 90 * time.Second

// program is the server to start. SLUICE_REDIS_SERVER names another program than redis-server in
// PATH, such as valkey-server.
var program = cmp.Or(os.Getenv("SLUICE_REDIS_SERVER"), "redis-server")

// Server is a redis-server process on a loopback port. Its methods must not be called concurrently.
type Server struct {
	t    testing.TB
	dir  string
	port int
	args []string // all but the port
	main string   // a file before the arguments, or empty

	process *proctest.Process // nil while it does not run
	log     proctest.Output
}

// Start starts a server without persistence. args are further arguments of redis-server, such as
// "--requirepass", "secret". It returns when the server answers. The server is killed when the test
// ends.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := Reserve(t, args...)
	s.Restart()
	return s
}

// Reserve returns a server that is not running. Its address refuses connections until Restart.
func Reserve(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs %s: install Redis", program)
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

// Ports are from a range that no outgoing connection uses, so the port is free when a server
// restarts. Each process uses a part of the range, and uses each port once before it repeats one.
const (
	firstPort   = 10_000
	partOfPorts = 500 // per process
	portParts   = 44
)

var portsGiven atomic.Int64

// FreePort returns a port on which no process listens.
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
	t.Fatalf("redistest: all %d ports are in use", partOfPorts)
	return 0
}

// Addr returns host:port.
func (s *Server) Addr() string {
	return fmt.Sprintf("127.0.0.1:%d", s.port)
}

// URL returns redis://host:port.
func (s *Server) URL() string {
	return "redis://" + s.Addr()
}

// Client returns a client that does not retry commands. It is closed when the test ends.
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

// Monitor returns a scanner of the commands that clients send from now on, one per line. It ends
// with the test or after commandTimeout.
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

// argument returns the value of a server argument, or "".
func (s *Server) argument(name string) string {
	for i, arg := range s.args {
		if arg == name && i+1 < len(s.args) {
			return s.args[i+1]
		}
	}
	return ""
}

// Restart starts the server again on the same port, empty, after Stop, Kill or Reserve. It returns
// when the server answers.
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
		// Another process may use the port for a short time.
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

var errExited = errors.New("the server ended immediately")

// awaitAnswer waits until the server answers PING, even with an error that it requires a password.
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

// Stop sends SIGTERM and waits for the end of the process.
func (s *Server) Stop() {
	s.end(syscall.SIGTERM)
}

// Kill sends SIGKILL and waits for the end of the process.
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

// Pause freezes the server with SIGSTOP. Its connections stay open, but it does not answer.
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

// Do runs one command and returns its reply. It fails the test on an error.
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
