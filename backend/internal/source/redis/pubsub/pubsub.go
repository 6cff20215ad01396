// Package pubsub follows channels and globs of channels on a Redis server, or on the
// masters of a cluster, over one Pub/Sub connection to each. It publishes markers and
// probes. It does not know about topics.
package pubsub

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable is wrapped by errors that end when Redis can be reached again.
	ErrUnavailable = errors.New("pub/sub is unavailable")
	// ErrForbidden is wrapped by the error of a subscription that Redis refuses, and of
	// [Route.Sync] if Redis refuses the probe.
	ErrForbidden = errors.New("redis refuses the command")
)

// Options are the settings of a [Router].
type Options struct {
	Client     *redis.Client                   // for commands to a single server; nil for a cluster
	Cluster    *redis.ClusterClient            // for commands to a cluster; nil for a single server
	OpenNode   func(addr string) *redis.Client // for a cluster: opens a client for one node
	Seeds      []string                        // for a cluster: addresses of some of its nodes
	Prefix     string                          // begins the names of the gateways' own channels and keys
	Topology   func(Topology)                  // for a cluster: receives each new topology; must not block
	Reconnects *atomic.Int64                   // counts the connections that were lost and established again
	Lag        func(time.Duration)             // receives the round-trip time of each probe; must not block
	Log        *slog.Logger
}

// wake wakes the goroutine that receives from c, which has room for one value. It does not block.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // the goroutine has not received the earlier value yet
	}
}
