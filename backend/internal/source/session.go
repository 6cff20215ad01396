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
