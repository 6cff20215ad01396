package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	answerTimeout   = 5 * time.Second // for the first answer on a connection
	reconnectFirst  = 100 * time.Millisecond
	reconnectAtMost = 2 * time.Second
	// subscribeBatch bounds the channels named by one command after a reconnect.
	subscribeBatch = 500
	// displacedPause is the time between two attempts to subscribe at a server that says
	// that another one is in charge.
	displacedPause = time.Second
)

// errMoved is returned by Live when a following was closed, as it is when a topic moves
// to another server.
var errMoved = errors.New("the topic is followed elsewhere now")

// subscription is a name as Redis knows it.
type subscription struct {
	form form
	name string
}

type form int

const (
	literal form = iota // a channel: SUBSCRIBE
	glob                // a glob of channels: PSUBSCRIBE
	sharded             // a channel of a cluster's shard: SSUBSCRIBE
)

// receiver takes what one following brings. Its methods are called from one goroutine
// and must return soon.
type receiver interface {
	// confirmed says that Redis follows all subscriptions from here on, where mark is the
	// newest one. If it did so earlier, messages may be missing in between.
	confirmed(mark *Mark)
	message(channel, payload string)
}

// pubsub follows channels and globs over one connection to one server. It reads that
// connection itself, since the reader that go-redis offers drops messages when it falls
// behind and hides that it reconnected.
type pubsub struct {
	client    *redis.Client                   // for commands to the same server
	release   func() error                    // gives it up, if nobody else uses it
	openNode  func(addr string) *redis.Client // for any node of its cluster; nil if it is alone
	doubt     func()                          // asks whether servers still have the same slots
	log       *slog.Logger
	marks     *marks
	probe     *probe
	marking   *following // of the probe
	cancel    context.CancelFunc
	connected sync.WaitGroup

	reconnects  *atomic.Int64 // counts those of all servers
	established bool          // there has been a connection; of the reader alone

	// commands is held while the set of subscriptions changes and the command for that
	// is sent, so that Redis sees the changes in their order.
	commands sync.Mutex

	mu        sync.Mutex
	following map[subscription]*following
	conn      *redis.PubSub        // nil while there is none
	pending   map[subscription]int // commands on conn that Redis has not confirmed yet, by name
	sent      [][]subscription     // the same, in their order
	lifted    []*fence             // that the reader has yet to pass
	away      error                // why there is no connection, nil before the first try
}

// following is what one receiver follows on one server: one subscription, or more that
// are live together.
type following struct {
	owner    *pubsub
	names    []subscription
	receiver receiver

	// Guarded by owner.mu.
	missing []subscription // that Redis has not confirmed on this connection
	fence   *fence         // that stands before it, or nil
	began   bool           // it has been live
	since   uint64         // ordinal of the newest mark when that began
	frozen  *Mark          // the newest mark when it was last live
	refused error          // Redis does not allow it
	closed  bool
	changed chan struct{} // closed when any of this, or that there is a connection, changes
}

// newPubsub returns a connection to the server of a client, for gateways that have their
// marks there in a channel of that name. node names this process among them.
func newPubsub(client *redis.Client, marksChannel, node string, ordinals *atomic.Uint64, reconnects *atomic.Int64, doubt func(), lag func(time.Duration), log *slog.Logger) *pubsub {
	p := &pubsub{
		client:    client,
		doubt:     doubt,
		log:       log,
		marks:     newMarks(ordinals),
		following: make(map[subscription]*following),

		reconnects: reconnects,
	}
	p.probe = newProbe(client, marksChannel, node, p.marks, p.interrupt, lag, log)
	p.marking = p.follow(p.probe, nil, subscription{literal, marksChannel})
	p.marking.start()
	return p
}

// start begins to connect.
func (p *pubsub) start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.connected.Go(func() { p.run(ctx) })
	p.connected.Go(func() { p.probe.run(ctx) })
}

