package load

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readBuffer  = 256 << 10
	readyAtOnce = 1024
	// closeWithin is the time in milliseconds after which the reading thread checks whether the
	// readers are closed.
	closeWithin = 100
	// sources is the number of loopback addresses to connect from. One address has too few ports.
	sources = 4
)

// Readers holds connections and reads all of them. Its methods may be called from any goroutine, but
// Open by only one at a time.
type Readers struct {
	epoll int
	ended sync.WaitGroup

	mu     sync.Mutex
	conns  map[int32]*conn // by descriptor
	open   int             // connections that received a head, including ended ones
	dialed int             // used by Open only
	since  int64           // time of the last Reset, in nanoseconds since 1970
	result Result
	failed error // error of a connection without an event stream
	closed bool
}

// NewReaders returns Readers without connections. The caller must call Close.
func NewReaders() (*Readers, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	r := &Readers{epoll: epoll, conns: make(map[int32]*conn), result: newResult()}
	r.ended.Go(r.run)
	return r, nil
}

// Close closes all connections.
func (r *Readers) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.ended.Wait()
	for _, c := range r.conns {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(r.epoll)
}

// Reset starts a new result, for messages that are published after the call, and returns the old
// one.
func (r *Readers) Reset() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.result
	r.result, r.since = newResult(), time.Now().UnixNano()
	return old
}

// Messages returns the number of messages in the current result.
func (r *Readers) Messages() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result.Messages
}

// Count returns the number of open connections.
func (r *Readers) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

func (r *Readers) opened() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open, r.failed
}

// dial opens a connection and sends the request of a target.
func (r *Readers) dial(t Target) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("the limit of open files is reached at %d connections; raise ulimit -n, or use fewer connections: %w", r.Count(), err)
	}
	if err != nil {
		return err
	}
	if err := r.request(fd, t); err != nil {
		_ = unix.Close(fd)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[int32(fd)] = &conn{fd: fd}
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// request connects a socket and sends the request of a target.
func (r *Readers) request(fd int, t Target) error {
	// The kernel selects the port in Connect, when it knows the destination. Each destination can
	// use all ports then.
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if t.addr.IP.IsLoopback() {
		r.dialed++
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + r.dialed%sources)}}); err != nil {
			return err
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: t.addr.Port, Addr: [4]byte(t.addr.IP.To4())}); err != nil {
		return err
	}
	if _, err := unix.Write(fd, t.request); err != nil { // it fits into an empty socket
		return err
	}
	return unix.SetNonblock(fd, true)
}

// run reads until Close. It has its own thread and waits in epoll_wait, which costs less than the
// poller of the Go runtime.
func (r *Readers) run() {
	runtime.LockOSThread()
	events := make([]unix.EpollEvent, readyAtOnce)
	buf := make([]byte, readBuffer)
	for {
		n, err := unix.EpollWait(r.epoll, events, closeWithin)
		if err != nil && !errors.Is(err, unix.EINTR) {
			n = 0
		}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return
		}
		for _, e := range events[:max(n, 0)] {
			r.read(r.conns[e.Fd], buf)
		}
		r.mu.Unlock()
	}
}

func (r *Readers) read(c *conn, buf []byte) {
	n, err := unix.Read(c.fd, buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	wasOpen := c.open
	if n > 0 {
		err = c.receive(buf[:n], &r.result, r.since, time.Now().UnixNano())
	}
	if c.open && !wasOpen {
		r.open++
	}
	if n > 0 && err == nil {
		return
	}
	if !c.open {
		r.failed = errors.Join(errors.New("the response to a connection is not an event stream"), err)
	}
	r.result.Gone++
	delete(r.conns, int32(c.fd))
	_ = unix.Close(c.fd)
}
