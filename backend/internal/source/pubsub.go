package source

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

// internalPrefix begins the names of channels and keys that gateways use among
// themselves.
const internalPrefix = "__sluice__:"

// hiddenPrefixes begin the names of channels that nobody publishes to by intention: those
// of gateways, and the notifications that a gateway switches on. Globs show them only if
// they ask for such names.
var hiddenPrefixes = []string{internalPrefix, "__keyspace@", "__keyevent@"}

func hidden(channel, pattern string) bool {
	return !strings.HasPrefix(pattern, "__") && slices.ContainsFunc(hiddenPrefixes, func(prefix string) bool {
		return strings.HasPrefix(channel, prefix)
	})
}

// IsInternal reports whether a topic is one that gateways use among themselves, so that
// nobody else may follow it or write to it.
func IsInternal(t event.Topic) bool {
	return !t.IsGlob() && strings.HasPrefix(t.Name(), internalPrefix)
}

const (
	dialTimeout     = 5 * time.Second
	reconnectFirst  = 100 * time.Millisecond
	reconnectAtMost = 2 * time.Second
	// subscribeBatch bounds the channels named by one command after a reconnect.
	subscribeBatch = 500
)

// pubsub follows channels and globs over one connection. It reads that connection
// itself, since the reader that go-redis offers drops messages when it falls behind
// and hides that it reconnected.
type pubsub struct {
	options redis.Options
	log     *slog.Logger
	marks
	probe  *probe
	cancel context.CancelFunc
	done   sync.WaitGroup

	// commands is held while the set of subscriptions changes and the command for that
	// is sent, so that Redis sees the changes in their order.
	commands sync.Mutex

	mu        sync.Mutex
	following map[subscription]*pubsubFollowing
	conn      *redis.PubSub        // nil while there is none
	pending   map[subscription]int // commands on conn that Redis has not confirmed yet, by name
	sent      [][]subscription     // the same, in their order
	away      error                // why there is no connection, nil before the first try
	awaySet   chan struct{}        // closed when away is set
}

// subscription is a channel or a glob as Redis knows it.
type subscription struct {
	glob bool
	name string
}

// receiver takes what one subscription brings. Its methods are called from one
// goroutine and must return soon.
type receiver interface {
	// confirmed says that Redis follows the subscription from here on; again, that it did
	// so on an earlier connection, so that messages may be missing in between.
	confirmed(again bool)
	message(channel, payload string)
}

// channelReceiver passes messages on to the sink of a channel or of a glob of channels.
type channelReceiver struct {
	topic event.Topic
	sink  Sink
	probe *probe
}

func (c channelReceiver) confirmed(again bool) {
	if again {
		c.sink.Gap(Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
	} else {
		c.sink.Begin(ID{})
	}
	c.probe.soon() // so that places from here on can soon be named on every node
}

func (c channelReceiver) message(channel, payload string) {
	if c.topic.IsGlob() && hidden(channel, c.topic.Pattern) {
		return
	}
	c.sink.Event(event.Event{Topic: event.Literal(event.Channel, channel), Data: []byte(payload)})
}

type pubsubFollowing struct {
	owner    *pubsub
	key      subscription
	receiver receiver

	// Guarded by owner.mu.
	live    bool
	wasLive bool          // in this connection or an earlier one
	refused error         // Redis does not allow it
	ready   chan struct{} // closed when live
}

func newPubsub(options *redis.Options, client *redis.Client, node string, log *slog.Logger) *pubsub {
	p := &pubsub{
		options:   *options,
		log:       log,
		following: make(map[subscription]*pubsubFollowing),
		awaySet:   make(chan struct{}),
	}
	// RESP2 has nothing but messages on a subscribed connection.
	p.options.Protocol = 2
	p.options.DialTimeout = dialTimeout
	p.options.DialerRetries = 1
	p.probe = newProbe(client, node, &p.marks, p.interrupt, log)
	p.followName(subscription{name: marksChannel}, p.probe)
	return p
}

// start begins to connect. prepare is called before each connection is used.
func (p *pubsub) start(prepare func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.done.Go(func() { p.run(ctx, prepare) })
	p.done.Go(func() { p.probe.run(ctx) })
}

func (p *pubsub) close() {
	p.cancel()
	p.done.Wait()
}

// follow follows a channel or a glob of channels.
func (p *pubsub) follow(topic event.Topic, sink Sink) Following {
	r := channelReceiver{topic, sink, p.probe}
	if topic.IsGlob() {
		return p.followName(subscription{true, topic.Pattern}, r)
	}
	return p.followName(subscription{false, topic.Name()}, r)
}

func (p *pubsub) followName(key subscription, r receiver) *pubsubFollowing {
	f := &pubsubFollowing{owner: p, key: key, receiver: r, ready: make(chan struct{})}
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	p.following[key] = f
	conn := p.conn
	p.mu.Unlock()
	if conn != nil {
		p.subscribe(conn, key.glob, key.name)
	}
	return f
}

// subscribe sends one command for names of one sort. It needs p.commands. An error
// means that the connection is lost, which its reader notices too.
func (p *pubsub) subscribe(conn *redis.PubSub, glob bool, names ...string) {
	command := make([]subscription, len(names))
	p.mu.Lock()
	for i, name := range names {
		command[i] = subscription{glob, name}
		p.pending[command[i]]++
	}
	p.sent = append(p.sent, command)
	p.mu.Unlock()
	var err error
	if glob {
		err = conn.PSubscribe(context.Background(), names...)
	} else {
		err = conn.Subscribe(context.Background(), names...)
	}
	if err != nil {
		p.interrupt()
	}
}

// Close implements [Following].
func (f *pubsubFollowing) Close() {
	p := f.owner
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	delete(p.following, f.key)
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return
	}
	var err error
	if f.key.glob {
		err = conn.PUnsubscribe(context.Background(), f.key.name)
	} else {
		err = conn.Unsubscribe(context.Background(), f.key.name)
	}
	if err != nil {
		p.interrupt()
	}
}

// Live implements [Following].
func (f *pubsubFollowing) Live(ctx context.Context) error {
	for {
		f.owner.mu.Lock()
		live, ready, away, awaySet, refused := f.live, f.ready, f.owner.away, f.owner.awaySet, f.refused
		f.owner.mu.Unlock()
		switch {
		case live:
			return nil
		case refused != nil:
			return refused
		case away != nil:
			return fmt.Errorf("%w: %w", ErrUnavailable, away)
		}
		select {
		case <-ready:
		case <-awaySet:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ready returns nil while messages published by this node come back to it.
func (p *pubsub) ready() error {
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	if away != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, away)
	}
	return p.probe.ready()
}
