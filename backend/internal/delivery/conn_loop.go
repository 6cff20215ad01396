package delivery

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
)

// loopConn is a connection with a goroutine of its own.
type loopConn struct {
	wake    chan time.Time // with the time, if it is a sample, else the zero time
	closing chan event.CloseReason
}

// sampleOneIn is how few of the wakings of a connection take the time: a clock is read
// for each connection otherwise, while the journal waits.
const sampleOneIn = 64

// Wake implements [journal.Waker].
func (c *loopConn) Wake() {
	var sample time.Time
	if rand.N(sampleOneIn) == 0 {
		sample = time.Now()
	}
	select {
	case c.wake <- sample:
	default: // it is awake already
	}
}

func (c *loopConn) close(reason event.CloseReason) {
	c.closing <- reason // the only send, and the buffer holds one
}

// connLoop moves what the stream has to the client for as long as the connection lasts, or,
// if it may be handed over, until it is live: it returns nil then. What is in first goes out before anything
// else, in the same block as the stream's first frame: some clients take a block without
// data for an event.
func (s *Server) connLoop(ctx context.Context, out writer, first []byte, stream Stream, expires time.Time, handOff bool) *End {
	c := &loopConn{wake: make(chan time.Time, 1), closing: make(chan event.CloseReason, 1)}
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
	defer stream.OnRevoke(func() {}) // a live stream must not keep what abort needs
	out = &stallWriter{writer: out, metrics: s.metrics}

	var woken time.Time   // when the newest waking was, if that is a sample
	silence := time.Now() // since when nothing was sent
	alarm := time.NewTimer(s.options.Heartbeat)
	defer alarm.Stop()
	for {
		select {
		case reason := <-c.closing:
			return s.end(out, first, reason, nil)
		default:
		}
		if expired(expires, time.Now()) {
			return s.end(out, first, event.TokenExpired, nil)
		}
		if handOff && len(first) == 0 && stream.Live() {
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
			return s.end(out, first, closeReason(err), err)
		}
		if len(b.Bytes) > 0 {
			if err := s.deliver(out, first, b); err != nil {
				return writeFailed(err)
			}
			first = nil
			silence = time.Now()
			continue
		}
		if !woken.IsZero() && silence.After(woken) {
			s.metrics.Written(silence.Sub(woken))
		}
		woken = time.Time{}
		ping := silence.Add(s.options.Heartbeat)
		alarm.Reset(time.Until(earlier(earlier(ping, reader.Due()), expires)))
		select {
		case woken = <-c.wake:
		case now := <-alarm.C:
			if now.Before(ping) {
				continue
			}
			if err := out.send(event.AppendPing(nil, now)); err != nil {
				return writeFailed(err)
			}
			silence = now
		case reason := <-c.closing:
			return s.end(out, first, reason, nil)
		case <-ctx.Done():
			return &End{Reason: ClientGone}
		}
	}
}

// closeReason returns the reason that an error of a stream names, else that the stream is
// unavailable.
func closeReason(err error) event.CloseReason {
	var named interface{ CloseReason() event.CloseReason }
	if errors.As(err, &named) {
		return named.CloseReason()
	}
	return event.Unavailable
}

// deliver sends a batch, behind what is to go out in the same block.
func (s *Server) deliver(out writer, first []byte, b journal.Batch) error {
	bytes := b.Bytes
	if len(first) > 0 {
		bytes = append(first, bytes...)
	}
	if err := out.send(bytes); err != nil {
		return err
	}
	s.metrics.Delivered(b.Frames, len(b.Bytes))
	return nil
}

// earlier returns the earlier of two times, where due may be none.
func earlier(t, due time.Time) time.Time {
	if !due.IsZero() && due.Before(t) {
		return due
	}
	return t
}

// expired reports whether a right to a stream has ended, which it never does where the
// end is zero.
func expired(expires, now time.Time) bool {
	return !expires.IsZero() && !now.Before(expires)
}

// end sends stream.close, behind what has not gone out yet of a frame, and returns the end
// of the connection. The cause may be nil.
func (s *Server) end(out writer, first []byte, reason event.CloseReason, cause error) *End {
	if err := out.send(event.AppendClose(first, reason, s.Retry())); err != nil {
		return writeFailed(err)
	}
	return &End{EndReason(reason), cause}
}
