package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

func TestCluster_Contract(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, time.Minute)
	t.Run("channels", func(t *testing.T) {
		t.Parallel()
		testContract(t, func(t *testing.T) source.Source {
			t.Helper()
			return openRedis(t, cluster.URL())
		})
	})
	t.Run("streams", func(t *testing.T) {
		t.Parallel()
		testStreams(t, func(t *testing.T) (source.Source, source.Source) {
			t.Helper()
			return connect(t, cluster, quiet), connect(t, cluster, quiet)
		})
	})
	t.Run("keys", func(t *testing.T) {
		t.Parallel()
		testKeys(t, func(t *testing.T) source.Source {
			t.Helper()
			return connect(t, cluster, quiet)
		})
	})
	for _, tt := range []struct {
		name string
		test func(*testing.T, *redistest.Cluster)
	}{
		{"PUBLISH on any server and SPUBLISH arrive once", publishAnywhere},
		{"changes on all servers are reported", keysEverywhere},
		{"a slot moves", slotMoves},
		{"a user with minimal permissions", clusterUser},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, cluster)
		})
	}
}

func publishAnywhere(t *testing.T, cluster *redistest.Cluster) {
	src := connect(t, cluster, quiet)
	name := uniquePrefix()
	channel, _ := follow(t, src, channelNamed(name))
	glob, _ := follow(t, src, parseTopic(t, "channel:"+name+"*"))
	var want []string
	for i, master := range cluster.Masters {
		want = append(want, fmt.Sprint("published at ", i))
		master.Do("PUBLISH", name, want[i])
		channel.last(t, want[i]) // messages of several servers are not ordered
		glob.last(t, want[i])
	}
	cluster.Owner(name).Do("SPUBLISH", name, "to the shard")
	channel.last(t, "to the shard")
	cluster.Masters[0].Do("PUBLISH", name, "the last")
	checkValues(t, "the channel", channel.last(t, "the last"), append(want, "to the shard", "the last")...)
	checkValues(t, "the glob", glob.last(t, "the last"), append(want, "the last")...)
}

func keysEverywhere(t *testing.T, cluster *redistest.Cluster) {
	src := connect(t, cluster, quiet)
	p := uniquePrefix()
	owners := make(map[*redistest.Server]bool)
	for n := 0; len(owners) < len(cluster.Masters); n++ {
		name := fmt.Sprint(p, n)
		w, _ := follow(t, src, keyNamed(name))
		owner := cluster.Owner(name)
		owner.Do("RPUSH", name, "x")
		w.last(t, `["x"]`)
		owners[owner] = true
	}
}

// slotMoves moves a slot and checks its topics: a channel gets one gap, the other kinds lose
// nothing.
func slotMoves(t *testing.T, cluster *redistest.Cluster) {
	src := connect(t, cluster, quiet)
	tag := "{" + uniquePrefix() + "}"
	slot, from := cluster.Slot(tag), cluster.Owner(tag)
	to := cluster.Masters[(slices.Index(cluster.Masters, from)+1)%len(cluster.Masters)]
	channel, following := follow(t, src, channelNamed(tag+"channel"))
	stream, _ := follow(t, src, streamNamed(tag+"stream"))
	key, _ := follow(t, src, keyNamed(tag+"key"))
	for n := range 2 {
		writeText(t, src, channelNamed(tag+"channel"), fmt.Sprint("before ", n))
		writeText(t, src, streamNamed(tag+"stream"), fmt.Sprint("before ", n))
		writeText(t, src, keyNamed(tag+"key"), fmt.Sprint("before ", n))
		channel.last(t, fmt.Sprint("before ", n))
		stream.last(t, fmt.Sprint("before ", n))
		key.last(t, fmt.Sprint("before ", n))
	}
	cluster.MoveSlot(slot, from, to)
	gap := channel.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) > 0 })
	awaitLive(t, following)
	if gap[len(gap)-1].gap.Reason != event.SourceInterrupted {
		t.Errorf("got gap %v", gap[len(gap)-1])
	}
	to.Do("SPUBLISH", tag+"channel", "after")
	to.Do("XADD", tag+"stream", "*", "data", "after")
	to.Do("SET", tag+"key", "after")
	if got := eventData(channel.last(t, "after")); !slices.Equal(got, []string{"before 0", "before 1", "after"}) {
		t.Errorf("got events %q", got)
	}
	checkValues(t, "the stream", stream.last(t, "after"), "before 0", "before 1", "after")
	checkValues(t, "the key", key.last(t, "after"), "null", "before 0", "before 1", "after")
}

