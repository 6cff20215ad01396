package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

func TestFaults_RedisRestartIsGap(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	streams := map[string]*stream{
		"channel:a":    g.subscribe("?channel=a"),
		"channel:?":    g.subscribe("?channel=?"),
		"channel:[ab]": g.subscribeWith(newH2C(t), "?channel=[ab]"),
	}
	several := g.subscribe("?channel=a&channel=b*")
	g.publish("a", "before")
	for _, s := range streams {
		s.data(1)
	}
	lastID := several.next().id
	g.redis.Kill()
	g.redis.Restart()
	check := func(s *stream, topic string) {
		t.Helper()
		gap, f := s.gap()
		if gap.Topic != topic || gap.Reason != "source-interrupted" || gap.Lost != nil || !f.hasID {
			t.Errorf("got gap %+v, want one of topic %s", f, topic)
		}
	}
	for topic, s := range streams {
		check(s, topic)
	}
	first, _ := several.gap()
	second, behind := several.gap()
	if got := []string{first.Topic, second.Topic}; !slices.Contains(got, "channel:a") || !slices.Contains(got, "channel:b*") {
		t.Errorf("got gaps of topics %q", got)
	}
	eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })
	g.publish("a", "after")
	for topic, s := range streams {
		if f := s.next(); f.data != "after" {
			t.Errorf("%s: got %+v after the gap", topic, f)
		}
	}
	if f := several.next(); f.data != "after" {
		t.Errorf("several topics: got %+v after the gaps", f)
	}
	// A client that lost its connection during the restart gets the gap as well.
	late := g.subscribe("?channel=a&channel=b*", "Last-Event-ID", lastID)
	var got []string // sorted by topic
	for range 3 {
		f := late.next()
		got = append(got, f.name+f.topic()+f.data[:min(5, len(f.data))])
	}
	slices.Sort(got)
	if want := []string{`channel:aafter`, `stream.gapchannel:a{"top`, `stream.gapchannel:b*{"top`}; !slices.Equal(got, want) {
		t.Errorf("after a reconnect: got %q, want %q", got, want)
	}
	again := g.subscribe("?channel=a&channel=b*", "Last-Event-ID", behind.id)
	if f := again.next(); f.data != "after" || !again.opened.Resumed {
		t.Errorf("with the id of the gap: got %+v", f)
	}
}

func TestFaults_NewSubscribersWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	s := g.subscribe("?channel=a")
	g.redis.Kill()
	eventually(t, "not ready", func() bool { return g.get("/readyz").status == http.StatusServiceUnavailable })
	// The subscribed connection may notice the failure later than the pool does.
	eventually(t, "known to be away", func() bool { return strings.Contains(g.log.String(), "redis pub/sub connection lost") })
	checkRejected(t, g, "?channel=a", "unavailable")
	checkRejected(t, g, "?channel=new", "unavailable")
	g.redis.Restart()
	s.gap()
	eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })
	n := g.subscribe("?channel=new")
	g.publish("new", "x")
	if f := n.next(); f.data != "x" {
		t.Errorf("got event %+v", f)
	}
}

