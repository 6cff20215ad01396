package delivery

import (
	"errors"
	"net"
	"os"
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
	return &progressConn{c, l.WriteTimeout}, nil
}

type progressConn struct {
	net.Conn
	timeout time.Duration
}

// Write fails with an error that is [os.ErrDeadlineExceeded] if the client took nothing
// for the timeout.
func (c *progressConn) Write(p []byte) (written int, err error) {
	waiting := untaken(c.Conn)
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		before := waiting
		waiting = untaken(c.Conn)
		if n == 0 && waiting >= before {
			return written, err
		}
	}
}
