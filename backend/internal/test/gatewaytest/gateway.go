package gatewaytest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/test/proctest"
	"sluice/internal/test/redistest"
)

// startTimeout bounds how long a gateway may take to be ready, on a busy machine.
const startTimeout = 45 * time.Second

// anyPort is an address with a free port.
const anyPort = "127.0.0.1:0"

// serving matches the first line of output: "Sluice is serving http://localhost:4000".
var serving = regexp.MustCompile(`(https?)://localhost:(\d+)\n`)

// Gateway is a gateway process on a loopback port. Its methods must not be called concurrently,
// except those that only query the process.
type Gateway struct {
	t       testing.TB
	command []string // runs the program
	args    []string // all but the addresses
	scheme  string
	addr    string
	client  *http.Client

	process *proctest.Process // nil while it does not run
	log     proctest.Output
}

// Start starts a gateway with default settings and further arguments. It returns when the gateway
// is ready. The process is killed when the test ends.
func Start(t testing.TB, args ...string) *Gateway {
	t.Helper()
	return start(t, []string{program}, args, nil)
}

// StartTLS is like Start, for a gateway that listens with TLS and has a certificate of an
// authority.
func StartTLS(t testing.TB, authority *redistest.Authority, args ...string) *Gateway {
	t.Helper()
	certificate, key := authority.Pair()
	return start(t, []string{program}, append([]string{"--tls-cert", certificate, "--tls-key", key}, args...), authority.Client())
}

// StartLimited is like Start, for a gateway with a limit of open files.
func StartLimited(t testing.TB, descriptors int, args ...string) *Gateway {
	t.Helper()
	return start(t, []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, descriptors), program}, args, nil)
}

func start(t testing.TB, command, args []string, trust *tls.Config) *Gateway {
	t.Helper()
	g := &Gateway{
		t: t, command: command, args: args, addr: anyPort,
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust}},
	}
	t.Cleanup(func() {
		g.Kill()
		if t.Failed() {
			t.Logf("log of the gateway at %s:\n%s", g.addr, g.log.String())
		}
	})
	g.Restart()
	return g
}

// Restart starts the gateway again on the same port after Kill or Drain. It returns when the
// gateway is ready.
func (g *Gateway) Restart() {
	g.t.Helper()
	proctest.Await(g.t, startTimeout, "the gateway serves on "+g.addr, g.launch)
	proctest.Await(g.t, startTimeout, "the gateway is ready", g.ready)
}

// launch returns false if the address is in use. A connection of another process may use the port
// for a short time.
func (g *Gateway) launch() bool {
	g.t.Helper()
	line := slices.Concat(g.command, []string{"--addr", g.addr, "--admin-addr", anyPort}, g.args)
	cmd := exec.Command(line[0], line[1:]...)
	var stdout proctest.Output
	cmd.Stdout, cmd.Stderr = &stdout, &g.log
	g.process = proctest.Start(g.t, cmd)
	ended := false
	proctest.Await(g.t, startTimeout, "the gateway tells its address", func() bool {
		select {
		case <-g.process.Exited:
			ended = true
		default:
		}
		return ended || strings.Contains(stdout.String(), "\n")
	})
	if ended {
		g.process = nil
		if !strings.Contains(g.log.String(), "address already in use") {
			g.t.Fatal("the gateway ended immediately")
		}
		return false
	}
	found := serving.FindStringSubmatch(stdout.String())
	if found == nil {
		g.t.Fatalf("got first output %q", stdout.String())
	}
	g.scheme = found[1]
	if g.addr == anyPort { // otherwise it is unchanged, and other goroutines read it
		g.addr = "127.0.0.1:" + found[2]
	}
	return true
}

func (g *Gateway) ready() bool {
	response, err := g.client.Get(g.URL() + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Addr returns host:port.
func (g *Gateway) Addr() string {
	return g.addr
}

// URL returns scheme://host:port.
func (g *Gateway) URL() string {
	return g.scheme + "://" + g.addr
}

// Log returns the log of the gateway.
func (g *Gateway) Log() string {
	return g.log.String()
}

// Connections returns the number of open subscriptions.
func (g *Gateway) Connections() int {
	g.t.Helper()
	response, err := g.client.Get(g.URL() + "/stats")
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

// Descriptors returns the number of open files.
func (g *Gateway) Descriptors() int {
	g.t.Helper()
	files, err := os.ReadDir(g.Proc("fd"))
	if err != nil {
		g.t.Error(err) // not Fatal: the caller may run on another goroutine
	}
	return len(files)
}

// Proc returns the path of a file of the process in /proc.
func (g *Gateway) Proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", g.process.PID(), name)
}

// Signal sends a signal to the gateway.
func (g *Gateway) Signal(signal syscall.Signal) {
	g.t.Helper()
	if err := g.process.Signal(signal); err != nil {
		g.t.Fatal(err)
	}
}

// Kill sends SIGKILL and waits for the end of the process.
func (g *Gateway) Kill() { g.end(syscall.SIGKILL) }

// Drain sends SIGTERM and waits for the end of the process.
func (g *Gateway) Drain() { g.end(syscall.SIGTERM) }

func (g *Gateway) end(signal syscall.Signal) {
	if g.process == nil {
		return
	}
	g.process.End(signal)
	g.process = nil
}
