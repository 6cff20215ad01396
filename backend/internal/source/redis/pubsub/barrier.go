package pubsub

import (
	"context"
	"sync"
	"time"
)

const (
	// barrierPatience bounds how long a barrier holds its followings after its server has
	// answered. It is shorter than the five seconds after which a new subscriber is rejected,
	// since live waits for the barrier too.
	barrierPatience = 4 * time.Second
	// remotePatience bounds the publish of a probe on another node. Slower nodes are skipped.
	remotePatience = 2 * time.Second
)

// barrier delays the start of followings that have moved from one server of a cluster to
// another. The new server may receive a message from a third node later than the old server
// did, and would deliver it twice. A probe published on each node after the move proves
// that the new server has received all earlier messages of that node. Replicas are included,
// since clients can publish there too.
type barrier struct {
	held []*following
}

// hold delays f until the barrier is lifted. It must be called before f is started.
func (b *barrier) hold(f *following) {
	f.barrier = b
	b.held = append(b.held, f)
}

// lift waits for a probe from each node. Then the reader starts the followings that the
// barrier holds.
func (c *conn) lift(ctx context.Context, b *barrier, nodes []string) {
	if !c.probing.settled(ctx) {
		return
	}
	patience, cancel := context.WithTimeout(ctx, barrierPatience)
	defer cancel()
	var probes sync.WaitGroup
	for _, addr := range nodes {
		probes.Go(func() {
			node := c.openNode(addr)
			defer node.Close()
			if !c.probe.arrivesFrom(patience, node) && ctx.Err() == nil {
				c.log.Warn("redis cluster: no probe arrives from a node; its earlier messages may arrive twice", "node", addr)
			}
		})
	}
	probes.Wait()
	c.mu.Lock()
	c.lifted = append(c.lifted, b)
	s := c.session
	c.mu.Unlock()
	if s != nil {
		_ = s.redis.Ping(ctx) // the answer wakes the reader, as does each new connection
	}
}

// settled waits until Redis has confirmed or refused f, even if Redis is unavailable for
// long. It returns false if the connection is closed or the context ends.
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
		case <-c.probe.ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// pass starts the followings of lifted barriers. The reader calls it, so no message arrives
// between the call of confirmed and the following messages.
func (c *conn) pass(s *session) {
	c.mu.Lock()
	var ready []*following
	for _, b := range c.lifted {
		for _, f := range b.held {
			if len(f.missing) > 0 {
				f.barrier = nil // Redis has not confirmed it yet
			} else {
				ready = append(ready, f)
			}
		}
	}
	c.lifted = nil
	c.mu.Unlock()
	for _, f := range ready {
		c.begin(s, f)
	}
}
