package delivery

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Listener accepts connections whose write deadlines move with their progress. A client that
// acknowledges data, even slowly, stays connected. A write fails if the client has acknowledged no
// data for the timeout.
type Listener struct {
	net.Listener
	WriteTimeout time.Duration
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &progressConn{Conn: c, timeout: l.WriteTimeout}, nil
}

type progressConn struct {
	net.Conn
	timeout  time.Duration
	progress progress
	aborted  atomic.Bool
}

// SetWriteDeadline implements [net.Conn]. A deadline in the past makes this and all later writes
// fail.
func (c *progressConn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		c.aborted.Store(true)
	}
	return c.Conn.SetWriteDeadline(t)
}

// Write implements [net.Conn]. It returns [os.ErrDeadlineExceeded] if the client has acknowledged
// no data for the timeout, of this write or of earlier ones.
func (c *progressConn) Write(p []byte) (written int, err error) {
	if c.progress.stalled(unacknowledged(c.Conn), time.Now(), c.timeout) {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, err
		}
		if c.aborted.Load() { // checked after the deadline is set, so no abort is missed
			return written, os.ErrDeadlineExceeded
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		c.progress.sent += uint32(n)
		held := unacknowledged(c.Conn)
		stalled := c.progress.stalled(held, time.Now(), c.timeout)
		// If the system does not report it, held is 0 here.
		if !errors.Is(err, os.ErrDeadlineExceeded) || stalled || n == 0 && held == 0 {
			return written, err
		}
	}
}
