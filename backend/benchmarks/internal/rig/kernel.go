package rig

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// KernelMemory returns the memory of the kernel in bytes: slab for kernel objects, and tcp for the
// buffers of TCP. The RSS of a process does not include it.
func KernelMemory() (slab, tcp uint64, err error) {
	slabKB, err := readNumber("/proc/meminfo", "Slab:")
	if err != nil {
		return 0, 0, err
	}
	pages, err := readNumber("/proc/net/sockstat", "TCP:", "mem")
	if err != nil {
		return 0, 0, err
	}
	return slabKB << 10, pages * uint64(os.Getpagesize()), nil
}

// readNumber returns the number in a file after some words. Other words may be between them.
func readNumber(path string, words ...string) (uint64, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the paths are constants
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text)
	for len(words) > 0 && len(fields) > 1 {
		if string(fields[0]) == words[0] {
			words = words[1:]
		}
		fields = fields[1:]
	}
	if len(words) > 0 || len(fields) == 0 {
		return 0, fmt.Errorf("%s has no %q", path, words)
	}
	return strconv.ParseUint(string(fields[0]), 10, 64)
}
