package ci

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// testTimeout bounds every wait of a test.
const testTimeout = 60 * time.Second

// buildDir is removed after the tests.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "sluice-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// build builds the gateway once. It returns the path of the program.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "server")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/server")
	cmd.Dir = "../../backend"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return path, nil
})

// server is a gateway process.
type server struct {
	path  string // path of the program
	addr  string // host:port
	admin string // host:port of the admin address
}

// startServer builds and starts the gateway, with the embedded broker unless args name a Redis. The process is
// killed when the test ends.
func startServer(t *testing.T, args ...string) server {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	s := server{path: path}
	var log lockedBuffer
	cmd := exec.Command(s.path, append(args, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")...)
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // even if the test process is killed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Error(err)
		}
	})
	listening := regexp.MustCompile(`addr=(\S+) admin=(\S+)`)
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(10 * time.Millisecond) {
		if found := listening.FindStringSubmatch(log.String()); found != nil {
			s.addr, s.admin = found[1], found[2]
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("got no admin address in the log:\n%s", log.String())
		}
	}
}

// lockedBuffer collects the output of a process. It may be read at any time.
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

// deploy is the directory of the example configurations.
const deploy = "../../backend/deploy"

// deployFile reads an example configuration.
func deployFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
