package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// markersChannel is the channel on which gateways publish markers.
const markersChannel = "__sluice__:markers"

// churn follows and releases new topics until the context ends. Each of them asks for a
// marker. It sends a value after each topic.
func (g gateway) churn(ctx context.Context, t *testing.T, name string, followed chan<- struct{}) {
	for n := 0; ctx.Err() == nil; n++ {
		sub, err := g.Subscribe(ctx, hub.Request{Topics: []event.Topic{event.Literal(event.Channel, fmt.Sprint(name, n))}})
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("Subscribe: %v", err)
			}
			return
		}
		sub.Close()
		select {
		case followed <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

// checkResumes resumes with an id and checks that the first events after it are the wanted ones,
// without a gap.
func (g gateway) checkResumes(t *testing.T, what, topic, id string, want []string) {
	t.Helper()
	want = want[:min(len(want), 100)]
	s := g.subscribe(t, hub.Request{Topics: topics(t, topic), IDs: []string{id}})
	defer s.close()
	s.checkResumed(what, true)
	if !s.opened.Resumed {
		return
	}
	s.await("the events after the id", func() bool { return len(s.got) >= len(want) })
	s.got = s.got[:len(want)]
	s.check(what, want, nil)
}

// Every position in the memory of both nodes can be resumed, even with many markers between them.
func TestChannel_AnyPositionResumesOnOtherNode(t *testing.T) {
	t.Parallel()
	const messages, chunk, positions = 4000, 100, 200
	server := redistest.Start(t)
	gateways := []gateway{redisGateway(t, server, history(1<<14)), redisGateway(t, server, history(1<<14))}
	clients := make([]*testClient, len(gateways))
	ctx, cancel := context.WithCancel(t.Context())
	var churning sync.WaitGroup
	defer churning.Wait()
	defer cancel()
	followed := make(chan struct{})
	for i, g := range gateways {
		for n := range 20 {
			defer g.subscribe(t, hub.Request{Topics: topics(t, fmt.Sprint("channel:other", n))}).close()
		}
		clients[i] = g.subscribe(t, hub.Request{Topics: topics(t, "channel:c")})
		defer clients[i].close()
		churning.Go(func() { g.churn(ctx, t, fmt.Sprint("churn", i, "."), followed) })
	}
	client := server.Client()
	for n := 1; n <= messages; n += chunk {
		pipe := client.Pipeline()
		for k := n; k < n+chunk; k++ {
			// Markers as other gateways publish them, from new nodes now and then.
			pipe.Publish(ctx, markersChannel, fmt.Sprintf("gateway%d.%s", k/1000, strconv.FormatInt(int64(k), 36)))
			pipe.Publish(ctx, "c", k)
			pipe.Publish(ctx, fmt.Sprint("other", k%20), k)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		<-followed
		<-followed
	}
	for i, s := range clients {
		s.awaitData(fmt.Sprint(messages))
		s.check(fmt.Sprint("the subscriber of gateway ", i), numbers(1, messages), nil)
	}
	for k := 0; k < messages; k += messages / positions {
		for i, s := range clients {
			other := gateways[1-i]
			other.checkResumes(t, fmt.Sprintf("from gateway %d after message %d", i, k+1), "channel:c", s.got[k].id, numbers(k+2, messages))
			if t.Failed() {
				return
			}
		}
	}
}

// The journal of the other node can be shorter.
func TestChannel_TailOfOtherNodeResumes(t *testing.T) {
	t.Parallel()
	const messages, kept = 1000, 100
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(messages)), redisGateway(t, server, history(kept))
	s := one.subscribe(t, hub.Request{Topics: topics(t, "channel:c")})
	defer s.close()
	defer other.subscribe(t, hub.Request{Topics: topics(t, "channel:c")}).close()
	pipe := server.Client().Pipeline()
	for k := 1; k <= messages; k++ {
		pipe.Publish(t.Context(), markersChannel, fmt.Sprintf("gateway%d.%s", k%10, strconv.FormatInt(int64(k), 36)))
		pipe.Publish(t.Context(), "c", k)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.awaitData(fmt.Sprint(messages))
	other.settle(t)
	for k := messages - kept; k <= messages; k++ {
		other.checkResumes(t, fmt.Sprint("after message ", k), "channel:c", s.got[k-1].id, numbers(k+1, messages))
	}
}

// An id that was issued to the first subscribers is valid on other nodes.
func TestChannel_FirstEventsResumeOnOtherNode(t *testing.T) {
	t.Parallel()
	const rounds, messages = 20, 200
	server := redistest.Start(t)
	client := server.Client()
	one, other := redisGateway(t, server, history(1000)), redisGateway(t, server, history(1000))
	for round := range rounds {
		name := fmt.Sprint("c", round)
		topic := "channel:" + name
		var opening sync.WaitGroup
		var s, keep *testClient
		opening.Go(func() { s = one.subscribe(t, hub.Request{Topics: topics(t, topic)}) })
		opening.Go(func() { keep = other.subscribe(t, hub.Request{Topics: topics(t, topic)}) })
		opening.Wait()
		pipe := client.Pipeline()
		for n := range messages {
			pipe.Publish(t.Context(), name, n+1)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.awaitData(fmt.Sprint(messages))
		s.check("the first gateway", numbers(1, messages), nil)
		for n, b := range s.got {
			if n%(1+round) == 0 { // in the first round, all clients
				other.checkResumes(t, fmt.Sprintf("round %d, after message %d", round, n+1), topic, b.id, numbers(n+2, messages))
			}
		}
		s.close()
		keep.close()
		if t.Failed() {
			return
		}
	}
}

// The client loses its connection before the first event.
func TestChannel_FirstOpenResumesOnOtherNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	one, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
	for round := range 20 {
		name := fmt.Sprint("c", round)
		keep := other.subscribe(t, hub.Request{Topics: topics(t, "channel:"+name)})
		s := one.subscribe(t, hub.Request{Topics: topics(t, "channel:"+name)})
		for _, data := range numbers(1, 3) {
			if err := client.Publish(t.Context(), name, data).Err(); err != nil {
				t.Fatal(err)
			}
		}
		other.checkResumes(t, fmt.Sprint("round ", round), "channel:"+name, s.openID, numbers(1, 3))
		s.close()
		keep.close()
	}
}

// userGateway returns a gateway that connects as a user of Redis.
func userGateway(t *testing.T, server *redistest.Server, user, password string, limits journal.Limits) gateway {
	t.Helper()
	options, err := redis.ParseURL(strings.Replace(server.URL(), "://", "://"+user+":"+password+"@", 1))
	if err != nil {
		t.Fatal(err)
	}
	fill := source.Fill{Events: limits.Events, Bytes: limits.Bytes}
	return newGateway(t, redis.Open(options, "n", fill, slog.New(slog.DiscardHandler)), limits)
}

// Without permission to publish, a gateway has only cursors without markers.
func TestChannel_OpensWithoutMarkers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allkeys", "allchannels", "-publish")
	g := userGateway(t, server, "gateway", "secret", history(100))
	s := g.subscribe(t, hub.Request{Topics: topics(t, "channel:c")})
	if id := s.openID; strings.Count(id, ".") != 1 {
		t.Errorf("the id %q contains a marker", id)
	}
	s.close()
	for _, data := range numbers(1, 3) {
		server.Do("PUBLISH", "c", data)
	}
	g.checkResumes(t, "the client", "channel:c", s.openID, numbers(1, 3))
}

// The gateway that issued the cursor is gone, and the new one cannot wait until it has received what
// the client has: Redis refuses the probe that proves that.
func TestChannel_UnknownNodeWithoutProbesIsGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, topic string
		acl         string // the last rule of the new gateway's user
		publish     string // name of the command PUBLISH
	}{
		{"publish is denied", "channel:c", "-publish", "PUBLISH"},
		{"subscribe is denied", "channel:c*", "-subscribe", "PUBLISH"},
		{"publish is unknown", "channel:c", "+publish", "HIDDEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--rename-command", "PUBLISH", tt.publish)
			req := hub.Request{Topics: topics(t, tt.topic)}
			t.Run("the gateway that is gone", func(t *testing.T) {
				one := redisGateway(t, server, history(100))
				s := one.subscribe(t, req)
				defer s.close()
				server.Do(tt.publish, "c", "1")
				s.awaitData("1")
				req.IDs = []string{s.lastID()}
			})
			server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allkeys", "allchannels", tt.acl)
			g := userGateway(t, server, "gateway", "secret", history(100))
			s, err := g.trySubscribe(t, req)
			if err != nil {
				t.Fatalf("the client with the id %q is rejected: %v", req.IDs, err)
			}
			defer s.close()
			s.checkResumed("the client", false)
			server.Do(tt.publish, "c", "2")
			s.awaitData("2")
			s.check("the client", []string{"2"}, []string{tt.topic + " unknown-cursor null"})
		})
	}
}

