package delivery

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
)

// loopConn is a connection with its own goroutine. It is a [journal.Waker]. Wake and close may be called from any
// goroutine; only connLoop uses the other fields.
type loopConn struct {
	wake    chan time.Time // the time of the wakeup if it is sampled, else the zero time
	closing atomic.Pointer[event.CloseReason]

	out     writer
	first   []byte    // data to send before the first batch
	expires time.Time // end of the client's permission; zero for never
	sent    time.Time // time of the last data
	timer   *time.Timer
}

// The latency of one in sampleOneIn wakeups is measured. Wake delays Append, so it does not read the clock
// for every connection.
const sampleOneIn = 64

func (c *loopConn) Wake() {
	var sample time.Time
	if rand.N(sampleOneIn) == 0 {
		sample = time.Now()
	}
	select {
	case c.wake <- sample:
	default: // a wakeup is already pending
	}
}

func (c *loopConn) close(reason event.CloseReason) {
	c.closing.Store(&reason)
	c.Wake()
}

// connLoop writes the batches of a stream to a client until the connection ends, and returns the
// end. If handOff is true, it returns nil when the stream is live and first was sent. It sends first
// in the same block as the first frame, because some clients treat a block without data as an
// event.
func (s *Server) connLoop(ctx context.Context, out writer, first []byte, stream Stream, expires time.Time, handOff bool) *End {
	c := &loopConn{
		wake: make(chan time.Time, 1),
		out:  &stallWriter{writer: out, metrics: s.metrics}, first: first, expires: expires,
	}
	if err := s.add(c); err != nil {
		return s.end(out, first, event.Draining, nil)
	}
	defer s.remove(c)
	reader := stream.Reader()
	for _, j := range reader.Journals() {
		j.Watch(c)
		defer j.Unwatch(c)
	}
	stream.OnRevoke(out.abort)
	defer stream.OnRevoke(func() {}) // the stream outlives out after a handover

	var woken time.Time // time of the last wakeup if it was sampled, else zero
	c.sent = time.Now()
	c.timer = time.NewTimer(s.options.Heartbeat)
	defer c.timer.Stop()
	for {
		if reason := c.closing.Load(); reason != nil {
			return s.end(c.out, c.first, *reason, nil)
		}
		if expired(expires, time.Now()) {
			return s.end(c.out, c.first, event.TokenExpired, nil)
		}
		if handOff && len(c.first) == 0 && stream.Live() {
			return nil
		}
		b, err := stream.Next(ctx)
		if ctx.Err() != nil {
			return &End{Reason: ClientGone}
		}
		if errors.Is(err, io.EOF) {
			return &End{Reason: Finished}
		}
		if err != nil {
			return s.end(c.out, c.first, closeReason(err), err)
		}
		if len(b.Bytes) > 0 {
			if err := s.deliver(c.out, c.first, b); err != nil {
				return writeFailed(err)
			}
			c.first = nil
			c.sent = time.Now()
			continue
		}
		if !woken.IsZero() && c.sent.After(woken) {
			s.metrics.Written(c.sent.Sub(woken))
		}
		var end *End
		if woken, end = s.wait(ctx, c, reader.Due()); end != nil {
			return end
		}
	}
}

// wait blocks until the connection may have something to send: after a wakeup, at due, or when the
// permission expires. It sends a heartbeat if one is due. It returns the time of the wakeup if it
// was sampled, or the end of the connection.
func (s *Server) wait(ctx context.Context, c *loopConn, due time.Time) (woken time.Time, end *End) {
	ping := c.sent.Add(s.options.Heartbeat)
	c.timer.Reset(time.Until(earlier(earlier(ping, due), c.expires)))
	select {
	case woken = <-c.wake:
		return woken, nil
	case now := <-c.timer.C:
		if now.Before(ping) {
			return time.Time{}, nil
		}
		if err := c.out.send(event.AppendPing(nil, now)); err != nil {
			return time.Time{}, writeFailed(err)
		}
		c.sent = now
		return time.Time{}, nil
	case <-ctx.Done():
		return time.Time{}, &End{Reason: ClientGone}
	}
}

// closeReason returns the close reason of an error of a stream, or Unavailable if it has none.
func closeReason(err error) event.CloseReason {
	var named interface{ CloseReason() event.CloseReason }
	if errors.As(err, &named) {
		return named.CloseReason()
	}
	return event.Unavailable
}

// deliver sends first and then a batch, in one write.
func (s *Server) deliver(out writer, first []byte, b journal.Batch) error {
	bytes := b.Bytes
	if len(first) > 0 {
		bytes = append(first, bytes...)
	}
	if err := out.send(bytes); err != nil {
		return err
	}
	if len(b.Body) > 0 {
		if err := out.send(b.Body); err != nil {
			return err
		}
	}
	s.metrics.Delivered(b.Frames, len(b.Bytes)+len(b.Body))
	return nil
}

// earlier returns the earlier of two times. A zero due is ignored.
func earlier(t, due time.Time) time.Time {
	if !due.IsZero() && due.Before(t) {
		return due
	}
	return t
}

// expired reports whether a permission has expired. A zero expires never expires.
func expired(expires, now time.Time) bool {
	return !expires.IsZero() && !now.Before(expires)
}

// end sends first and stream.close, and returns the end of the connection. The cause may be nil.
func (s *Server) end(out writer, first []byte, reason event.CloseReason, cause error) *End {
	if err := out.send(event.AppendClose(first, reason, s.Retry())); err != nil {
		return writeFailed(err)
	}
	return &End{EndReason(reason), cause}
}
