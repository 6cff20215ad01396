package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/test/redistest"
)

// These tests check positions in channels on several nodes of one Redis. All payloads may be equal,
// so a payload does not identify an event. The checker identifies events by the node's count,
// because a test knows at which message each node joined.
//
// A position is a marker and a count. It contains no time, so clock skew is not tested.

// member is a node and what the checker knows about it.
type member struct {
	gateway
	keep   *testClient
	joined int64 // messages published before it followed the topic
}

// index returns the number of the message after a cursor of this node.
func (m *member) index(t testing.TB, id string) int64 {
	t.Helper()
	_, text := event.SplitID(id)
	text = text[strings.IndexByte(text, '=')+1:] // the cursor of a glob has a tag
	_, position, _ := strings.Cut(text, ".")
	position, _, _ = strings.Cut(position, ".")
	pos, err := strconv.ParseInt(position, 36, 64)
	if err != nil {
		t.Fatalf("cannot parse the id %q", id)
	}
	return m.joined + pos - journal.First
}

// join starts a node and follows a topic on it. No message may be published during the call.
func join(t *testing.T, server *redistest.Server, topic string, published int64) *member {
	t.Helper()
	m := &member{gateway: redisGateway(t, server, history(1<<20)), joined: published}
	m.keep = m.subscribe(t, hub.Request{Topics: topics(t, topic)})
	t.Cleanup(m.keep.close)
	return m
}

// channelTraffic publishes to channels until its context ends. It can be paused, so nodes can join
// at a known message.
type channelTraffic struct {
	hold      sync.RWMutex
	published atomic.Int64
}

func (c *channelTraffic) run(ctx context.Context, client *redis.Client, next func(n int64) (channel, payload string, counts bool)) {
	for ctx.Err() == nil {
		c.hold.RLock()
		n := c.published.Load()
		pipe := client.Pipeline()
		for range rand.IntN(30) + 1 {
			channel, payload, counts := next(n)
			pipe.Publish(ctx, channel, payload)
			if counts {
				n++
			}
		}
		// Not cancelled by ctx: every counted message must be published.
		_, _ = pipe.Exec(context.Background())
		c.published.Store(n)
		c.hold.RUnlock()
	}
}

func TestChannel_CursorsHoldOnAllNodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, topic string
		next        func(n int64) (channel, payload string, counts bool)
	}{
		{"identical payloads", "channel:c", func(int64) (string, string, bool) { return "c", "x", true }},
		{"a cycle of 40 payloads", "channel:c", func(n int64) (string, string, bool) { return "c", fmt.Sprint(n % 40), true }},
		{"random payloads", "channel:c", func(int64) (string, string, bool) { return "c", fmt.Sprint(rand.Uint64()), true }},
		{"a glob over identical payloads", "channel:c.*", func(n int64) (string, string, bool) {
			if rand.IntN(3) == 0 {
				return "d", "x", false // does not match
			}
			return fmt.Sprint("c.", n%3), "x", true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var traffic channelTraffic
			ctx, cancel := context.WithCancel(context.Background())
			var publishing, running sync.WaitGroup
			defer publishing.Wait()
			defer cancel()
			members := []*member{join(t, server, tt.topic, 0)}
			client := server.Client()
			publishing.Go(func() { traffic.run(ctx, client, tt.next) })
			// The others join later, one by one, at a message that is known.
			for len(members) < 3 {
				start := traffic.published.Load()
				members[0].keep.await("traffic", func() bool {
					members[0].keep.got = nil
					return traffic.published.Load() > start+500
				})
				traffic.hold.Lock()
				members[0].settle(t)
				members = append(members, join(t, server, tt.topic, traffic.published.Load()))
				traffic.hold.Unlock()
			}
			var early, late, gapsEarly, gapsLate atomic.Int64
			rounds := func(moves, gaps *atomic.Int64) {
				for range 6 {
					running.Go(func() {
						w := roamingClient{t: t, members: members, topic: tt.topic}
						for range 40 {
							w.connect(moves, gaps)
							if t.Failed() {
								return
							}
						}
					})
				}
				running.Wait()
			}
			rounds(&early, &gapsEarly)
			for _, m := range members {
				m.settle(t) // each makes a mark, which all see
			}
			rounds(&late, &gapsLate)
			t.Logf("%d messages; %d gaps in %d moves right after the nodes joined, later %d in %d",
				traffic.published.Load(), gapsEarly.Load(), early.Load(), gapsLate.Load(), late.Load())
			if gapsLate.Load()*50 > late.Load() {
				t.Errorf("got %d gaps in %d moves although all nodes had exchanged markers", gapsLate.Load(), late.Load())
			}
		})
	}
}

