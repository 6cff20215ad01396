// Package gatewaytest runs the gateway as a process for black-box tests.
package gatewaytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/internal/test/redistest"
)

// program is the path of the gateway binary.
var program string

// Program returns the path of the gateway that [Run] has built.
func Program() string {
	return program
}

// Run builds the gateway and then calls [redistest.Run].
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
