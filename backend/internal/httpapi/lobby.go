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
type lobby struct {
	most int

	mu    sync.Mutex
	order *list.List // of net.Conn, the one longest without a sign of life first
	place map[net.Conn]*list.Element
}

func newLobby(most int) *lobby {
	return &lobby{most: most, order: list.New(), place: make(map[net.Conn]*list.Element)}
}

// track follows what happens to a connection; see [http.Server.ConnState].
func (l *lobby) track(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew, http.StateActive, http.StateIdle:
		if out := l.enter(c); out != nil {
			_ = out.Close() // it has nothing to lose
		}
	default:
		l.leave(c)
	}
}

// enter notes a sign of life of a connection, and returns the one that has to leave.
func (l *lobby) enter(c net.Conn) (out net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.place[c]; e != nil {
		l.order.MoveToBack(e)
		return nil
	}
	l.place[c] = l.order.PushBack(c)
	if l.order.Len() <= l.most {
		return nil
	}
	out = l.order.Remove(l.order.Front()).(net.Conn)
	delete(l.place, out)
	if encrypted, ok := out.(*tls.Conn); ok {
		return encrypted.NetConn() // whose end need not be said in TLS's own way, which can take time
	}
	return out
}

func (l *lobby) leave(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.place[c]; e != nil {
		l.order.Remove(e)
		delete(l.place, c)
	}
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// leaveWith takes the connection of a request out: it has an event stream from now on.
// It is back when that has ended, and the connection has not.
func (l *lobby) leaveWith(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		l.leave(c)
	}
}
