package source

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
	// layoutInterval is the time between two looks at who owns which slots, give or take a
	// quarter.
	layoutInterval = time.Second
	// layoutSpacing is the least, when one is asked for.
	layoutSpacing = 200 * time.Millisecond
	layoutTimeout = 2 * time.Second
)

// cluster watches which master owns which slots.
type cluster struct {
	client *redis.ClusterClient
	apply  func(context.Context, layout) // uses a new layout
	failed func(error)                   // the layout cannot be known
	log    *slog.Logger
	doubts chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newCluster(client *redis.ClusterClient, apply func(context.Context, layout), failed func(error), log *slog.Logger) *cluster {
	return &cluster{client: client, apply: apply, failed: failed, log: log, doubts: make(chan struct{}, 1)}
}

// start begins to look.
func (c *cluster) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.done.Go(func() { c.run(ctx) })
}

// doubt asks for a look before its time.
func (c *cluster) doubt() {
	select {
	case c.doubts <- struct{}{}:
	default: // it is asked for already
	}
}

func (c *cluster) close() {
	c.cancel()
	c.done.Wait()
}

func (c *cluster) run(ctx context.Context) {
	var known layout
	warned := false
	for {
		next, err := c.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !warned {
				c.log.Warn("redis cluster does not say who owns which slots; trying again", "error", err)
			}
			c.failed(err)
		case !next.equal(known):
			c.log.Info("redis cluster", "masters", len(next.servers))
			c.client.ReloadState(ctx)
			c.apply(ctx, next)
			known = next
		}
		warned = err != nil
		select {
		case <-c.doubts:
			c.client.ReloadState(ctx)
		case <-time.After(layoutInterval*3/4 + rand.N(layoutInterval/2)):
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(layoutSpacing):
		case <-ctx.Done():
			return
		}
	}
}

// look asks one of the servers, another one each time. CLUSTER SLOTS, unlike the newer
// CLUSTER SHARDS, says which port to use with TLS and without.
func (c *cluster) look(ctx context.Context) (layout, error) {
	ctx, cancel := context.WithTimeout(ctx, layoutTimeout)
	defer cancel()
	found, err := c.client.ClusterSlots(ctx).Result() //nolint:staticcheck // see above
	if err != nil {
		return layout{}, err
	}
	if len(found) == 0 {
		return layout{}, errors.New("no server of the cluster has any slots")
	}
	return layoutOf(found), nil
}

func layoutOf(found []redis.ClusterSlot) layout {
	var l layout
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
