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

// checkInterrupted checks that a sink saw the message before, one gap, and the message
// after.
func checkInterrupted(t *testing.T, who string, r *recordingSink) {
	t.Helper()
	calls := r.all()
	if len(calls) != 3 || calls[0].data != "before" || !calls[1].isInterruption() || calls[2].data != "after" {
		t.Errorf("%s saw %+v, want before, one source-interrupted gap, after", who, calls)
	}
}

// followedForFaults follows some topics, each of which gets every message to p+"a".
func followedForFaults(t *testing.T, src source.Source, p string) map[string]*recordingSink {
	t.Helper()
	recorders := make(map[string]*recordingSink)
	for _, pattern := range []string{"a", "*", "[ab]"} {
		recorders[pattern], _ = follow(t, src, topicOf(t, "channel:"+p+pattern))
	}
	publish(t, src, p+"a", "before")
	for _, r := range recorders {
		r.count(t, 1)
	}
	return recorders
}

func TestRedis_KilledAndRestartedGivesEachTopicOneGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	recorders := followedForFaults(t, src, "p.")
	server.Kill()
	server.Restart()
	for _, r := range recorders {
		r.count(t, 2)
	}
	soon(t, "publish", func() bool { return published(t, src, "p.a", "after") })
	for who, r := range recorders {
		r.count(t, 3)
		checkInterrupted(t, who, r)
	}
}

func TestRedis_EveryInterruptionIsAGapOfItsOwn(t *testing.T) {
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
			t.Errorf("the sink saw %+v", r.all())
		}
	}
}

func TestRedis_KilledPubSubConnectionGivesEachTopicOneGap(t *testing.T) {
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

func TestRedis_ClosedTopicIsNotFollowedAgainAfterAnInterruption(t *testing.T) {
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
		t.Errorf("the closed one saw %+v", calls)
	}
}

func TestRedis_LiveFailsAtOnceWhileRedisIsKnownToBeAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	r, f := follow(t, src, channelNamed("a"))
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	soon(t, "Live to fail", func() bool { return f.Live(ctx) != nil })
	later := newRecordingSink(t)
	fLater := src.Follow(channelNamed("b"), later)
	for who, following := range map[string]source.Following{"followed before": f, "followed since": fLater} {
		if err := following.Live(ctx); !errors.Is(err, source.ErrUnavailable) {
			t.Errorf("%s: Live gives %v", who, err)
		}
	}
	if _, err := src.Publish(ctx, channelNamed("a"), text("")); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("Publish gives %v", err)
	}
	if err := readiness(ctx, src); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("Ready gives %v", err)
	}
	server.Restart()
	r.count(t, 1)
	for who, following := range map[string]source.Following{"followed before": f, "followed since": fLater} {
		soon(t, who+" to be live", func() bool { return following.Live(ctx) == nil })
	}
	soon(t, "publish", func() bool { return published(t, src, "b", "x") })
	// What was never live before has missed nothing.
	later.count(t, 1)
	checkValues(t, "what was followed while Redis was away", later.all(), "x")
}

func TestRedis_AwayAtTheStartThenThere(t *testing.T) {
	t.Parallel()
	server := redistest.Reserve(t)
	src := openRedis(t, server.URL())
	r := newRecordingSink(t)
	f := src.Follow(channelNamed("a"), r)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	if err := f.Live(ctx); !errors.Is(err, source.ErrUnavailable) {
		t.Fatalf("Live gives %v", err)
	}
	if err := readiness(ctx, src); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("Ready gives %v", err)
	}
	server.Restart()
	soon(t, "live", func() bool { return f.Live(ctx) == nil })
	soon(t, "publish", func() bool { return published(t, src, "a", "x") })
	r.count(t, 1)
	checkValues(t, "the sink", r.all(), "x")
	soon(t, "ready", func() bool { return readiness(ctx, src) == nil })
}

func TestRedis_LiveHeedsItsContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	follow(t, src, channelNamed("a")) // it is connected
	server.Pause()
	defer server.Continue()
	f := src.Follow(channelNamed("b"), newRecordingSink(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Live(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Live gives %v", err)
	}
}

func TestRedis_PausedShortlyLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	r, _ := follow(t, src, channelNamed("a"))
	server.Pause()
	// Without a wait for the answer, so that it lies in the server's socket.
	sent := make(chan error, 1)
	go func() {
		_, err := src.Publish(context.Background(), channelNamed("a"), text("x"))
		sent <- err
	}()
	server.Continue()
	if err := <-sent; err != nil {
		t.Skipf("the publish did not last: %v", err) // a machine that stood still for seconds
	}
	r.count(t, 1)
	checkValues(t, "the sink", r.all(), "x")
}

