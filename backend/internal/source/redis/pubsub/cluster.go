package pubsub

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// topologyInterval is the mean time between two reads of the topology. It varies by up to
	// a quarter.
	topologyInterval = time.Second
	// topologySpacing is the shortest time between two reads.
	topologySpacing = 200 * time.Millisecond
	// topologyTimeout bounds the wait for the answer of one node.
	topologyTimeout = time.Second
	// connectedAsked bounds the masters that are asked at one look.
	connectedAsked = 2
)

// cluster reads the topology of a cluster again and again, and applies it to the router.
type cluster struct {
	client    *redis.ClusterClient
	router    *Router
	seeds     []string                        // addresses to ask before any master is known
	openNode  func(addr string) *redis.Client // opens a client for one node
	changed   func(Topology)
	log       *slog.Logger
	refreshes chan struct{}
	cancel    context.CancelFunc
	done      sync.WaitGroup
}

func newCluster(client *redis.ClusterClient, router *Router, o *Options) *cluster {
	return &cluster{
		client: client, router: router, seeds: o.Seeds, openNode: o.OpenNode, changed: o.Topology, log: o.Log,
		refreshes: make(chan struct{}, 1),
	}
}

// start begins to read the topology.
func (c *cluster) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.done.Go(func() { c.run(ctx) })
}

// refreshTopology asks for a read at once. It does not block.
func (c *cluster) refreshTopology() {
	wake(c.refreshes)
}

func (c *cluster) close() {
	c.cancel()
	c.done.Wait()
}

func (c *cluster) run(ctx context.Context) {
	var known Topology
	warned := false
	for {
		next, err := c.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !warned {
				c.log.Warn("redis cluster topology is unavailable; trying again", "error", err)
			}
			c.router.missing(err)
		case !next.equal(known):
			c.log.Info("redis cluster", "masters", len(next.servers))
			c.client.ReloadState(ctx)
			c.router.apply(ctx, next)
			c.changed(next)
			known = next
		}
		warned = err != nil
		select {
		case <-c.refreshes:
			c.client.ReloadState(ctx)
		case <-time.After(topologyInterval*3/4 + rand.N(topologyInterval/2)):
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(topologySpacing):
		case <-ctx.Done():
			return
		}
	}
}

// look asks one of the masters whose connections work, another one each time, and another
// if that does not answer. Without such a master, it asks the addresses of the settings.
func (c *cluster) look(ctx context.Context) (Topology, error) {
	err := errors.New("no node of the cluster answers")
	asked := 0
	for _, client := range c.router.clients() {
		if asked++; asked > connectedAsked {
			break
		}
		var t Topology
		if t, err = ask(ctx, client); err == nil {
			return t, nil
		}
	}
	for _, i := range rand.Perm(len(c.seeds)) {
		client := c.openNode(c.seeds[i])
		t, askErr := ask(ctx, client)
		_ = client.Close() // it is not used again
		if askErr == nil {
			return t, nil
		}
		err = askErr
	}
	return Topology{}, err
}

// ask asks one node. CLUSTER SLOTS, unlike the newer CLUSTER SHARDS, says which port to use
// with TLS and without.
func ask(ctx context.Context, client *redis.Client) (Topology, error) {
	ctx, cancel := context.WithTimeout(ctx, topologyTimeout)
	defer cancel()
	found, err := client.ClusterSlots(ctx).Result() //nolint:staticcheck // see above
	if err != nil {
		return Topology{}, err
	}
	if len(found) == 0 {
		return Topology{}, errors.New("no server of the cluster has any slots")
	}
	return topologyOf(found), nil
}

func topologyOf(found []redis.ClusterSlot) Topology {
	var l Topology
	for _, r := range found {
		if len(r.Nodes) == 0 {
			continue
		}
		owner := server{r.Nodes[0].ID, r.Nodes[0].Addr}
		l.slots = append(l.slots, slotRange{r.Start, r.End, owner})
		if !slices.Contains(l.servers, owner) {
			l.servers = append(l.servers, owner)
		}
		for _, n := range r.Nodes {
			l.nodes = append(l.nodes, n.Addr)
		}
	}
	l.nodes = sortedSet(l.nodes)
	slices.SortFunc(l.slots, func(a, b slotRange) int { return cmp.Compare(a.first, b.first) })
	slices.SortFunc(l.servers, func(a, b server) int { return cmp.Compare(a.id, b.id) })
	return l
}
