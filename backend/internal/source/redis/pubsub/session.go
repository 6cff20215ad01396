package pubsub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/marker"
	"sluice/internal/source/redis/reconnect"
)

const (
	// pingInterval is the time between two pings of a cluster's server.
	pingInterval = 500 * time.Millisecond
	// defaultNodeTimeout is Redis's own.
	defaultNodeTimeout = 15 * time.Second
)

// session is the state of one connection, from connect to disconnect.
type session struct {
	redis  *redis.PubSub
	socket atomic.Pointer[timedConn] // the connection, once it is dialled

	// Guarded by conn.mu.
	queue   []command
	wake    chan struct{}        // holds a value if queue may not be empty
	pending map[Subscription]int // SUBSCRIBE commands that Redis has not answered yet, by name
	sent    [][]Subscription     // the same in their order
}

// command subscribes to names of one form, or unsubscribes.
type command struct {
	subscribe bool
	names     []Subscription
}

// enqueue adds a command for names of one form. It does nothing without a session, since a
// new one subscribes to everything that is followed. conn.mu must be held.
func (s *session) enqueue(subscribe bool, names ...Subscription) {
	if s == nil {
		return
	}
	if subscribe {
		for _, name := range names {
			s.pending[name]++
		}
		s.sent = append(s.sent, slices.Clone(names))
	}
	s.queue = append(s.queue, command{subscribe, names})
	wake(s.wake)
}

// write sends queued commands until the context ends or the connection is lost.
func (c *conn) write(ctx context.Context, s *session) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		queue := s.queue
		s.queue = nil
		c.mu.Unlock()
		for _, command := range queue {
			if err := s.send(ctx, command); err != nil {
				s.close() // the reader reports the loss
				return
			}
		}
	}
}

func (s *session) send(ctx context.Context, c command) error {
	names := make([]string, len(c.names))
	for i, name := range c.names {
		names[i] = name.Name
	}
	subscribe, unsubscribe := s.redis.Subscribe, s.redis.Unsubscribe
	switch c.names[0].Form {
	case Literal:
	case Glob:
		subscribe, unsubscribe = s.redis.PSubscribe, s.redis.PUnsubscribe
	case Sharded:
		subscribe, unsubscribe = s.redis.SSubscribe, s.redis.SUnsubscribe
	}
	if c.subscribe {
		return subscribe(ctx, names...)
	}
	return unsubscribe(ctx, names...)
}

// close closes the socket, which ends a blocked read and a blocked write. The lock of
// go-redis's PubSub is held during a write, so its Close would wait for that write.
func (s *session) close() {
	if socket := s.socket.Load(); socket != nil {
		_ = socket.Close()
	}
}

// run keeps a connection until the context ends.
func (c *conn) run(ctx context.Context) {
	delays := reconnect.Delays()
	warned := false
	for ctx.Err() == nil {
		connected, err := c.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			delays.Reset()
			c.log.Warn("redis pub/sub connection lost", "error", err)
		} else if !warned {
			c.log.Warn("redis pub/sub cannot connect; trying again", "error", err)
		}
		warned = !connected
		c.router.RefreshTopology()
		reconnect.Wait(ctx, delays.NextBackOff())
	}
}

// connect opens one connection, follows everything on it, and reads it until it
// breaks. It reports whether the connection was established, and why it ended.
func (c *conn) connect(ctx context.Context) (connected bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	s := &session{pending: make(map[Subscription]int), wake: make(chan struct{}, 1)}
	options := reconnect.Once(c.client.Options())
	dial := options.Dialer
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		opened, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		s.socket.Store(&timedConn{opened, &c.probe.heard})
		return s.socket.Load(), nil
	}
	client := redis.NewClient(options)
	defer client.Close()
	s.redis = client.Subscribe(ctx)
	defer s.redis.Close()
	defer s.close()
	defer cancel()
	stop := context.AfterFunc(ctx, s.close) // Receive ignores the context
	defer stop()
	defer func() { c.lost(err) }() // first, since closing can block
	if err := greet(ctx, s.redis); err != nil {
		return false, err
	}
	var limit time.Duration
	if c.router.options.Cluster != nil {
		limit = maxSilence(ctx, c.client)
		helpers.Go(func() { s.ping(ctx) })
	}
	helpers.Go(func() { c.write(ctx, s) })
	c.open(s)
	if c.established {
		c.router.options.Reconnects.Add(1)
	}
	c.established = true
	c.log.Info("redis pub/sub connected")
	return true, c.read(ctx, s, limit)
}

// read handles messages until the connection breaks, or was silent for longer than a limit, if that
// is not 0.
func (c *conn) read(ctx context.Context, s *session, limit time.Duration) error {
	heard := time.Now()
	for {
		message, err := s.redis.Receive(ctx)
		if err == nil && limit > 0 {
			silent := time.Since(heard)
			heard = time.Now()
			if silent > limit {
				return fmt.Errorf("it was silent for %s, in which others may have dropped messages for it", silent.Round(time.Millisecond))
			}
		}
		answer, isAnswer := errors.AsType[redis.Error](err)
		switch {
		case isAnswer:
			c.refuse(s, answer)
		case err != nil:
			return err
		default:
			c.receive(s, message)
		}
	}
}

// maxSilence returns how long a server of a cluster may be silent: half of cluster-node-timeout,
// after which the other servers close their connections to it. A server that was stopped for so
// long continues without an error, but others may have dropped messages for it.
func maxSilence(ctx context.Context, client *redis.Client) time.Duration {
	timeout := defaultNodeTimeout
	setting := client.ConfigGet(ctx, "cluster-node-timeout").Val()["cluster-node-timeout"] // may be forbidden
	if millis, err := strconv.Atoi(setting); err == nil {
		timeout = time.Duration(millis) * time.Millisecond
	}
	return max(timeout/2, 2*pingInterval)
}

// ping sends pings until the context ends, so a server that works is never silent for long.
func (s *session) ping(ctx context.Context) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = s.redis.Ping(ctx) // the reader sees it too
		case <-ctx.Done():
			return
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

// timedConn records the time of the newest byte.
type timedConn struct {
	net.Conn
	heard *atomic.Int64 // in nanoseconds since 1970
}

// Read implements [net.Conn].
func (c *timedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// open makes s the session and subscribes to everything that is followed.
func (c *conn) open(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	c.away = nil
	c.markers.log = marker.NewLog()
	names := make(map[Form][]Subscription)
	for name := range c.following {
		names[name.Form] = append(names[name.Form], name)
	}
	for form, rest := range names {
		batch := subscribeBatch
		if form == Sharded { // a command names one slot only
			batch = 1
		}
		for some := range slices.Chunk(rest, batch) {
			s.enqueue(true, some...)
		}
	}
}

// lost records that the connection is lost, and why.
func (c *conn) lost(err error) {
	c.probe.disconnected()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = nil
	c.away = err
	for _, f := range c.following {
		f.interrupted(f.route.names...)
	}
}

// interrupt breaks the connection, if there is one; run opens a new one.
func (c *conn) interrupt() {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s != nil {
		s.close()
	}
}
