package pubsub

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// pingInterval is the time between two questions to a cluster's server whether it is
	// still there.
	pingInterval = 500 * time.Millisecond
	// defaultNodeTimeout is Redis's own.
	defaultNodeTimeout = 15 * time.Second
)

// stalls notices that a server of a cluster stood still for so long that the others may
// have given up the messages that they had for it. It would go on behind them as if
// nothing had happened. A server that is alone has no others.
type stallDetector struct {
	atMost time.Duration // no limit if 0
	heard  time.Time
}

// newStallDetector begins to listen, for as long as the servers of the cluster are patient with
// each other: half of cluster-node-timeout.
func newStallDetector(ctx context.Context, client *redis.Client, clustered bool) *stallDetector {
	if !clustered {
		return &stallDetector{}
	}
	timeout := defaultNodeTimeout
	setting := client.ConfigGet(ctx, "cluster-node-timeout").Val()["cluster-node-timeout"] // may be forbidden
	if millis, err := strconv.Atoi(setting); err == nil {
		timeout = time.Duration(millis) * time.Millisecond
	}
	return &stallDetector{atMost: max(timeout/2, 2*pingInterval), heard: time.Now()}
}

// ask sends pings over a connection until the context ends.
func (s *stallDetector) ask(ctx context.Context, conn *redis.PubSub) {
	if s.atMost == 0 {
		return
	}
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = conn.Ping(ctx) // the reader sees it too
		case <-ctx.Done():
			return
		}
	}
}

// broken notes that something came, and returns an error if that took too long.
func (s *stallDetector) broken() error {
	if s.atMost == 0 {
		return nil
	}
	before := s.heard
	s.heard = time.Now()
	if silent := s.heard.Sub(before); silent > s.atMost {
		return fmt.Errorf("it was silent for %s, in which others may have dropped messages for it", silent.Round(time.Millisecond))
	}
	return nil
}