// The new server of a slot can lag behind the old one, so it may deliver messages that subscribers
// already received from the old one.
func TestCluster_MovedChannelDeliversOnce(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, time.Minute)
	from, to, other := cluster.Masters[0], cluster.Masters[1], cluster.Masters[2]
	bus := redistest.StartProxy(t, to.BusAddr())
	to.Do("CONFIG", "SET", "cluster-announce-bus-port", bus.Port())
	eventually(t, "another one reaches it through the proxy", func() bool {
		nodes := strings.Split(fmt.Sprint(other.Do("CLUSTER", "NODES")), "\n")
		return slices.ContainsFunc(nodes, func(n string) bool {
			return strings.Contains(n, fmt.Sprintf("@%d ", bus.Port())) && strings.Contains(n, " connected ")
		})
	})
	name := channelOn(cluster, from)
	channel, following := follow(t, connect(t, cluster, quiet), channelNamed(name))

	release := bus.Hold(t)
	other.Do("PUBLISH", name, "before")
	channel.last(t, "before")
	cluster.MoveSlot(cluster.Slot(name), from, to)
	eventually(t, "the channel is followed at its new server", func() bool {
		return fmt.Sprint(to.Do("PUBSUB", "NUMSUB", name)) == fmt.Sprintf("[%s 1]", name)
	})
	release()
	channel.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) == 1 })
	awaitLive(t, following)
	other.Do("PUBLISH", name, "after") // delivered after the queued messages
	if got := eventData(channel.last(t, "after")); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("got events %q", got)
	}
}

// Messages that were published on that server are still in transit after the cluster has removed
// it.
func TestCluster_WaitsForServerWithoutSlots(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, time.Minute)
	from, to := cluster.Masters[0], cluster.Masters[1]
	from.Do("CONFIG", "SET", "cluster-allow-replica-migration", "no") // it would become a replica
	follow(t, connect(t, cluster, quiet), channelNamed(channelOn(cluster, from)))
	commands := from.Monitor()
	cluster.MoveAllSlots(from, to)
	const probe = `"publish" "__sluice__:probe:`
	for !strings.Contains(commands.Text(), probe) {
		if !commands.Scan() {
			t.Fatalf("got no probe on the old server: %v", commands.Err())
		}
	}
}

// Without probes the gateway cannot know when the new server has caught up.
func TestCluster_MovedChannelWithoutPublishPermission(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, time.Minute)
	for _, master := range cluster.Masters {
		allow(master, "gateway", "secret", "allkeys", "allchannels", "-publish")
	}
	src := openRedis(t, strings.Replace(cluster.URL(), "://", "://gateway:secret@", 1))
	checkMovedChannel(t, cluster, src, func() {})
}

func TestCluster_MovedChannelDespiteStoppedNode(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, time.Minute)
	other := cluster.Masters[2]
	defer other.Continue()
	checkMovedChannel(t, cluster, connect(t, cluster, quiet), other.Pause)
}

// checkMovedChannel moves a channel from the first server to the second, after calling before, and
// checks that it continues there after a gap.
func checkMovedChannel(t *testing.T, cluster *redistest.Cluster, src source.Source, before func()) {
	t.Helper()
	from, to := cluster.Masters[0], cluster.Masters[1]
	name := channelOn(cluster, from)
	channel, following := follow(t, src, channelNamed(name))
	before()
	cluster.MoveSlot(cluster.Slot(name), from, to)
	channel.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) == 1 })
	awaitLive(t, following)
	to.Do("SPUBLISH", name, "after to the shard")
	channel.last(t, "after to the shard")
	to.Do("PUBLISH", name, "after")
	channel.last(t, "after")
}

// channelOn returns the name of a channel whose slot belongs to a master.
func channelOn(cluster *redistest.Cluster, master *redistest.Server) string {
	for n := 0; ; n++ {
		if name := fmt.Sprint("channel", n); cluster.Owner(name) == master {
			return name
		}
	}
}

func clusterUser(t *testing.T, cluster *redistest.Cluster) {
	for _, master := range cluster.Masters {
		allow(master, "gateway", "secret", "allkeys", "allchannels")
	}
	log := new(logLines)
	address := strings.Replace(cluster.URL(), "://", "://gateway:secret@", 1)
	options, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	src := closing(t, redis.Open(options, "n", someHistory, newLog(log)))
	becomesReady(t, src)
	checkAllKinds(t, src)
	for _, master := range cluster.Masters {
		// A gateway reads cluster-node-timeout if it is allowed to, and otherwise assumes the
		// default of Redis. Redis records repeated denials in one log entry.
		denials := strings.Count(fmt.Sprint(master.Do("ACL", "LOG")), "username:gateway")
		optional := strings.Count(fmt.Sprint(master.Do("ACL", "LOG")), "object:config|get")
		if denials != optional {
			t.Errorf("redis denied a required command: %s", master.Do("ACL", "LOG"))
		}
	}
	if warnings := log.with("level=WARN"); len(warnings) > 0 {
		t.Errorf("got warnings %q", warnings)
	}
}

