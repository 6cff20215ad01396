package redis_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// connectLimited connects as a Redis user that may use only channels and keys that begin with
// "ok.".
func connectLimited(t *testing.T, server *redistest.Server, change ...func(*redis.Options)) *redis.Source {
	t.Helper()
	return connectLimitedWithLog(t, server, quiet, change...)
}

func connectLimitedWithLog(t *testing.T, server *redistest.Server, log *slog.Logger, change ...func(*redis.Options)) *redis.Source {
	t.Helper()
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "~ok.*", "~__sluice__:*", "resetchannels", "&ok.*", "&__sluice__:*", "&__redis__:invalidate")
	options, err := redis.ParseURL(strings.Replace(server.URL(), "redis://", "redis://gateway:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(options)
	}
	src := redis.Open(options, fmt.Sprintf("node%d", rand.Uint32()), someHistory, log)
	t.Cleanup(func() { _ = src.Close() })
	return src
}

func TestRedis_ForbiddenChannelStopsNoOther(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	allowed, a := follow(t, src, channelNamed("ok.a"))
	awaitLive(t, a)
	secret := src.Follow(channelNamed("secret"), newRecordingSink(t))
	if err := secret.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("forbidden channel: Live: got error %v", err)
	}
	server.Do("PUBLISH", "ok.a", "1")
	allowed.count(t, 1)
	if len(gapsIn(allowed.all())) != 0 {
		t.Error("the error interrupted another channel")
	}
}

// denials returns how many commands of the gateway Redis has denied.
func denials(t *testing.T, server *redistest.Server) int {
	t.Helper()
	total := 0
	for _, count := range regexp.MustCompile(`\bcount:(\d+)`).FindAllStringSubmatch(fmt.Sprint(server.Do("ACL", "LOG")), -1) {
		n, _ := strconv.Atoi(count[1])
		total += n
	}
	return total
}

// Retries do not interrupt other channels and are logged once.
func TestRedis_FollowsChannelOnceAllowed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logLines
	src := connectLimitedWithLog(t, server, newLog(&log))
	allowed, _ := follow(t, src, channelNamed("ok.a"))
	sink := newRecordingSink(t)
	secret := src.Follow(channelNamed("secret"), sink)
	eventually(t, "five refusals", func() bool { return denials(t, server) >= 5 })
	if err := secret.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("Live: got error %v", err)
	}
	server.Do("ACL", "SETUSER", "gateway", "&secret")
	eventually(t, "the channel is followed", func() bool { return secret.Live(t.Context()) == nil })
	server.Do("PUBLISH", "secret", "1")
	server.Do("PUBLISH", "ok.a", "1")
	checkValues(t, "the channel that is allowed now", sink.last(t, "1"), "1")
	checkValues(t, "the other channel", allowed.last(t, "1"), "1")
	if n := src.Reconnects(); n != 0 {
		t.Errorf("got %d reconnects", n)
	}
	if warnings := log.with("level=WARN"); len(warnings) != 1 || !strings.Contains(warnings[0], "NOPERM") {
		t.Errorf("got warnings %q", warnings)
	}
}

// Redis closes the connection of a user that is subscribed to a channel and loses the permission.
func TestRedis_ChannelForbiddenAtRunTime(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logLines
	src := connectLimitedWithLog(t, server, newLog(&log))
	other, _ := follow(t, src, channelNamed("ok.other"))
	sink, f := follow(t, src, channelNamed("ok.c"))
	for period := 1; period <= 2; period++ {
		before := denials(t, server)
		server.Do("ACL", "SETUSER", "gateway", "resetchannels", "&ok.other", "&__sluice__:*", "&__redis__:invalidate")
		other.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) == period })
		eventually(t, "five refusals", func() bool { return denials(t, server) >= before+5 })
		if err := f.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
			t.Errorf("while forbidden: Live: got error %v", err)
		}
		if gaps := gapsIn(sink.all()); len(gaps) != period-1 {
			t.Errorf("while forbidden: got gaps %v", gaps)
		}
		server.Do("ACL", "SETUSER", "gateway", "&ok.c")
		eventually(t, "the channel is followed", func() bool { return f.Live(t.Context()) == nil })
		server.Do("PUBLISH", "ok.c", period)
		notes := sink.last(t, fmt.Sprint(period))
		if gaps := gapsIn(notes); len(gaps) != period || len(notes) != 2*period {
			t.Errorf("period %d: got %v", period, notes)
		}
		server.Do("PUBLISH", "ok.other", period)
		if notes := other.last(t, fmt.Sprint(period)); len(notes) != 2*period {
			t.Errorf("period %d, other channel: got %v", period, notes)
		}
		if warnings := log.with("refuses"); len(warnings) != period {
			t.Errorf("period %d: got warnings %q", period, warnings)
		}
	}
}