// A glob matches channels whose names no subscription may contain. Their events have ids too, and
// these cover all topics.
func TestChannel_AnyNameInGlobResumes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(100))
	req := hub.Request{Topics: topics(t, "channel:g*", "stream:s")}
	for _, name := range []string{"g\n", "g\x7f", "g\xff", "g@%", "g" + strings.Repeat("x", 2*event.MaxNameBytes)} {
		s := g.subscribe(t, req)
		server.Do("PUBLISH", name, "1")
		s.awaitData("1")
		s.close()
		server.Do("XADD", "s", "*", "data", "2")
		back := g.subscribe(t, hub.Request{Topics: req.Topics, IDs: []string{s.lastID()}})
		back.awaitData("2")
		back.check(name, []string{"2"}, nil)
		back.checkResumed(name, true)
		back.close()
	}
}

// limitedGateway returns a gateway whose Redis user may use channels that begin with "ok.".
func limitedGateway(t *testing.T, server *redistest.Server) gateway {
	t.Helper()
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allkeys", "resetchannels", "&ok.*", "&__sluice__:*", "&__redis__:invalidate")
	return userGateway(t, server, "gateway", "secret", history(100))
}

func (g gateway) checkForbidden(t *testing.T, topic string) {
	t.Helper()
	if _, err := g.Subscribe(t.Context(), hub.Request{Topics: topics(t, topic)}); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("Subscribe to %s returns %v", topic, err)
	}
}

