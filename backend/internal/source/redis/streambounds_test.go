package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

const mib = 1 << 20

// addLarge adds n entries of 1 MiB to a stream in a script, so the test does not send them.
func addLarge(server *redistest.Server, name string, n int) {
	server.Do("EVAL", "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'data', i .. string.rep('x', 1048576)) end", 1, name, n)
}

// outputBytes returns the number of bytes that the server has sent.
func outputBytes(t testing.TB, server *redistest.Server) int {
	t.Helper()
	text, _ := server.Do("INFO", "stats").(string)
	_, rest, _ := strings.Cut(text, "total_net_output_bytes:")
	var n int
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRedisStream_ReadsFewLargeEntries(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	addLarge(server, "old", 64)
	before := outputBytes(t, server)
	follow(t, src, streamNamed("old"))
	if sent := outputBytes(t, server) - before; sent > 16*mib {
		t.Errorf("got %d MiB of reads to fill a journal of 1 MiB", sent/mib)
	}
	page, err := src.Range(t.Context(), streamNamed("old"), source.Range{UpTo: event.MaxStreamID, Count: 512})
	if err != nil || len(page.Entries) == 0 || len(page.Entries) > 8 || !page.More {
		t.Errorf("page of up to 512 entries: got %d, more: %v, error: %v", len(page.Entries), page.More, err)
	}
	w, _ := follow(t, src, streamNamed("new"))
	calls, before := commandCalls(t, server, "xrange"), outputBytes(t, server)
	addLarge(server, "new", 64)
	w.count(t, 64)
	if n := commandCalls(t, server, "xrange") - calls; n < 64/8 {
		t.Errorf("got %d reads for 64 entries of 1 MiB", n)
	}
	if sent := outputBytes(t, server) - before; sent > 3*64*mib { // each page has the last entry again
		t.Errorf("got %d MiB for 64 entries of 1 MiB", sent/mib)
	}
}

// Large entries are read once, not again with the state of their stream.
func TestRedisStream_LargeEntriesAreReadOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T, server *redistest.Server) source.Source{
		"with scripts": func(t *testing.T, server *redistest.Server) source.Source { return connect(t, server, quiet) },
		"without scripts": func(t *testing.T, server *redistest.Server) source.Source {
			src := connectLimited(t, server)
			server.Do("ACL", "SETUSER", "gateway", "-eval_ro")
			return src
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := open(t, server)
			addLarge(server, "ok.s", 1)
			w, f := follow(t, src, streamNamed("ok.s"))
			awaitLive(t, f)
			w.count(t, 1)
			server.Do("XADD", "ok.s", "*", "data", "0") // read with the large one
			w.count(t, 2)
			before := outputBytes(t, server)
			const n = 20
			for i := range n {
				server.Do("XADD", "ok.s", "*", "data", i)
				if err := f.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.count(t, n+2)
			sent := outputBytes(t, server) - before
			if name == "with scripts" && sent > mib {
				t.Errorf("Redis sent %d KiB for %d small entries", sent>>10, n)
			}
			server.Do("DEL", "ok.s")
			if err := f.Sync(t.Context()); err != nil {
				t.Error(err)
			}
			server.Do("SET", "ok.s", "x")
			if err := src.Follow(streamNamed("ok.s"), newRecordingSink(t)).Live(t.Context()); !errors.Is(err, source.ErrWrongType) {
				t.Errorf("another type: got error %v, want %v", err, source.ErrWrongType)
			}
		})
	}
}

// An entry that exceeds the limit of a reply is read alone.
func TestRedisStream_ReadsEntryOfAnySize(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	for n := 1; n <= 2; n++ {
		server.Do("EVAL", "redis.call('XADD', KEYS[1], '*', 'data', string.rep('x', 9437184)) redis.call('XADD', KEYS[1], '*', 'data', ARGV[1])", 1, "s", n)
	}
	notes := w.last(t, "2")
	if len(notes) != 4 || len(gapsIn(notes)) > 0 {
		t.Errorf("got %v", notes)
	}
	again, _ := follow(t, src, streamNamed("s2"))
	server.Do("COPY", "s", "s2")
	again.last(t, "2")
}

// The read timeout counts from the newest received data, so an entry may take longer.
func TestRedisStream_ReadsEntrySlowerThanTimeout(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	options, err := redis.ParseURL("redis://" + proxy.Addr() + "?read_timeout=1s")
	if err != nil {
		t.Fatal(err)
	}
	src := redis.Open(options, "node", someHistory, quiet)
	t.Cleanup(func() { _ = src.Close() })
	w, _ := follow(t, src, streamNamed("s"))
	proxy.Slow(100 * time.Millisecond) // 1 MiB takes 3.2 s
	addLarge(server, "s", 1)
	w.count(t, 1)
}

// Reads of a backlog that time out are repeated with fewer entries, and delay no other stream.
func TestRedisStream_ReadsBacklogWithShortTimeout(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options, err := redis.ParseURL(server.URL() + "?read_timeout=150ms")
	if err != nil {
		t.Fatal(err)
	}
	src := redis.Open(options, "node", someHistory, quiet)
	t.Cleanup(func() { _ = src.Close() })
	large, _ := follow(t, src, streamNamed("large"))
	other, _ := follow(t, src, streamNamed("other"))
	addLarge(server, "large", 64)
	for n := 1; n <= 20; n++ {
		server.Do("XADD", "other", "*", "data", n)
		other.last(t, fmt.Sprint(n))
	}
	checkValues(t, "the other stream", other.all(), numbers(1, 20)...)
	var notes []call
	for n := 8; n <= 64; n += 8 { // each of these reads can be slow on a busy machine
		notes = large.count(t, n)
	}
	if gaps := gapsIn(notes); len(gaps) > 0 {
		t.Errorf("backlog: got gaps %v", gaps)
	}
}