// After a reconnect one command names all followed channels, and it fails as a whole.
func TestRedis_ForbiddenChannelKeepsOthersAfterReconnect(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	allowed, a := follow(t, src, channelNamed("ok.a"))
	awaitLive(t, a)
	secret := src.Follow(channelNamed("secret"), newRecordingSink(t))
	if err := secret.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("Live: got error %v", err)
	}
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "a gap", func() bool { return len(gapsIn(allowed.all())) == 1 })
	awaitLive(t, a)
	server.Do("PUBLISH", "ok.a", "2")
	eventually(t, "the message after it", func() bool {
		data := eventData(allowed.all())
		return len(data) > 0 && data[len(data)-1] == "2"
	})
	if err := readiness(t.Context(), src); err != nil {
		eventually(t, "readiness", func() bool { return readiness(t.Context(), src) == nil })
	}
}

// A retry cannot succeed, so the error is permanent.
func TestRedis_ForbiddenPublish(t *testing.T) {
	t.Parallel()
	src := connectLimited(t, redistest.Start(t))
	for _, kind := range event.Kinds {
		for _, m := range []source.Message{{Data: []byte("x")}, {Data: []byte("x"), IdempotencyKey: "k"}} {
			for name, allowed := range map[string]bool{"ok.a" + kind.String(): true, "secret": false} {
				topic := event.Literal(kind, name)
				_, err := src.Publish(t.Context(), topic, m)
				for _, err := range []error{err, src.PublishAll(t.Context(), topic, []source.Message{m, m})} {
					if allowed != (err == nil) || !allowed && !errors.Is(err, source.ErrForbidden) {
						t.Errorf("Publish to %s: got error %v", topic, err)
					}
				}
			}
		}
	}
}

func TestRedis_ForbiddenLiteralKey(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	allowed, _ := follow(t, src, keyNamed("ok.k"))
	secret := src.Follow(keyNamed("secret"), newRecordingSink(t))
	if err := secret.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("Live: got error %v", err)
	}
	server.Do("SET", "ok.k", "1")
	checkValues(t, "the other key", allowed.last(t, "1"), "null", "1")
}

func TestRedis_ForbiddenKeyOfGlobIsExcluded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("SET", "ok.1", "a")
	server.Do("SET", "secret", "x")
	server.Do("SET", "ok.2", "b")
	src := connectLimited(t, server)
	w, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "*"})
	if got := len(w.all()); got != 2 {
		t.Errorf("got %v", w.all())
	}
	server.Do("SET", "secret", "y")
	server.Do("SET", "ok.1", "c")
	if notes := w.last(t, "c"); len(notes) != 3 {
		t.Errorf("got %v", notes)
	}
}

// The value may change only while Redis forbids the key.
func TestRedis_KeyOfGlobAllowedAgainIsRead(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"SET", "DEL"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var unreadable atomic.Int64
			src := connectLimited(t, server, func(o *redis.Options) { o.KeyUnreadable = func() { unreadable.Add(1) } })
			server.Do("SET", "ok.1", "a")
			server.Do("SET", "ok.2", "b")
			w, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "*"})
			server.Do("ACL", "SETUSER", "gateway", "resetkeys", "~ok.2", "~__sluice__:*")
			want := "null"
			if change == "SET" {
				want = "a2"
				server.Do("SET", "ok.1", want)
			} else {
				server.Do("DEL", "ok.1")
			}
			server.Do("SET", "ok.2", "b2")
			w.last(t, "b2")
			if unreadable.Load() == 0 {
				t.Error("the excluded key is not counted")
			}
			server.Do("ACL", "SETUSER", "gateway", "~ok.1")
			w.last(t, want)
		})
	}
}

