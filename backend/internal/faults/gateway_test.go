package faults_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// gateway is a server process.
type gateway struct {
	t    *testing.T
	args []string
	url  string

	process *exec.Cmd
	exited  chan struct{}
	log     lockedBuffer
}

// startGateway starts a gateway on a port of its own and returns when it is ready. The
// end of the test kills it.
func startGateway(t *testing.T, redisURL string, args ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, args: append([]string{
		"--admin-addr", "127.0.0.1:0",
		"--redis-url", redisURL,
		"--allow-subscribe", "channel:*,stream:*,key:*",
		"--retry", "50ms",
		"--drain", "1s",
	}, args...)}
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("log of the gateway at %s:\n%s", g.url, g.log.String())
		}
	})
	g.start("127.0.0.1:0")
	return g
}

// start starts the process, on the address that it had before if addr is empty.
func (g *gateway) start(addr string) {
	g.t.Helper()
	if addr == "" {
		addr = strings.TrimPrefix(g.url, "http://")
	}
	await(g.t, "the gateway serves on "+addr, func() bool { return g.launch(addr) })
	await(g.t, "the gateway is ready", g.ready)
}

// launch reports false if the address is taken: a connection of another process may have
// the port for a moment.
func (g *gateway) launch(addr string) bool {
	g.t.Helper()
	cmd := exec.Command(serverPath, append([]string{"--addr", addr}, g.args...)...)
	cmd.Stderr = &g.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the tests are killed
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n') // "Sluice is serving http://localhost:4000"
	_, port, found := strings.Cut(strings.TrimSpace(line), "://localhost:")
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait() // most are killed
	}()
	if err != nil {
		<-exited
		if !strings.Contains(g.log.String(), "address already in use") {
			g.t.Fatal("the gateway ended at once")
		}
		return false
	}
	g.process, g.exited = cmd, exited
	if !found {
		g.t.Fatalf("the gateway began with %q", line)
	}
	if g.url == "" { // else subscribers use it now, and it is the same
		g.url = "http://127.0.0.1:" + port
	}
	return true
}

func (g *gateway) ready() bool {
	response, err := http.Get(g.url + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// connections returns how many subscriptions are open.
func (g *gateway) connections() int {
	g.t.Helper()
	response, err := http.Get(g.url + "/stats")
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	var stats struct{ Connections int }
	if err := json.NewDecoder(response.Body).Decode(&stats); err != nil {
		g.t.Fatal(err)
	}
	return stats.Connections
}

// kill ends the process as a crash would.
func (g *gateway) kill() { g.end(syscall.SIGKILL) }

// drain ends the process as an operator would, and returns when it is gone.
func (g *gateway) drain() { g.end(syscall.SIGTERM) }

func (g *gateway) end(signal syscall.Signal) {
	if g.process == nil {
		return
	}
	_ = g.process.Process.Signal(signal)
	<-g.exited
	g.process = nil
}

func (g *gateway) signal(signal syscall.Signal) {
	g.t.Helper()
	if err := g.process.Process.Signal(signal); err != nil {
		g.t.Fatal(err)
	}
}

// lockedBuffer takes the output of a process while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
