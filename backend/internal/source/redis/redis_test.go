package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// checkInterrupted checks that a sink got the message before, one gap, and the message after.
func checkInterrupted(t *testing.T, who string, r *recordingSink) {
	t.Helper()
	calls := r.all()
	if len(calls) != 3 || calls[0].data != "before" || !calls[1].isInterruption() || calls[2].data != "after" {
		t.Errorf("%s: got %+v, want before, one source-interrupted gap, after", who, calls)
	}
}

// followedForFaults follows several topics that all match messages to p+"a".
func followedForFaults(t *testing.T, src source.Source, p string) map[string]*recordingSink {
	t.Helper()
	recorders := make(map[string]*recordingSink)
	for _, pattern := range []string{"a", "*", "[ab]"} {
		recorders[pattern], _ = follow(t, src, parseTopic(t, "channel:"+p+pattern))
	}
	publish(t, src, p+"a", "before")
	for _, r := range recorders {
		r.count(t, 1)
	}
	return recorders
}

func TestRedis_RestartIsOneGapPerTopic(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	recorders := followedForFaults(t, src, "p.")
	server.Kill()
	server.Restart()
	for _, r := range recorders {
		r.count(t, 2)
	}
	eventually(t, "publish", func() bool { return published(t, src, "p.a", "after") })
	for who, r := range recorders {
		r.count(t, 3)
		checkInterrupted(t, who, r)
	}
}

func TestRedis_EachInterruptionIsOneGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	r, _ := follow(t, src, channelNamed("a"))
	for i := 1; i <= 3; i++ {
		server.Do("CLIENT", "KILL", "TYPE", "pubsub")
		r.count(t, i)
	}
	for _, call := range r.all() {
		if !call.isInterruption() {
			t.Errorf("got %+v", r.all())
		}
	}
}

func TestRedis_KilledPubSubConnectionIsOneGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	recorders := followedForFaults(t, src, "p.")
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	for _, r := range recorders {
		r.count(t, 2)
	}
	publish(t, src, "p.a", "after")
	for who, r := range recorders {
		r.count(t, 3)
		checkInterrupted(t, who, r)
	}
}

func TestRedis_ClosedTopicStaysClosedAfterReconnect(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	closed, f := follow(t, src, channelNamed("closed"))
	open, _ := follow(t, src, channelNamed("open"))
	f.Close()
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	open.count(t, 1)
	publish(t, src, "closed", "x")
	publish(t, src, "open", "y")
	open.count(t, 2)
	if calls := closed.all(); len(calls) > 0 {
		t.Errorf("closed topic: got %+v", calls)
	}
}

func TestRedis_LiveFailsFastWhileDisconnected(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	r, f := follow(t, src, channelNamed("a"))
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	eventually(t, "Live to fail", func() bool { return f.Live(ctx) != nil })
	later := newRecordingSink(t)
	fLater := src.Follow(channelNamed("b"), later)
	for who, following := range map[string]source.Following{"followed before": f, "followed since": fLater} {
		if err := following.Live(ctx); !errors.Is(err, source.ErrUnavailable) {
			t.Errorf("%s: Live: got error %v", who, err)
		}
	}
	if _, err := src.Publish(ctx, channelNamed("a"), text("")); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("Publish: got error %v", err)
	}
	if err := readiness(ctx, src); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("Ready: got error %v", err)
	}
	server.Restart()
	r.count(t, 1)
	for who, following := range map[string]source.Following{"followed before": f, "followed since": fLater} {
		eventually(t, who+" to be live", func() bool { return following.Live(ctx) == nil })
	}
	eventually(t, "publish", func() bool { return published(t, src, "b", "x") })
	// A topic that was not live before has lost no message.
	later.count(t, 1)
	checkValues(t, "what was followed while Redis was away", later.all(), "x")
}

func TestRedis_StartsLater(t *testing.T) {
	t.Parallel()
	server := redistest.Reserve(t)
	src := openRedis(t, server.URL())
	r := newRecordingSink(t)
	f := src.Follow(channelNamed("a"), r)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := f.Live(ctx); !errors.Is(err, source.ErrUnavailable) {
		t.Fatalf("Live: got error %v", err)
	}
	if err := readiness(ctx, src); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("Ready: got error %v", err)
	}
	server.Restart()
	eventually(t, "live", func() bool { return f.Live(ctx) == nil })
	eventually(t, "publish", func() bool { return published(t, src, "a", "x") })
	r.count(t, 1)
	checkValues(t, "the sink", r.all(), "x")
	eventually(t, "ready", func() bool { return readiness(ctx, src) == nil })
}

