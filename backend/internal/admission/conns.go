package admission

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// ConnLimiter bounds the connections without an event stream: new ones, idle ones, and those
// with other requests in flight. When the limit is exceeded, the address with the most
// connections loses the one that has been idle for the longest time. A flood from one address
// therefore evicts its own connections only. IPv6 addresses count by /64 prefix.
//
// It also bounds the requests in flight, of which an HTTP/2 connection can have many. When
// that limit is exceeded, the connection with the most requests is closed.
//
// Its methods may be called from any goroutine.
type ConnLimiter struct {
	maxConns    int
	maxRequests int

	mu       sync.Mutex
	conns    map[net.Conn]*trackedConn
	waiting  list.List          // *trackedConn without streams, the longest idle first
	byAddr   map[netip.Addr]int // number of connections in waiting by address
	requests int                // in flight, without event streams
}

// trackedConn is an open connection.
type trackedConn struct {
	conn     net.Conn // nil after it was closed, hijacked or evicted
	addr     netip.Addr
	element  *list.Element // in waiting; nil while the connection has event streams
	streams  int
	requests int  // in flight, without event streams
	evicted  bool // it was closed because it had the most requests in flight
}

// maxRequests bounds the requests in flight. Each costs about 30 KB while its client does not
// read the response.
const maxRequests = 2048

// NewConnLimiter returns a limiter for that many connections without an event stream.
func NewConnLimiter(maxConns int) *ConnLimiter {
	return &ConnLimiter{
		maxConns: maxConns, maxRequests: maxRequests,
		conns: make(map[net.Conn]*trackedConn), byAddr: make(map[netip.Addr]int),
	}
}

// ConnState records the state of a connection; see [http.Server.ConnState].
func (l *ConnLimiter) ConnState(c net.Conn, state http.ConnState) {
	closeConn(l.setState(c, state))
}

// setState is ConnState. It returns the connection to evict, or nil.
func (l *ConnLimiter) setState(c net.Conn, state http.ConnState) (evicted net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.conns[c]
	switch {
	case state == http.StateNew:
		t = &trackedConn{conn: c, addr: remoteAddr(c)}
		l.conns[c] = t
		return l.addWaiting(t)
	case t == nil:
	case state == http.StateClosed || state == http.StateHijacked:
		l.drop(t)
	case t.element != nil:
		l.waiting.MoveToBack(t.element)
	}
	return nil
}

// closeConn closes an evicted connection; nil is ignored.
func closeConn(c net.Conn) {
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn() // closing the TLS layer would write an alert, which can block
	}
	if c != nil {
		_ = c.Close()
	}
}

// remoteAddr returns the address by which a connection counts.
func remoteAddr(c net.Conn) netip.Addr {
	tcp, _ := c.RemoteAddr().(*net.TCPAddr) // AddrPort accepts nil
	return Site(tcp.AddrPort().Addr())
}

// addWaiting adds a connection to waiting and returns the connection to evict, or nil. mu must be held.
func (l *ConnLimiter) addWaiting(t *trackedConn) (evicted net.Conn) {
	t.element = l.waiting.PushBack(t)
	l.byAddr[t.addr]++
	if l.waiting.Len() <= l.maxConns {
		return nil
	}
	victim := l.longestIdle()
	evicted = victim.conn
	l.drop(victim)
	return evicted
}

// longestIdle returns the longest idle connection of the address with the most connections.
// mu must be held, and there must be connections in waiting.
func (l *ConnLimiter) longestIdle() *trackedConn {
	most := 0
	for _, n := range l.byAddr {
		most = max(most, n)
	}
	e := l.waiting.Front()
	for l.byAddr[e.Value.(*trackedConn).addr] < most {
		e = e.Next()
	}
	return e.Value.(*trackedConn)
}

// drop stops tracking a connection. mu must be held.
func (l *ConnLimiter) drop(t *trackedConn) {
	l.stopWaiting(t)
	delete(l.conns, t.conn)
	t.conn = nil // requests in flight keep t, and must not keep the connection
}

// stopWaiting removes a connection from waiting, if it is there. mu must be held.
func (l *ConnLimiter) stopWaiting(t *trackedConn) {
	if t.element == nil {
		return
	}
	l.waiting.Remove(t.element)
	t.element = nil
	if l.byAddr[t.addr]--; l.byAddr[t.addr] == 0 {
		delete(l.byAddr, t.addr)
	}
}

// Context keys of a request.
type (
	connKey   struct{} // its connection
	finishKey struct{} // function that ends its count
)

// ConnContext stores the connection in the context of its requests; see
// [http.Server.ConnContext].
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func requestConn(r *http.Request) net.Conn {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	return c
}

// Handler counts the requests that next serves.
func (l *ConnLimiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		finish, evicted := l.begin(requestConn(r))
		closeConn(evicted)
		defer finish()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), finishKey{}, finish)))
		if r.ProtoMajor == 2 {
			// Flush blocks until the client reads, so the request must still be counted here.
			_ = http.NewResponseController(w).Flush() // the client may have disconnected
		}
	})
}

// begin counts a request until finish is called, and returns the connection to evict, or nil.
func (l *ConnLimiter) begin(c net.Conn) (finish func(), evicted net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.conns[c]
	l.addRequests(t, 1)
	counted := true
	finish = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if counted {
			counted = false
			l.addRequests(t, -1)
		}
	}
	if l.requests <= l.maxRequests {
		return finish, nil
	}
	most := 1
	for c, t := range l.conns {
		if t.requests > most {
			most, evicted = t.requests, c
		}
	}
	if evicted != nil {
		l.conns[evicted].evicted = true
	}
	return finish, evicted
}

// addRequests changes the number of requests in flight, and that of a connection if it is tracked.
// mu must be held.
func (l *ConnLimiter) addRequests(t *trackedConn, n int) {
	l.requests += n
	if t != nil {
		t.requests += n
	}
}

// StreamStarted ends the count of a request that has an event stream from now on, and of its
// connection. The caller calls ended when the stream has ended, which reports whether the
// connection was evicted. After its last stream the connection counts again, unless it was
// closed.
func (l *ConnLimiter) StreamStarted(r *http.Request) (ended func() (evicted bool)) {
	if finish, ok := r.Context().Value(finishKey{}).(func()); ok {
		finish()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.conns[requestConn(r)]
	if t == nil {
		return func() bool { return false }
	}
	l.stopWaiting(t)
	t.streams++
	return func() (evicted bool) {
		l.mu.Lock()
		var other net.Conn
		if t.streams--; t.streams == 0 && t.conn != nil {
			other = l.addWaiting(t)
		}
		evicted = t.evicted
		l.mu.Unlock()
		closeConn(other)
		return evicted
	}
}
