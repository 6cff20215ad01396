package pubsub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/marker"
)

const (
	answerTimeout = 5 * time.Second // for the first answer on a connection
	// refusedFirst and refusedAtMost bound the time between two attempts at a name that Redis
	// refuses.
	refusedFirst  = 100 * time.Millisecond
	refusedAtMost = 10 * time.Second
	// subscribeBatch bounds the channels named by one command after a reconnect.
	subscribeBatch = 500
	// displacedPause is the time between two attempts to subscribe at a server that does not
	// own the slot.
	displacedPause = time.Second
	// markerPatience bounds how long live waits for a marker after Redis has confirmed.
	markerPatience = 2 * time.Second
)

// errMoved is returned by live when a following is closed. A topic that moves to another
// server closes its following on the first.
var errMoved = errors.New("the topic is followed on another server")

// Subscription is a name as Redis knows it.
type Subscription struct {
	Form Form
	Name string
}

// Form selects the command that subscribes to a name.
type Form int

// The forms of a [Subscription].
const (
	Literal Form = iota // a channel: SUBSCRIBE
	Glob                // a glob of channels: PSUBSCRIBE
	Sharded             // a channel of a cluster's shard: SSUBSCRIBE
)

// receiver accepts the messages of one following. Its methods are called from one goroutine
// and must return soon.
type receiver interface {
	// confirmed reports that Redis follows all subscriptions from now on. The view begins
	// here. If they were followed before, messages may be missing in between.
	confirmed(view *marker.View)
	message(channel, payload string)
}

// conn follows channels and globs over one connection to one server. It reads that
// connection itself, since the reader of go-redis drops messages when its buffer is full
// and hides reconnects. Only its own goroutines use the network.
type conn struct {
	client          *redis.Client                   // for commands to the same server
	release         func() error                    // closes the client if the conn owns it, or nil
	openNode        func(addr string) *redis.Client // for any node of its cluster; nil for a single server
	refreshTopology func()                          // asks for the slots of all servers again
	log             *slog.Logger
	probe           *probe
	probing         *following // of the probe's channel
	markers         *markerPublisher
	cancel          context.CancelFunc
	running         sync.WaitGroup

	reconnects  *atomic.Int64 // of all servers
	established bool          // there has been a connection; used by the reader alone

	mu        sync.Mutex
	following map[Subscription]*following
	session   *session   // nil while disconnected
	lifted    []*barrier // not yet passed by the reader
	away      error      // reason why the conn is disconnected, nil before the first attempt
}

// following is a set of names that one receiver follows on one server and that are live
// together.
type following struct {
	owner    *conn
	names    []Subscription
	receiver receiver

	// Guarded by owner.mu.
	missing []Subscription // not confirmed by Redis on this connection
	barrier *barrier       // to pass before it is live, or nil
	view    *marker.View   // nil before it is live for the first time
	since   time.Time      // time at which it became live
	refused error          // Redis does not allow it
	refuses int            // number of refusals in a row
	closed  bool
	changed chan struct{} // closed when any of this, or the connection, changes
}

// newNode returns a random id of a gateway.
func newNode() string {
	return strings.ToLower(rand.Text()[:8])
}

// newConn returns a connection to the server of a client. Gateways publish their markers
// there on a channel of that name. prefix begins the names of all channels of gateways.
func newConn(client *redis.Client, markersChannel, prefix string, o *Options, log *slog.Logger) *conn {
	c := &conn{client: client, refreshTopology: func() {}, log: log, following: make(map[Subscription]*following)}
	c.probe = newProbe(client, prefix+"probe:"+newNode(), c.interrupt, o.Lag, log)
	c.markers = newMarkerPublisher(client, markersChannel)
	c.probing = c.follow(c.probe, Subscription{Literal, c.probe.channel})
	c.probing.start()
	c.follow(c.markers, Subscription{Literal, markersChannel}).start()
	return c
}

// start begins to connect.
func (c *conn) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.running.Go(func() { c.run(ctx) })
	c.running.Go(func() { c.probe.run(ctx) })
	c.running.Go(func() { c.markers.run(ctx) })
}

// close ends everything. It may block until the network has timed out. No receiver is
// called after it has returned.
func (c *conn) close() {
	c.cancel()
	c.running.Wait()
	if c.release != nil {
		_ = c.release() // all that used it has ended
	}
}

// follow returns a following of names, which begins when it is started.
func (c *conn) follow(r receiver, names ...Subscription) *following {
	return &following{owner: c, names: names, receiver: r, missing: slices.Clone(names), changed: make(chan struct{})}
}

// start begins to follow. It does not block.
func (f *following) start() {
	c := f.owner
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range f.names {
		c.following[name] = f
		c.session.enqueue(true, name)
	}
}

// close stops following. It does not block. A message in progress may still arrive.
func (f *following) close() {
	c := f.owner
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range f.names {
		if c.following[name] == f {
			delete(c.following, name)
			c.session.enqueue(false, name)
		}
	}
	f.end()
}

// end ends the view for good, so live and marked see that f is closed. owner.mu must be held.
func (f *following) end() {
	f.closed = true
	f.endView()
	f.signal()
}

// endView ends the view, if there is one. owner.mu must be held.
func (f *following) endView() {
	if f.view != nil {
		f.view.End()
	}
}

// signal wakes the callers of live. owner.mu must be held.
func (f *following) signal() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// live waits until Redis follows all names. It returns errMoved once f is closed.
func (f *following) live(ctx context.Context) error {
	c := f.owner
	for {
		c.mu.Lock()
		live, closed, refused, away, changed := !f.pending(), f.closed, f.refused, c.away, f.changed
		c.mu.Unlock()
		switch {
		case closed:
			return errMoved
		case live:
			return nil
		case refused != nil:
			return refused
		case away != nil:
			return fmt.Errorf("%w: %w", ErrUnavailable, away)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// marked waits until a marker has arrived since f became live, at most markerPatience after
// that. It returns false if f is no longer live.
func (f *following) marked(ctx context.Context) (live bool, err error) {
	c := f.owner
	var patience <-chan time.Time
	for {
		arrived := c.markers.arrival()
		c.mu.Lock()
		live, view, since := !f.pending() && !f.closed, f.view, f.since
		c.mu.Unlock()
		if !live {
			return false, nil
		}
		if _, _, ok := view.Newest(); ok {
			return true, nil
		}
		if patience == nil {
			patience = time.After(time.Until(since.Add(markerPatience)))
		}
		select {
		case <-arrived:
		case <-patience:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// pending reports whether f is not live. owner.mu must be held.
func (f *following) pending() bool {
	return len(f.missing) > 0 || f.barrier != nil
}

// interrupted records that Redis no longer follows some of the names. owner.mu must be held.
func (f *following) interrupted(names ...Subscription) {
	f.endView()
	f.missing = slices.Clone(names)
	f.signal()
}

// connected reports whether there is a connection that brings messages.
func (c *conn) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != nil
}

// ready returns nil while messages published by this node return to it.
func (c *conn) ready(ctx context.Context) error {
	c.mu.Lock()
	away := c.away
	c.mu.Unlock()
	if away != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, away)
	}
	if err := c.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: PING: %w", ErrUnavailable, err)
	}
	return c.probe.ready()
}

// refusesKeys reports whether the server of a cluster refuses commands for a key, as it
// does while another server is missing and cluster-require-full-coverage is set.
func (c *conn) refusesKeys(ctx context.Context, key string) bool {
	return redis.IsClusterDownError(c.client.Type(ctx, key).Err())
}
