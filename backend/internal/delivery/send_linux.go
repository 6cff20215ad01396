package delivery

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// send calls send(2) without blocking. It uses a raw system call, which does not notify the Go
// scheduler. A shard spends most of a broadcast in send, so the scheduler would take the processor
// from it and return it repeatedly.
func send(fd int32, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), //nolint:gosec // the kernel reads len(b) bytes and keeps no reference
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
