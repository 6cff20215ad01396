package rig

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// KernelMemory returns what the kernel of this machine holds for itself, in bytes: its
// own objects (the slabs) and the buffers of TCP. No process's RSS shows it.
func KernelMemory() (slab, tcp uint64, err error) {
	slabKB, err := numberBehind("/proc/meminfo", "Slab:")
	if err != nil {
		return 0, 0, err
	}
	pages, err := numberBehind("/proc/net/sockstat", "TCP:", "mem")
	if err != nil {
		return 0, 0, err
	}
	return slabKB << 10, pages * uint64(os.Getpagesize()), nil
}

// numberBehind returns the number in a file behind words that follow each other, though
// not at once.
func numberBehind(path string, words ...string) (uint64, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the paths are those above
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