// roamingClient is a client that loses its connection at random and moves between nodes.
type roamingClient struct {
	t       *testing.T
	members []*member
	topic   string
	id      string
	next    int64 // number of the next message that it must receive
}

// connect is one connection. No message may arrive twice, or be missing except at a gap.
func (w *roamingClient) connect(moves, gaps *atomic.Int64) {
	t := w.t
	m := w.members[rand.IntN(len(w.members))]
	s := m.subscribeAgain(t, hub.Request{Topics: topics(t, w.topic), IDs: []string{w.id}})
	defer s.close()
	fresh := w.id == ""
	if !fresh {
		moves.Add(1)
	}
	limit := rand.IntN(60) // events before the connection is lost
	if rand.IntN(4) == 0 {
		limit = 0 // right after stream.open
	}
	switch {
	case fresh:
		w.next = m.index(t, s.openID)
	case s.opened.Resumed && m.index(t, s.openID) != w.next:
		t.Errorf("id %s: got position before message %d, want %d", w.id, m.index(t, s.openID), w.next)
		return
	case !s.opened.Resumed:
		gaps.Add(1)
		if len(s.got) == 0 {
			s.await("a gap", func() bool { return len(s.got) > 0 })
		}
		if !s.got[0].isGap() {
			t.Errorf("not resumed: got first event %v, want a gap", s.got[0])
			return
		}
		at := m.index(t, s.got[0].id)
		if at < w.next {
			t.Errorf("id %s: got position before message %d after the gap, want %d or later", w.id, at, w.next)
			return
		}
		w.next, w.id = at, s.got[0].id
		s.got = s.got[1:]
	}
	if s.opened.Resumed || fresh {
		w.id = s.openID
	}
	s.await("events", func() bool { return len(s.got) >= limit })
	for _, b := range s.got[:limit] {
		if b.isGap() {
			t.Errorf("got gap %v after the start", b)
		}
		w.next++
		if got := m.index(t, b.id); got != w.next {
			t.Errorf("got message %d, want %d", got-1, w.next-1)
			return
		}
		w.id = b.id
	}
}

