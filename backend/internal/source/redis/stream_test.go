package redis_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/memory"
	"sluice/internal/test/redistest"
)

func TestMemory_StreamContract(t *testing.T) {
	t.Parallel()
	testStreams(t, func(t *testing.T) (source.Source, source.Source) {
		t.Helper()
		src := memory.New(someHistory)
		t.Cleanup(func() { _ = src.Close() })
		return src, src
	})
}

func TestRedis_StreamContract(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	testStreams(t, func(t *testing.T) (source.Source, source.Source) {
		t.Helper()
		return connect(t, server, quiet), connect(t, server, quiet)
	})
}

// testStreams runs the contract tests for streams. open returns two sources of the same broker,
// which may be equal.
func testStreams(t *testing.T, open func(*testing.T) (one, other source.Source)) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, one, other source.Source)
	}{
		{"entries arrive in order with the ids of Publish", streamOrder},
		{"history precedes live entries and is bounded", streamHistory},
		{"a missing stream", streamNotYetThere},
		{"many streams at once", streamMany},
		{"types are kept", streamTypes},
		{"data arrives byte for byte", streamBytes},
		{"MaxLen trims the oldest", streamMaxLen},
		{"without MaxLen nothing is trimmed", streamNoMaxLen},
		{"a rejected publish with a TTL changes nothing", streamRejectedTTL},
		{"one idempotency key adds one entry", streamIdempotency},
		{"one idempotency key adds one entry, also concurrently", streamIdempotencyAtOnce},
		{"an idempotency key is per topic", streamIdempotencyPerTopic},
		{"an idempotency key of another request is rejected", streamIdempotencyKeyReused},
		{"an idempotency key of another batch is rejected, also concurrently", streamIdempotencyBatches},
		{"ranges", streamRange},
		{"a closed stream can be followed again", streamFollowAgain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			one, other := open(t)
			tt.test(t, one, other)
		})
	}
}

func streamOrder(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	w, _ := follow(t, one, topic)
	const n = 1200
	var ids []string
	for i := range n {
		src := one
		if i%2 == 0 {
			src = other
		}
		ids = append(ids, write(t, src, topic, source.Message{Data: fmt.Append(nil, i)}).String())
	}
	notes := w.count(t, n)
	checkValues(t, "the sink", notes, numbers(0, n-1)...)
	for i, got := range notes {
		if got.id != ids[i] || got.topic != topic {
			t.Fatalf("entry %d: got %v, want the id %s", i, got, ids[i])
		}
	}
}

func streamHistory(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	writeText(t, other, topic, numbers(1, 1000)...)
	w, _ := follow(t, one, topic)
	writeText(t, other, topic, numbers(1001, 1010)...)
	notes := w.last(t, "1010")
	values := eventData(notes)
	const page = 64 // Redis is read in pages
	if n := len(values) - 10; n < someHistory.Events || n > someHistory.Events+page {
		t.Errorf("got %d entries of the history, want about %d", n, someHistory.Events)
	}
	checkValues(t, "the sink", notes, numbers(1011-len(values), 1010)...)
	first, _ := event.ParseStreamID(notes[0].id)
	if w.after.Compare(first) >= 0 || w.after.IsZero() {
		t.Errorf("Begin(%s): got first entry %s", w.after, first)
	}

	short, _ := follow(t, one, streamNamed(uniquePrefix()+"short"))
	if len(short.all()) > 0 || !short.after.IsZero() {
		t.Errorf("empty stream: got Begin(%s) and %v", short.after, short.all())
	}
}

func streamNotYetThere(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	w, _ := follow(t, one, topic)
	if !w.after.IsZero() {
		t.Errorf("got Begin(%s)", w.after)
	}
	writeText(t, other, topic, "1", "2")
	w.last(t, "2")
	checkValues(t, "the sink", w.all(), "1", "2")
}

func streamMany(t *testing.T, one, other source.Source) {
	p := uniquePrefix()
	const n = 300
	sinks := make([]*recordingSink, n)
	following := make([]source.Following, n)
	for i := range n {
		sinks[i] = newRecordingSink(t)
		following[i] = one.Follow(streamNamed(fmt.Sprint(p, i)), sinks[i])
	}
	for i := range n {
		awaitLive(t, following[i])
	}
	for round := range 3 {
		for i := range n {
			writeText(t, other, streamNamed(fmt.Sprint(p, i)), fmt.Sprint(i, ".", round))
		}
	}
	for i, w := range sinks {
		checkValues(t, fmt.Sprint("stream ", i), w.count(t, 3), fmt.Sprint(i, ".0"), fmt.Sprint(i, ".1"), fmt.Sprint(i, ".2"))
	}
}

