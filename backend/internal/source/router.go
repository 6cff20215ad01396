package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// router has each subscription followed on the servers that bring its messages, and moves
// it when these are others.
type router struct {
	connect func(server) *pubsub // makes and starts a connection

	// changing is held while routes or servers change. The reader of a connection never
	// takes it.
	changing sync.Mutex
	lifting  sync.WaitGroup // fences

	mu      sync.RWMutex
	layout  layout
	unknown error // why there is no layout, nil before the first try
	servers map[server]*pubsub
	routes  map[*route]struct{}
	changed chan struct{} // closed when any of this changes
}

// route is what one receiver follows, wherever that is. Its receiver is called by one
// goroutine at a time.
type route struct {
	router   *router
	slot     int
	names    []subscription
	receiver routeReceiver

	delivery sync.Mutex // held while receiver is called
	begun    bool       // guarded by delivery
	placed   bool       // it has been followed somewhere; guarded by router.changing

	// Guarded by router.mu.
	legs map[server]*leg
	last *Mark // the newest one when the last leg was given up
}

// routeReceiver takes what a route brings, as a [receiver] does for one server.
type routeReceiver interface {
	// confirmed says that one of the servers follows the subscription from here on; again,
	// that messages may be missing before that.
	confirmed(again bool, mark *Mark)
	message(channel, payload string)
}

// leg is a route on one server.
type leg struct {
	*following
	route *route
	gone  atomic.Bool // what still comes is no longer wanted
}

func newRouter(connect func(server) *pubsub) *router {
	return &router{
		connect: connect,
		servers: make(map[server]*pubsub),
		routes:  make(map[*route]struct{}),
		changed: make(chan struct{}),
	}
}

// route returns a route for names, by way of the server that owns a slot. It begins when
// it is started.
func (r *router) route(slot int, receiver routeReceiver, names ...subscription) *route {
	return &route{router: r, slot: slot, names: names, receiver: receiver, legs: make(map[server]*leg)}
}

func (rt *route) start() {
	r := rt.router
	r.changing.Lock()
	defer r.changing.Unlock()
	r.mu.Lock()
	r.routes[rt] = struct{}{}
	r.mu.Unlock()
	r.place(rt, nil)
}

// place has a route followed where the layout says, and only there, behind the fence of its
// server if that is a new one. It needs r.changing.
func (r *router) place(rt *route, fences map[server]*fence) {
	r.mu.Lock()
	var wanted []server
	if owner, ok := r.layout.owner(rt.slot); ok {
		wanted = []server{owner}
	}
	var old, fresh []*leg
	for s, l := range rt.legs {
		if !slices.Contains(wanted, s) || l.owner != r.servers[s] {
			l.gone.Store(true)
			rt.last = l.mark()
			delete(rt.legs, s)
			old = append(old, l)
		}
	}
	for _, s := range wanted {
		if rt.legs[s] == nil {
			l := &leg{route: rt}
			l.following = r.servers[s].follow(l, rt.last, rt.names...)
			if rt.placed {
				if fences[s] == nil {
					fences[s] = new(fence)
				}
				fences[s].hold(l.following)
			}
			rt.legs[s] = l
			fresh = append(fresh, l)
		}
	}
	rt.placed = rt.placed || len(fresh) > 0
	r.mu.Unlock()
	for _, l := range fresh {
		l.start()
	}
	for _, l := range old {
		l.close()
	}
}

// confirmed implements [receiver].
func (l *leg) confirmed(mark *Mark) {
	l.route.delivery.Lock()
	defer l.route.delivery.Unlock()
	if l.gone.Load() {
		return
	}
	again := l.route.begun
	l.route.begun = true
	l.route.receiver.confirmed(again, mark)
}

// message implements [receiver].
func (l *leg) message(channel, payload string) {
	l.route.delivery.Lock()
	defer l.route.delivery.Unlock()
	if !l.gone.Load() {
		l.route.receiver.message(channel, payload)
	}
}

