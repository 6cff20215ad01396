package source

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

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