func streamTypes(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	w, _ := follow(t, one, topic)
	types := []string{"order.created", "", "ü", "a b", "streams", "keys.x", "opened", "Error"}
	for _, kind := range types {
		write(t, other, topic, source.Message{Data: []byte("{}"), Type: kind})
	}
	for i, n := range w.count(t, len(types)) {
		if n.eventType != types[i] || n.data != "{}" {
			t.Errorf("type %q: got %v", types[i], n)
		}
	}
}

func streamBytes(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	w, _ := follow(t, one, topic)
	texts := []string{"", "\x00", "a\r\nb", "\xff\xfe", "ü🚀", strings.Repeat("x", 1<<20)}
	writeText(t, other, topic, texts...)
	checkValues(t, "the sink", w.count(t, len(texts)), texts...)
}

func streamMaxLen(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	// Redis trims whole nodes of its tree, which have 100 entries each.
	for i := range 1000 {
		write(t, other, topic, source.Message{Data: fmt.Append(nil, i), MaxLen: 200})
	}
	page, err := one.Range(t.Context(), topic, source.Range{UpTo: event.MaxStreamID, Count: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(page.Entries); n < 200 || n > 300 || string(page.Entries[n-1].Data) != "999" {
		t.Errorf("got %d entries, the last %q; want about 200", n, page.Entries[n-1].Data)
	}
	if page.State.Added != 1000 || page.State.Length != uint64(len(page.Entries)) || page.State.First != page.Entries[0].ID {
		t.Errorf("got state %+v", page.State)
	}
}

func streamNoMaxLen(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	for i := range 3 {
		write(t, one, topic, source.Message{Data: []byte("x")})
		write(t, one, topic, source.Message{Data: []byte("x"), IdempotencyKey: fmt.Sprint(i)})
	}
	page, err := other.Range(t.Context(), topic, source.Range{UpTo: event.MaxStreamID, Count: 10})
	if err != nil || len(page.Entries) != 6 {
		t.Errorf("got %d entries, want 6; %v", len(page.Entries), err)
	}
}

func streamRejectedTTL(t *testing.T, one, _ source.Source) {
	topic := event.Literal(event.Stream, uniquePrefix()+"s")
	key := event.Literal(event.Key, topic.Name())
	write(t, one, key, source.Message{Data: []byte("x")})
	m := source.Message{Data: []byte("x"), TTL: time.Millisecond}
	for _, messages := range [][]source.Message{{m}, {m, m}} {
		if err := one.PublishAll(t.Context(), topic, messages); !errors.Is(err, source.ErrWrongType) {
			t.Errorf("PublishAll: got error %v, want %v", err, source.ErrWrongType)
		}
	}
	if _, err := one.Publish(t.Context(), topic, m); !errors.Is(err, source.ErrWrongType) {
		t.Errorf("Publish: got error %v, want %v", err, source.ErrWrongType)
	}
	time.Sleep(2 * m.TTL) // an expiry would be over
	sink, f := follow(t, one, key)
	awaitLive(t, f)
	checkValues(t, "the key", sink.all(), "x")
}

func streamIdempotency(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	w, _ := follow(t, one, topic)
	first := write(t, one, topic, source.Message{Data: []byte("1"), IdempotencyKey: "k", Type: "x", MaxLen: 10})
	again := write(t, other, topic, source.Message{Data: []byte("other data"), IdempotencyKey: "k", MaxLen: 10})
	next := write(t, other, topic, source.Message{Data: []byte("2"), IdempotencyKey: "k2", MaxLen: 10})
	if first != again || first == next || first.IsZero() {
		t.Errorf("got ids %s, %s and %s", first, again, next)
	}
	w.last(t, "2")
	checkValues(t, "the sink", w.all(), "1", "2")
	if kind := w.all()[0].eventType; kind != "x" {
		t.Errorf("got type %q", kind)
	}
}

func streamIdempotencyAtOnce(t *testing.T, one, other source.Source) {
	p := uniquePrefix()
	for round := range 30 {
		topic := streamNamed(fmt.Sprint(p, round))
		ids := make([]event.StreamID, 8)
		start := make(chan struct{})
		var running sync.WaitGroup
		for i := range ids {
			running.Go(func() {
				<-start
				src := one
				if i%2 == 0 {
					src = other
				}
				var err error
				ids[i], err = src.Publish(context.Background(), topic, source.Message{Data: []byte("x"), IdempotencyKey: "k", MaxLen: 10})
				if err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		running.Wait()
		page, err := one.Range(t.Context(), topic, source.Range{UpTo: event.MaxStreamID, Count: 10})
		if err != nil || len(page.Entries) != 1 {
			t.Fatalf("got %d entries, error %v", len(page.Entries), err)
		}
		for _, id := range ids {
			if id != page.Entries[0].ID {
				t.Fatalf("got ids %v, want the id %s of the entry", ids, page.Entries[0].ID)
			}
		}
	}
}

func streamIdempotencyPerTopic(t *testing.T, one, other source.Source) {
	p := uniquePrefix()
	for _, name := range []string{"a", "b", "a\nb"} {
		write(t, one, streamNamed(p+name), source.Message{Data: []byte("x"), IdempotencyKey: "k", MaxLen: 10})
		page, err := other.Range(t.Context(), streamNamed(p+name), source.Range{UpTo: event.MaxStreamID, Count: 10})
		if err != nil || len(page.Entries) != 1 {
			t.Errorf("stream %q: got %d entries, error %v", name, len(page.Entries), err)
		}
	}
}

func streamIdempotencyKeyReused(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	write(t, one, topic, source.Message{Data: []byte("1"), IdempotencyKey: "k", Fingerprint: "a"})
	_, err := other.Publish(t.Context(), topic, source.Message{Data: []byte("2"), IdempotencyKey: "k", Fingerprint: "b"})
	if !errors.Is(err, source.ErrKeyReused) || errors.Is(err, source.ErrUnavailable) {
		t.Errorf("other request with the same key: got error %v", err)
	}
	page, err := one.Range(t.Context(), topic, source.Range{UpTo: event.MaxStreamID, Count: 10})
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("got %d entries, error %v", len(page.Entries), err)
	}
}

// Batch i has i lines, so a rejected batch must not add the lines that only it has.
func streamIdempotencyBatches(t *testing.T, one, other source.Source) {
	p := uniquePrefix()
	const batches = 8
	for round := range 10 {
		topic := streamNamed(fmt.Sprint(p, round))
		var succeeded, refused atomic.Int32
		start := make(chan struct{})
		var running sync.WaitGroup
		for i := range batches {
			running.Go(func() {
				messages := make([]source.Message, i+1)
				for j := range messages {
					messages[j] = source.Message{Data: []byte("x"), IdempotencyKey: "k", Fingerprint: fmt.Sprint(i)}
				}
				<-start
				switch err := []source.Source{one, other}[i%2].PublishAll(context.Background(), topic, messages); {
				case err == nil:
					succeeded.Store(int32(len(messages)))
				case errors.Is(err, source.ErrKeyReused):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		close(start)
		running.Wait()
		page, err := one.Range(t.Context(), topic, source.Range{UpTo: event.MaxStreamID, Count: 100})
		if err != nil || len(page.Entries) != int(succeeded.Load()) || refused.Load() != batches-1 {
			t.Fatalf("got %d entries, want %d, error %v; %d of %d batches were rejected", len(page.Entries), succeeded.Load(), err, refused.Load(), batches)
		}
	}
}

func streamRange(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	empty, err := one.Range(t.Context(), topic, source.Range{UpTo: event.MaxStreamID, Count: 1})
	if err != nil || empty.State.Exists || len(empty.Entries) > 0 {
		t.Errorf("missing stream: got %+v, error %v", empty, err)
	}
	var ids []event.StreamID
	for i := range 10 {
		ids = append(ids, write(t, other, topic, source.Message{Data: fmt.Append(nil, i)}))
	}
	for _, tt := range []struct {
		name        string
		r           source.Range
		first, last int
	}{
		{"all", source.Range{UpTo: event.MaxStreamID, Count: 100}, 0, 9},
		{"after is exclusive", source.Range{After: ids[3], UpTo: event.MaxStreamID, Count: 100}, 4, 9},
		{"up to is inclusive", source.Range{After: ids[3], UpTo: ids[5], Count: 100}, 4, 5},
		{"no more than count", source.Range{After: ids[3], UpTo: event.MaxStreamID, Count: 2}, 4, 5},
		{"after the last", source.Range{After: ids[9], UpTo: event.MaxStreamID, Count: 2}, 0, -1},
		{"nothing between", source.Range{After: ids[4], UpTo: ids[4], Count: 2}, 0, -1},
	} {
		page, err := one.Range(t.Context(), topic, tt.r)
		var got []string
		for _, e := range page.Entries {
			got = append(got, string(e.Data))
		}
		if err != nil || !slices.Equal(got, numbers(tt.first, tt.last)) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		if s := page.State; s.First != ids[0] || s.Last != ids[9] || s.Added != 10 || s.Length != 10 || !s.Exists {
			t.Errorf("%s: got state %+v", tt.name, s)
		}
	}
}

func streamFollowAgain(t *testing.T, one, other source.Source) {
	topic := streamNamed(uniquePrefix() + "s")
	for i := range 20 {
		w := newRecordingSink(t)
		f := one.Follow(topic, w)
		if i%2 == 0 {
			awaitLive(t, f)
		}
		f.Close()
	}
	w, _ := follow(t, one, topic)
	writeText(t, other, topic, "1")
	w.last(t, "1")
	checkValues(t, "the one that is open", w.all(), "1")
}

// These tests need commands that only Redis has.

func TestRedisStream_EntriesBecomeEvents(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	for _, tt := range []struct {
		name       string
		fields     []any
		kind, data string
		object     map[string]any // if not nil, the wanted data as an object
	}{
		{name: "data", fields: []any{"data", "x"}, data: "x"},
		{name: "empty data", fields: []any{"data", ""}},
		{name: "data and event", fields: []any{"data", "x", "event", "order.created"}, kind: "order.created", data: "x"},
		{name: "event before data", fields: []any{"event", "e", "data", "x"}, kind: "e", data: "x"},
		{name: "data and others", fields: []any{"data", "x", "a", "1"}, object: map[string]any{"data": "x", "a": "1"}},
		{name: "data, event and others", fields: []any{"data", "x", "event", "e", "a", "1"}, object: map[string]any{"data": "x", "event": "e", "a": "1"}},
		{name: "data twice", fields: []any{"data", "x", "data", "y"}, object: map[string]any{"data": []any{"x", "y"}}},
		{name: "a field three times", fields: []any{"a", "1", "b", "2", "a", "3", "a", "4"}, object: map[string]any{"a": []any{"1", "3", "4"}, "b": "2"}},
		{name: "other fields", fields: []any{"temperature", "21.5", "unit", "<°C>"}, object: map[string]any{"temperature": "21.5", "unit": "<°C>"}},
		{name: "event without data is a field like others", fields: []any{"event", "e", "a", "1"}, object: map[string]any{"event": "e", "a": "1"}},
		{name: "names are case-sensitive", fields: []any{"Data", "x"}, object: map[string]any{"Data": "x"}},
		{name: "type stream.x is reserved", fields: []any{"data", "x", "event", "stream.gap"}, data: "x"},
		{name: "type key.x is reserved", fields: []any{"data", "x", "event", "key.deleted"}, data: "x"},
		{name: "type open is reserved", fields: []any{"data", "x", "event", "open"}, data: "x"},
		{name: "type error is reserved", fields: []any{"data", "x", "event", "error"}, data: "x"},
		{name: "type with LF", fields: []any{"data", "x", "event", "a\ndata: y"}, data: "x"},
		{name: "type with CR", fields: []any{"data", "x", "event", "a\rb"}, data: "x"},
		{name: "type with NUL", fields: []any{"data", "x", "event", "a\x00b"}, data: "x"},
		{name: "empty type", fields: []any{"data", "x", "event", ""}, data: "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := uniquePrefix() + "s"
			w, _ := follow(t, src, streamNamed(name))
			id := server.Do(append([]any{"XADD", name, "*"}, tt.fields...)...)
			got := w.count(t, 1)[0]
			if got.id != id || got.eventType != tt.kind {
				t.Errorf("got event %v, want the id %s and the type %q", got, id, tt.kind)
			}
			if tt.object == nil {
				if got.data != tt.data {
					t.Errorf("got data %q", got.data)
				}
				return
			}
			var object map[string]any
			if err := json.Unmarshal([]byte(got.data), &object); err != nil || fmt.Sprint(object) != fmt.Sprint(tt.object) {
				t.Errorf("got data %q, want %v", got.data, tt.object)
			}
			if strings.Contains(got.data, `\u00`) || strings.HasSuffix(got.data, "\n") {
				t.Errorf("got escaped characters in the data %q", got.data)
			}
		})
	}
}

func TestRedisStream_NewStreamInterruptsBlockingRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	follow(t, src, streamNamed("quiet"))
	// The reader waits for one stream in a blocking read. Each new stream interrupts that read.
	for i := range 20 {
		follow(t, src, streamNamed(fmt.Sprint("new", i)))
	}
	if n := commandCalls(t, server, "client|unblock"); n == 0 {
		t.Error("the blocking read was never interrupted")
	}
	reads := commandCalls(t, server, "xread")
	if reads > 200 {
		t.Errorf("got %d blocking reads", reads)
	}
}

// transaction runs commands in one MULTI.
func transaction(t testing.TB, client *goredis.Client, commands func(goredis.Pipeliner)) {
	t.Helper()
	_, err := client.TxPipelined(t.Context(), func(tx goredis.Pipeliner) error {
		commands(tx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func xadd(tx goredis.Pipeliner, name, id string, maxLen int64, data any) {
	tx.XAdd(context.Background(), &goredis.XAddArgs{Stream: name, ID: id, MaxLen: maxLen, Values: []any{"data", data}})
}

func TestRedisStream_TrimBeforeReadIsExactGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	for _, keep := range []int64{1, 3, 600} {
		t.Run(fmt.Sprint("keep=", keep), func(t *testing.T) {
			t.Parallel()
			src := connect(t, server, quiet)
			name := uniquePrefix() + "s"
			w, _ := follow(t, src, streamNamed(name))
			n := 0
			for burst := range 20 {
				transaction(t, client, func(tx goredis.Pipeliner) {
					for range burst * 70 {
						n++
						xadd(tx, name, "*", keep, n)
					}
				})
			}
			notes := w.last(t, fmt.Sprint(n))
			next := 1
			for _, got := range notes {
				if got.gap == nil {
					if got.data != fmt.Sprint(next) {
						t.Fatalf("got %v, want %d", got, next)
					}
					next++
					continue
				}
				if got.gap.Reason != event.HistoryExpired || got.gap.Lost <= 0 {
					t.Fatalf("got %v, want history-expired with a count", got)
				}
				next += int(got.gap.Lost)
			}
			if len(gapsIn(notes)) == 0 {
				t.Error("no entry was trimmed before it was read: the test needs more entries")
			}
		})
	}
}

func TestRedisStream_FullTrimIsExactGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	server.Do("XADD", "s", "*", "data", "1")
	w.last(t, "1")
	client := server.Client()
	transaction(t, client, func(tx goredis.Pipeliner) {
		for range 7 {
			xadd(tx, "s", "*", 0, "x")
		}
		tx.XTrimMaxLen(context.Background(), "s", 0)
	})
	id, _ := server.Do("XADD", "s", "*", "data", "9").(string)
	notes := w.last(t, "9")
	gaps := gapsIn(notes)
	if len(gaps) != 1 || gaps[0].Lost != 7 || gaps[0].Reason != event.HistoryExpired {
		t.Errorf("got gaps %v, want one of 7", gaps)
	}
	if at, _ := event.ParseStreamID(id); len(gaps) > 0 && !gaps[0].At.ID.Before(at) {
		t.Errorf("got a gap that continues after %s, but the next entry is %s", gaps[0].At.ID, id)
	}
}

func TestRedisStream_DeletionBeforeReadIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	server.Do("XADD", "s", "1-0", "data", "1")
	w.last(t, "1")
	transaction(t, server.Client(), func(tx goredis.Pipeliner) {
		for n := 2; n <= 6; n++ {
			xadd(tx, "s", fmt.Sprint(n, "-0"), 0, n)
		}
		tx.XDel(context.Background(), "s", "3-0", "4-0")
	})
	notes := w.last(t, "6")
	if got := eventData(notes); !slices.Equal(got, []string{"1", "2", "5", "6"}) {
		t.Errorf("got events %q", got)
	}
	// Redis reports only the newest deleted id, so the other one may be missing before 2 as well.
	i := slices.IndexFunc(notes, func(n call) bool { return n.data == "5" })
	if gap := notes[i-1].gap; gap == nil || gap.Reason != event.HistoryExpired {
		t.Errorf("before 5: got %v, want a gap", notes[i-1])
	}
}

func TestRedisStream_DeletionAfterReadIsNotGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	for n := 1; n <= 5; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	w.last(t, "5")
	server.Do("XDEL", "s", "2-0", "5-0")
	server.Do("XTRIM", "s", "MAXLEN", "1")
	server.Do("XADD", "s", "6-0", "data", "6")
	w.last(t, "6")
	checkValues(t, "the sink", w.all(), numbers(1, 6)...)
}

// Operations on a whole stream: each is one gap of unknown size, followed by the new entries.
func TestRedisStream_ReplacedStreamIsInterrupted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		do   func(tx goredis.Pipeliner, name string)
		want []string
	}{
		{"created again with higher ids, fewer entries", func(tx goredis.Pipeliner, name string) {
			tx.Del(ctx, name)
			xadd(tx, name, "100-0", 0, "new")
		}, []string{"new"}},
		{"created again with higher ids, as many entries", func(tx goredis.Pipeliner, name string) {
			tx.Del(ctx, name)
			for i := range 5 {
				xadd(tx, name, fmt.Sprint(100+i, "-0"), 0, fmt.Sprint("new", i))
			}
		}, []string{"new0", "new1", "new2", "new3", "new4"}},
		{"created again with higher ids, more entries", func(tx goredis.Pipeliner, name string) {
			xadd(tx, name, "50-0", 0, "never seen")
			tx.Del(ctx, name)
			for i := range 8 {
				xadd(tx, name, fmt.Sprint(100+i, "-0"), 0, fmt.Sprint("new", i))
			}
		}, []string{"new0", "new1", "new2", "new3", "new4", "new5", "new6", "new7"}},
		{"created again with lower ids", func(tx goredis.Pipeliner, name string) {
			tx.Del(ctx, name)
			xadd(tx, name, "1-1", 0, "new")
			xadd(tx, name, "2-1", 0, "newer")
		}, []string{"new", "newer"}},
		{"replaced by another stream", func(tx goredis.Pipeliner, name string) {
			xadd(tx, name+"x", "3-3", 0, "new")
			tx.Rename(ctx, name+"x", name)
		}, []string{"new"}},
		{"last id set back", func(tx goredis.Pipeliner, name string) {
			tx.XTrimMaxLen(ctx, name, 0)
			tx.Do(ctx, "XSETID", name, "1-5")
			xadd(tx, name, "1-6", 0, "new")
		}, []string{"new"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := connect(t, server, quiet)
			name := uniquePrefix() + "s"
			w, _ := follow(t, src, streamNamed(name))
			for n := 1; n <= 5; n++ {
				server.Do("XADD", name, fmt.Sprint(10+n, "-0"), "data", n)
			}
			w.last(t, "5")
			transaction(t, client, func(tx goredis.Pipeliner) { tt.do(tx, name) })
			notes := w.last(t, tt.want[len(tt.want)-1])
			if got := eventData(notes[5:]); !slices.Equal(got, tt.want) {
				t.Errorf("after the gap: got %q, want %q", got, tt.want)
			}
			if notes[5].gap == nil || notes[5].gap.Reason != event.SourceInterrupted || notes[5].gap.Lost != event.LostUnknown {
				t.Errorf("after the old entries: got %v, want a source-interrupted gap", notes[5])
			}
			// The stream continues as usual.
			server.Do("XADD", name, "1000-0", "data", "later")
			more := w.last(t, "later")
			if rest := more[len(notes):]; len(rest) != 1 {
				t.Errorf("got %v at the end", rest)
			}
		})
	}
}

func TestRedisStream_DeletedOrFlushedIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, command := range [][]any{{"DEL", "s"}, {"UNLINK", "s"}, {"FLUSHALL"}, {"FLUSHDB", "ASYNC"}} {
		t.Run(fmt.Sprint(command[0]), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := connect(t, server, quiet)
			w, _ := follow(t, src, streamNamed("s"))
			untouched, _ := follow(t, src, streamNamed("never there"))
			server.Do("XADD", "s", "*", "data", "1")
			w.last(t, "1")
			server.Do(command...)
			notes := w.count(t, 2)
			if notes[1].gap == nil || notes[1].gap.Reason != event.SourceInterrupted || notes[1].gap.Lost != event.LostUnknown {
				t.Errorf("got %v, want a source-interrupted gap", notes[1])
			}
			for n := 2; n <= 4; n++ {
				server.Do("XADD", "s", "*", "data", n)
			}
			notes = w.last(t, "4")
			if len(notes) != 5 {
				t.Errorf("got %v, want one gap in total", notes)
			}
			if got := untouched.all(); len(got) > 0 {
				t.Errorf("missing stream: got %v", got)
			}
		})
	}
}

func TestRedisStream_XSETIDLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	server.Do("XADD", "s", "1-0", "data", "1")
	w.last(t, "1")
	server.Do("XSETID", "s", "100-0")
	server.Do("XADD", "s", "*", "data", "2")
	server.Do("XADD", "s", "*", "data", "3")
	w.last(t, "3")
	checkValues(t, "the sink", w.all(), "1", "2", "3")
}

// busy adds entries to a stream until the test ends.
func busy(t *testing.T, server *redistest.Server, name string) {
	t.Helper()
	client := server.Client()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			_ = client.XAdd(ctx, &goredis.XAddArgs{Stream: name, MaxLen: 10_000, Approx: true, Values: []any{"data", "x"}}).Err() // fails at the end of the test
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// A busy stream must not keep the reader from checking the others.
func TestRedisStream_BusyStreamDoesNotHideOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(server *redistest.Server, src source.Source)
	}{
		{"deleted", func(server *redistest.Server, _ source.Source) {
			server.Do("DEL", "s")
		}},
		{"created again with lower ids", func(server *redistest.Server, _ source.Source) {
			server.Do("EVAL", "redis.call('DEL', 's') redis.call('XADD', 's', '1-1', 'data', 'new')", 0)
		}},
		{"another type and back", func(server *redistest.Server, _ source.Source) {
			server.Do("SET", "s", "x")
			// The type is noticed only after a failed read. Then the key is a stream again.
			eventually(t, "a failed read", func() bool { return failedCalls(server, "xread") > 0 })
			server.Do("DEL", "s")
			server.Do("XADD", "s", "*", "data", "new")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := connect(t, server, quiet)
			w, _ := follow(t, src, streamNamed("s"))
			other, _ := follow(t, src, streamNamed("busy"))
			server.Do("XADD", "s", "50-0", "data", "1")
			w.last(t, "1")
			busy(t, server, "busy")
			other.count(t, 10)
			tt.do(server, src)
			notes := w.count(t, 2)
			if notes[1].gap == nil || notes[1].gap.Reason != event.SourceInterrupted {
				t.Errorf("got %v, want a source-interrupted gap", notes[1])
			}
			if tt.name != "deleted" {
				w.last(t, "new")
			}
			seen := len(other.all())
			other.count(t, seen+10)
			if gaps := gapsIn(other.all()); len(gaps) > 0 {
				t.Errorf("busy stream: got gaps %v", gaps)
			}
		})
	}
}

