package pubsub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
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
	connect    func(server) *conn // opens a connection, does not block
	cluster    *cluster           // nil for a single server
	prefix     string             // begins the names of the gateways' own keys
	reconnects atomic.Int64
	lifting    sync.WaitGroup // barriers
	closing    sync.WaitGroup // connections to servers that are no longer used

	// changing is held while routes or servers change. The reader of a connection must not
	// lock it. Lock order: changing before mu before conn.mu.
	changing sync.Mutex

	mu       sync.RWMutex
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
	assigned bool       // it was followed on a server; guarded by router.changing

	// Guarded by router.mu.
	node   *nodeRoute // nil without a server
	closed bool
}

// Receiver accepts the messages of a route. Its methods are called by one goroutine at a
// time and must return soon.
type Receiver interface {
	// Confirmed reports that the server follows all names from now on, where view begins.
	// If again is true, messages may be missing before.
	Confirmed(again bool, view *marker.View)
	Message(channel, payload string)
}

// nodeRoute is a route on one server.
type nodeRoute struct {
	*following
	route *Route
	gone  atomic.Bool // messages are ignored
}

func newRouter() *Router {
	return &Router{
		servers: make(map[server]*conn),
		routes:  make(map[*Route]struct{}),
		changed: make(chan struct{}),
	}
}

// Follow follows names on the server that owns a slot until the route is closed. It does
// not block.
func (r *Router) Follow(slot int, receiver Receiver, names ...Subscription) *Route {
	rt := &Route{router: r, slot: slot, names: names, receiver: receiver}
	r.changing.Lock()
	defer r.changing.Unlock()
	r.mu.Lock()
	r.routes[rt] = struct{}{}
	r.mu.Unlock()
	r.assign(rt, nil)
	return rt
}

// assign follows a route on the server of the topology, and on no other. If the route moves,
// it begins after the barrier of the new server. changing must be held.
func (r *Router) assign(rt *Route, barriers map[server]*barrier) {
	r.mu.Lock()
	owner, owned := r.topology.owner(rt.slot)
	old := rt.node
	if old != nil && owned && old.owner == r.servers[owner] {
		r.mu.Unlock()
		return
	}
	rt.node = nil
	if old != nil {
		old.abandon()
	}
	if owned {
		n := &nodeRoute{route: rt}
		n.following = r.servers[owner].follow(n, rt.names...)
		if rt.assigned {
			if barriers[owner] == nil {
				barriers[owner] = new(barrier)
			}
			barriers[owner].hold(n.following)
		}
		rt.node, rt.assigned = n, true
	}
	node := rt.node
	r.mu.Unlock()
	if node != nil {
		node.start()
	}
	if old != nil {
		old.close()
	}
}

// abandon makes n ignore all later messages. The view ends first, so it contains no marker
// that follows an ignored message.
func (n *nodeRoute) abandon() {
	n.owner.mu.Lock()
	n.end()
	n.owner.mu.Unlock()
	n.gone.Store(true)
}

// confirmed implements [receiver].
func (n *nodeRoute) confirmed(view *marker.View) {
	n.route.delivery.Lock()
	defer n.route.delivery.Unlock()
	if n.gone.Load() {
		return
	}
	again := n.route.begun
	n.route.begun = true
	n.route.receiver.Confirmed(again, view)
}

// message implements [receiver].
func (n *nodeRoute) message(channel, payload string) {
	n.route.delivery.Lock()
	defer n.route.delivery.Unlock()
	if !n.gone.Load() {
		n.route.receiver.Message(channel, payload)
	}
}