// awaitOpen waits until a subscription to a topic succeeds. Until then it must fail with the given
// error.
func (g gateway) awaitOpen(t *testing.T, topic string, before error) *testClient {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); time.Now().Before(deadline); {
		s, err := g.trySubscribe(t, hub.Request{Topics: topics(t, topic)})
		if err == nil {
			return s
		}
		if !errors.Is(err, before) {
			t.Fatalf("Subscribe to %s returns %v", topic, err)
		}
	}
	t.Fatalf("after %s: %s is not open", testTimeout, topic)
	return nil
}

// A default topic is followed before the first client, and while Redis rejects it.
func TestChannel_DefaultTopicAllowedLater(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := limitedGateway(t, server)
	if err := g.Follow(topics(t, "channel:secret")); err != nil {
		t.Fatal(err)
	}
	other := g.subscribe(t, hub.Request{Topics: topics(t, "channel:ok.a")})
	defer other.close()
	g.checkForbidden(t, "channel:secret")
	g.checkForbidden(t, "channel:secret")
	server.Do("ACL", "SETUSER", "gateway", "&secret")
	s := g.awaitOpen(t, "channel:secret", source.ErrForbidden)
	defer s.close()
	for _, name := range []string{"secret", "ok.a"} {
		server.Do("PUBLISH", name, "x")
	}
	s.awaitData("x")
	other.awaitData("x")
	s.check("the topic that is allowed now", []string{"x"}, nil)
	other.check("the other topic", []string{"x"}, nil)
	if n := g.source.Reconnects(); n != 0 {
		t.Errorf("got %d reconnects", n)
	}
}

// Connected subscribers stay connected, and new ones are rejected.
func TestChannel_ForbiddenAtRunTime(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := limitedGateway(t, server)
	s := g.subscribe(t, hub.Request{Topics: topics(t, "channel:ok.c")})
	defer s.close()
	other := g.subscribe(t, hub.Request{Topics: topics(t, "channel:ok.other")})
	defer other.close()
	server.Do("PUBLISH", "ok.c", "before")
	s.awaitData("before")
	server.Do("ACL", "SETUSER", "gateway", "resetchannels", "&ok.other", "&__sluice__:*", "&__redis__:invalidate")
	other.await("a gap", func() bool { return len(other.gaps()) == 1 })
	// Redis answers this after the connection is established again.
	for {
		_, err := g.Subscribe(t.Context(), hub.Request{Topics: topics(t, "channel:ok.c")})
		if errors.Is(err, source.ErrForbidden) {
			break
		}
		if !errors.Is(err, source.ErrUnavailable) {
			t.Fatalf("Subscribe returns %v", err)
		}
	}
	server.Do("PUBLISH", "ok.c", "meanwhile")
	server.Do("ACL", "SETUSER", "gateway", "&ok.c")
	g.awaitOpen(t, "channel:ok.c", source.ErrForbidden).close()
	for _, name := range []string{"ok.c", "ok.other"} {
		server.Do("PUBLISH", name, "after")
	}
	s.awaitData("after")
	other.awaitData("after")
	s.check("the subscriber that stayed", []string{"before", "after"}, []string{"channel:ok.c source-interrupted null"})
	other.check("the other topic", []string{"after"}, []string{"channel:ok.other source-interrupted null"})
}

