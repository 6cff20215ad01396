package pubsub

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/redis/reconnect"
)

const (
	// topologyInterval is the mean time between two reads of the topology. It varies by up to
	// a quarter.
	topologyInterval = time.Second
	// topologySpacing is the shortest time between two reads.
	topologySpacing = 200 * time.Millisecond
	// topologyTimeout bounds the wait for the answer of one node.
	topologyTimeout = time.Second
	// connectedAsked bounds the masters that are asked at one read.
	connectedAsked = 2
)

// RefreshTopology asks for the slots of a cluster again, soon. It does not block.
func (r *Router) RefreshTopology() { wake(r.refreshes) }

// followTopology reads the topology of a cluster again and again, and applies it.
func (r *Router) followTopology(ctx context.Context) {
	var known Topology
	warned := false
	for ctx.Err() == nil {
		next, err := r.readTopology(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !warned {
				r.options.Log.Warn("redis cluster topology is unavailable; trying again", "error", err)
			}
			r.missing(err)
		case !reflect.DeepEqual(next, known):
			r.options.Log.Info("redis cluster", "masters", len(next.servers))
			r.options.Cluster.ReloadState(ctx)
			r.apply(ctx, next)
			r.options.Topology(next)
			known = next
		}
		warned = err != nil
		select {
		case <-r.refreshes:
			r.options.Cluster.ReloadState(ctx)
		case <-time.After(topologyInterval*3/4 + rand.N(topologyInterval/2)):
		case <-ctx.Done():
		}
		reconnect.Wait(ctx, topologySpacing)
	}
}

// readTopology asks one of the masters whose connections work, another one each time, and another
// if that does not answer. Without such a master, it asks the addresses of the settings.
func (r *Router) readTopology(ctx context.Context) (t Topology, err error) {
	err = errors.New("no node of the cluster answers")
	clients := r.clients()
	for _, client := range clients[:min(len(clients), connectedAsked)] {
		if t, err = ask(ctx, client); err == nil {
			return t, nil
		}
	}
	for _, i := range rand.Perm(len(r.options.Seeds)) {
		client := r.options.OpenNode(r.options.Seeds[i])
		t, err = ask(ctx, client)
		_ = client.Close() // it is not used again
		if err == nil {
			return t, nil
		}
	}
	return t, err
}

// clients returns clients of the masters whose connections work, in random order.
func (r *Router) clients() []*redis.Client {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var clients []*redis.Client
	for _, c := range r.servers {
		c.mu.Lock()
		if c.session != nil {
			clients = append(clients, c.client)
		}
		c.mu.Unlock()
	}
	rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	return clients
}

// ask asks one node. CLUSTER SLOTS, unlike the newer CLUSTER SHARDS, says which port to use
// with TLS and without.
func ask(ctx context.Context, client *redis.Client) (t Topology, err error) {
	ctx, cancel := context.WithTimeout(ctx, topologyTimeout)
	defer cancel()
	found, err := client.ClusterSlots(ctx).Result() //nolint:staticcheck // see above
	if err != nil {
		return t, err
	}
	if len(found) == 0 {
		return t, errors.New("no server of the cluster has any slots")
	}
	for _, r := range found {
		if len(r.Nodes) == 0 {
			continue
		}
		owner := server{r.Nodes[0].ID, r.Nodes[0].Addr}
		t.slots = append(t.slots, slotRange{r.Start, r.End, owner})
		if !slices.Contains(t.servers, owner) {
			t.servers = append(t.servers, owner)
		}
		for _, n := range r.Nodes {
			t.nodes = append(t.nodes, n.Addr)
		}
	}
	t.nodes = sortedSet(t.nodes)
	slices.SortFunc(t.slots, func(a, b slotRange) int { return cmp.Compare(a.first, b.first) })
	slices.SortFunc(t.servers, func(a, b server) int { return cmp.Compare(a.id, b.id) })
	return t, nil
}