// A user without permission to track keys gets no key topics, and all other topics.
func TestRedis_ForbiddenTrackingAffectsKeysOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		rule []any
		want error
	}{
		{"tracking", []any{"-client|tracking"}, source.ErrForbidden},
		{"the channel", []any{"resetchannels", "&ok.*", "&__sluice__:*"}, source.ErrForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := connectLimited(t, server)
			server.Do(append([]any{"ACL", "SETUSER", "gateway"}, tt.rule...)...)
			for _, topic := range []event.Topic{keyNamed("ok.k"), {Kind: event.Key, Pattern: "ok.*"}} {
				f := src.Follow(topic, newRecordingSink(t))
				if err := f.Live(t.Context()); !errors.Is(err, tt.want) {
					t.Errorf("%s: Live: got error %v", topic, err)
				}
				f.Close()
			}
			w, _ := follow(t, src, channelNamed("ok.c"))
			server.Do("PUBLISH", "ok.c", "1")
			w.last(t, "1")
			follow(t, src, streamNamed("ok.s"))
		})
	}
}

// A server without CLIENT TRACKING supports no key topics.
func TestRedis_MissingTrackingIsUnsupported(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "CLIENT", "")
	src := connect(t, server, quiet)
	if err := src.Follow(keyNamed("k"), newRecordingSink(t)).Live(t.Context()); !errors.Is(err, source.ErrUnsupported) {
		t.Errorf("Live: got error %v", err)
	}
}

// Without one of these commands, streams are read at intervals, not in a loop without pauses.
func TestRedis_StreamsWithoutCommand(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"client|id", "xread"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			follow(t, connect(t, server, quiet), streamNamed("other"))
			src := connectLimited(t, server)
			server.Do("ACL", "SETUSER", "gateway", "-"+command)
			one, _ := follow(t, src, streamNamed("ok.1"))
			two, _ := follow(t, src, streamNamed("ok.2"))
			for n := 1; n <= 2; n++ {
				server.Do("XADD", "ok.1", "*", "data", n)
				server.Do("XADD", "ok.2", "*", "data", n)
				one.last(t, fmt.Sprint(n))
				two.last(t, fmt.Sprint(n))
			}
			checkValues(t, "first stream", one.all(), "1", "2")
			checkValues(t, "second stream", two.all(), "1", "2")

			// The blocking reads of the other source are the clock.
			reads, denied, cycles := commandCalls(t, server, "exec"), denials(t, server), commandCalls(t, server, "xread")
			eventually(t, "four blocking reads", func() bool { return commandCalls(t, server, "xread") >= cycles+4 })
			if n := commandCalls(t, server, "exec") - reads; n > 60 {
				t.Errorf("got %d reads of quiet streams", n)
			}
			if n := denials(t, server) - denied; n > 30 {
				t.Errorf("got %d denied commands", n)
			}
		})
	}
}

func TestRedis_StreamsWithoutClientCommand(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "CLIENT", "")
	var log logLines
	src := connect(t, server, newLog(&log))
	for _, name := range []string{"a", "b", "c"} { // b and c are new during a blocking read
		w, _ := follow(t, src, streamNamed(name))
		server.Do("XADD", name, "*", "data", "1")
		w.last(t, "1")
	}
	if warnings := log.with("streams cannot be read"); len(warnings) > 0 {
		t.Errorf("got warnings %q", warnings)
	}
}

func TestPublish_ForbiddenExpiry(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	server.Do("ACL", "SETUSER", "gateway", "-pexpire")
	_, err := src.Publish(t.Context(), event.Literal(event.Stream, "ok.s"), source.Message{Data: []byte("x"), TTL: time.Hour})
	if !errors.Is(err, source.ErrForbidden) {
		t.Errorf("got error %v, want %v", err, source.ErrForbidden)
	}
	if n := server.Do("EXISTS", "ok.s"); n != int64(0) {
		t.Errorf("got %v streams after a publish that failed", n)
	}
}

// Without XINFO no stream can be followed. The error names the stream, which must not be taken for
// the command that it is named after.
func TestStream_NameOfCommandWithoutXINFO(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "XINFO", "")
	src := openRedis(t, server.URL())
	for _, name := range []string{"other", "eval_ro"} {
		following := src.Follow(streamNamed(name), newRecordingSink(t))
		if err := following.Live(t.Context()); err == nil {
			t.Errorf("stream %s: Live: got no error", name)
		}
		following.Close()
	}
	if calls := commandCalls(t, server, "multi"); calls > 20 {
		t.Errorf("got %d transactions, want few", calls)
	}
}