// close ends everything. No receiver is called after it has returned.
func (p *pubsub) close() {
	p.cancel()
	p.connected.Wait()
	if p.release != nil {
		_ = p.release() // there is nothing left to lose
	}
}

// follow returns a following of names, which begins when it is started. mark is the newest
// one at the present place of its receiver.
func (p *pubsub) follow(r receiver, mark *Mark, names ...subscription) *following {
	return &following{
		owner: p, names: names, receiver: r, frozen: mark,
		missing: slices.Clone(names), changed: make(chan struct{}),
	}
}

func (f *following) start() {
	p := f.owner
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	for _, name := range f.names {
		p.following[name] = f
	}
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return
	}
	for _, name := range f.names {
		p.subscribe(conn, name)
	}
}

// subscribe sends one command for names of one sort; for a shard, that takes but one. It
// needs p.commands. An error means that the connection is lost, which its reader notices
// too.
func (p *pubsub) subscribe(conn *redis.PubSub, names ...subscription) {
	texts := make([]string, len(names))
	p.mu.Lock()
	for i, name := range names {
		texts[i] = name.name
		p.pending[name]++
	}
	p.sent = append(p.sent, names)
	p.mu.Unlock()
	var err error
	switch names[0].form {
	case literal:
		err = conn.Subscribe(context.Background(), texts...)
	case glob:
		err = conn.PSubscribe(context.Background(), texts...)
	case sharded:
		err = conn.SSubscribe(context.Background(), texts...)
	}
	if err != nil {
		p.interrupt()
	}
}

// close stops following. A message that is under way may still arrive.
func (f *following) close() {
	p := f.owner
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	for _, name := range f.names {
		if p.following[name] == f {
			delete(p.following, name)
		}
	}
	f.frozen = f.place()
	f.closed = true
	f.signal()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return
	}
	for _, name := range f.names {
		var err error
		switch name.form {
		case literal:
			err = conn.Unsubscribe(context.Background(), name.name)
		case glob:
			err = conn.PUnsubscribe(context.Background(), name.name)
		case sharded:
			err = conn.SUnsubscribe(context.Background(), name.name)
		}
		if err != nil {
			p.interrupt()
		}
	}
}

// signal wakes those who wait in Live. It needs p.mu.
func (f *following) signal() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// live is [Following.Live] for one server. It returns errMoved once f is closed.
func (f *following) live(ctx context.Context) error {
	p := f.owner
	for {
		p.mu.Lock()
		live, closed, refused, away, changed := !f.pending(), f.closed, f.refused, p.away, f.changed
		p.mu.Unlock()
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

// pending reports whether f is not live yet, or not any more. It needs p.mu.
func (f *following) pending() bool {
	return len(f.missing) > 0 || f.fence != nil
}

// mark returns the newest mark at the present place.
func (f *following) mark() *Mark {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	return f.place()
}

// place is mark, with p.mu held. While f is interrupted, that is the one from before: a
// client must not be told of a newer one before it is told that something is missing.
func (f *following) place() *Mark {
	if f.pending() || f.closed {
		return f.frozen
	}
	if newest := f.owner.marks.newest(); newest != nil && newest.Ordinal > f.since {
		return newest
	}
	return nil
}

// findMark returns the mark with that token if it came while f was followed, or interrupted.
func (f *following) findMark(token string) *Mark {
	p := f.owner
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.marks.find(token); m != nil && f.began && m.Ordinal > f.since {
		return m
	}
	return nil
}

// interrupted notes that Redis no longer follows some of the names. It needs p.mu.
func (f *following) interrupted(names ...subscription) {
	f.frozen = f.place()
	f.missing = slices.Clone(names)
	f.signal()
}

// ready returns nil while messages published by this node come back to it.
func (p *pubsub) ready(ctx context.Context) error {
	if err := p.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: PING: %w", ErrUnavailable, err)
	}
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	if away != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, away)
	}
	return p.probe.ready()
}
