// Package pubsub follows channels and globs of channels on a Redis server, or on the
// masters of a cluster, over one Pub/Sub connection to each. It publishes markers and
// probes. It does not know about topics.
package pubsub

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable is wrapped by errors that end when Redis can be reached again.
	ErrUnavailable = errors.New("pub/sub is unavailable")
	// ErrForbidden is wrapped by the error of a subscription that Redis refuses, and of
	// [Route.Sync] if Redis refuses to publish the probe.
	ErrForbidden = errors.New("redis refuses the command")
)

// Options are the settings of a [Router].
type Options struct {
	Client   redis.UniversalClient           // a *redis.Client or a *redis.ClusterClient, for commands
	OpenNode func(addr string) *redis.Client // for a cluster: opens a client for one node
	Seeds    []string                        // for a cluster: addresses of some of its nodes
	Prefix   string                          // begins the names of the gateways' own channels and keys
	Topology func(Topology)                  // for a cluster: receives each new topology; must not block
	Lag      func(time.Duration)             // receives the round-trip time of each probe; must not block
	Log      *slog.Logger
}

// New returns a router. It connects after Start.
func New(o Options) *Router {
	markers := o.Prefix + "markers"
	r := newRouter()
	r.prefix = o.Prefix
	switch client := o.Client.(type) {
	case *redis.ClusterClient:
		r.cluster = newCluster(client, r, &o)
		r.connect = func(s server) *conn {
			own := o.OpenNode(s.addr)
			// The order of markers and messages differs between servers, so each master has
			// its own markers.
			c := newConn(own, markers+":"+s.id, o.Prefix, &o, o.Log.With("server", s.addr))
			c.reconnects, c.refreshTopology = &r.reconnects, r.cluster.refreshTopology
			c.release, c.openNode = own.Close, o.OpenNode
			c.start()
			return c
		}
	case *redis.Client:
		r.connect = func(server) *conn {
			c := newConn(client, markers, o.Prefix, &o, o.Log)
			c.reconnects = &r.reconnects
			c.start()
			return c
		}
	}
	return r
}

// Start begins to connect. It does not block, and succeeds while Redis is unavailable.
func (r *Router) Start() {
	if r.cluster != nil {
		r.cluster.start()
	} else {
		r.apply(context.Background(), Topology{servers: []server{{}}})
	}
}

// wake tells the goroutine that receives from c, which has room for one value, that there is
// work. It does not block.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // the goroutine has not received the earlier value yet
	}
}