// A client that may follow any channel must not disturb the gateway's own subscriptions.
func TestFaults_SubscribersKeepInternalChannelsOpen(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t, "--linger=0s")
	eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })
	channels, err := g.direct.PubSubChannels(t.Context(), "__sluice__*").Result()
	if err != nil || len(channels) == 0 {
		t.Fatalf("channels of the gateway are %q, %v", channels, err)
	}
	for _, name := range channels {
		topics := g.stat("topics")
		resp, cancel := func() (*http.Response, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/events?channel="+name, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := g.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp, cancel
		}()
		cancel()
		resp.Body.Close()
		eventually(t, "the topic is given up", func() bool { return g.stat("topics") <= topics && g.stat("connections") == 0 })
		counts, err := g.direct.PubSubNumSub(t.Context(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		if counts[name] != 1 {
			t.Errorf("after a client left, the gateway has %d subscriptions to %s, want 1", counts[name], name)
		}
	}
}

func TestFaults_StalledClientIsClosed(t *testing.T) {
	t.Parallel()
	for name, newClient := range map[string]func(*testing.T) *http.Client{"HTTP/1.1": newSmallReader, "HTTP/2": newH2C} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, "--write-timeout=500ms", "--history-bytes=64MiB")
			good := g.subscribe("?channel=a")
			g.request(newClient(t), "?channel=a") // The test does not read the response.
			const n = 160
			payload := strings.Repeat("x", 100<<10)
			go func() {
				for i := range n {
					g.publish("a", fmt.Sprint(i, " ", payload))
				}
			}()
			for i := range n {
				if f := good.next(); f.name != "" || !strings.HasPrefix(f.data, fmt.Sprint(i, " ")) {
					t.Fatalf("want event %d, got %.100q", i, f.data)
				}
			}
			eventually(t, "one connection left", func() bool { return g.stat("connections") == 1 })
			eventually(t, "a slow client in the figures", func() bool { return g.stat("slow_clients") == 1 })
			g.publish("a", "still there")
			if f := good.next(); f.data != "still there" {
				t.Errorf("other client: got %.100q", f.data)
			}
		})
	}
}

func TestFaults_SlowClientGetsExactGap(t *testing.T) {
	t.Parallel()
	g := start(t, "--history-events=16", "--write-timeout=1m")
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	resp, cancel := g.request(&http.Client{Transport: transport}, "?channel=a")
	const n = 240 // more than the socket buffers hold
	payload := strings.Repeat("x", 100<<10)
	for i := range n {
		g.publish("a", fmt.Sprint(i, " ", payload))
	}
	s := g.read(resp, cancel)
	s.readOpen()
	next, gaps := 0, 0
	for next < n {
		f := s.next()
		if f.name == "stream.gap" {
			var gap gapData
			f.decode(t, &gap)
			if gap.Reason != "slow-consumer" || gap.Lost == nil || *gap.Lost < 1 {
				t.Fatalf("got gap %+v", f)
			}
			next += int(*gap.Lost)
			gaps++
			continue
		}
		if !strings.HasPrefix(f.data, fmt.Sprint(next, " ")) {
			t.Fatalf("want event %d, got %.20q", next, f.data)
		}
		next++
	}
	if gaps == 0 {
		t.Error("got no gap: n is too small for this test")
	}
}

// The same with an interval, for which the server checks each event of a glob.
func TestFaults_SlowClientWithIntervalGetsGap(t *testing.T) {
	t.Parallel()
	g := start(t, "--history-events=16", "--write-timeout=1m")
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	resp, cancel := g.request(&http.Client{Transport: transport}, "?channel=a*&every=10ms")
	const n = 240 // more than the socket buffers hold
	payload := strings.Repeat("x", 100<<10)
	for i := range n {
		g.publish(fmt.Sprint("a", i), fmt.Sprint(i, " ", payload))
	}
	s := g.read(resp, cancel)
	s.readOpen()
	gaps, last := 0, ""
	for !strings.HasPrefix(last, fmt.Sprint(n-1, " ")) {
		f := s.next()
		if f.name == "stream.gap" {
			gaps++
		}
		last = f.data
	}
	if gaps == 0 {
		t.Error("events were lost, but got no gap")
	}
}

