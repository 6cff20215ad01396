package ci

import (
	"bytes"
	"errors"
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

// server is a gateway process.
type server struct {
	path  string // path of the program
	admin string // host:port of the admin address
}

// startServer builds and starts the gateway with the embedded broker. The process is killed when the test ends.
func startServer(t *testing.T) server {
	t.Helper()
	s := server{path: filepath.Join(t.TempDir(), "server")}
	build := exec.Command("go", "build", "-o", s.path, "./cmd/server")
	build.Dir = "../../backend"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	var log lockedBuffer
	cmd := exec.Command(s.path, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
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
	admin := regexp.MustCompile(`admin=(\S+)`)
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(10 * time.Millisecond) {
		if found := admin.FindStringSubmatch(log.String()); found != nil {
			s.admin = found[1]
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