func TestRedis_LiveObservesContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	follow(t, src, channelNamed("a")) // the source is connected after this
	server.Pause()
	defer server.Continue()
	f := src.Follow(channelNamed("b"), newRecordingSink(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Live(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Live: got error %v", err)
	}
}

func TestRedis_ShortPauseLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	r, _ := follow(t, src, channelNamed("a"))
	server.Pause()
	// Does not wait for the reply, so the command stays in the socket of the server.
	sent := make(chan error, 1)
	go func() {
		_, err := src.Publish(context.Background(), channelNamed("a"), text("x"))
		sent <- err
	}()
	server.Continue()
	if err := <-sent; err != nil {
		t.Skipf("publish failed on a slow machine: %v", err)
	}
	r.count(t, 1)
	checkValues(t, "the sink", r.all(), "x")
}

func TestRedis_ReadyFollowsServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	ready := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return readiness(ctx, src)
	}
	eventually(t, "ready", func() bool { return ready() == nil })
	server.Pause()
	eventually(t, "not ready while it is frozen", func() bool { return ready() != nil })
	server.Continue()
	eventually(t, "ready again", func() bool { return ready() == nil })
	server.Stop()
	eventually(t, "not ready while it is away", func() bool { return ready() != nil })
	server.Restart()
	eventually(t, "ready after the restart", func() bool { return ready() == nil })
}

func TestRedis_GlobExcludesReservedChannels(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	observer := server.Client().PSubscribe(t.Context(), "*")
	defer observer.Close()
	if _, err := observer.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	src := openRedis(t, server.URL())
	own, _ := follow(t, src, parseTopic(t, "channel:__sluice__:*"))
	star, _ := follow(t, src, parseTopic(t, "channel:*"))
	set, _ := follow(t, src, parseTopic(t, "channel:[a_]*"))
	underscores, _ := follow(t, src, parseTopic(t, "channel:__*"))
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for range 2 {
		if _, err := observer.ReceiveMessage(ctx); err != nil {
			t.Fatalf("got no probe: %v", err)
		}
	}
	publish(t, src, "a", "x")
	publish(t, src, "__b", "y") // reserved: delivered only to a glob that begins with __
	publish(t, src, "a", "z")
	star.count(t, 2)
	set.count(t, 2)
	checkValues(t, "*", star.all(), "x", "z")
	checkValues(t, "[a_]*", set.all(), "x", "z")
	underscores.count(t, 1)
	checkValues(t, "__*", underscores.all(), "y")
	checkValues(t, "the gateways' own", own.all()) // published before the others
}

func TestRedis_NodesReceiveEachOthersMessages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := openRedis(t, server.URL()), openRedis(t, server.URL())
	r1, _ := follow(t, one, channelNamed("a"))
	r2, _ := follow(t, two, channelNamed("a"))
	publish(t, one, "a", "1")
	publish(t, two, "a", "2")
	for _, r := range []*recordingSink{r1, r2} {
		r.count(t, 2)
		checkValues(t, "a node", r.all(), "1", "2")
	}
}

func TestRedis_PasswordErrors(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-is-secret"
	server := redistest.Start(t, "--requirepass", secret)
	t.Run("right", func(t *testing.T) {
		t.Parallel()
		src := openRedis(t, "redis://:"+secret+"@"+server.Addr())
		r, _ := follow(t, src, channelNamed("right"))
		publish(t, src, "right", "x")
		r.count(t, 1)
		checkValues(t, "the sink", r.all(), "x")
	})
	for name, userinfo := range map[string]string{
		"wrong": ":wrong-" + secret + "@",
		"none":  "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := openRedis(t, "redis://"+userinfo+server.Addr())
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			live := src.Follow(channelNamed("a"), newRecordingSink(t)).Live(ctx)
			_, publish := src.Publish(ctx, channelNamed("a"), text(""))
			for what, err := range map[string]error{
				"Live":    live,
				"Publish": publish,
				"Ready":   readiness(ctx, src),
			} {
				if !errors.Is(err, source.ErrUnavailable) {
					t.Errorf("%s: got error %v", what, err)
				}
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s: the error contains the password: %v", what, err)
				}
			}
		})
	}
}

func TestParseRedisURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"redis://127.0.0.1:6379", "redis://localhost", "redis://user:pass@example.com:6380/2",
		"rediss://example.com:6380", "unix:///run/redis.sock",
		"redis-sentinel://127.0.0.1:26379?addr=127.0.0.1:26380&master_name=main",
		"rediss-sentinel://watcher:pass@example.com/2?master_name=main&username=user&password=pass",
		"redis-cluster://127.0.0.1:7000?addr=127.0.0.1:7001&addr=127.0.0.1:7002", "rediss-cluster://user:pass@example.com",
	} {
		if _, err := redis.ParseURL(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestParseRedisURL_ErrorsNameFix(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://127.0.0.1":                                           "scheme",
		"redis-sentinel://127.0.0.1:26379":                           "master_name",
		"redis-sentinel://127.0.0.1?master_name=m&replica_only=true": "replica_only",
		"redis-cluster://127.0.0.1:7000/1":                           "database",
		"redis-cluster://127.0.0.1:7000?read_only=true":              "read_only",
	} {
		if _, err := redis.ParseURL(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestParseRedisURL_ErrorsHidePassword(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, address := range []string{
		"http://:" + secret + "@127.0.0.1:6379",
		":" + secret + "@127.0.0.1:6379",
		"redis:/:" + secret + "@127.0.0.1:6379",
		"redis//:" + secret + "@127.0.0.1:6379",
		"redis://:" + secret + "@127.0.0.1:port",
		"redis://:" + secret + "@127.0.0.1:6379/database",
		"redis://:" + secret + "@127.0.0.1:6379/0/1",
		"redis://:" + secret + "@[::1",
		"redis://:" + secret + "%zz@127.0.0.1:6379",
		"redis://:%zz" + secret + "@127.0.0.1:6379",
		"redis://:" + secret + " @127.0.0.1:6379",
		"redis://:" + secret + "\x7f@127.0.0.1:6379",
		"redis://:" + secret + "@127.0.0.1:6379?read_timeout=x",
		"redis://:" + secret + "@127.0.0.1:6379?nonsense=1",
		// Passwords with characters that must be percent-encoded.
		"redis://:" + secret + "/x@127.0.0.1:6379",
		"redis://:" + secret + "#x@127.0.0.1:6379",
		"redis://:" + secret + "?x@127.0.0.1:6379",
		"redis://:57#" + secret + "@127.0.0.1:6379",
		"redis-cluster://:57#" + secret + "@127.0.0.1:7000",
		"redis-cluster://:57/" + secret + "@127.0.0.1:7000",
		"unix://:57#" + secret + "@/run/redis.sock",
		"redis://:x/" + secret + "@127.0.0.1:6379",
		"redis://:x?" + secret + "@127.0.0.1:6379",
		"redis://user:x?" + secret + "=@127.0.0.1:6379",
		"redis-sentinel://:" + secret + "@127.0.0.1:26379",
		"redis-sentinel://127.0.0.1:26379?master_name=main&password=" + secret + "&nonsense=" + secret,
		"redis-cluster://:" + secret + "@127.0.0.1:7000/1",
		"redis-cluster://:" + secret + "@127.0.0.1:7000?addr=" + secret,
		"redis-clusters://:" + secret + "@127.0.0.1:7000",
		"unix-cluster://:" + secret + "@127.0.0.1:7000",
	} {
		t.Run(url.PathEscape(address), func(t *testing.T) {
			t.Parallel()
			_, err := redis.ParseURL(address)
			if err == nil {
				t.Skip("it is a valid URL")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error contains the password: %v", err)
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error is not one line: %q", err)
			}
		})
	}
}

// A proxy drops all bytes of a connection. This causes no error, so only a missing probe shows it.
func TestRedis_HalfDeadConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	src := openRedis(t, "redis://"+proxy.Addr())
	recorders := followedForFaults(t, src, "p.")
	proxy.DropSubscribed()
	publish(t, src, "p.a", "missed")
	for _, r := range recorders {
		r.count(t, 2)
	}
	publish(t, src, "p.a", "after")
	for who, r := range recorders {
		r.count(t, 3)
		checkInterrupted(t, who, r)
	}
	eventually(t, "ready", func() bool { return readiness(t.Context(), src) == nil })
	if proxy.Dropped() == 0 {
		t.Error("the proxy dropped no bytes")
	}
}

func BenchmarkRedis_Deliver(b *testing.B) {
	server := redistest.Start(b)
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{64, 1024, 65536} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			src := redis.Open(options, "bench", fill, discard)
			defer src.Close()
			arrived := make(counter, 1024)
			if err := src.Follow(channelNamed("a"), arrived).Live(b.Context()); err != nil {
				b.Fatal(err)
			}
			payload := bytes.Repeat([]byte("x"), size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := src.Publish(b.Context(), channelNamed("a"), source.Message{Data: payload}); err != nil {
					b.Fatal(err)
				}
				<-arrived
			}
		})
	}
}

// counter is a sink that sends on a channel for each event.
type counter chan struct{}

func (c counter) Begin(source.Position)              {}
func (c counter) Event(event.Event, source.Position) { c <- struct{}{} }
func (c counter) Gap(source.Gap)                     {}
