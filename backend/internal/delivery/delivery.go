// Package delivery writes journals to connections: it wakes them, sends heartbeats,
// disconnects clients that accept no data, and closes connections one by one when the
// server drains. It handles positions and bytes; it does not know about topics.
//
// There are two paths. A connection over plain HTTP/1.1, as proxies use it, is hijacked: a
// few shards write to its socket without blocking, so an idle connection is a socket and a
// small struct. Every other connection has a goroutine.
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

// ErrDraining is returned by Serve after Drain was called.
var ErrDraining = errors.New("server is draining")

// Stream is the source of one connection. Its methods are called by one goroutine at a
// time.
type Stream interface {
	// Next returns the next batch, which is empty if no event is available. It may block. The
	// error is io.EOF if nothing follows.
	// The connection is closed after an error, and the client reconnects to any node.
	Next(ctx context.Context) (journal.Batch, error)
	// Live reports whether Next only returns batches of the reader.
	Live() bool
	// Reader returns the reader of a live stream. It always returns the same one.
	Reader() journal.BatchReader
	// OnRevoke sets a function that is called, on any goroutine, if others need the memory of
	// the last batch of Next. It makes the connection end.
	OnRevoke(abort func())
}

// Metrics counts what the server does. Its methods may be called from any goroutine and must
// not block.
type Metrics interface {
	Delivered(frames, bytes int)
	// Written records the age of an event after the write to all clients whose sockets
	// accepted it. Only the oldest event of a round is recorded.
	Written(age time.Duration)
	// Stalled adds to the number of clients whose sockets are full.
	Stalled(change int)
	// SlowClientCut counts a client that was disconnected because it accepted no data.
	SlowClientCut()
}

// Options are the settings of a [Server].
type Options struct {
	Heartbeat    time.Duration // longest time without data on a connection
	WriteTimeout time.Duration // time without accepted data after which a client is disconnected
	Retry        time.Duration // shortest reconnection time of clients
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

// closer is a connection that can be closed. close does not block.
type closer interface {
	close(event.CloseReason)
}

// New returns a server without connections. The caller must call Close.
func New(options Options, metrics Metrics) *Server {
	s := &Server{options: options, metrics: metrics, loops: make(map[*loopConn]struct{})}
	s.shards = newShards(s)
	return s
}

// Close closes the connections that Drain has not closed.
func (s *Server) Close() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	for _, sh := range s.shards {
		sh.stop()
	}
}

// Retry returns a random reconnection time for one client, between once and twice the
// configured one. Clients that lost their connections together reconnect at different times.
func (s *Server) Retry() time.Duration {
	return s.options.Retry + time.Duration(rand.Int64N(int64(s.options.Retry)+1))
}

// longer is the factor by which rejected clients reconnect later than others.
const longer = 4

// LongRetry is [Server.Retry] for clients that are rejected.
func (s *Server) LongRetry() time.Duration {
	return longer * s.Retry()
}

// Serve answers a request with a stream, with the header of w. It ends when the client
// disconnects or accepts no data for the write timeout, when the permission expires, or when
// Drain reaches the connection. A zero expires never expires. If Serve hijacks the connection
// it may return nil before the end. Only then ended is called, once.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, stream Stream, expires time.Time, ended func(*End)) *End {
	if s.canHijack(r) {
		head := responseHead(w.Header())
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			return s.catchUp(conn, event.AppendRetry(head, s.Retry()), stream, expires, ended)
		}
	}
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil { // through w, which records that the header was written
		return writeFailed(err)
	}
	out := newResponseWriter(w, r.ProtoMajor, s.options.WriteTimeout)
	end := s.connLoop(r.Context(), out, event.AppendRetry(nil, s.Retry()), stream, expires, false)
	s.countCut(end)
	return end
}

// countCut counts a client that was disconnected because it accepted no data.
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

// Drain rejects new connections and closes the open ones, spread evenly over d, so the other
// nodes receive them gradually. If the context ends, it closes the rest at once. It returns
// after the last one was asked to close.
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
