// Package delivery writes journals to connections: it wakes them, sends heartbeats,
// cuts off clients that take nothing, and lets connections go one after the other
// when the server drains. It knows positions and bytes, not topics.
package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
)

// ErrDraining is returned by Serve once Drain has begun.
var ErrDraining = errors.New("server is draining")

// Stream is what a connection delivers. Next and Watch are called by one goroutine
// at a time.
type Stream interface {
	// Next returns what goes out next, an empty batch if there is nothing now. On an error
	// the connection is closed: the client can do better elsewhere or later.
	Next(ctx context.Context) (journal.Batch, error)
	// Due returns when Next may have something although no waker was woken, the zero time
	// if it will not.
	Due() time.Time
	// Watch has w woken whenever Next may have something, until Unwatch.
	Watch(w journal.Waker)
	Unwatch(w journal.Waker)
}

// Metrics is told what happens. Its methods may be called from any goroutine and
// must not block.
type Metrics interface {
	ConnectionOpened() (open int64)
	ConnectionClosed() (open int64)
	Delivered(frames, bytes int)
	// SlowClientCut counts a client that was cut off because it took nothing.
	SlowClientCut()
}

// Options are the settings of a [Server].
type Options struct {
	Heartbeat    time.Duration // the longest silence on a connection
	WriteTimeout time.Duration // how long a client may take nothing before it is cut off
	Retry        time.Duration // the least time after which clients are told to come back
}

// Server holds the connections of this process.
type Server struct {
	options Options
	metrics Metrics

	mu       sync.Mutex
	conns    map[*conn]struct{}
	draining bool
}

// New returns a server without connections.
func New(options Options, metrics Metrics) *Server {
	return &Server{options: options, metrics: metrics, conns: make(map[*conn]struct{})}
}

// Retry returns a reconnection time for one client: random between once and twice the
// configured one, so that clients who lost their lines together do not come back
// together.
func (s *Server) Retry() time.Duration {
	return jittered(s.options.Retry)
}

// LongRetry is [Server.Retry] for clients that are turned away.
func (s *Server) LongRetry() time.Duration {
	return jittered(longer * s.options.Retry)
}

// longer is how much later than others a client should come back that could not be
// served.
const longer = 4

func jittered(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)+1))
}

// conn is one connection.
type conn struct {
	wake  chan struct{}
	close chan event.CloseReason
}

// Wake implements [journal.Waker].
func (c *conn) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Serve writes the stream to the response, whose header it sends, until the client is
// gone, the context ends, the client takes nothing for the write timeout, or Drain
// reaches the connection. It returns why.
func (s *Server) Serve(ctx context.Context, w http.ResponseWriter, protoMajor int, stream Stream) error {
	c, err := s.add()
	if err != nil {
		return err
	}
	defer s.remove(c)
	stream.Watch(c)
	defer stream.Unwatch(c)
	out := newWriter(w, protoMajor, s.options.WriteTimeout)
	err = s.pump(ctx, c, out, stream)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.metrics.SlowClientCut()
	}
	return err
}

// pump moves what the stream has to the client for as long as the connection lasts.
func (s *Server) pump(ctx context.Context, c *conn, out *writer, stream Stream) error {
	// The first frame of a stream opens it; its block takes the reconnection time, since
	// some clients take a block of its own for an event.
	if err := out.write(event.AppendRetry(nil, s.Retry())); err != nil {
		return err
	}
	silence := time.Now() // since when nothing was sent
	alarm := time.NewTimer(s.options.Heartbeat)
	defer alarm.Stop()
	for {
		select {
		case reason := <-c.close:
			return s.end(out, reason)
		default:
		}
		b, err := stream.Next(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return errors.Join(err, s.end(out, event.Unavailable))
		}
		if len(b.Bytes) > 0 {
			if err := out.send(b.Bytes); err != nil {
				return err
			}
			s.metrics.Delivered(b.Frames, len(b.Bytes))
			silence = time.Now()
			continue
		}
		ping := silence.Add(s.options.Heartbeat)
		alarm.Reset(time.Until(earlier(ping, stream.Due())))
		select {
		case <-c.wake:
		case now := <-alarm.C:
			if now.Before(ping) {
				continue
			}
			if err := out.send(event.AppendPing(nil, now)); err != nil {
				return err
			}
			silence = now
		case reason := <-c.close:
			return s.end(out, reason)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// earlier returns the earlier of two times, where due may be none.
func earlier(t, due time.Time) time.Time {
	if !due.IsZero() && due.Before(t) {
		return due
	}
	return t
}

// end says goodbye.
func (s *Server) end(out *writer, reason event.CloseReason) error {
	if err := out.send(event.AppendClose(nil, reason, s.Retry())); err != nil {
		return err
	}
	return closedError(reason)
}

// closedError is why the server ended a connection.
type closedError event.CloseReason

func (e closedError) Error() string {
	return "closed: " + string(e)
}

func (s *Server) add() (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, ErrDraining
	}
	c := &conn{wake: make(chan struct{}, 1), close: make(chan event.CloseReason, 1)}
	s.conns[c] = struct{}{}
	return c, nil
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Draining reports whether Drain has begun.
func (s *Server) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Drain refuses new connections and closes those that are open, evenly spread over d
// so that the servers they move to meet a ramp and not a wall. When the context ends
// the rest is closed at once. It returns when all have been told.
func (s *Server) Drain(ctx context.Context, d time.Duration) {
	s.mu.Lock()
	s.draining = true
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	start := time.Now()
	for i, c := range conns {
		due := start.Add(time.Duration(int64(d) * int64(i) / int64(len(conns))))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		c.close <- event.Draining // room for one, and nobody else sends
	}
}
