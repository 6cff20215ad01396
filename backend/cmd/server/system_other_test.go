//go:build !unix

package main

// mkfifo does nothing: the file system has no named pipes.
func mkfifo(string) error {
	return nil
}
