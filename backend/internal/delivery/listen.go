package delivery

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Listener gives every connection a write deadline that moves with its progress: a
// client that takes something, however slowly, is kept, and one that takes nothing for
// the timeout is not.
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

// SetWriteDeadline makes all writes fail if the deadline has passed.
func (c *progressConn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		c.aborted.Store(true)
	}
	return c.Conn.SetWriteDeadline(t)
}

// Write fails with an error that is [os.ErrDeadlineExceeded] if the client took nothing
// for the timeout: of this, or of what was written before.
func (c *progressConn) Write(p []byte) (written int, err error) {
	if c.progress.stalled(untaken(c.Conn), time.Now(), c.timeout) {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, err
		}
		if c.aborted.Load() { // since or before
			return written, os.ErrDeadlineExceeded
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		c.progress.sent += uint32(n)
		held := untaken(c.Conn)
		stalled := c.progress.stalled(held, time.Now(), c.timeout)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		if stalled || n == 0 && held == 0 { // the latter where the system does not tell what it holds
			return written, err
		}
	}
}
