package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
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

// run keeps a connection until the context ends.
func (p *pubsub) run(ctx context.Context, prepare func(context.Context)) {
	wait := newBackoff()
	warned := false
	for ctx.Err() == nil {
		connected, err := p.session(ctx, prepare)
		if ctx.Err() != nil {
			return
		}
		if connected {
			wait.Reset()
			p.log.Warn("redis pub/sub connection lost", "error", err)
		} else if !warned {
			p.log.Warn("redis pub/sub cannot connect; trying again", "error", err)
		}
		warned = !connected
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

func newBackoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = reconnectFirst, reconnectAtMost
	return b
}

// session opens one connection, follows everything on it, and reads it until it
// breaks. It reports whether the connection came about, and why it ended.
func (p *pubsub) session(ctx context.Context, prepare func(context.Context)) (connected bool, err error) {
	options := p.options
	options.Dialer = dialOnce(redis.NewDialer(&p.options))
	client := redis.NewClient(&options)
	defer client.Close()
	conn := client.Subscribe(ctx)
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // Receive does not heed the context
	defer stop()
	if err := greet(ctx, conn); err != nil {
		p.lost(err)
		return false, err
	}
	prepare(ctx)
	p.open(conn)
	p.log.Info("redis pub/sub connected")
	for {
		message, err := conn.Receive(ctx)
		var answer redis.Error
		switch {
		case errors.As(err, &answer):
			p.refuse(conn, answer)
		case err != nil:
			p.lost(err)
			return true, err
		default:
			p.take(message)
		}
	}
}

// greet connects and waits for an answer, since a server that is loading its data or
// wants a password accepts connections too.
func greet(ctx context.Context, conn *redis.PubSub) error {
	if err := conn.Ping(ctx); err != nil {
		return err
	}
	_, err := conn.ReceiveTimeout(ctx, dialTimeout)
	return err
}

// dialOnce lets go-redis connect once only. A connection that it replaced by itself
// would hide that messages were missed.
func dialOnce(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	var once sync.Once
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = errors.New("the connection was lost")
		once.Do(func() { conn, err = dial(ctx, network, address) })
		return conn, err
	}
}

// open makes conn the connection and subscribes to everything that is followed.
func (p *pubsub) open(conn *redis.PubSub) {
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	p.conn = conn
	p.pending = make(map[subscription]int)
	p.sent = nil
	if p.away != nil {
		p.away = nil
		p.awaySet = make(chan struct{})
	}
	var names [2][]string
	for key := range p.following {
		if key.glob {
			names[1] = append(names[1], key.name)
		} else {
			names[0] = append(names[0], key.name)
		}
	}
	p.mu.Unlock()
	for i, glob := range []bool{false, true} {
		for rest := names[i]; len(rest) > 0; {
			n := min(len(rest), subscribeBatch)
			p.subscribe(conn, glob, rest[:n]...)
			rest = rest[n:]
		}
	}
}

// lost records that there is no connection.
func (p *pubsub) lost(err error) {
	p.probe.disconnected()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = nil
	if p.away == nil {
		close(p.awaySet)
	}
	p.away = err
	for _, f := range p.following {
		if f.live {
			f.live = false
			f.ready = make(chan struct{})
		}
	}
}

// interrupt breaks the connection, if there is one; run makes a new one.
func (p *pubsub) interrupt() {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// take handles one message from Redis.
func (p *pubsub) take(message any) {
	switch m := message.(type) {
	case *redis.Subscription:
		switch m.Kind {
		case "subscribe":
			p.confirmed(subscription{false, m.Channel})
		case "psubscribe":
			p.confirmed(subscription{true, m.Channel})
		}
	case *redis.Message:
		p.deliver(m)
	}
}

// confirmed notes that Redis follows a subscription from here on. If it did so on an
// earlier connection too, then there is a gap between the two.
func (p *pubsub) confirmed(key subscription) {
	p.mu.Lock()
	p.answered(key)
	p.pending[key]--
	f := p.following[key]
	// With another command of the same name under way, this one answers a subscription
	// that has been given up since.
	if f == nil || f.live || p.pending[key] > 0 {
		p.mu.Unlock()
		return
	}
	delete(p.pending, key)
	again := f.wasLive
	p.mu.Unlock()

	// Told before it counts as live, so that no one who waited for that misses a gap.
	f.receiver.confirmed(again)

	p.mu.Lock()
	defer p.mu.Unlock()
	f.live, f.wasLive, f.refused = true, true, nil
	close(f.ready)
}

// answered strikes a name off the oldest command. It needs p.mu.
func (p *pubsub) answered(key subscription) {
	if len(p.sent) == 0 {
		return
	}
	p.sent[0] = slices.DeleteFunc(p.sent[0], func(k subscription) bool { return k == key })
	if len(p.sent[0]) == 0 {
		p.sent = p.sent[1:]
	}
}

// refuse handles an error that is the answer to the oldest command. One name that Redis
// does not allow fails the whole command, so those that came with others are tried alone.
func (p *pubsub) refuse(conn *redis.PubSub, answer error) {
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	if len(p.sent) == 0 {
		p.mu.Unlock()
		return
	}
	command := p.sent[0]
	p.sent = p.sent[1:]
	for _, key := range command {
		p.pending[key]--
	}
	alone := len(command) == 1
	if f := p.following[command[0]]; alone && f != nil && !f.live {
		f.refused = fmt.Errorf("%w: %w", ErrForbidden, answer)
		close(f.ready)
		f.ready = make(chan struct{})
	}
	p.mu.Unlock()
	p.log.Warn("redis refuses a subscription", "error", answer, "names", len(command))
	if alone {
		return
	}
	for _, key := range command {
		p.subscribe(conn, key.glob, key.name)
	}
}

func (p *pubsub) deliver(m *redis.Message) {
	key := subscription{false, m.Channel}
	if m.Pattern != "" {
		key = subscription{true, m.Pattern}
	}
	p.mu.Lock()
	f := p.following[key]
	live := f != nil && f.live
	p.mu.Unlock()
	// What comes before the confirmation belongs to an earlier following of the name.
	if live {
		f.receiver.message(m.Channel, m.Payload)
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
