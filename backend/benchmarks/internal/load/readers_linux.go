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
	// closeWithin is how long the reading thread may wait before it looks whether it is to
	// end, in milliseconds.
	closeWithin = 100
	// sources is how many addresses of this machine connections come from, so that there
	// are more than the ports of one.
	sources = 4
)

// Readers holds connections and reads them all. Its methods may be called from any
// goroutine, Open by one at a time.
type Readers struct {
	epoll int
	ended sync.WaitGroup

	mu     sync.Mutex
	conns  map[int32]*conn // by descriptor
	open   int             // that were ever answered
	dialed int
	since  int64 // when the tally was reset, as messages tell time
	tally  Tally
	failed error // why a connection was refused
	closed bool
}

// NewReaders returns readers without connections. Close must be called in the end.
func NewReaders() (*Readers, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	r := &Readers{epoll: epoll, conns: make(map[int32]*conn), tally: newTally()}
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

// Reset begins a new tally, of messages that are published from now on, and returns the
// old one.
func (r *Readers) Reset() Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.tally
	r.tally, r.since = newTally(), time.Now().UnixNano()
	return old
}

// Messages returns how many messages the present tally has.
func (r *Readers) Messages() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally.Messages
}

// Count returns how many connections there are.
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

// dial opens a connection and asks for the target.
func (r *Readers) dial(t Target) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("this process may have no more than %d of them; raise ulimit -n, or take fewer: %w", r.Count(), err)
	}
	if err != nil {
		return err
	}
	if err := r.ask(fd, t); err != nil {
		_ = unix.Close(fd)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[int32(fd)] = &conn{fd: fd}
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (r *Readers) ask(fd int, t Target) error {
	// The port is chosen when the other end is known, so that each end has all ports.
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

// run reads until Close, on a thread of its own: it waits in the kernel, where Go's
// scheduler would have to be asked each time.
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
		err = c.take(buf[:n], &r.tally, r.since, time.Now().UnixNano())
	}
	if c.open && !wasOpen {
		r.open++
	}
	if n > 0 && err == nil {
		return
	}
	if !c.open {
		r.failed = errors.Join(errors.New("a connection was not answered with an event stream"), err)
	}
	r.tally.Gone++
	delete(r.conns, int32(c.fd))
	_ = unix.Close(c.fd)
}
