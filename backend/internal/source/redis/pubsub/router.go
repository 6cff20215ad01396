package pubsub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/marker"
)

// readyTimeout bounds the checks of a cluster's masters: one that is silent must not delay
// the answer about the others for long.
const readyTimeout = time.Second

// Router follows each route on the server that owns its slot, and moves it when another
// server owns the slot. Its methods may be called from any goroutine.
type Router struct {
	options   Options
	refreshes chan struct{}      // holds a value if the topology is to be read now
	cancel    context.CancelFunc // ends followTopology
	running   sync.WaitGroup     // followTopology, and connections that are closing

	mu       sync.RWMutex // lock order: mu before conn.mu
	topology Topology
	unknown  error // why the topology is unknown, nil before the first attempt
	servers  map[server]*conn
	routes   map[*Route]struct{}
	changed  chan struct{} // closed when any of this changes
}

// Route is a set of names that one receiver follows on the server that owns a slot.
type Route struct {
	router   *Router
	slot     int
	names    []Subscription
	receiver Receiver

	delivery sync.Mutex // held while receiver is called
	begun    bool       // guarded by delivery

	// Guarded by router.mu.
	node     *following // nil without a server
	assigned bool       // it was followed on a server
}

// Receiver accepts the messages of a route. Its methods are called by one goroutine at a
// time and must return soon.
type Receiver interface {
	// Confirmed reports that the server follows all names from now on, where view begins.
	// If again is true, messages may be missing before.
	Confirmed(again bool, view *marker.View)
	Message(channel, payload string)
}

// New returns a router. It does not connect until Start.
func New(o Options) *Router {
	return &Router{
		options: o, refreshes: make(chan struct{}, 1), changed: make(chan struct{}),
		servers: make(map[server]*conn), routes: make(map[*Route]struct{}),
	}
}

// Start begins to connect. It does not block, and succeeds while Redis is unavailable. From now on,
// Options.Topology may be called.
func (r *Router) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if r.options.Cluster != nil {
		r.running.Go(func() { r.followTopology(ctx) })
	} else {
		r.apply(ctx, Topology{servers: []server{{}}, slots: []slotRange{{last: slots - 1}}})
	}
}

// Follow follows names on the server that owns a slot until the route is closed. It does
// not block.
func (r *Router) Follow(slot int, receiver Receiver, names ...Subscription) *Route {
	rt := &Route{router: r, slot: slot, names: names, receiver: receiver}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.routes[rt] = struct{}{}
	r.assign(rt, nil)
	return rt
}

// assign follows a route on the server of the topology, and on no other. If the route moves,
// it is held, and added to the held ones of its server. mu must be held.
func (r *Router) assign(rt *Route, held map[*conn][]*following) {
	owner, _ := r.topology.owner(rt.slot)
	c := r.servers[owner] // nil if no server owns the slot
	if rt.node != nil {
		if rt.node.owner == c {
			return
		}
		rt.node.close()
		rt.node = nil
	}
	if c == nil {
		return
	}
	rt.node = c.follow(rt, rt.assigned)
	if rt.assigned {
		held[c] = append(held[c], rt.node)
	}
	rt.assigned = true
}

// apply follows all routes as a new topology says. It does not block. It does nothing if the
// context has ended, since the router is closed then.
func (r *Router) apply(ctx context.Context, next Topology) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	nodes := sortedSet(slices.Concat(r.topology.nodes, next.nodes)) // one without slots may still be used by publishers
	r.topology, r.unknown = next, nil
	var unused []*conn
	for s, c := range r.servers {
		if !slices.Contains(next.servers, s) {
			delete(r.servers, s)
			unused = append(unused, c)
		}
	}
	for _, s := range next.servers {
		if r.servers[s] == nil {
			r.servers[s] = newConn(r, s)
		}
	}
	held := make(map[*conn][]*following)
	for rt := range r.routes {
		r.assign(rt, held)
	}
	for c, followings := range held {
		c.running.Go(func() { c.lift(c.ctx, followings, nodes) })
	}
	r.signal()
	for _, c := range unused {
		r.running.Go(c.close)
	}
}

// missing records why the topology is unknown. It does nothing if one is known.
func (r *Router) missing(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.topology.servers) == 0 {
		r.unknown = err
		r.signal()
	}
}

