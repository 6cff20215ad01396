// Package reconnect spaces the attempts of this program to reach Redis, and prevents those of
// go-redis.
package reconnect

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"
)

// Delays returns the delays before the next attempts. They are random, so gateways do not return
// together, and grow from about 0.1 s to at most 3 s until Reset is called.
func Delays() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 100*time.Millisecond, 2*time.Second
	return b
}

// Wait blocks for a duration, or until the context ends.
func Wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// Once returns settings of a client that connects once. If go-redis replaced a connection, lost
// messages would go unnoticed. The protocol is RESP2, in which they arrive as messages.
func Once(options *redis.Options) *redis.Options {
	once := *options
	var dialled sync.Once
	once.Dialer = func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = errors.New("the connection was lost")
		dialled.Do(func() { conn, err = options.Dialer(ctx, network, addr) })
		return conn, err
	}
	once.Protocol = 2
	return &once
}
