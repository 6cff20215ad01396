package delivery

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller reports sockets that the client has closed, and full sockets that are writable again. It
// is a separate epoll instance, whose descriptor is in the epoll instance of the Go runtime.
type poller struct {
	file *os.File
	raw  syscall.RawConn
	fd   int
}

const (
	// hangUp is set in an event if the client has closed the connection; else the socket is writable.
	hangUp   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	edgeOnly = unix.EPOLLET & 0xffffffff
)

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // os.File needs this to use the poller of the runtime
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

// run calls report with new events until the poller is closed. Their Pad is the serial of the
// connection. report must not keep them.
func (p *poller) run(report func([]unix.EpollEvent)) {
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
		report(events[:n])
	}
}

// add starts to watch whether the client closes a connection.
func (p *poller) add(c *conn) error {
	return p.control(unix.EPOLL_CTL_ADD, c, unix.EPOLLRDHUP)
}

// awaitWritable also watches for the moment when the socket of a connection is writable.
func (p *poller) awaitWritable(c *conn) error {
	return p.control(unix.EPOLL_CTL_MOD, c, unix.EPOLLRDHUP|unix.EPOLLOUT)
}

func (p *poller) control(op int, c *conn, events uint32) error {
	return unix.EpollCtl(p.fd, op, int(c.fd), &unix.EpollEvent{Events: events | edgeOnly, Fd: c.fd, Pad: c.serial})
}

func (p *poller) remove(c *conn) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil) // fails if add has failed
}

// unacknowledged returns the number of bytes in the send buffer of a connection that the client
// has not acknowledged, or 0 if it is not known.
func unacknowledged(c net.Conn) (n int) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n = unacknowledgedFD(int(fd)) })
	return n
}

func unacknowledgedFD(fd int) int {
	n, _ := unix.IoctlGetInt(fd, unix.SIOCOUTQ) // 0 after an error
	return n
}
