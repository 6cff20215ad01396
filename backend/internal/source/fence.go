package source

import (
	"context"
	"time"
)

// fencePatience bounds how long a fence stands while a node does not answer.
const fencePatience = 5 * time.Second

// fence holds back what moved to a server of a cluster from another one. A message passes
// from node to node at a pace of its own, so that the new server may have yet to bring what
// the old one has brought already. What was published before the move has come as soon as
// probes have that were published behind it at every node, replicas too, since every one
// takes messages.
type fence struct {
	held []*following
}

// hold has f begin behind the fence. It is for what is not started yet.
func (b *fence) hold(f *following) {
	f.fence = b
	b.held = append(b.held, f)
}

// lift waits for a probe from each node, and lets go what the fence holds.
func (p *pubsub) lift(ctx context.Context, b *fence, nodes []string) {
	if p.probe.sync(ctx) != nil { // probes can come
		return // the server is given up
	}
	ctx, cancel := context.WithTimeout(ctx, fencePatience)
	defer cancel()
	failed := make(chan error, len(nodes))
	for _, addr := range nodes {
		go func() {
			node := p.openNode(addr)
			defer node.Close()
			failed <- p.probe.through(ctx, node)
		}()
	}
	for range nodes {
		// Who is gone sends nothing more. What the others may still send late is better than
		// to have nothing at all.
		if err := <-failed; err != nil {
			p.log.Warn("redis cluster: a node does not answer; a message may come twice", "error", err)
		}
	}
	p.probe.behind(func() { p.pass(b) })
}

// pass lets go what a fence held.
func (p *pubsub) pass(b *fence) {
	for _, f := range b.held {
		p.mu.Lock()
		unconfirmed := len(f.missing) > 0
		if unconfirmed {
			f.fence = nil
		}
		p.mu.Unlock()
		if !unconfirmed {
			p.begin(f)
		}
	}
}
