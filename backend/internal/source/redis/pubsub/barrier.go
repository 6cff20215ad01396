package pubsub

import (
	"context"
	"sync"
	"time"
)

const (
	// barrierPatience bounds how long a barrier stands once its server can be heard. Whoever
	// comes new waits for it too, and is turned away after five seconds.
	barrierPatience = 4 * time.Second
	// detourPatience bounds how long a node may take to accept a probe; who takes longer is
	// taken for gone.
	detourPatience = 2 * time.Second
)

// barrier holds back what moved to a server of a cluster from another one. A message passes
// from node to node at a pace of its own, so that the new server may have yet to bring what
// the old one has brought already. What was published before the move has come as soon as
// probes have that were published behind it at the other nodes, replicas too, since every
// one takes messages.
type barrier struct {
	held []*following
}

// hold has f begin behind the barrier. It is for what is not started yet.
func (b *barrier) hold(f *following) {
	f.barrier = b
	b.held = append(b.held, f)
}

// lift waits for a probe from each node, and has the reader let go what the barrier holds.
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
			if !c.probe.through(patience, node) && ctx.Err() == nil {
				c.log.Warn("redis cluster: what is published at a node does not come, and may come twice later", "node", addr)
			}
		})
	}
	probes.Wait()
	c.mu.Lock()
	c.lifted = append(c.lifted, b)
	s := c.session
	c.mu.Unlock()
	if s != nil {
		_ = s.redis.Ping(ctx) // the reader passes the barrier at the answer, or at one of a later connection
	}
}

// settled waits until Redis has said whether it follows f, however long it is away. It
// returns false if it will not say that any more.
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

// pass lets go what lifted barriers held. The reader calls it, so that nothing comes between
// what a receiver is told and the messages behind it.
func (c *conn) pass(s *session) {
	c.mu.Lock()
	var ready []*following
	for _, b := range c.lifted {
		for _, f := range b.held {
			if len(f.missing) > 0 {
				f.barrier = nil // it begins when Redis has confirmed it
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
