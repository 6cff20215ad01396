package delivery

import (
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// writer writes to one client and fails when that takes nothing for the timeout.
type writer struct {
	response http.ResponseWriter
	control  *http.ResponseController
	timeout  time.Duration
	piece    int // the most that is written under one deadline
}

// http2Piece bounds a write to an HTTP/2 stream, where the deadline cannot be moved
// while the write makes progress as [Listener] does for HTTP/1.
const http2Piece = 16 << 10

func newWriter(w http.ResponseWriter, protoMajor int, timeout time.Duration) *writer {
	out := &writer{w, http.NewResponseController(w), timeout, 0}
	if protoMajor >= 2 {
		out.piece = http2Piece
	}
	return out
}

// send writes b and sees it off.
func (w *writer) send(b []byte) error {
	if err := w.write(b); err != nil {
		return err
	}
	return w.control.Flush()
}

// write writes b, some of which may stay in a buffer.
func (w *writer) write(b []byte) error {
	for len(b) > 0 {
		n := len(b)
		if w.piece > 0 {
			n = min(n, w.piece)
			if err := w.control.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
				return err
			}
		}
		if _, err := w.response.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

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

// Write fails with an error that is [os.ErrDeadlineExceeded] if nothing of p could be
// written for the timeout.
func (c *progressConn) Write(p []byte) (written int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}