// Single nodes are interrupted. Messages are numbered.
func TestChannel_CursorsHoldWhenNodesLoseRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	gateways := []gateway{redisGateway(t, server, history(1<<20)), redisGateway(t, server, history(1<<20)), redisGateway(t, server, history(200))}
	list := topics(t, "channel:c")
	for _, g := range gateways {
		keep := g.subscribe(t, hub.Request{Topics: list})
		defer keep.close()
	}
	var traffic channelTraffic
	ctx, cancel := context.WithCancel(context.Background())
	var publishing, running sync.WaitGroup
	defer publishing.Wait()
	defer cancel()
	client := server.Client()
	publishing.Go(func() {
		traffic.run(ctx, client, func(n int64) (string, string, bool) { return "c", fmt.Sprint(n), true })
	})
	var moves, gaps atomic.Int64
	for range 6 {
		running.Go(func() {
			// The next number, and whether it is known exactly.
			id, next, sure := "", 0, false
			for range 50 {
				s, err := gateways[rand.IntN(len(gateways))].trySubscribe(t, hub.Request{Topics: list, IDs: []string{id}})
				if errors.Is(err, source.ErrUnavailable) {
					continue // This node has lost its connection. Another one may still have it.
				}
				if err != nil {
					t.Error(err)
					return
				}
				limit := rand.IntN(300)
				s.await("events", func() bool { return len(s.got) >= limit })
				from := id
				id = s.openID
				for k, b := range s.got[:limit] {
					id = b.id
					if b.isGap() {
						gaps.Add(1)
						if g := b.gap(t); g.Lost == nil {
							sure = false
						} else {
							next += int(*g.Lost)
						}
						continue
					}
					var n int
					if _, err := fmt.Sscan(b.data, &n); err != nil {
						t.Error(err)
					}
					if n < next || sure && n != next {
						t.Errorf("got message %d, want %d; %d %v\n%s\n%v", n, next, k, from, s.openID, s.got[max(0, k-3):k+1])
					}
					next, sure = n+1, true
				}
				moves.Add(1)
				s.close()
				if t.Failed() {
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	for killed := 0; ; {
		select {
		case <-done:
			t.Logf("%d moves, %d gaps, %d interruptions", moves.Load(), gaps.Load(), killed)
			return
		default:
		}
		// Picks one of the Pub/Sub connections in the order of CLIENT LIST.
		text, _ := server.Do("CLIENT", "LIST", "TYPE", "pubsub").(string)
		conns := strings.Split(strings.TrimSpace(text), "\n")
		var id int
		if _, err := fmt.Sscanf(conns[rand.IntN(len(conns))], "id=%d", &id); err == nil && killed < 8 {
			start := traffic.published.Load()
			server.Do("CLIENT", "KILL", "ID", id)
			killed++
			for range 2000 {
				if traffic.published.Load() > start+2000 || ctx.Err() != nil {
					break
				}
				server.Do("PING")
			}
		} else {
			server.Do("PING")
		}
	}
}

func TestChannel_OpenCursorResumesOnAllNodes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
	list := topics(t, "channel:c")
	for _, g := range []gateway{one, other} {
		keep := g.subscribe(t, hub.Request{Topics: list})
		defer keep.close()
	}
	one.settle(t)
	other.settle(t)
	for round := range 20 {
		one.settle(t)
		s := one.subscribe(t, hub.Request{Topics: list})
		s.close()
		publish(t, one.source, "channel:c", numbers(1, round)...)
		back := other.subscribe(t, hub.Request{Topics: list, IDs: []string{s.openID}})
		back.checkResumed("the client", true)
		if round > 0 {
			back.awaitData(fmt.Sprint(round))
		}
		back.check("the client", numbers(1, round), nil)
		back.close()
	}
}

// A node that did not follow the channel all the time, or whose connection was interrupted, must
// not guess a position, even if its data looks the same.
func TestChannel_UnknownPositionIsGap(t *testing.T) {
	t.Parallel()
	list := []string{"channel:c"}
	follow := func(t *testing.T, g gateway) {
		t.Helper()
		keep := g.subscribe(t, hub.Request{Topics: topics(t, list...)})
		t.Cleanup(keep.close)
	}
	for _, tt := range []struct {
		name string
		// early runs before the client's messages, late after them.
		early func(t *testing.T, server *redistest.Server) gateway
		late  func(t *testing.T, server *redistest.Server, g gateway) gateway
	}{
		{"it joined later", nil, func(t *testing.T, server *redistest.Server, _ gateway) gateway {
			t.Helper()
			g := redisGateway(t, server, history(100))
			follow(t, g)
			return g
		}},
		{"it followed the channel later", func(t *testing.T, server *redistest.Server) gateway {
			t.Helper()
			g := redisGateway(t, server, history(100))
			g.subscribe(t, hub.Request{Topics: topics(t, "channel:other")}).close()
			return g
		}, func(t *testing.T, _ *redistest.Server, g gateway) gateway {
			t.Helper()
			follow(t, g)
			return g
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			one := redisGateway(t, server, history(100))
			s := one.subscribe(t, hub.Request{Topics: topics(t, list...)})
			var g gateway
			if tt.early != nil {
				g = tt.early(t, server)
				g.settle(t)
			}
			one.settle(t)
			publish(t, one.source, "channel:c", "x", "x", "x")
			s.await("three", func() bool { return len(s.got) == 3 })
			id := s.got[1].id
			s.close()
			g = tt.late(t, server, g)
			publish(t, one.source, "channel:c", "x", "x", "x")
			g.settle(t)
			back := g.subscribe(t, hub.Request{Topics: topics(t, list...), IDs: []string{id}})
			defer back.close()
			back.read()
			back.check("the client", nil, []string{"channel:c unknown-cursor null"})
			back.checkResumed("the client", false)
			publish(t, one.source, "channel:c", "live")
			back.awaitData("live")
		})
	}
}

// A node does not count messages that it missed.
func TestChannel_MissedMessagesAreNotMatched(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	list := topics(t, "channel:c")
	one := redisGateway(t, server, history(100))
	s := one.subscribe(t, hub.Request{Topics: list})
	defer s.close()
	known := server.Do("CLIENT", "LIST", "TYPE", "pubsub").(string)
	other := redisGateway(t, server, history(100))
	keep := other.subscribe(t, hub.Request{Topics: list})
	defer keep.close()
	both := server.Do("CLIENT", "LIST", "TYPE", "pubsub").(string)
	var mine, its int
	_, err1 := fmt.Sscanf(known, "id=%d", &mine)
	for line := range strings.Lines(both) {
		var id int
		if _, err := fmt.Sscanf(line, "id=%d", &id); err == nil && id != mine {
			its = id
		}
	}
	if err1 != nil || its == 0 {
		t.Fatalf("got connections %q and %q", known, both)
	}
	one.settle(t)
	other.settle(t)
	publish(t, one.source, "channel:c", "x", "x", "x")
	keep.await("three", func() bool { return len(keep.got) == 3 })
	_, err := server.Client().TxPipelined(t.Context(), func(tx redis.Pipeliner) error {
		tx.Do(t.Context(), "CLIENT", "KILL", "ID", its)
		tx.Publish(t.Context(), "c", "x")
		tx.Publish(t.Context(), "c", "x")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.await("five", func() bool { return len(s.got) == 5 })
	keep.await("a gap", func() bool { return len(keep.got) == 4 })
	publish(t, one.source, "channel:c", "x", "x", "x")
	other.settle(t)
	for k := range 5 {
		back := other.subscribe(t, hub.Request{Topics: list, IDs: []string{s.got[k].id}})
		back.read()
		switch {
		case len(back.gaps()) != 1:
			t.Errorf("after message %d: got gaps %q", k+1, back.gaps())
		case k < 3 && len(back.data()) != 2-k+3:
			t.Errorf("after message %d, which the node has: got %q", k+1, back.data())
		case k >= 3 && back.opened.Resumed:
			t.Errorf("message %d, which the node missed: got resumed true", k+1)
		}
		back.close()
	}
}

func TestChannel_ExpiredOnOtherNodeIsExactGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(1000)), redisGateway(t, server, history(10))
	list := topics(t, "channel:c")
	keep := other.subscribe(t, hub.Request{Topics: list})
	defer keep.close()
	s := one.subscribe(t, hub.Request{Topics: list})
	one.settle(t)
	other.settle(t)
	publish(t, one.source, "channel:c", numbers(1, 100)...)
	s.awaitData("100")
	s.close()
	other.settle(t)
	for _, k := range []int{0, 5, 50, 88} {
		back := other.subscribe(t, hub.Request{Topics: list, IDs: []string{s.got[k].id}})
		back.read()
		back.check(fmt.Sprint("after message ", k+1), numbers(91, 100), []string{fmt.Sprint("channel:c history-expired ", 89-k)})
		again := other.subscribe(t, hub.Request{Topics: list, IDs: []string{back.got[0].id}})
		again.read()
		again.check("back with the id of the gap", numbers(91, 100), nil)
		again.close()
		back.close()
	}
	for _, k := range []int{89, 95, 99} {
		back := other.subscribe(t, hub.Request{Topics: list, IDs: []string{s.got[k].id}})
		back.read()
		back.check(fmt.Sprint("after message ", k+1), numbers(k+2, 100), nil)
		back.close()
	}
}