// failedCalls returns how often a command failed on the server.
func failedCalls(server *redistest.Server, command string) int {
	text, _ := server.Do("INFO", "commandstats").(string)
	_, rest, _ := strings.Cut(text, "cmdstat_"+command+":")
	rest, _, _ = strings.Cut(rest, "\n")
	_, rest, _ = strings.Cut(rest, "failed_calls=")
	var n int
	_, _ = fmt.Sscanf(rest, "%d", &n) // 0 if it was never called
	return n
}

func TestRedisStream_OtherTypeStopsNoStream(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	other, _ := follow(t, src, streamNamed("other"))
	server.Do("XADD", "s", "*", "data", "1")
	w.last(t, "1")
	server.Do("SET", "s", "a string")
	server.Do("XADD", "other", "*", "data", "1")
	server.Do("XADD", "other", "*", "data", "2")
	other.last(t, "2")
	checkValues(t, "the other", other.all(), "1", "2")
	w.count(t, 2)
	for n := 3; n <= 20; n++ {
		server.Do("XADD", "other", "*", "data", n)
		other.last(t, fmt.Sprint(n))
	}
	if n := failedCalls(server, "xread"); n > 5 {
		t.Errorf("got %d reads of a key that is not a stream", n)
	}
	server.Do("DEL", "s")
	server.Do("XADD", "s", "*", "data", "2")
	notes := w.last(t, "2")
	if len(notes) != 3 || notes[1].gap == nil || notes[1].gap.Reason != event.SourceInterrupted {
		t.Errorf("got %v, want 1, a source-interrupted gap, 2", notes)
	}
}

