// Package gatewaytest runs the gateway as a process for tests, which know of it what its
// users know.
package gatewaytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/internal/test/redistest"
)

// program is the path of the built gateway.
var program string

// Program returns the path of the gateway that [Run] has built.
func Program() string {
	return program
}

// Run builds the gateway, and is [redistest.Run] with it.
func Run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "server")
	if out, err := exec.Command("go", "build", "-o", program, "sluice/cmd/server").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the gateway: %v\n%s", err, out)
		return 1
	}
	return redistest.Run(m)
}