func TestRedis_ReadyFollowsTheServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := openRedis(t, server.URL())
	ready := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return readiness(ctx, src)
	}
	soon(t, "ready", func() bool { return ready() == nil })
	server.Pause()
	soon(t, "not ready while it is frozen", func() bool { return ready() != nil })
	server.Continue()
	soon(t, "ready again", func() bool { return ready() == nil })
	server.Stop()
	soon(t, "not ready while it is away", func() bool { return ready() != nil })
	server.Restart()
	soon(t, "ready after the restart", func() bool { return ready() == nil })
}

func TestRedis_GlobDoesNotShowReservedChannels(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	observer := server.Client().PSubscribe(t.Context(), "*")
	defer observer.Close()
	if _, err := observer.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	src := openRedis(t, server.URL())
	own, _ := follow(t, src, topicOf(t, "channel:__sluice__:*"))
	star, _ := follow(t, src, topicOf(t, "channel:*"))
	set, _ := follow(t, src, topicOf(t, "channel:[a_]*"))
	underscores, _ := follow(t, src, topicOf(t, "channel:__*"))
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	for range 2 {
		if _, err := observer.ReceiveMessage(ctx); err != nil {
			t.Fatalf("no probe: %v", err)
		}
	}
	publish(t, src, "a", "x")
	publish(t, src, "__b", "y") // reserved: only a glob that begins with __ shows it
	publish(t, src, "a", "z")
	star.count(t, 2)
	set.count(t, 2)
	checkValues(t, "*", star.all(), "x", "z")
	checkValues(t, "[a_]*", set.all(), "x", "z")
	underscores.count(t, 1)
	checkValues(t, "__*", underscores.all(), "y")
	checkValues(t, "the gateways' own", own.all()) // which came before those
}

func TestRedis_TwoNodesSeeEachOthersMessages(t *testing.T) {
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

func TestRedis_PasswordOpensOrIsNamedAsTheFault(t *testing.T) {
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
			ctx, cancel := context.WithTimeout(t.Context(), longest)
			defer cancel()
			live := src.Follow(channelNamed("a"), newRecordingSink(t)).Live(ctx)
			_, publish := src.Publish(ctx, channelNamed("a"), text(""))
			for what, err := range map[string]error{
				"Live":    live,
				"Publish": publish,
				"Ready":   readiness(ctx, src),
			} {
				if !errors.Is(err, source.ErrUnavailable) {
					t.Errorf("%s gives %v", what, err)
				}
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s tells the password: %v", what, err)
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

func TestParseRedisURL_ErrorsSayWhatToChange(t *testing.T) {
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

func TestParseRedisURL_ErrorsDoNotTellThePassword(t *testing.T) {
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
		// Passwords with what should have been percent-encoded.
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
				t.Skip("it is an address")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells the password: %v", err)
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error is not one line: %q", err)
			}
		})
	}
}

// A connection whose bytes are swallowed on the way gives no error: only a probe that
// does not come back shows it.
func TestRedis_HalfDeadConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	src := openRedis(t, "redis://"+proxy.Addr())
	recorders := followedForFaults(t, src, "p.")
	proxy.SwallowSubscribed()
	publish(t, src, "p.a", "missed")
	for _, r := range recorders {
		r.count(t, 2)
	}
	publish(t, src, "p.a", "after")
	for who, r := range recorders {
		r.count(t, 3)
		checkInterrupted(t, who, r)
	}
	soon(t, "ready", func() bool { return readiness(t.Context(), src) == nil })
	if proxy.Vanished() == 0 {
		t.Error("the proxy swallowed nothing: the test tests nothing")
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

// counter is a sink that counts.
type counter chan struct{}

func (c counter) Begin(source.Position)              {}
func (c counter) Event(event.Event, source.Position) { c <- struct{}{} }
func (c counter) Gap(source.Gap)                     {}
