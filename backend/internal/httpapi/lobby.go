package httpapi

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// lobby bounds the connections that are open without an event stream: those that have
// not sent a whole request yet, those between two requests, and those that are being
// answered. Where one more comes than there may be, the one that has done nothing for
// the longest time has to leave. So a flood of them holds no one up but each other: a
// request is answered in less time than it takes to push its connection out.
//
// It bounds their requests too, of which a connection of HTTP/2 may have many at once:
// where there is one more than there may be, the connection with the most is ended.
type lobby struct {
	most         int // connections
	mostRequests int

	mu       sync.Mutex
	order    *list.List // of *guest, the one longest without a sign of life first
	guests   map[net.Conn]*guest
	requests int // under way, but for event streams
}

// guest is an open connection, of which several requests at once may be served (HTTP/2).
type guest struct {
	conn     net.Conn      // nil when it has ended, or is not the server's any more
	place    *list.Element // in the lobby; nil while it has event streams
	streams  int
	requests int // besides
}

// maxRequests bounds the requests that are under way at once, which cost some 30 KB each
// when their answers are not taken.
const maxRequests = 2048

func newLobby(most int) *lobby {
	return &lobby{most: most, mostRequests: maxRequests, order: list.New(), guests: make(map[net.Conn]*guest)}
}

// track follows what happens to a connection; see [http.Server.ConnState].
func (l *lobby) track(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		end(l.welcome(c))
	case http.StateActive, http.StateIdle:
		l.seen(c)
	default:
		l.forget(c)
	}
}

// end ends a connection that has to leave, if there is one.
func end(c net.Conn) {
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn() // whose end need not be said in TLS's own way, which can take time
	}
	if c != nil {
		_ = c.Close()
	}
}

// welcome lets a new connection in, and returns the one that has to leave.
func (l *lobby) welcome(c net.Conn) (out net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &guest{conn: c}
	l.guests[c] = g
	return l.enter(g)
}

// enter gives a connection the last place, and returns the one that has to leave. It
// needs l.mu.
func (l *lobby) enter(g *guest) (out net.Conn) {
	g.place = l.order.PushBack(g)
	if l.order.Len() <= l.most {
		return nil
	}
	first := l.order.Front().Value.(*guest)
	out = first.conn
	l.drop(first)
	return out
}

// drop takes a connection off the list. It needs l.mu.
func (l *lobby) drop(g *guest) {
	l.leave(g)
	delete(l.guests, g.conn)
	g.conn = nil // not to be held by who still knows the guest
}

// seen notes a sign of life of a connection.
func (l *lobby) seen(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.guests[c]; g != nil && g.place != nil {
		l.order.MoveToBack(g.place)
	}
}

// forget is for a connection that is closed, or not the server's any more.
func (l *lobby) forget(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.guests[c]; g != nil {
		l.drop(g)
	}
}

// leave gives up the place of a connection, if it has one. It needs l.mu.
func (l *lobby) leave(g *guest) {
	if g.place != nil {
		l.order.Remove(g.place)
		g.place = nil
	}
}

// connKey and visitKey are the keys of a request's connection and visit in its context.
type (
	connKey  struct{}
	visitKey struct{}
)

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(r *http.Request) net.Conn {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	return c
}

// visit is a request that is under way.
type visit struct {
	guest   *guest // nil where its connection is ended already
	counted bool   // until it has an event stream
}

// count has all requests counted that a handler serves.
func (l *lobby) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, out := l.begin(connOf(r))
		end(out)
		defer l.finish(v)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
		if r.ProtoMajor == 2 {
			// While it is counted, since this is what waits for who does not take it.
			_ = http.NewResponseController(w).Flush() // of a client that may be gone
		}
	})
}

// begin counts a request, and returns the connection that has to leave.
func (l *lobby) begin(c net.Conn) (v *visit, out net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v = &visit{guest: l.guests[c], counted: true}
	l.add(v, 1)
	if l.requests <= l.mostRequests {
		return v, nil
	}
	most := 1
	for c, g := range l.guests {
		if g.requests > most {
			most, out = g.requests, c
		}
	}
	return v, out
}

// finish counts a request no more, if it still is.
func (l *lobby) finish(v *visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.counted {
		v.counted = false
		l.add(v, -1)
	}
}

// add needs l.mu.
func (l *lobby) add(v *visit, n int) {
	l.requests += n
	if v.guest != nil {
		v.guest.requests += n
	}
}

// leaveWith takes the connection of a request out: it has an event stream from now on.
// back is called when that has ended. With the last of its streams the connection is in
// the lobby again, whatever else is going on on it, unless it has ended too.
func (l *lobby) leaveWith(r *http.Request) (back func()) {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		l.finish(v)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[connOf(r)]
	if g == nil {
		return func() {}
	}
	l.leave(g)
	g.streams++
	return func() { end(l.comeBack(g)) }
}

// comeBack notes the end of a stream, and returns the connection that has to leave.
func (l *lobby) comeBack(g *guest) (out net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g.streams--
	if g.streams > 0 || g.conn == nil {
		return nil
	}
	return l.enter(g)
}
