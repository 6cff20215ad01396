package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"
)

// What follows is the life of the Pub/Sub connection: it is opened, subscribed anew to
// everything that is followed, read until it breaks, and opened again.

// run keeps a connection until the context ends.
func (p *pubsub) run(ctx context.Context) {
	wait := newBackoff()
	warned := false
	for ctx.Err() == nil {
		connected, err := p.session(ctx)
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
		p.doubt()
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
func (p *pubsub) session(ctx context.Context) (connected bool, err error) {
	options := *p.client.Options()
	options.Dialer = dialOnce(options.Dialer)
	options.Protocol = 2 // has nothing but messages on a subscribed connection
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
	silence := newSilence(ctx, p.client, p.openNode != nil)
	asking, done := context.WithCancel(ctx)
	defer done()
	p.connected.Go(func() { silence.ask(asking, conn) })
	p.open(conn)
	if p.established {
		p.reconnects.Add(1)
	}
	p.established = true
	p.log.Info("redis pub/sub connected")
	for {
		message, err := conn.Receive(ctx)
		if err == nil {
			err = silence.broken()
		}
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
	_, err := conn.ReceiveTimeout(ctx, answerTimeout)
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
	p.away = nil
	names := make(map[form][]subscription)
	for name := range p.following {
		names[name.form] = append(names[name.form], name)
	}
	p.mu.Unlock()
	for form, rest := range names {
		batch := subscribeBatch
		if form == sharded {
			batch = 1
		}
		for some := range slices.Chunk(rest, batch) {
			p.subscribe(conn, some...)
		}
	}
}

// lost records that there is no connection.
func (p *pubsub) lost(err error) {
	p.probe.disconnected()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = nil
	p.away = err
	for _, f := range p.following {
		f.interrupted(f.names...)
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
			p.confirmed(subscription{literal, m.Channel})
		case "psubscribe":
			p.confirmed(subscription{glob, m.Channel})
		case "ssubscribe":
			p.confirmed(subscription{sharded, m.Channel})
		case "sunsubscribe":
			p.unsubscribed(subscription{sharded, m.Channel})
		}
	case *redis.Message:
		p.deliver(m)
	case *redis.Pong:
		p.pass()
	}
}

// confirmed notes that Redis follows a subscription from here on.
func (p *pubsub) confirmed(name subscription) {
	p.mu.Lock()
	p.answered(name)
	p.pending[name]--
	f := p.following[name]
	// With another command of the same name under way, this one answers a subscription
	// that has been given up since.
	if f == nil || p.pending[name] > 0 || !slices.Contains(f.missing, name) {
		p.mu.Unlock()
		return
	}
	delete(p.pending, name)
	last := len(f.missing) == 1 && f.fence == nil
	if !last {
		f.missing = slices.DeleteFunc(f.missing, func(n subscription) bool { return n == name })
	}
	p.mu.Unlock()
	if last {
		p.begin(f)
	}
}

// begin has f live from here on.
func (p *pubsub) begin(f *following) {
	p.mu.Lock()
	newest := p.marks.newest()
	if !f.began {
		f.began, f.since = true, ordinal(newest)
	}
	p.mu.Unlock()

	// Told before it counts as live, so that no one who waited for that misses a gap.
	f.receiver.confirmed(newest)
	p.probe.soon() // so that places from here on can soon be named on every node

	p.mu.Lock()
	defer p.mu.Unlock()
	f.missing, f.refused, f.fence = nil, nil, nil
	f.signal()
}

// unsubscribed notes that the server no longer has the slot of a channel, or had it not
// for a while. Nobody asked for that if the channel is followed.
func (p *pubsub) unsubscribed(name subscription) {
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	f, conn := p.following[name], p.conn
	if f == nil || conn == nil || slices.Contains(f.missing, name) {
		p.mu.Unlock()
		return
	}
	f.interrupted(append(f.missing, name)...)
	p.mu.Unlock()
	p.doubt()
	p.subscribe(conn, name)
}

// answered strikes a name off the oldest command. It needs p.mu.
func (p *pubsub) answered(name subscription) {
	if len(p.sent) == 0 {
		return
	}
	p.sent[0] = slices.DeleteFunc(p.sent[0], func(n subscription) bool { return n == name })
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
	names := p.sent[0]
	p.sent = p.sent[1:]
	for _, name := range names {
		p.pending[name]--
	}
	if len(names) > 1 {
		p.mu.Unlock()
		for _, name := range names {
			p.subscribe(conn, name)
		}
		return
	}
	f := p.following[names[0]]
	displaced := isDisplaced(answer)
	if f != nil && !displaced {
		f.refused = fmt.Errorf("%w: %w", ErrForbidden, answer)
		f.signal()
	}
	p.mu.Unlock()
	if displaced {
		p.doubt()
		time.AfterFunc(displacedPause, func() { p.retry(conn, f, names[0]) })
		return
	}
	p.log.Warn("redis refuses a subscription", "error", answer)
}

// isDisplaced reports whether an answer means that another server is in charge, or none
// for now.
func isDisplaced(answer error) bool {
	_, moved := redis.IsMovedError(answer)
	return moved || redis.IsClusterDownError(answer) || redis.IsTryAgainError(answer)
}

// retry tries a subscription again, if it is still wanted.
func (p *pubsub) retry(conn *redis.PubSub, f *following, name subscription) {
	p.commands.Lock()
	defer p.commands.Unlock()
	p.mu.Lock()
	wanted := f != nil && p.conn == conn && p.following[name] == f
	p.mu.Unlock()
	if wanted {
		p.subscribe(conn, name)
	}
}

func (p *pubsub) deliver(m *redis.Message) {
	name := subscription{literal, m.Channel}
	if m.Pattern != "" {
		name = subscription{glob, m.Pattern}
	}
	p.mu.Lock()
	f := p.following[name]
	live := f != nil && !f.pending()
	p.mu.Unlock()
	// What comes before the confirmation belongs to an earlier following of the name, or
	// came from another server already.
	if live {
		f.receiver.message(m.Channel, m.Payload)
	}
}
