package proctest

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// DropInput makes a connection drop all incoming packets, as if its cable was pulled: the kernel
// sends no acknowledgement.
func DropInput(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	dropAll := &unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, dropAll)
	})
	return errors.Join(err, failed)
}