func TestCluster_ErrorNamesNonClusterServer(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		args []string
		want string
	}{
		"a single server":          {nil, "cluster support disabled"},
		"a node without a cluster": {[]string{"--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(redistest.FreePort(t))}, "cluster"},
	} {
		server := redistest.Start(t, tt.args...)
		src := openRedis(t, "redis-cluster://"+server.Addr())
		eventually(t, what+" to be named", func() bool {
			err := readiness(t.Context(), src)
			return errors.Is(err, source.ErrUnavailable) && strings.Contains(err.Error(), tt.want)
		})
		if err := src.Follow(channelNamed("a"), newRecordingSink(t)).Live(t.Context()); !errors.Is(err, source.ErrUnavailable) {
			t.Errorf("%s: Live: got error %v", what, err)
		}
	}
}

// After a failover that loses writes, keys show the older value and streams get a gap.
func TestCluster_FailoverLosesNewestWrites(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1, 2*time.Second)
	master, replica := cluster.Masters[0], cluster.Replicas[0]
	tag := ""
	for n := 0; tag == "" || cluster.Owner(tag) != master; n++ {
		tag = fmt.Sprintf("{%d}", n)
	}
	src := connect(t, cluster, quiet)
	key, _ := follow(t, src, keyNamed(tag+"key"))
	glob, _ := follow(t, src, parseTopic(t, "key:"+tag+"*y"))
	stream, _ := follow(t, src, streamNamed(tag+"stream"))
	writeText(t, src, keyNamed(tag+"key"), "old")
	writeText(t, src, streamNamed(tag+"stream"), "old")
	key.last(t, "old")
	stream.last(t, "old")
	eventually(t, "the replica has it", func() bool {
		replica.Do("SAVE")
		return strings.Contains(fmt.Sprint(replica.Do("KEYS", tag+"*")), tag+"stream")
	})
	replica.Kill()
	writeText(t, src, keyNamed(tag+"key"), "new")
	writeText(t, src, streamNamed(tag+"stream"), "new")
	glob.last(t, "new")
	key.last(t, "new")
	stream.last(t, "new")
	master.Kill()
	replica.Restart()
	key.last(t, "old")
	glob.last(t, "old")
	stream.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) == 1 })
}

// A proxy drops all bytes of a connection to one server of a cluster.
func TestCluster_HalfDeadConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 2, 0, time.Minute)
	proxies := make([]*redistest.Proxy, len(cluster.Masters))
	for i, master := range cluster.Masters {
		proxies[i] = redistest.StartProxy(t, master.Addr())
		master.Do("CONFIG", "SET", "cluster-announce-port", proxies[i].Port())
	}
	eventually(t, "all know the new ports", func() bool {
		for _, master := range cluster.Masters {
			known := fmt.Sprint(master.Do("CLUSTER", "SLOTS"))
			for _, p := range proxies {
				if !strings.Contains(known, fmt.Sprintf(" %d ", p.Port())) {
					return false
				}
			}
		}
		return true
	})
	src := connect(t, cluster, quiet)
	becomesReady(t, src)
	names := make([]string, len(cluster.Masters))
	sinks := make([]*recordingSink, len(cluster.Masters))
	for i, master := range cluster.Masters {
		names[i] = channelOn(cluster, master)
		sinks[i], _ = follow(t, src, channelNamed(names[i]))
	}
	proxies[1].DropSubscribed()
	writeText(t, src, channelNamed(names[1]), "swallowed")
	eventually(t, "its slots are not served", func() bool {
		unserved, err := src.Ready(t.Context())
		return err == nil && unserved == "8192-16383"
	})
	sinks[1].await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) == 1 })
	becomesReady(t, src)
	for i, name := range names {
		writeText(t, src, channelNamed(name), "after")
		sinks[i].last(t, "after")
	}
	if gaps := gapsIn(sinks[0].all()); len(gaps) > 0 {
		t.Errorf("channel of the other server: got gaps %v", gaps)
	}
}

// Each master reports changes of the keys in its slots.
func TestCluster_KeyFollowsMovedSlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, time.Minute)
	from, to := cluster.Masters[0], cluster.Masters[1]
	name := channelOn(cluster, from)
	src := connect(t, cluster, quiet)
	w, f := follow(t, src, keyNamed(name))
	glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "channel*"})
	from.Do("SET", name, "1")
	w.last(t, "1")
	from.Do("DEL", name)
	glob.last(t, "null")
	w.last(t, "null")
	cluster.MoveSlot(cluster.Slot(name), from, to)
	to.Do("SET", name, "2")
	w.last(t, "2")
	glob.last(t, "2")
	awaitLive(t, f)
	to.Do("SET", name, "3")
	checkValues(t, "the key", w.last(t, "3"), "null", "1", "null", "2", "3")
	checkValues(t, "the glob", glob.last(t, "3"), "1", "null", "2", "3")
}

// If the cluster is behind a load balancer, its nodes do not know the host that clients use.
func TestCluster_NodesWithoutHost(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"unknown-endpoint", "hostname"} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			cluster := redistest.StartCluster(t, 3, 0, time.Minute)
			for _, master := range cluster.Masters {
				master.Do("CONFIG", "SET", "cluster-preferred-endpoint-type", endpoint)
			}
			src := connect(t, cluster, quiet)
			becomesReady(t, src)
			for range cluster.Masters {
				checkAllKinds(t, src) // uses names in other slots each time
			}
			checkMovedChannel(t, cluster, src, func() {})
			slotMoves(t, cluster) // with redirections
		})
	}
}
