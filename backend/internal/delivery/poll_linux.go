package delivery

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller tells of sockets whose client is gone, and of full ones that can be written to
// again. It is an epoll instance of its own, which itself waits in that of Go's runtime.
type poller struct {
	file *os.File
	raw  syscall.RawConn
	fd   int
}

// readiness is what happened to a socket.
type readiness struct {
	fd     int32
	serial int32
	gone   bool // else it can be written to
}

const (
	hangUp   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	edgeOnly = unix.EPOLLET & 0xffffffff
)

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that os.File lets the runtime wait
		_ = unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &poller{file, raw, fd}, nil
}

func (p *poller) close() {
	_ = p.file.Close()
}

// run passes on what happens until the poller is closed.
func (p *poller) run(take func([]readiness)) {
	var events [256]unix.EpollEvent
	for {
		n := 0
		err := p.raw.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || err != nil && err != unix.EINTR
		})
		if err != nil || n < 0 {
			return
		}
		ready := make([]readiness, n)
		for i, e := range events[:n] {
			ready[i] = readiness{e.Fd, e.Pad, e.Events&hangUp != 0}
		}
		take(ready)
	}
}

// add watches a connection for its client's leaving.
func (p *poller) add(c *conn) error {
	return p.control(unix.EPOLL_CTL_ADD, c, unix.EPOLLRDHUP)
}

// awaitWritable has a full connection reported once when it is writable.
func (p *poller) awaitWritable(c *conn) error {
	return p.control(unix.EPOLL_CTL_MOD, c, unix.EPOLLRDHUP|unix.EPOLLOUT)
}

func (p *poller) control(op int, c *conn, events uint32) error {
	return unix.EpollCtl(p.fd, op, int(c.fd), &unix.EpollEvent{Events: events | edgeOnly, Fd: c.fd, Pad: c.serial})
}

func (p *poller) remove(c *conn) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil) // it may never have been added
}

// untaken returns how many bytes the kernel holds for a connection that the other end has
// not acknowledged, 0 where that cannot be known.
func untaken(c net.Conn) (n int) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n = untakenFD(int(fd)) })
	return n
}

func untakenFD(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
