package redis

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// unknownHost is the host of a node that has to be addressed by name and has none.
const unknownHost = "?"

// endpoints makes clients of a cluster's nodes. A node may announce no host for a node,
// which stands for the host that the client is connected to. go-redis does not know that.
type endpoints struct {
	host atomic.Pointer[string] // that replaced an unknown one last
}

// newClient returns a client for one node. Its address has no host if a node without a
// known host was named by a redirection.
func (e *endpoints) newClient(settings *redis.Options) *redis.Client {
	host, port, err := net.SplitHostPort(settings.Addr)
	if known := e.host.Load(); err == nil && isUnknown(host) && known != nil {
		host = *known
		settings.Addr = net.JoinHostPort(host, port)
	}
	client := redis.NewClient(settings)
	client.AddHook(slotsOf{host, e})
	return client
}

func isUnknown(host string) bool {
	return host == "" || host == unknownHost
}

// slotsOf is a [redis.Hook] that reads the reply to CLUSTER SLOTS of a node.
type slotsOf struct {
	host      string // of the node
	endpoints *endpoints
}

func (s slotsOf) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s slotsOf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s slotsOf) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		slots, ok := cmd.(*redis.ClusterSlotsCmd)
		if !ok {
			return next(ctx, cmd)
		}
		reply := redis.NewSliceCmd(ctx, cmd.Args()...)
		err := next(ctx, reply)
		if err == nil {
			var ranges []redis.ClusterSlot
			ranges, err = s.ranges(reply.Val())
			slots.SetVal(ranges)
		}
		cmd.SetErr(err)
		return err
	}
}

// ranges converts the reply to CLUSTER SLOTS.
func (s slotsOf) ranges(reply []any) ([]redis.ClusterSlot, error) {
	ranges := make([]redis.ClusterSlot, len(reply))
	for i, r := range reply {
		parts, _ := r.([]any)
		if len(parts) < 2 {
			return nil, fmt.Errorf("redis gave a range of slots of %d parts", len(parts))
		}
		first, isFirst := parts[0].(int64)
		last, isLast := parts[1].(int64)
		if !isFirst || !isLast {
			return nil, fmt.Errorf("redis gave the range of slots %v to %v", parts[0], parts[1])
		}
		ranges[i] = redis.ClusterSlot{Start: int(first), End: int(last)}
		for _, n := range parts[2:] {
			node, err := s.node(n)
			if err != nil {
				return nil, err
			}
			ranges[i].Nodes = append(ranges[i].Nodes, node)
		}
	}
	return ranges, nil
}

// node converts a node of the reply: its host or null, its port, its id, and further
// addresses.
func (s slotsOf) node(reply any) (redis.ClusterNode, error) {
	parts, _ := reply.([]any)
	if len(parts) < 2 {
		return redis.ClusterNode{}, fmt.Errorf("redis gave a node of %d parts", len(parts))
	}
	host, _ := parts[0].(string)
	port, isPort := parts[1].(int64)
	if !isPort {
		return redis.ClusterNode{}, fmt.Errorf("redis gave the port %v of a node", parts[1])
	}
	if host == unknownHost && len(parts) > 3 {
		host, _ = parseMap(parts[3])["ip"].(string)
	}
	if isUnknown(host) {
		host = s.host
		s.endpoints.host.Store(&host)
	}
	var id string
	if len(parts) > 2 {
		id, _ = parts[2].(string)
	}
	return redis.ClusterNode{ID: id, Addr: net.JoinHostPort(host, strconv.FormatInt(port, 10))}, nil
}