// apply follows all routes as a new topology says. It does not block. The context ends
// before the router is closed.
func (r *Router) apply(ctx context.Context, next Topology) {
	r.changing.Lock()
	defer r.changing.Unlock()
	nodes := sortedSet(slices.Concat(r.topology.nodes, next.nodes)) // one without slots may still be used by publishers
	var unused []*conn
	r.mu.Lock()
	r.topology, r.unknown = next, nil
	for s, c := range r.servers {
		if !slices.Contains(next.servers, s) {
			delete(r.servers, s)
			unused = append(unused, c)
		}
	}
	for _, s := range next.servers {
		if r.servers[s] == nil {
			r.servers[s] = r.connect(s)
		}
	}
	r.mu.Unlock()
	barriers := make(map[server]*barrier)
	for rt := range r.routes { // written under changing only
		r.assign(rt, barriers)
	}
	for s, b := range barriers {
		c := r.servers[s]
		r.lifting.Go(func() { c.lift(ctx, b, nodes) })
	}
	r.mu.Lock()
	r.signal()
	r.mu.Unlock()
	for _, c := range unused {
		r.closing.Go(c.close)
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
	if r.cluster != nil {
		r.cluster.close()
	}
	r.changing.Lock()
	r.mu.Lock()
	servers := r.servers
	r.servers, r.topology = nil, Topology{}
	r.mu.Unlock()
	r.changing.Unlock()
	r.lifting.Wait()
	for _, c := range servers {
		r.closing.Go(c.close)
	}
	r.closing.Wait()
}

// Reconnects returns how often a connection was lost and established again.
func (r *Router) Reconnects() int64 {
	return r.reconnects.Load()
}

// Ready returns nil while messages that this node publishes return to it. In a cluster, that
// holds while it holds for any master, and Ready also returns the slots that are not served:
// those of other masters, those without a master, and those of a master that refuses
// commands for keys because other masters are missing.
func (r *Router) Ready(ctx context.Context) (unserved Slots, err error) {
	r.mu.RLock()
	topology, unknown := r.topology, r.unknown
	conns := make([]*conn, len(topology.servers))
	for i, s := range topology.servers {
		conns[i] = r.servers[s]
	}
	r.mu.RUnlock()
	switch {
	case len(conns) == 0:
		return nil, errors.Join(ErrUnavailable, unknown)
	case r.cluster == nil:
		return nil, conns[0].ready(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var checks sync.WaitGroup
	failed := make([]error, len(conns))
	keysFailed := make([]bool, len(conns))
	for i, c := range conns {
		checks.Go(func() {
			failed[i] = c.ready(ctx)
			keysFailed[i] = failed[i] != nil || c.refusesKeys(ctx, r.prefix+"{"+topology.tag(topology.servers[i])+"}")
		})
	}
	checks.Wait()
	down := make(map[server]bool)
	for i, s := range topology.servers {
		down[s] = keysFailed[i]
		if failed[i] != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", s.addr, failed[i]))
		}
	}
	if slices.Contains(failed, nil) {
		err = nil
	}
	return topology.unserved(down), err
}

// clients returns clients of the masters whose connections work, in random order.
func (r *Router) clients() []*redis.Client {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var clients []*redis.Client
	for _, c := range r.servers {
		if c.connected() {
			clients = append(clients, c.client)
		}
	}
	rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	return clients
}

// RefreshTopology asks for the slots of a cluster again, soon.
func (r *Router) RefreshTopology() {
	if r.cluster != nil {
		r.cluster.refreshTopology()
	}
}

// Sync waits until every message that was published before the call has reached the
// receiver. It returns an error that wraps [ErrForbidden] if the gateway may not publish the
// message whose arrival proves that.
func (rt *Route) Sync(ctx context.Context) error {
	rt.router.mu.RLock()
	node := rt.node
	rt.router.mu.RUnlock()
	if node == nil {
		return fmt.Errorf("%w: no server has slot %d", ErrUnavailable, rt.slot)
	}
	return node.owner.probe.sync(ctx)
}

// Close stops following. It does not block. A message in progress may still reach the
// receiver.
func (rt *Route) Close() {
	r := rt.router
	r.changing.Lock()
	defer r.changing.Unlock()
	r.mu.Lock()
	delete(r.routes, rt)
	node := rt.node
	rt.node, rt.closed = nil, true
	r.signal()
	r.mu.Unlock()
	if node != nil {
		node.abandon()
		node.close()
	}
}

// Live waits until every message that is published from now on reaches the receiver, and
// then, at most markerPatience, for a marker that was published since. It returns an error
// that wraps [ErrUnavailable] or [ErrForbidden] if Redis is unavailable or refuses a name.
func (rt *Route) Live(ctx context.Context) error {
	for {
		node, changed, err := rt.current()
		switch {
		case err != nil:
			return err
		case node == nil:
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := node.live(ctx); errors.Is(err, errMoved) {
			continue
		} else if err != nil {
			return err
		}
		if live, err := node.marked(ctx); live || err != nil {
			return err
		}
	}
}

// current returns the route on its present server, and a channel that is closed when that
// may have changed. Without a server it returns the reason, if the reason is known.
func (rt *Route) current() (node *nodeRoute, changed <-chan struct{}, err error) {
	r := rt.router
	r.mu.RLock()
	defer r.mu.RUnlock()
	if rt.node != nil {
		return rt.node, r.changed, nil
	}
	_, owned := r.topology.owner(rt.slot)
	switch {
	case rt.closed:
		err = fmt.Errorf("%w: the route is closed", ErrUnavailable)
	case r.unknown != nil:
		err = fmt.Errorf("%w: %w", ErrUnavailable, r.unknown)
	case len(r.topology.servers) > 0 && !owned:
		err = fmt.Errorf("%w: no server has slot %d", ErrUnavailable, rt.slot)
	}
	return nil, r.changed, err
}
