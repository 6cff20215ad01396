package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// serverPath is the built gateway.
var serverPath string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "members" { // a crowd starts this program again
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	serverPath = filepath.Join(dir, "server")
	if out, err := exec.Command("go", "build", "-o", serverPath, "sluice/cmd/server").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the gateway: %v\n%s", err, out)
		return 1
	}
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startGateway starts a gateway that the end of the test kills, and returns its URL
// when it is ready.
func startGateway(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(serverPath, append([]string{
		"--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--retry", "50ms",
		"--allow-subscribe", "channel:*,stream:*,key:*", "--allow-publish", "channel:*,stream:*,key:*",
	}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the tests are killed
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n') // "Sluice is serving http://localhost:4000"
	_, port, found := strings.Cut(strings.TrimSpace(line), "://localhost:")
	if err != nil || !found {
		t.Fatalf("the gateway began with %q, %v", line, err)
	}
	url := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(url + "/readyz")
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				http.DefaultClient.CloseIdleConnections()
				return url
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway is not ready: %v", err)
		}
	}
}

// runBench runs the program as from a shell and returns its JSON result.
func runBench(t *testing.T, args ...string) (status int, r result, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), append(args, "--json"), &out, &errs)
	if status != couldNot {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("the result is no JSON: %v\n%s", err, out.String())
		}
	}
	return status, r, errs.String()
}
