package pubsub

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// pingInterval is the time between two pings of a cluster's server.
	pingInterval = 500 * time.Millisecond
	// defaultNodeTimeout is Redis's own.
	defaultNodeTimeout = 15 * time.Second
)

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
