package faults_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes connections on to a server until it is told to swallow: then those that
// are open stay open, and whatever either side sends on them vanishes. New ones work.
type proxy struct {
	listener net.Listener
	server   string
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[*proxied]struct{}
}

type proxied struct {
	client, server net.Conn
	dead           atomic.Bool
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: server, conns: make(map[*proxied]struct{})}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.each(func(c *proxied) { c.close() })
		p.running.Wait()
	})
	return p
}

func (p *proxy) addr() string {
	return p.listener.Addr().String()
}

// swallow makes all connections that are open now half-dead.
func (p *proxy) swallow() {
	p.each(func(c *proxied) { c.dead.Store(true) })
}

func (p *proxy) each(do func(*proxied)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		do(c)
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		c := &proxied{client: client, server: server}
		p.mu.Lock()
		p.conns[c] = struct{}{}
		p.mu.Unlock()
		p.running.Go(func() { p.pass(c) })
	}
}

// pass copies both ways until one side ends.
func (p *proxy) pass(c *proxied) {
	var copying sync.WaitGroup
	for _, way := range [][2]net.Conn{{c.client, c.server}, {c.server, c.client}} {
		copying.Go(func() {
			defer c.close()
			_, _ = io.Copy(unlessDead{c, way[1]}, way[0])
		})
	}
	copying.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (c *proxied) close() {
	c.client.Close()
	c.server.Close()
}

// unlessDead writes to one side of a connection while that lives.
type unlessDead struct {
	conn *proxied
	to   net.Conn
}

func (w unlessDead) Write(b []byte) (int, error) {
	if w.conn.dead.Load() {
		return len(b), nil
	}
	return w.to.Write(b)
}
