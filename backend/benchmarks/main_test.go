package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// gateway is the program that the tests measure.
var gateway string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "members" { // a crowd runs this program again
		main()
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "benchmarks")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	gateway = filepath.Join(dir, "server")
	if err := build("..", gateway, "./cmd/server"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds a program of the module in a folder.
func build(folder, program, path string) error {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", program, path)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", path, err, out)
	}
	return nil
}
