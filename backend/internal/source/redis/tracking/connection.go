package tracking

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/redis/reconnect"
)

const (
	// invalidations is the channel in which Redis reports changes to RESP2 connections.
	invalidations = "__redis__:invalidate"
	// answerTimeout bounds the wait for the first answer of a connection.
	answerTimeout = 5 * time.Second
)

// connection is the three connections of a session. None of them reconnects.
type connection struct {
	settings *redis.Options
	owner    *redis.Client // of target
	target   *redis.PubSub
	targetID int64
	literal  *redis.Client // tracks keys by reading them
	glob     *redis.Client // tracks prefixes
	prefixes []string      // that glob tracks
}

// open opens the target and the literal tracker to one address. After an error, some of them may be
// open.
func (c *connection) open(ctx context.Context) error {
	c.pinAddress()
	target := c.single()
	target.OnConnect = func(ctx context.Context, conn *redis.Conn) (err error) {
		if before := c.settings.OnConnect; before != nil {
			if err := before(ctx, conn); err != nil {
				return err
			}
		}
		c.targetID, err = conn.ClientID(ctx).Result()
		return err
	}
	c.owner = redis.NewClient(target)
	c.target = c.owner.Subscribe(ctx)
	stop := context.AfterFunc(ctx, func() { _ = c.target.Close() }) // ReceiveTimeout ignores the context
	defer stop()
	if err := c.target.Subscribe(ctx, invalidations); err != nil {
		return err
	}
	if _, err := c.target.ReceiveTimeout(ctx, answerTimeout); err != nil {
		return err
	}
	c.literal = redis.NewClient(c.single())
	return c.literal.Do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", c.targetID).Err()
}

// pinAddress makes all connections use the address of the first one, if they dial without
// TLS; a session on two servers is found by its probes.
func (c *connection) pinAddress() {
	settings := *c.settings
	c.settings = &settings
	dial := settings.Dialer
	if settings.TLSConfig != nil {
		return
	}
	var mu sync.Mutex
	var pinned string
	settings.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if pinned != "" && network == "tcp" {
			addr = pinned
		}
		conn, err := dial(ctx, network, addr)
		if err == nil {
			pinned = conn.RemoteAddr().String()
		}
		return conn, err
	}
}

// single returns the settings of a client that connects once.
func (c *connection) single() *redis.Options {
	settings := reconnect.Once(c.settings)
	settings.PoolSize, settings.MinIdleConns = 1, 0
	settings.ConnMaxIdleTime, settings.ConnMaxLifetime = -1, -1
	return settings
}

// setPrefixes makes the glob tracker track prefixes, on a new connection unless those that
// it tracks stay.
func (c *connection) setPrefixes(ctx context.Context, prefixes []string) error {
	fresh, tracker := prefixes, c.glob
	isDropped := func(p string) bool { return !slices.Contains(prefixes, p) }
	if tracker != nil && !slices.ContainsFunc(c.prefixes, isDropped) {
		isTracked := func(p string) bool { return slices.Contains(c.prefixes, p) }
		fresh = slices.DeleteFunc(slices.Clone(prefixes), isTracked)
	} else {
		tracker = redis.NewClient(c.single())
	}
	args := []any{"CLIENT", "TRACKING", "ON", "REDIRECT", c.targetID, "BCAST"}
	for _, p := range fresh {
		if p != "" {
			args = append(args, "PREFIX", p)
		}
	}
	err := tracker.Do(ctx, args...).Err()
	if tracker != c.glob {
		if c.glob != nil {
			_ = c.glob.Close() // the new connection tracks the same keys
		}
		c.glob = tracker
	}
	c.prefixes = prefixes
	return err
}

func (c *connection) close() {
	if c.target != nil {
		_ = c.target.Close()
	}
	for _, client := range []*redis.Client{c.owner, c.literal, c.glob} {
		if client != nil {
			_ = client.Close()
		}
	}
}
