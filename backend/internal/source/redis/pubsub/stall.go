package pubsub

import (
	"context"
	"fmt"
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

// stallDetector detects that a server of a cluster was stopped for so long that other servers
// may have dropped messages for it. Such a server continues without an error. A single server
// needs no detector.
type stallDetector struct {
	atMost time.Duration // longest silence; no limit if 0
	heard  time.Time     // time of the newest message
}

// newStallDetector returns a detector whose limit is half of cluster-node-timeout, after which
// the servers of a cluster close their connections to a silent one.
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

// broken records that a message has arrived, and returns an error if the silence before it
// was too long.
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
