package pubsub

import (
	"context"
	"crypto/rand"
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

// conn follows channels and globs over one connection to one server. It reads that
// connection itself, since the reader of go-redis drops messages when its buffer is full
// and hides reconnects. Only its own goroutines use the network.
type conn struct {
	router  *Router
	client  *redis.Client // for commands to the same server
	log     *slog.Logger
	probe   *probe
	probing *following // of the probe's channel
	markers *markerPublisher
	ctx     context.Context // ends when the conn is closed
	cancel  context.CancelFunc
	running sync.WaitGroup

	established bool // there has been a connection; used by the reader alone

	mu        sync.Mutex
	following map[Subscription]*following
	session   *session     // nil while disconnected
	lifted    []*following // behind a barrier that the reader has not passed yet
	away      error        // reason why the conn is disconnected, nil before the first attempt
}

// following is a route on one server. Its names are live together.
type following struct {
	owner  *conn
	route  *Route
	closed atomic.Bool // messages are ignored; set under owner.mu

	// Guarded by owner.mu.
	missing []Subscription // not confirmed by Redis on this connection
	held    bool           // a barrier delays its start
	view    *marker.View   // nil before it is live for the first time
	since   time.Time      // time at which it became live
	refused error          // Redis does not allow it
	refuses int            // number of refusals in a row
	changed chan struct{}  // closed when any of this, or the connection, changes
}

// newNode returns a random id of a gateway.
func newNode() string {
	return strings.ToLower(rand.Text()[:8])
}

// newConn opens a connection to a server. It does not block.
func newConn(r *Router, s server) *conn {
	o := &r.options
	c := &conn{router: r, client: o.Client, log: o.Log, following: make(map[Subscription]*following)}
	markers := o.Prefix + "markers"
	if o.Cluster != nil {
		c.client, c.log = o.OpenNode(s.addr), o.Log.With("server", s.addr)
		// The order of markers and messages differs between servers, so each master has
		// its own markers.
		markers += ":" + s.id
	}
	c.probe = newProbe(c.client, o.Prefix+"probe:"+newNode(), c.interrupt, o.Lag, c.log)
	c.markers = newMarkerPublisher(c.client, markers)
	c.probing = c.follow(&Route{receiver: c.probe, names: []Subscription{{Literal, c.probe.channel}}}, false)
	c.follow(&Route{receiver: c.markers, names: []Subscription{{Literal, markers}}}, false)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.running.Go(func() { c.run(c.ctx) })
	c.running.Go(func() { c.probe.run(c.ctx) })
	c.running.Go(func() { c.markers.run(c.ctx) })
	return c
}

// close ends everything. It may block until the network has timed out. No receiver is
// called after it has returned.
func (c *conn) close() {
	c.cancel()
	c.running.Wait()
	if c.router.options.Cluster != nil {
		_ = c.client.Close() // all that used it has ended
	}
}

// follow begins to follow a route, which is not live before a barrier if it is held. It does not
// block.
func (c *conn) follow(rt *Route, held bool) *following {
	f := &following{owner: c, route: rt, held: held, missing: slices.Clone(rt.names), changed: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range rt.names {
		c.following[name] = f
		c.session.enqueue(true, name)
	}
	return f
}

// close stops following. It does not block. A message in progress may still arrive. The view ends
// before messages are ignored, so it contains no marker that follows an ignored message.
func (f *following) close() {
	c := f.owner
	c.mu.Lock()
	defer c.mu.Unlock()
	f.endView()
	f.closed.Store(true)
	f.signal()
	for _, name := range f.route.names {
		if c.following[name] == f {
			delete(c.following, name)
			c.session.enqueue(false, name)
		}
	}
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

// live waits until Redis follows all names, and then, at most markerPatience, until a marker has
// arrived since. It returns early if f is closed.
func (f *following) live(ctx context.Context) (closed bool, err error) {
	c := f.owner
	for {
		arrived := c.markers.arrival()
		c.mu.Lock()
		live, refused, away, view, since := !f.pending(), f.refused, c.away, f.view, f.since
		var changed <-chan struct{} = f.changed
		c.mu.Unlock()
		var patience <-chan time.Time
		switch {
		case f.closed.Load():
			return true, nil
		case live:
			if _, _, ok := view.Newest(); ok {
				return false, nil
			}
			changed, patience = arrived, time.After(time.Until(since.Add(markerPatience)))
		case refused != nil:
			return false, refused
		case away != nil:
			return false, fmt.Errorf("%w: %w", ErrUnavailable, away)
		}
		select {
		case <-changed:
		case <-patience:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// pending reports whether f is not live. owner.mu must be held.
func (f *following) pending() bool {
	return len(f.missing) > 0 || f.held
}

// refusal returns why Redis refuses f, or nil.
func (f *following) refusal() error {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if !f.pending() {
		return nil
	}
	return f.refused
}

// interrupted records that Redis no longer follows some of the names. owner.mu must be held.
func (f *following) interrupted(names ...Subscription) {
	f.endView()
	f.missing = slices.Clone(names)
	f.signal()
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