// apply has everything followed where a new layout says. The context ends when the router
// is about to be closed.
func (r *router) apply(ctx context.Context, next layout) {
	r.changing.Lock()
	defer r.changing.Unlock()
	var given []*pubsub
	nodes := sortedSet(slices.Concat(r.layout.nodes, next.nodes)) // one that has lost all its slots may still be in use
	r.mu.Lock()
	r.layout, r.unknown = next, nil
	for s, p := range r.servers {
		if !slices.Contains(next.servers, s) {
			delete(r.servers, s)
			given = append(given, p)
		}
	}
	for _, s := range next.servers {
		if r.servers[s] == nil {
			r.servers[s] = r.connect(s)
		}
	}
	routes := r.routes
	r.mu.Unlock()
	fences := make(map[server]*fence)
	for rt := range routes { // changes only under r.changing
		r.place(rt, fences)
	}
	for s, f := range fences {
		p := r.servers[s]
		r.lifting.Go(func() { p.lift(ctx, f, nodes) })
	}
	r.mu.Lock()
	r.signal()
	r.mu.Unlock()
	for _, p := range given {
		p.close()
	}
}

// missing notes that the layout cannot be known, if there is none yet.
func (r *router) missing(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.layout.servers) == 0 {
		r.unknown = err
		r.signal()
	}
}

// signal wakes those who wait for a server. It needs r.mu.
func (r *router) signal() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// close ends everything. No receiver is called after it has returned.
func (r *router) close() {
	r.changing.Lock()
	defer r.changing.Unlock()
	r.lifting.Wait()
	r.mu.Lock()
	servers := r.servers
	r.servers, r.layout = nil, layout{}
	r.mu.Unlock()
	for _, p := range servers {
		p.close()
	}
}

// ready returns nil while messages published by this node come back to it from every
// server.
func (r *router) ready(ctx context.Context) error {
	r.mu.RLock()
	l, unknown := r.layout, r.unknown
	servers := make([]*pubsub, len(l.servers))
	for i, s := range l.servers {
		servers[i] = r.servers[s]
	}
	r.mu.RUnlock()
	if len(servers) == 0 {
		return errors.Join(ErrUnavailable, unknown)
	}
	for i, p := range servers {
		if err := p.ready(ctx); err != nil {
			if l.servers[i].id != "" {
				err = fmt.Errorf("%s: %w", l.servers[i].addr, err)
			}
			return err
		}
	}
	return l.complete()
}

// sync waits until a probe that is sent from now on has come back from every server.
func (r *router) sync(ctx context.Context) error {
	r.mu.RLock()
	servers := slices.Collect(maps.Values(r.servers))
	r.mu.RUnlock()
	failed := make(chan error, len(servers))
	for _, p := range servers {
		go func() { failed <- p.probe.sync(ctx) }()
	}
	var errs []error
	for range servers {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// Close implements [Following].
func (rt *route) Close() {
	r := rt.router
	r.changing.Lock()
	defer r.changing.Unlock()
	r.mu.Lock()
	delete(r.routes, rt)
	legs := rt.legs
	rt.legs = nil
	for _, l := range legs {
		l.gone.Store(true)
	}
	r.mu.Unlock()
	for _, l := range legs {
		l.close()
	}
}

// Live implements [Following].
func (rt *route) Live(ctx context.Context) error {
	for {
		legs, changed, err := rt.present()
		if err != nil {
			return err
		}
		if len(legs) == 0 {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		moved := false
		for _, l := range legs {
			err := l.live(ctx)
			if moved = errors.Is(err, errMoved); moved {
				break
			}
			if err != nil {
				return err
			}
		}
		if !moved {
			return nil
		}
	}
}

// present returns where the route is followed now, what is closed when that changes, and
// why it is nowhere if that is known.
func (rt *route) present() (legs []*leg, changed <-chan struct{}, err error) {
	r := rt.router
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, l := range rt.legs {
		legs = append(legs, l)
	}
	if len(legs) > 0 {
		return legs, r.changed, nil
	}
	_, owned := r.layout.owner(rt.slot)
	switch {
	case r.unknown != nil:
		err = fmt.Errorf("%w: %w", ErrUnavailable, r.unknown)
	case len(r.layout.servers) > 0 && !owned:
		err = fmt.Errorf("%w: no server has slot %d", ErrUnavailable, rt.slot)
	}
	return legs, r.changed, err
}

// mark returns the newest mark at the present position of a route.
func (rt *route) mark() *Mark {
	rt.router.mu.RLock()
	defer rt.router.mu.RUnlock()
	for _, l := range rt.legs {
		return l.mark()
	}
	return rt.last
}

// findMark returns the mark with that token if it came while the route was followed on
// its present server, or interrupted there.
func (rt *route) findMark(token string) *Mark {
	rt.router.mu.RLock()
	defer rt.router.mu.RUnlock()
	for _, l := range rt.legs {
		return l.findMark(token)
	}
	return nil
}
