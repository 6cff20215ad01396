package delivery

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// send is send(2) on a socket that does not block. It is called without the words to Go's
// scheduler that go with other system calls: there the scheduler would take the processor
// away from a shard that is in one for most of a sweep, and give it back, again and again.
func send(fd int32, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), //nolint:gosec // the kernel reads len(b) bytes, and keeps nothing
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
