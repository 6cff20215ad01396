package redis

import (
	"cmp"
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

// maxReply bounds the replies to reads of streams in bytes. Redis bounds them in entries only.
const maxReply = 8 << 20

var (
	// errSuspect is the reason to close a pooled connection instead of using it.
	errSuspect = errors.New("another connection to the server broke since this one was used")
	// errReplyTooLarge is returned by a read whose reply is larger than the limit.
	errReplyTooLarge = errors.New("the reply is too large")
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// newDial returns a function that opens connections to Redis and to Sentinels, with a timeout for each,
// TLS handshake included. There is no TLS if config is nil.
func newDial(timeout time.Duration, config *tls.Config) dialFunc {
	dialer := &net.Dialer{
		Timeout: cmp.Or(timeout, dialTimeout),
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
		},
		Control: func(network, _ string, raw syscall.RawConn) error {
			if strings.HasPrefix(network, "tcp") {
				return setUserTimeout(raw, userTimeout)
			}
			return nil
		},
	}
	open := dialer.DialContext
	if config != nil {
		open = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext
	}
	var servers sync.Map // the time of the newest failure of a connection, an *atomic.Int64, by address
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		opened, err := open(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		broke, _ := servers.LoadOrStore(addr, new(atomic.Int64))
		c := &serverConn{Conn: opened, broke: broke.(*atomic.Int64)}
		c.heard.Store(now())
		return c, nil
	}
}

// serverConn is a connection to a server. After another connection to the server failed,
// go-redis does not use it again unless something was received since. Its read timeout counts
// from the newest received data, so a reply of any size arrives over a slow network.
type serverConn struct {
	net.Conn
	broke    *atomic.Int64 // of all connections to the server
	heard    atomic.Int64  // time of the newest successful read
	timeout  atomic.Int64  // read timeout in nanoseconds; not positive for none
	limit    int64         // bytes of a reply; 0 for any number
	received atomic.Int64  // bytes since the last request
}

func (c *serverConn) SetReadDeadline(t time.Time) error {
	c.timeout.Store(int64(time.Until(t))) // negative for the zero time
	return c.Conn.SetReadDeadline(t)
}

func (c *serverConn) Read(b []byte) (int, error) {
	if c.limit > 0 && c.received.Load() > c.limit {
		return 0, errReplyTooLarge
	}
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	if n > 0 {
		c.heard.Store(now())
		if timeout := time.Duration(c.timeout.Load()); timeout > 0 {
			_ = c.Conn.SetReadDeadline(time.Now().Add(timeout)) // fails only if the connection is closed
		}
	}
	c.note(err)
	return n, err
}

func (c *serverConn) Write(b []byte) (int, error) {
	c.received.Store(0)
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
// must not be read. go-redis calls only Read.
type opaque struct{ syscall.RawConn }

// Read implements [syscall.RawConn] without a call of the function.
func (opaque) Read(func(fd uintptr) bool) error { return nil }

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

// limitReplies returns dial with connections that break when a reply is larger than a number of
// bytes, before the rest of it is in memory.
func limitReplies(dial dialFunc, limit int64) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if c, ok := conn.(*serverConn); ok {
			c.limit = limit
		}
		return conn, err
	}
}
