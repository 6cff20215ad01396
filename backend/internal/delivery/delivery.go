// Package delivery writes journals to connections: it wakes them, sends heartbeats,
// cuts off clients that take nothing, and lets connections go one after the other
// when the server drains. It knows positions and bytes, not topics.
//
// There are two ways to the same bytes. Plain HTTP/1.1, which is what stands behind
// every proxy, is taken over from net/http: a few shards write to its sockets without
// blocking, so that an idle connection is a socket and a small struct. Everything else
// has a goroutine for each connection.
package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
)

// ErrDraining is returned by Serve once Drain has begun.
var ErrDraining = errors.New("server is draining")

// Stream is the source of one connection. Its methods are called by one goroutine at a
// time.
type Stream interface {
	// Next returns the next batch, an empty one if there is nothing now. It may block. The
	// connection is closed after an error: the client retries, maybe on another node.
	Next(ctx context.Context) (journal.Batch, error)
	// Live reports whether Next returns nothing but what the reader returns.
	Live() bool
	// Reader returns the reader that everything comes from once the stream is live. It is
	// always the same one.
	Reader() journal.BatchReader
}

// Metrics is told what happens. Its methods may be called from any goroutine and
// must not block.
type Metrics interface {
	Delivered(frames, bytes int)
	// Written takes the age of an event when it had been written to all clients that could
	// take it. It is a sample: of the oldest event of a round.
	Written(age time.Duration)
	// Stalled says that so many more clients take nothing for now, or fewer if negative.
	Stalled(change int)
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
	shards  []*shard

	mu       sync.Mutex
	loops    map[*loopConn]struct{}
	draining bool
}

// closer is a connection that can be told to end. close does not block.
type closer interface {
	close(event.CloseReason)
}

// New returns a server without connections. Close must be called in the end.
func New(options Options, metrics Metrics) *Server {
	s := &Server{options: options, metrics: metrics, loops: make(map[*loopConn]struct{})}
	s.shards = newShards(s)
	return s
}

// Close ends what Drain has left.
func (s *Server) Close() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	for _, sh := range s.shards {
		sh.stop()
	}
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

// Serve answers a request with a stream until the client is gone, takes nothing for the
// write timeout, its right to the stream expires, or Drain reaches the connection, and
// returns the end. The header is w's. There is no end where expires is zero. Where Serve
// takes the connection over from net/http it may return nil before the end; ended is called
// once then, and never else.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, stream Stream, expires time.Time, ended func(*End)) *End {
	if s.canHijack(r) {
		head := responseHead(w.Header())
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			return s.catchUp(conn, event.AppendRetry(head, s.Retry()), stream, expires, ended)
		}
	}
	w.WriteHeader(http.StatusOK)
	out := newResponseWriter(w, r.ProtoMajor, s.options.WriteTimeout)
	end := s.connLoop(r.Context(), out, event.AppendRetry(nil, s.Retry()), stream, expires, false)
	s.countCut(end)
	return end
}

// countCut counts a client if it was cut off because it took nothing.
func (s *Server) countCut(end *End) {
	if end.Reason == WriteTimeout {
		s.metrics.SlowClientCut()
	}
}

func (s *Server) add(c *loopConn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return ErrDraining
	}
	s.loops[c] = struct{}{}
	return nil
}

func (s *Server) remove(c *loopConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loops, c)
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
	var conns []closer
	for c := range s.loops {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, sh := range s.shards {
		conns = sh.appendAll(conns)
	}
	start := time.Now()
	for i, c := range conns {
		due := start.Add(time.Duration(int64(d) * int64(i) / int64(len(conns))))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		c.close(event.Draining)
	}
}
