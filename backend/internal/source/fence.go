package source

import (
	"context"
	"sync"
	"time"
)

const (
	// fencePatience bounds how long a fence stands once its server can be heard. Whoever
	// comes new waits for it too, and is turned away after five seconds.
	fencePatience = 4 * time.Second
	// detourPatience bounds how long a node may take to accept a probe; who takes longer is
	// taken for gone.
	detourPatience = 2 * time.Second
)

// fence holds back what moved to a server of a cluster from another one. A message passes
// from node to node at a pace of its own, so that the new server may have yet to bring what
// the old one has brought already. What was published before the move has come as soon as
// probes have that were published behind it at the other nodes, replicas too, since every
// one takes messages.
type fence struct {
	held []*following
}

// hold has f begin behind the fence. It is for what is not started yet.
func (b *fence) hold(f *following) {
	f.fence = b
	b.held = append(b.held, f)
}

// lift waits for a probe from each node, and has the reader let go what the fence holds.
func (p *pubsub) lift(ctx context.Context, b *fence, nodes []string) {
	if !p.marking.settled(ctx) {
		return
	}
	patience, cancel := context.WithTimeout(ctx, fencePatience)
	defer cancel()
	var probes sync.WaitGroup
	for _, addr := range nodes {
		probes.Go(func() {
			node := p.openNode(addr)
			defer node.Close()
			if !p.probe.through(patience, node) && ctx.Err() == nil {
				p.log.Warn("redis cluster: what is published at a node does not come, and may come twice later", "node", addr)
			}
		})
	}
	probes.Wait()
	p.mu.Lock()
	p.lifted = append(p.lifted, b)
	conn := p.conn
	p.mu.Unlock()
	if conn != nil {
		_ = conn.Ping(ctx) // the reader takes the answer; without a connection, one to come
	}
}

// settled waits until Redis has said whether it follows f, however long it is away. It
// returns false if it will not say that any more.
func (f *following) settled(ctx context.Context) bool {
	p := f.owner
	for {
		p.mu.Lock()
		settled, changed := !f.pending() || f.refused != nil, f.changed
		p.mu.Unlock()
		if settled {
			return true
		}
		select {
		case <-changed:
		case <-p.probe.ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// pass lets go what lifted fences held. The reader calls it, so that nothing comes between
// what a receiver is told and the messages behind it.
func (p *pubsub) pass() {
	p.mu.Lock()
	var ready []*following
	for _, b := range p.lifted {
		for _, f := range b.held {
			if len(f.missing) > 0 {
				f.fence = nil // it begins when Redis has confirmed it
			} else {
				ready = append(ready, f)
			}
		}
	}
	p.lifted = nil
	p.mu.Unlock()
	for _, f := range ready {
		p.begin(f)
	}
}
