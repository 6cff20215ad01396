package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/redistest"
	"sluice/internal/source"
)

// markersChannel is the channel on which gateways publish markers.
const markersChannel = "__sluice__:markers"

// churn follows and releases new topics until the context ends, so that many markers are
// asked for. It sends a value after each topic.
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

// checkResumes resumes with an id, and checks that the first events after it are those that
// are wanted, without a gap.
func (g gateway) checkResumes(t *testing.T, what, topic, id string, want []string) {
	t.Helper()
	want = want[:min(len(want), 100)]
	s := g.take(t, hub.Request{Topics: listOf(t, topic), IDs: []string{id}})
	defer s.leave()
	s.expectResumed(what, true)
	if !s.resumed {
		return
	}
	s.until("the events after the id", func() bool { return len(s.got) >= len(want) })
	s.got = s.got[:len(want)]
	s.expect(what, want, nil)
}

// Whatever is in the memory of both nodes can be resumed, although many markers lie between
// two events.
func TestChannel_EveryPositionInMemoryResumesOnTheOtherNode(t *testing.T) {
	t.Parallel()
	const messages, chunk, positions = 4000, 100, 200
	server := redistest.Start(t)
	gateways := []gateway{redisGateway(t, server, history(1<<14)), redisGateway(t, server, history(1<<14))}
	seats := make([]*seat, len(gateways))
	ctx, cancel := context.WithCancel(t.Context())
	var churning sync.WaitGroup
	defer churning.Wait()
	defer cancel()
	followed := make(chan struct{})
	for i, g := range gateways {
		for n := range 20 {
			defer g.take(t, hub.Request{Topics: listOf(t, fmt.Sprint("channel:other", n))}).leave()
		}
		seats[i] = g.take(t, hub.Request{Topics: listOf(t, "channel:c")})
		defer seats[i].leave()
		churning.Go(func() { g.churn(ctx, t, fmt.Sprint("churn", i, "."), followed) })
	}
	client := server.Client()
	for n := 1; n <= messages; n += chunk {
		pipe := client.Pipeline()
		for k := n; k < n+chunk; k++ {
			// Markers as of other gateways, a new one every now and then.
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
	for i, s := range seats {
		s.untilData(fmt.Sprint(messages))
		s.expect(fmt.Sprint("the subscriber of gateway ", i), series(1, messages), nil)
	}
	for k := 0; k < messages; k += messages / positions {
		for i, s := range seats {
			other := gateways[1-i]
			other.checkResumes(t, fmt.Sprintf("from gateway %d after message %d", i, k+1), "channel:c", s.got[k].id, series(k+2, messages))
			if t.Failed() {
				return
			}
		}
	}
}

// The journal of the other node may be shorter.
func TestChannel_TailOfTheOtherNodeResumes(t *testing.T) {
	t.Parallel()
	const messages, kept = 1000, 100
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(messages)), redisGateway(t, server, history(kept))
	s := one.take(t, hub.Request{Topics: listOf(t, "channel:c")})
	defer s.leave()
	defer other.take(t, hub.Request{Topics: listOf(t, "channel:c")}).leave()
	pipe := server.Client().Pipeline()
	for k := 1; k <= messages; k++ {
		pipe.Publish(t.Context(), markersChannel, fmt.Sprintf("gateway%d.%s", k%10, strconv.FormatInt(int64(k), 36)))
		pipe.Publish(t.Context(), "c", k)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.untilData(fmt.Sprint(messages))
	other.settle(t)
	for k := messages - kept; k <= messages; k++ {
		other.checkResumes(t, fmt.Sprint("after message ", k), "channel:c", s.got[k-1].id, series(k+1, messages))
	}
}

// An id that was given right after the first subscribers were accepted is known elsewhere.
func TestChannel_FirstEventsResumeOnTheOtherNode(t *testing.T) {
	t.Parallel()
	const rounds, messages = 20, 200
	server := redistest.Start(t)
	client := server.Client()
	one, other := redisGateway(t, server, history(1000)), redisGateway(t, server, history(1000))
	for round := range rounds {
		name := fmt.Sprint("c", round)
		topic := "channel:" + name
		var opening sync.WaitGroup
		var s, keep *seat
		opening.Go(func() { s = one.take(t, hub.Request{Topics: listOf(t, topic)}) })
		opening.Go(func() { keep = other.take(t, hub.Request{Topics: listOf(t, topic)}) })
		opening.Wait()
		pipe := client.Pipeline()
		for n := range messages {
			pipe.Publish(t.Context(), name, n+1)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.untilData(fmt.Sprint(messages))
		s.expect("the first gateway", series(1, messages), nil)
		for n, b := range s.got {
			if n%(1+round) == 0 { // all of them at first
				other.checkResumes(t, fmt.Sprintf("round %d, after message %d", round, n+1), topic, b.id, series(n+2, messages))
			}
		}
		s.leave()
		keep.leave()
		if t.Failed() {
			return
		}
	}
}

// The client loses its connection before the first event.
func TestChannel_FirstOpeningResumesOnTheOtherNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	one, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
	for round := range 20 {
		name := fmt.Sprint("c", round)
		keep := other.take(t, hub.Request{Topics: listOf(t, "channel:"+name)})
		s := one.take(t, hub.Request{Topics: listOf(t, "channel:"+name)})
		for _, data := range series(1, 3) {
			if err := client.Publish(t.Context(), name, data).Err(); err != nil {
				t.Fatal(err)
			}
		}
		other.checkResumes(t, fmt.Sprint("round ", round), "channel:"+name, s.opened.id, series(1, 3))
		s.leave()
		keep.leave()
	}
}

// userGateway returns a gateway that connects as a user of Redis.
func userGateway(t *testing.T, server *redistest.Server, user, password string, limits journal.Limits) gateway {
	t.Helper()
	options, err := source.ParseRedisURL(strings.Replace(server.URL(), "://", "://"+user+":"+password+"@", 1))
	if err != nil {
		t.Fatal(err)
	}
	fill := source.Fill{Events: limits.Events, Bytes: limits.Bytes}
	return gatewayOver(t, source.OpenRedis(options, "n", fill, slog.New(slog.DiscardHandler)), limits)
}

// Without the right to publish there are no markers.
func TestChannel_OpensWithoutMarkers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allkeys", "allchannels", "-publish")
	g := userGateway(t, server, "gateway", "secret", history(100))
	s := g.take(t, hub.Request{Topics: listOf(t, "channel:c")})
	if id := s.opened.id; strings.Count(id, ".") != 1 {
		t.Errorf("the id %q contains a marker", id)
	}
	s.leave()
	for _, data := range series(1, 3) {
		server.Do("PUBLISH", "c", data)
	}
	g.checkResumes(t, "the client", "channel:c", s.opened.id, series(1, 3))
}
