package pubsub

import (
	"context"
	"sync"
	"time"
)

const (
	// barrierPatience bounds how long a barrier delays followings after its server has
	// answered. It is shorter than the five seconds after which a new subscriber is rejected,
	// since live waits for the barrier too.
	barrierPatience = 4 * time.Second
	// remotePatience bounds the publish of a probe on another node. Slower nodes are skipped.
	remotePatience = 2 * time.Second
)

// lift waits at a barrier: for a probe from each node. Then the reader starts the held followings,
// which have moved from one server of a cluster to this one. This server may receive a message from
// a third node later than the old server did, and would deliver it twice. A probe published on each
// node after the move proves that this server has received all earlier messages of that node.
// Replicas are included, since clients can publish there too.
func (c *conn) lift(ctx context.Context, held []*following, nodes []string) {
	if !c.probing.settled(ctx) {
		return
	}
	patience, cancel := context.WithTimeout(ctx, barrierPatience)
	defer cancel()
	var probes sync.WaitGroup
	for _, addr := range nodes {
		probes.Go(func() {
			node := c.router.options.OpenNode(addr)
			defer node.Close()
			if !c.probe.arrivesFrom(patience, node) && ctx.Err() == nil {
				c.log.Warn("redis cluster: no probe arrives from a node; its earlier messages may arrive twice", "node", addr)
			}
		})
	}
	probes.Wait()
	c.mu.Lock()
	c.lifted = append(c.lifted, held...)
	s := c.session
	c.mu.Unlock()
	if s != nil {
		_ = s.redis.Ping(ctx) // the answer wakes the reader; on a new connection, the next ping does
	}
}

// settled waits until Redis has confirmed or refused f, even if Redis is unavailable for
// long. It returns false if the context ends.
func (f *following) settled(ctx context.Context) bool {
	c := f.owner
	for {
		c.mu.Lock()
		settled, changed := !f.pending() || f.refused != nil, f.changed
		c.mu.Unlock()
		if settled {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// pass starts the followings of lifted barriers. The reader calls it, so no message arrives
// between the call of confirmed and the following messages.
func (c *conn) pass() {
	c.mu.Lock()
	var ready []*following
	for _, f := range c.lifted {
		if len(f.missing) > 0 {
			f.held = false // Redis has not confirmed it yet
		} else {
			ready = append(ready, f)
		}
	}
	c.lifted = nil
	c.mu.Unlock()
	for _, f := range ready {
		c.begin(f)
	}
}
