package delivery

import (
	"net"
	"net/http"
	"time"
)

// writer writes to one client.
type writer interface {
	// send writes all of b. It returns an error that wraps [os.ErrDeadlineExceeded] if the client
	// accepts no data for the write timeout.
	send(b []byte) error
	// abort makes the current and later calls of send fail, as after the write timeout. It may be
	// called from any goroutine.
	abort()
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// connWriter writes to a connection that [Listener] accepted.
type connWriter struct{ net.Conn }

func (w connWriter) send(b []byte) error {
	_, err := w.Write(b)
	return err
}

func (w connWriter) abort() { _ = w.SetWriteDeadline(past) }

// responseWriter writes to an HTTP response over a connection that [Listener] accepted.
type responseWriter struct {
	response http.ResponseWriter
	control  *http.ResponseController
	timeout  time.Duration
	piece    int // maximum number of bytes under one deadline; 0 if the connection sets deadlines
}

// http2Piece bounds a write to an HTTP/2 stream, because the deadline of a stream cannot be
// extended while a write makes progress.
const http2Piece = 16 << 10

func newResponseWriter(w http.ResponseWriter, protoMajor int, timeout time.Duration) *responseWriter {
	w = innermost(w)
	out := &responseWriter{response: w, control: http.NewResponseController(w), timeout: timeout}
	if protoMajor >= 2 {
		out.piece = http2Piece
	}
	return out
}

func (w *responseWriter) send(b []byte) error {
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
	if err := w.control.Flush(); err != nil || w.piece == 0 {
		return err
	}
	// Otherwise the deadline would end the stream even when no write is in progress.
	return w.control.SetWriteDeadline(time.Time{})
}

func (w *responseWriter) abort() { _ = w.control.SetWriteDeadline(past) }

// innermost returns the writer of net/http. The writers that wrap it may hide that a flush failed.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapped, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapped.Unwrap()
	}
}

// stallAfter is the duration of a write after which its client counts as stalled.
const stallAfter = time.Second

// stallWriter counts its client as stalled while a write takes longer than stallAfter.
type stallWriter struct {
	writer
	metrics Metrics
	timer   *time.Timer
}

func (w *stallWriter) send(b []byte) error {
	if w.timer == nil {
		w.timer = time.AfterFunc(stallAfter, func() { w.metrics.Stalled(1) })
	} else {
		w.timer.Reset(stallAfter)
	}
	err := w.writer.send(b)
	if !w.timer.Stop() { // Stalled(1) was called, or will be
		w.metrics.Stalled(-1)
	}
	return err
}
