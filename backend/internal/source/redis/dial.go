package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	dialTimeout = 5 * time.Second
	// maxIdle is the time after which an unused connection of a pool is closed. It is shorter
	// than the time after which a NAT or a firewall forgets a connection.
	maxIdle = 10 * time.Second

	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveCount    = 3
	// userTimeout bounds the time for which sent data may remain unacknowledged.
	userTimeout = keepAliveIdle + keepAliveCount*keepAliveInterval
)

// errSuspect is the reason to close a pooled connection instead of using it.
var errSuspect = errors.New("another connection to the server broke since this one was used")

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer opens all connections to Redis and to Sentinels.
type dialer struct {
	dialer net.Dialer
	tls    *tls.Config // nil for none

	mu    sync.Mutex
	broke map[string]*atomic.Int64 // time of the newest failure of a connection, by server
}

// newDialer returns a dialer with a timeout for each connection, TLS handshake included.
func newDialer(timeout time.Duration, config *tls.Config) *dialer {
	if timeout == 0 {
		timeout = dialTimeout
	}
	return &dialer{
		dialer: net.Dialer{
			Timeout: timeout,
			KeepAliveConfig: net.KeepAliveConfig{
				Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
			},
			Control: func(network, _ string, raw syscall.RawConn) error {
				if strings.HasPrefix(network, "tcp") {
					return setUserTimeout(raw, userTimeout)
				}
				return nil
			},
		},
		tls:   config,
		broke: make(map[string]*atomic.Int64),
	}
}

// dial opens a connection.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	opened, err := d.open(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	broke := d.broke[addr]
	if broke == nil {
		broke = new(atomic.Int64)
		d.broke[addr] = broke
	}
	c := &serverConn{Conn: opened, broke: broke}
	c.heard.Store(now())
	return c, nil
}

func (d *dialer) open(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.tls == nil {
		return d.dialer.DialContext(ctx, network, addr)
	}
	overTLS := tls.Dialer{NetDialer: &d.dialer, Config: d.tls}
	return overTLS.DialContext(ctx, network, addr)
}

// serverConn is a connection to a server. After another connection to the server failed,
// go-redis does not use it again unless something was received since. Its read timeout counts
// from the newest received data, so a reply of any size arrives over a slow network.
type serverConn struct {
	net.Conn
	broke   *atomic.Int64 // of all connections to the server
	heard   atomic.Int64  // time of the newest successful read
	timeout atomic.Int64  // read timeout in nanoseconds; not positive for none
}

// SetReadDeadline implements [net.Conn].
func (c *serverConn) SetReadDeadline(t time.Time) error {
	c.timeout.Store(int64(time.Until(t))) // negative for the zero time
	return c.Conn.SetReadDeadline(t)
}

// Read implements [net.Conn].
func (c *serverConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(now())
		if timeout := time.Duration(c.timeout.Load()); timeout > 0 {
			_ = c.Conn.SetReadDeadline(time.Now().Add(timeout)) // fails only if the connection is closed
		}
	}
	c.note(err)
	return n, err
}

// Write implements [net.Conn].
func (c *serverConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.note(err)
	return n, err
}

// note records a failure that is not the close of this end.
func (c *serverConn) note(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.broke.Store(now())
	}
}

// SyscallConn implements [syscall.Conn]. go-redis calls it before it uses a pooled
// connection, and closes the connection after an error.
func (c *serverConn) SyscallConn() (syscall.RawConn, error) {
	if c.heard.Load() <= c.broke.Load() {
		return nil, errSuspect
	}
	if inner, ok := c.Conn.(syscall.Conn); ok {
		return inner.SyscallConn()
	}
	return opaque{}, nil
}

// opaque is the [syscall.RawConn] of a TLS connection, whose raw bytes are encrypted and
// must not be read.
type opaque struct{}

// Control implements [syscall.RawConn].
func (opaque) Control(func(fd uintptr)) error { return errors.ErrUnsupported }

// Read implements [syscall.RawConn] without a call of the function.
func (opaque) Read(func(fd uintptr) bool) error { return nil }

// Write implements [syscall.RawConn].
func (opaque) Write(func(fd uintptr) bool) error { return errors.ErrUnsupported }

var started = time.Now()

// now returns the nanoseconds since the start of the process by a clock that never jumps.
func now() int64 {
	return int64(time.Since(started)) + 1
}

// dialBySentinel returns dial with errors that cannot be mistaken for the reply to a command:
// go-redis wraps the replies of Sentinels, and redis.Nil if they do not know the master.
func dialBySentinel(dial dialFunc, master string) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		reply, isReply := errors.AsType[redis.Error](err)
		switch {
		case errors.Is(err, redis.Nil):
			err = fmt.Errorf("sentinel does not know the master %q", master)
		case isReply:
			err = fmt.Errorf("sentinel refuses to name the master %q: %s", master, reply.Error())
		}
		return conn, err
	}
}