func TestShutdown_SendsCloseBetweenEvents(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t, "--drain=500ms", "--retry=1s")
		h2c := newH2C(t)
		var streams []*stream
		for i := range 12 {
			client := g.client
			if i%3 == 0 {
				client = h2c
			}
			streams = append(streams, g.subscribeWith(client, "?channel=a"))
		}
		// Events are published until the server stops.
		stop := make(chan struct{})
		var publishing sync.WaitGroup
		publishing.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				req, err := http.NewRequest(http.MethodPost, g.url+"/events?channel=a", strings.NewReader(fmt.Sprint(n)))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := g.client.Do(req)
				if err != nil {
					return // The server has stopped.
				}
				resp.Body.Close()
			}
		})
		for _, s := range streams {
			s.data(3)
		}
		g.stop()
		close(stop)
		publishing.Wait()
		retries := make(map[string]bool)
		for i, s := range streams {
			frames := s.end()
			last := frames[len(frames)-1]
			if last.name != "stream.close" || last.data != `{"reason":"draining"}` || last.retry == "" || last.hasID {
				t.Errorf("stream %d ends with %+v", i, last)
			}
			retries[last.retry] = true
			for _, f := range frames[:len(frames)-1] {
				if f.name != "" {
					t.Errorf("stream %d: unexpected event %+v", i, f)
				}
			}
			if s.err == nil || !strings.Contains(s.err.Error(), "EOF") || strings.Contains(s.err.Error(), "inside an event") {
				t.Errorf("stream %d: got error %v", i, s.err)
			}
		}
		if len(retries) < 3 {
			t.Errorf("got %d different retry times for 12 clients", len(retries))
		}
		if conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://")); err == nil {
			conn.Close()
			t.Error("the address still accepts connections")
		}
	})
}

func TestShutdown_ClosesIdleSubscriptions(t *testing.T) {
	t.Parallel()
	overEachTransport(t, func(t *testing.T, g *gateway, protoMajor int) {
		s := g.subscribe("?channel=a")
		if s.resp.ProtoMajor != protoMajor {
			t.Fatalf("got protocol %s", s.resp.Proto)
		}
		g.stop()
		frames := s.end()
		if len(frames) != 1 || frames[0].name != "stream.close" || frames[0].data != `{"reason":"draining"}` || frames[0].retry == "" {
			t.Errorf("the stream ends with %+v", frames)
		}
		if !errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF) {
			t.Errorf("the stream ends with error %v", s.err)
		}
	})
}

func TestShutdown_SpreadsClosesOverDrain(t *testing.T) {
	t.Parallel()
	g := start(t, "--drain=1s")
	const n = 5
	var streams []*stream
	for range n {
		streams = append(streams, g.subscribe("?channel=a"))
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		g.stop()
	}()
	// Closes are spread over time: when the first client is closed, others are still open.
	var closed, open int
	heard := make(chan int, n)
	for i, s := range streams {
		go func() {
			for f := range s.frames {
				if f.name == "stream.close" {
					heard <- i
				}
			}
		}()
	}
	<-heard
	closed = 1
	open = n - 1 - len(heard)
	if open == 0 {
		t.Error("all connections were closed at once")
	}
	for closed < n {
		select {
		case <-heard:
			closed++
		case <-time.After(testTimeout):
			t.Fatalf("only %d of %d clients got stream.close", closed, n)
		}
	}
	<-stopped
}

func TestShutdown_WithStalledClient(t *testing.T) {
	t.Parallel()
	g := start(t, "--write-timeout=300ms", "--history-bytes=64MiB")
	g.request(newSmallReader(t), "?channel=a")
	for range 160 {
		g.publish("a", strings.Repeat("x", 100<<10))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.stop()
	}()
	select {
	case <-done:
	case <-time.After(testTimeout):
		t.Error("the shutdown does not end")
	}
}

func TestNodes_ShareRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	one, two := startOn(t, redis), startOn(t, redis)
	a, b := one.subscribe("?channel=a"), two.subscribe("?channel=a")
	if a.opened.Node == b.opened.Node {
		t.Errorf("both nodes have the name %s", a.opened.Node)
	}
	one.publish("a", "1")
	two.publish("a", "2")
	for _, s := range []*stream{a, b} {
		if got := s.data(2); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("got events %q", got)
		}
	}
}