func TestRedisStream_WrongTypeIsError(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	server.Do("SET", "s", "a string")
	other, _ := follow(t, src, streamNamed("other"))
	w := newRecordingSink(t)
	f := src.Follow(streamNamed("s"), w)
	if err := f.Live(t.Context()); !errors.Is(err, source.ErrWrongType) {
		t.Errorf("Live: got error %v", err)
	}
	f.Close()
	server.Do("XADD", "other", "*", "data", "1")
	other.last(t, "1")
	if _, err := src.Publish(t.Context(), streamNamed("s"), source.Message{Data: []byte("x")}); !errors.Is(err, source.ErrWrongType) {
		t.Errorf("Publish: got error %v", err)
	}
	if _, err := src.Publish(t.Context(), streamNamed("s"), source.Message{Data: []byte("x"), IdempotencyKey: "k", MaxLen: 1}); !errors.Is(err, source.ErrWrongType) {
		t.Errorf("Publish with an idempotency key: got error %v", err)
	}
	server.Do("DEL", "s")
	again, _ := follow(t, src, streamNamed("s"))
	server.Do("XADD", "s", "*", "data", "1")
	again.last(t, "1")
}

func TestRedisStream_KilledConnectionsLoseNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	for n := 1; n <= 200; n++ {
		server.Do("XADD", "s", "*", "data", n)
		if n%50 == 0 {
			server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		}
	}
	w.last(t, "200")
	checkValues(t, "the sink", w.all(), numbers(1, 200)...)
}