// signal wakes goroutines that wait for a server. mu must be held.
func (r *Router) signal() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Close ends all connections. It blocks until they are closed. No receiver is called after
// it has returned.
func (r *Router) Close() {
	r.cancel()
	r.mu.Lock()
	for _, c := range r.servers {
		r.running.Go(c.close)
	}
	r.servers, r.topology = nil, Topology{}
	r.mu.Unlock()
	r.running.Wait()
}

// Ready returns nil while messages that this node publishes return to it. In a cluster, that
// holds while it holds for any master, and Ready also returns the slots that are not served:
// those of other masters, those without a master, and those of a master that refuses
// commands for keys because other masters are missing.
func (r *Router) Ready(ctx context.Context) (unserved string, err error) {
	r.mu.RLock()
	topology, unknown, conns := r.topology, r.unknown, maps.Clone(r.servers)
	r.mu.RUnlock()
	switch {
	case len(conns) == 0:
		return "", errors.Join(ErrUnavailable, unknown)
	case r.options.Cluster == nil:
		return "", conns[server{}].ready(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var checks sync.WaitGroup
	failed := make([]error, len(topology.servers))
	refusesKeys := make([]bool, len(topology.servers))
	for i, s := range topology.servers {
		checks.Go(func() {
			if err := conns[s].ready(ctx); err != nil {
				failed[i] = fmt.Errorf("%s: %w", s.addr, err)
				return
			}
			// A server does so while another one is missing and cluster-require-full-coverage is set.
			key := r.options.Prefix + "{" + topology.tag(s) + "}"
			refusesKeys[i] = redis.IsClusterDownError(conns[s].client.Type(ctx, key).Err())
		})
	}
	checks.Wait()
	down := make(map[server]bool)
	for i, s := range topology.servers {
		down[s] = failed[i] != nil || refusesKeys[i]
	}
	if !slices.Contains(failed, nil) {
		err = errors.Join(failed...)
	}
	return topology.unserved(down), err
}

// Sync waits until every message that was published before the call has reached the
// receiver. It returns an error that wraps [ErrForbidden] if the gateway may not publish or
// receive the message whose arrival proves that.
func (rt *Route) Sync(ctx context.Context) error {
	rt.router.mu.RLock()
	node := rt.node
	rt.router.mu.RUnlock()
	if node == nil {
		return fmt.Errorf("%w: no server has slot %d", ErrUnavailable, rt.slot)
	}
	if err := node.owner.probing.refusal(); err != nil {
		return err
	}
	return node.owner.probe.sync(ctx)
}

// Close stops following. It does not block. A message in progress may still reach the
// receiver.
func (rt *Route) Close() {
	r := rt.router
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.routes, rt)
	if rt.node != nil {
		rt.node.close()
		rt.node = nil
	}
	r.signal()
}

// Live waits until every message that is published from now on reaches the receiver, and
// then, at most markerPatience, for a marker that was published since. It returns an error
// that wraps [ErrUnavailable] or [ErrForbidden] if Redis is unavailable or refuses a name.
func (rt *Route) Live(ctx context.Context) error {
	for {
		node, changed, err := rt.current()
		if err != nil {
			return err
		}
		if node != nil {
			closed, err := node.live(ctx)
			if !closed {
				return err
			}
			continue // the route has moved
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// current returns the route on its present server, and a channel that is closed when that
// may have changed. Without a server it returns the reason, if the reason is known.
func (rt *Route) current() (node *following, changed <-chan struct{}, err error) {
	r := rt.router
	r.mu.RLock()
	defer r.mu.RUnlock()
	if rt.node != nil {
		return rt.node, r.changed, nil
	}
	_, followed := r.routes[rt]
	_, owned := r.topology.owner(rt.slot)
	switch {
	case !followed:
		err = fmt.Errorf("%w: the route is closed", ErrUnavailable)
	case r.unknown != nil:
		err = fmt.Errorf("%w: %w", ErrUnavailable, r.unknown)
	case len(r.topology.servers) > 0 && !owned:
		err = fmt.Errorf("%w: no server has slot %d", ErrUnavailable, rt.slot)
	}
	return nil, r.changed, err
}