// channelOn returns a channel whose slot belongs to a master.
func channelOn(cluster *redistest.Cluster, master *redistest.Server, prefix string) string {
	for n := 0; ; n++ {
		if name := fmt.Sprint(prefix, n); cluster.Owner(name) == master {
			return name
		}
	}
}

// A master that does not answer delays only its own topics, even if writes to it block.
func TestChannel_StoppedMasterDelaysNoOthers(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, time.Minute)
	options, err := redis.ParseURL(cluster.URL() + "&write_timeout=5m")
	if err != nil {
		t.Fatal(err)
	}
	limits := history(100)
	src := redis.Open(options, "n", source.Fill{Events: limits.Events, Bytes: limits.Bytes}, slog.New(slog.DiscardHandler))
	g := gateway{hub.New(src, hub.Options{Node: "n", History: limits, Linger: 1}, noMetrics{}), src}
	stopped, healthy := cluster.Masters[0], cluster.Masters[1]
	onStopped, followed, fresh := channelOn(cluster, stopped, "a"), channelOn(cluster, healthy, "b"), channelOn(cluster, healthy, "c")
	var blocked []event.Topic
	for n := range 60 {
		name := fmt.Sprintf("{%s}%d%s", onStopped, n, strings.Repeat("x", 100_000))
		blocked = append(blocked, event.Literal(event.Channel, name))
	}
	last := g.subscribe(t, hub.Request{Topics: topics(t, "channel:"+onStopped)})
	staying := g.subscribe(t, hub.Request{Topics: topics(t, "channel:"+followed)})
	t.Cleanup(func() {
		g.Close()
		_ = src.Close()
	})

	stopped.Pause()
	resume := sync.OnceFunc(stopped.Continue)
	defer resume()
	done := make(chan struct{})
	go func() {
		defer close(done)
		// More bytes than the socket buffers hold.
		if err := g.Follow(blocked); err != nil {
			t.Errorf("Follow: %v", err)
		}
		topics := g.Stats().Topics
		last.close()
		for g.Stats().Topics != topics-1 { // another goroutine closes it
			runtime.Gosched()
		}
		for _, topic := range []string{followed, fresh} {
			sub, err := g.Subscribe(context.Background(), hub.Request{Topics: []event.Topic{event.Literal(event.Channel, topic)}})
			if err != nil {
				t.Errorf("Subscribe: %v", err)
				continue
			}
			defer sub.Close()
		}
	}()
	select {
	case <-done:
	case <-time.After(testTimeout):
		t.Fatal("a stopped master blocks topics of another one")
	}
	healthy.Do("SPUBLISH", followed, "1")
	staying.awaitData("1")
	staying.check("a topic of another master", []string{"1"}, nil)

	resume()
	again := g.awaitOpen(t, "channel:"+onStopped, source.ErrUnavailable)
	defer again.close()
	stopped.Do("SPUBLISH", onStopped, "2")
	again.awaitData("2")
	again.check("a topic of the master that was stopped", []string{"2"}, nil)
}

// A node whose connection is half-dead must not send a client back to its own, older position.
func TestChannel_HalfDeadNodeRepeatsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	one := redisGateway(t, server, history(100))
	other := newGateway(t, sourceAt(t, "redis://"+proxy.Addr(), history(100)), history(100))
	req := hub.Request{Topics: topics(t, "channel:c")}
	keep := other.subscribe(t, req)
	defer keep.close()
	s := one.subscribe(t, req)
	defer s.close()
	one.settle(t) // so both nodes know the markers in the cursors
	other.settle(t)
	one.settle(t)
	publish(t, one.source, "channel:c", "1")
	s.awaitData("1")
	keep.awaitData("1")
	proxy.DropSubscribed()
	publish(t, one.source, "channel:c", "2")
	s.awaitData("2")
	req.IDs = []string{s.lastID()}
	back := other.subscribeLagging(t, req)
	id := back.openID
	back.close()
	req.IDs = []string{id}
	again := one.subscribe(t, req)
	defer again.close()
	publish(t, one.source, "channel:c", "3")
	again.awaitData("3")
	if got := again.data(); slices.Contains(got, "1") || slices.Contains(got, "2") {
		t.Errorf("a client that has received 1 and 2 got %q", got)
	}
}