// A failover loses the newest entries. Entries that the gateway had read were delivered, and
// entries that it had not read can be missing.
func TestRedisStream_LostNewestEntriesAreGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	for n := 1; n <= 5; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	kept := server.Client().Dump(t.Context(), "s").Val()
	for n := 6; n <= 8; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	w.last(t, "8")
	server.Do("RESTORE", "s", 0, kept, "REPLACE")
	gap := w.count(t, 9)[8].gap
	if gap == nil || gap.Reason != event.SourceInterrupted || gap.Lost != event.LostUnknown || gap.At.ID != (event.StreamID{Millis: 5}) {
		t.Errorf("after the old entries: got %v, want a source-interrupted gap that continues after 5-0", gap)
	}
	server.Do("XADD", "s", "7-0", "data", "new")
	notes := w.last(t, "new")
	if len(notes) != 10 {
		t.Errorf("got %v after the gap", notes[9:])
	}
}

// A stream is deleted and created again with the same entries and new ones.
func TestRedisStream_RestoredStreamRepeatsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	for n := 1; n <= 20; n++ {
		server.Do("XADD", "s", fmt.Sprint(n), "data", n)
	}
	w, _ := follow(t, src, streamNamed("s"))
	w.last(t, "20")
	server.Do("RENAME", "s", "away")
	w.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) > 0 })
	server.Do("XADD", "away", "21", "data", "21")
	server.Do("RENAME", "away", "s")
	w.last(t, "21")
	server.Do("XADD", "s", "22", "data", "22")
	notes := w.last(t, "22")
	if got, want := eventData(notes), numbers(1, 22); !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
	if gaps := gapsIn(notes); len(gaps) != 2 || gaps[1].At.ID != (event.StreamID{Millis: 20}) {
		t.Errorf("got gaps %v, want a second one that continues after 20-0", gaps)
	}
}

