//go:build !unix

package main

// mkfifo does nothing: this file system does not support named pipes.
func mkfifo(string) error {
	return nil
}
