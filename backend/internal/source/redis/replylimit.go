package redis

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// maxReply bounds the replies to reads of streams in bytes. Redis bounds them in entries only.
const maxReply = 8 << 20

// errReplyTooLarge is returned by a read whose reply is larger than the limit.
var errReplyTooLarge = errors.New("the reply is too large")

// replyLimit is a [redis.Hook] that closes a connection when a reply is larger than a number
// of bytes, before the rest of it is in memory.
type replyLimit int

// limitReplies bounds the replies that a client receives.
func limitReplies(client redis.UniversalClient, limit int) {
	switch client := client.(type) {
	case *redis.Client:
		client.AddHook(replyLimit(limit))
	case *redis.ClusterClient:
		client.OnNewNode(func(node *redis.Client) { node.AddHook(replyLimit(limit)) })
	}
}

// DialHook implements [redis.Hook].
func (l replyLimit) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		limited := &limitedConn{Conn: conn, limit: int(l)}
		if raw, ok := conn.(syscall.Conn); ok { // lets the pool find out that Redis closed it
			return struct {
				*limitedConn
				syscall.Conn
			}{limited, raw}, nil
		}
		return limited, nil
	}
}

// ProcessHook implements [redis.Hook].
func (replyLimit) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (replyLimit) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// limitedConn is a connection on which the bytes after each request are limited.
type limitedConn struct {
	net.Conn
	limit    int
	received int // since the last request
}

func (c *limitedConn) Write(b []byte) (int, error) {
	c.received = 0
	return c.Conn.Write(b)
}

func (c *limitedConn) Read(b []byte) (int, error) {
	if c.received > c.limit {
		return 0, errReplyTooLarge
	}
	n, err := c.Conn.Read(b)
	c.received += n
	return n, err
}