func TestRedisStream_ReadsWithinOutputBufferLimit(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--client-output-buffer-limit", "normal", "32kb", "0", "0")
	src := connect(t, server, quiet)
	w, _ := follow(t, src, streamNamed("s"))
	transaction(t, server.Client(), func(tx goredis.Pipeliner) {
		for n := 1; n <= 1000; n++ {
			xadd(tx, "s", fmt.Sprint(n), 0, fmt.Sprintf("%0200d", n))
		}
	})
	notes := w.last(t, fmt.Sprintf("%0200d", 1000))
	if len(notes) != 1000 || len(gapsIn(notes)) > 0 {
		t.Errorf("got %d calls, %d of them gaps", len(notes), len(gapsIn(notes)))
	}
}

// This happens when a master that was partitioned is promoted again with entries that it accepted
// during the partition.
func TestRedisStream_DivergedStreamRepeatsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	for n := 1; n <= 20; n++ {
		server.Do("XADD", "s", fmt.Sprint(n), "data", n)
	}
	w, _ := follow(t, src, streamNamed("s"))
	w.last(t, "20")
	server.Do("EVAL", `
redis.call('DEL', 's')
for n = 1, 8 do redis.call('XADD', 's', n, 'data', n) end
for n = 9, 15 do redis.call('XADD', 's', n .. '-5', 'data', 'other') end`, 0)
	w.await(t, "a gap", func(notes []call) bool { return len(gapsIn(notes)) > 0 })
	server.Do("XADD", "s", "100", "data", "after")
	notes := w.last(t, "after")
	if got, want := eventData(notes), append(numbers(1, 20), "after"); !slices.Equal(got, want) || len(gapsIn(notes)) != 1 {
		t.Errorf("got events %q, want %q; got gaps %v, want one", got, want, gapsIn(notes))
	}
}
