package redistest

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy forwards connections to a server and can inject faults: it drops or delays bytes, or closes
// connections.
type Proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup
	held     sync.RWMutex // locked while no bytes are sent to the target
	vanished atomic.Int64
	slow     atomic.Int64 // pause in nanoseconds; see Slow

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

// StartProxy starts a proxy for a server address. It is closed when the test ends.
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

// Port returns the port.
func (p *Proxy) Port() int {
	return p.listener.Addr().(*net.TCPAddr).Port
}

// Drop makes all open connections half-dead: they stay open, and the proxy drops all bytes in
// both directions. New connections work.
func (p *Proxy) Drop() {
	p.each(func(c *proxied) { c.dead.Store(true) })
}

// DropSubscribed is like Drop, for connections that have sent a subscribe command.
func (p *Proxy) DropSubscribed() {
	p.each(func(c *proxied) {
		if c.subscribed.Load() {
			c.dead.Store(true)
		}
	})
}

// CutAtRequest closes each open connection when the client next sends data, before the server
// receives it.
func (p *Proxy) CutAtRequest() {
	p.each(func(c *proxied) { c.cutAtRequest.Store(true) })
}

// CutAtReply closes each open connection when the server next sends data, before the client
// receives it.
func (p *Proxy) CutAtReply() {
	p.each(func(c *proxied) { c.cutAtReply.Store(true) })
}

// Dropped returns the number of dropped bytes.
func (p *Proxy) Dropped() int64 {
	return p.vanished.Load()
}

// Hold delays all data to the server until release is called or the test ends.
func (p *Proxy) Hold(t testing.TB) (release func()) {
	p.held.Lock()
	release = sync.OnceFunc(p.held.Unlock)
	t.Cleanup(release)
	return release
}

// slowPiece is the number of bytes that a slow proxy sends to the client at once.
const slowPiece = 32 << 10

// Slow makes the proxy pause before each full piece of a reply. Short replies are not delayed.
func (p *Proxy) Slow(pause time.Duration) {
	p.slow.Store(int64(pause))
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

// pass copies in both directions until one side ends.
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
	sent := 0
	for piece := range slices.Chunk(b, slowPiece) {
		if len(piece) == slowPiece {
			time.Sleep(time.Duration(w.proxy.slow.Load()))
		}
		n, err := w.proxy.write(w.proxied, w.client, piece)
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// write writes to one side of a connection unless the connection is closed or half-dead.
func (p *Proxy) write(c *proxied, to net.Conn, b []byte) (int, error) {
	if c.dead.Load() {
		p.vanished.Add(int64(len(b)))
		return len(b), nil
	}
	return to.Write(b)
}