// blockingSink blocks the read that fills the journal of its stream.
type blockingSink struct {
	*recordingSink
	blocked chan<- struct{}
	release <-chan struct{}
}

func (s blockingSink) Begin(at source.Position) {
	s.blocked <- struct{}{}
	<-s.release
	s.recordingSink.Begin(at)
}

// Entries of a live stream are delivered while the reads that fill the journals of 20 other
// streams do not end.
func TestRedisStream_BacklogsDoNotDelayLiveStreams(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	live, _ := follow(t, src, streamNamed("live"))
	const streams = 20
	blocked, release := make(chan struct{}, streams), make(chan struct{})
	unblock := sync.OnceFunc(func() { close(release) })
	defer unblock() // the source waits for the reads when it is closed
	var others []source.Following
	for n := range streams {
		others = append(others, src.Follow(streamNamed(fmt.Sprint("old", n)), blockingSink{newRecordingSink(t), blocked, release}))
	}
	for n := range 4 {
		<-blocked
		server.Do("XADD", "live", "*", "data", n)
		live.last(t, fmt.Sprint(n))
	}
	unblock()
	for _, f := range others {
		awaitLive(t, f)
	}
}

// The first event can arrive before its read has ended.
func TestRedisStream_LiveWaitsForReadAfterRefusal(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	blocked, release := make(chan struct{}), make(chan struct{})
	f := src.Follow(streamNamed("secret"), blockingSink{newRecordingSink(t), blocked, release})
	unblock := sync.OnceFunc(func() { close(release) })
	defer unblock()
	if err := f.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("Live: got error %v", err)
	}
	server.Do("ACL", "SETUSER", "gateway", "~secret")
	<-blocked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Live(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Live during the read: got error %v", err)
	}
	unblock()
	awaitLive(t, f)
}

func TestRedisStream_ForbiddenStreamStopsNoOther(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	allowed, _ := follow(t, src, streamNamed("ok.a"))
	revoked, r := follow(t, src, streamNamed("ok.b"))
	if err := src.Follow(streamNamed("secret"), newRecordingSink(t)).Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("forbidden stream: Live: got error %v", err)
	}
	server.Do("XADD", "ok.a", "*", "data", "1")
	allowed.last(t, "1")
	server.Do("ACL", "SETUSER", "gateway", "resetkeys", "~ok.a", "~ok.new", "~__sluice__:*")
	server.Do("XADD", "ok.b", "*", "data", "1")
	eventually(t, "the stream is refused", func() bool { return errors.Is(r.Live(t.Context()), source.ErrForbidden) })
	for n := 2; n <= 5; n++ {
		server.Do("XADD", "ok.a", "*", "data", n)
		allowed.last(t, fmt.Sprint(n))
	}
	follow(t, src, streamNamed("ok.new"))
	if _, err := src.Range(t.Context(), streamNamed("ok.b"), source.Range{UpTo: event.MaxStreamID, Count: 1}); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("Range of a forbidden stream: got error %v", err)
	}
	// No entry is lost after Redis allows the stream again.
	server.Do("ACL", "SETUSER", "gateway", "~ok.b")
	server.Do("XADD", "ok.b", "*", "data", "2")
	revoked.last(t, "2")
	checkValues(t, "the stream that was forbidden", revoked.all(), "1", "2")
	checkValues(t, "the other stream", allowed.all(), numbers(1, 5)...)
}

// The states of quiet streams are checked without reading all their entries at once.
func TestRedisStream_FindsDeletionsInQuietStreams(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	var sinks []*recordingSink
	for n := range 20 {
		addLarge(server, fmt.Sprint("s", n), 1)
		w, _ := follow(t, src, streamNamed(fmt.Sprint("s", n)))
		sinks = append(sinks, w)
	}
	for n := range sinks {
		server.Do("DEL", fmt.Sprint("s", n))
	}
	for _, w := range sinks {
		w.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) == 1 })
	}
}

// BenchmarkRedisStream_Live measures the time from XADD to the sink, alone and while the journals
// of other streams are filled.
func BenchmarkRedisStream_Live(b *testing.B) {
	for _, filling := range []bool{false, true} {
		b.Run(fmt.Sprint("filling=", filling), func(b *testing.B) {
			server := redistest.Start(b)
			src := connect(b, server, quiet)
			live := make(counter, 1)
			awaitLive(b, src.Follow(streamNamed("live"), live))
			server.Do("EVAL", "for i = 1, 20000 do redis.call('XADD', KEYS[1], i, 'data', i) end", 1, "old")
			done := make(chan struct{})
			go func() {
				defer close(done)
				for filling && b.Context().Err() == nil {
					f := src.Follow(streamNamed("old"), make(counter, 1<<15))
					_ = f.Live(b.Context()) // ends with the benchmark
					f.Close()
				}
			}()
			client := server.Client()
			for b.Loop() {
				if err := client.Do(b.Context(), "XADD", "live", "*", "data", "x").Err(); err != nil {
					b.Fatal(err)
				}
				<-live
			}
			if !filling {
				<-done
			}
		})
	}
}
