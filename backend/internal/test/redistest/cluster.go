package redistest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	clusterSlots = 1 << 14
	// startNodeTimeout is short, so nodes connect to each other fast.
	startNodeTimeout = "1000"
)

// Cluster is a Redis cluster.
type Cluster struct {
	t       testing.TB
	tls     bool
	Masters []*Server // at the start; each has an equal share of the slots
	// Replicas[i] is the replica of Masters[i]. There may be fewer replicas than masters.
	Replicas []*Server
}

// StartCluster starts a cluster. The first masters have one replica each. It returns when all nodes
// report the cluster as up. timeout is the time after which a node that does not answer is
// replaced.
func StartCluster(t testing.TB, masters, replicas int, timeout time.Duration) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	c.start(masters, replicas, timeout, func(args ...string) *Server { return Start(t, args...) })
	return c
}

// StartClusterTLS is like StartCluster, for nodes that use TLS between them and offer it to
// clients.
func StartClusterTLS(t testing.TB, authority *Authority, masters, replicas int, timeout time.Duration) *Cluster {
	t.Helper()
	c := &Cluster{t: t, tls: true}
	c.start(masters, replicas, timeout, func(args ...string) *Server {
		return StartTLS(t, authority, append(args, "--tls-cluster", "yes", "--tls-replication", "yes")...)
	})
	return c
}

func (c *Cluster) start(masters, replicas int, timeout time.Duration, start func(args ...string) *Server) {
	t := c.t
	t.Helper()
	for i := range masters + replicas {
		s := start(
			"--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(FreePort(t)),
			"--cluster-node-timeout", startNodeTimeout, "--cluster-replica-validity-factor", "0",
			"--repl-diskless-sync-delay", "0",
		)
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < masters {
			s.Do("CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/masters, (i+1)*clusterSlots/masters-1)
			c.Masters = append(c.Masters, s)
		} else {
			c.Replicas = append(c.Replicas, s)
		}
	}
	first := c.Masters[0]
	for _, s := range c.nodes()[1:] {
		s.Do("CLUSTER", "MEET", "127.0.0.1", first.peerPort(), first.clusterPort())
	}
	for _, s := range c.nodes() {
		await(t, "all nodes know each other", func() bool {
			return strings.Contains(s.clusterInfo(), fmt.Sprintf("cluster_known_nodes:%d\r", masters+replicas))
		})
	}
	for i, s := range c.Replicas {
		s.Do("CLUSTER", "REPLICATE", c.Masters[i].ID())
	}
	for _, s := range c.Replicas {
		await(t, "a replica is in step", s.inStep)
	}
	for _, s := range c.nodes() {
		await(t, "all nodes agree", func() bool {
			slots, _ := s.Do("CLUSTER", "SLOTS").([]any)
			nodes, _ := s.Do("CLUSTER", "NODES").(string)
			return strings.Contains(s.clusterInfo(), "cluster_state:ok") && len(slots) == masters && strings.Count(nodes, "slave ") == replicas
		})
	}
	for _, s := range c.nodes() {
		s.Do("CONFIG", "SET", "cluster-node-timeout", timeout.Milliseconds())
	}
}

func (c *Cluster) nodes() []*Server {
	return append(append([]*Server(nil), c.Masters...), c.Replicas...)
}

// BusAddr returns the address for other nodes of the cluster.
func (s *Server) BusAddr() string {
	return "127.0.0.1:" + s.clusterPort()
}

func (s *Server) clusterPort() string {
	return s.argument("--cluster-port")
}

func (s *Server) clusterInfo() string {
	info, _ := s.Do("CLUSTER", "INFO").(string)
	return info
}

// ID returns the id of a cluster node.
func (s *Server) ID() string {
	s.t.Helper()
	id, _ := s.Do("CLUSTER", "MYID").(string)
	return id
}

// URL returns redis-cluster://host:port, or rediss-cluster://host:port.
func (c *Cluster) URL() string {
	scheme, addr := "redis-cluster://", (*Server).Addr
	if c.tls {
		scheme, addr = "rediss-cluster://", (*Server).TLSAddr
	}
	query := make(url.Values)
	for _, s := range c.nodes()[1:] {
		query.Add("addr", addr(s))
	}
	return scheme + addr(c.Masters[0]) + "?" + query.Encode()
}

// Owner returns the master that had the slot of a name at the start.
func (c *Cluster) Owner(name string) *Server {
	c.t.Helper()
	return c.Masters[c.Slot(name)*len(c.Masters)/clusterSlots]
}

// Slot returns the slot of a name.
func (c *Cluster) Slot(name string) int {
	c.t.Helper()
	slot, _ := c.Masters[0].Do("CLUSTER", "KEYSLOT", name).(int64)
	return int(slot)
}

// MoveAllSlots moves all slots that one master had at the start to another one.
func (c *Cluster) MoveAllSlots(from, to *Server) {
	c.t.Helper()
	i := slices.Index(c.Masters, from)
	first, last := i*clusterSlots/len(c.Masters), (i+1)*clusterSlots/len(c.Masters)-1
	to.Do("CLUSTER", "DELSLOTSRANGE", first, last)
	to.Do("CLUSTER", "ADDSLOTSRANGE", first, last)
	to.Do("CLUSTER", "BUMPEPOCH")
}

// MoveSlot moves a slot with its keys from one master to another, as redis-cli does.
func (c *Cluster) MoveSlot(slot int, from, to *Server) {
	c.t.Helper()
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID())
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID())
	for {
		names, _ := from.Do("CLUSTER", "GETKEYSINSLOT", slot, 100).([]any)
		if len(names) == 0 {
			break
		}
		from.Do(append([]any{"MIGRATE", "127.0.0.1", to.port, "", 0, 20000, "KEYS"}, names...)...)
	}
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID())
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID())
}
