package redistest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy passes connections on to a server, and does to them what happens on the way:
// bytes vanish, or take their time.
type Proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup
	held     sync.RWMutex // locked while nothing goes to the target
	vanished atomic.Int64

	mu    sync.Mutex
	conns map[*proxied]struct{}
}

type proxied struct {
	client, server net.Conn
	subscribed     atomic.Bool
	dead           atomic.Bool
	cutAtRequest   atomic.Bool
	cutAtReply     atomic.Bool
}

// StartProxy starts a proxy for the server at an address. The end of the test closes it.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: make(map[*proxied]struct{})}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.each((*proxied).close)
		p.running.Wait()
	})
	return p
}

// Addr returns host:port.
func (p *Proxy) Addr() string {
	return p.listener.Addr().String()
}

// Port returns the port alone.
func (p *Proxy) Port() int {
	return p.listener.Addr().(*net.TCPAddr).Port
}

// Swallow makes all connections that are open now half-dead: they stay open, and whatever
// either side sends on them vanishes. New ones work.
func (p *Proxy) Swallow() {
	p.each(func(c *proxied) { c.dead.Store(true) })
}

// SwallowSubscribed is Swallow for those connections that have subscribed to something.
func (p *Proxy) SwallowSubscribed() {
	p.each(func(c *proxied) {
		if c.subscribed.Load() {
			c.dead.Store(true)
		}
	})
}

// CutAtRequest closes each connection that is open now when the client next sends something,
// before that reaches the server.
func (p *Proxy) CutAtRequest() {
	p.each(func(c *proxied) { c.cutAtRequest.Store(true) })
}

// CutAtReply closes each connection that is open now when the server next sends something,
// before that reaches the client.
func (p *Proxy) CutAtReply() {
	p.each(func(c *proxied) { c.cutAtReply.Store(true) })
}

// Vanished returns how many bytes did.
func (p *Proxy) Vanished() int64 {
	return p.vanished.Load()
}

// Hold keeps back what is sent to the server from now on, until release is called, or the
// test ends.
func (p *Proxy) Hold(t testing.TB) (release func()) {
	p.held.Lock()
	release = sync.OnceFunc(p.held.Unlock)
	t.Cleanup(release)
	return release
}

func (p *Proxy) each(do func(*proxied)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		do(c)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
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
func (p *Proxy) pass(c *proxied) {
	var copying sync.WaitGroup
	copying.Go(func() {
		defer c.close()
		_, _ = io.Copy(toServer{p, c}, c.client)
	})
	copying.Go(func() {
		defer c.close()
		_, _ = io.Copy(toClient{p, c}, c.server)
	})
	copying.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (c *proxied) close() {
	c.client.Close()
	c.server.Close()
}

type toServer struct {
	proxy *Proxy
	*proxied
}

func (w toServer) Write(b []byte) (int, error) {
	if bytes.Contains(bytes.ToLower(b), []byte("subscribe\r\n")) {
		w.subscribed.Store(true)
	}
	if w.cutAtRequest.Load() {
		return 0, net.ErrClosed
	}
	w.proxy.held.RLock()
	defer w.proxy.held.RUnlock()
	return w.proxy.write(w.proxied, w.server, b)
}

type toClient struct {
	proxy *Proxy
	*proxied
}

func (w toClient) Write(b []byte) (int, error) {
	if w.cutAtReply.Load() {
		return 0, net.ErrClosed
	}
	return w.proxy.write(w.proxied, w.client, b)
}

// write writes to one side of a connection while that lives.
func (p *Proxy) write(c *proxied, to net.Conn, b []byte) (int, error) {
	if c.dead.Load() {
		p.vanished.Add(int64(len(b)))
		return len(b), nil
	}
	return to.Write(b)
}
