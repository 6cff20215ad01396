package memory

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// smallBroker returns a broker that holds at most limit bytes.
func smallBroker(limit int) *Broker {
	m := New(source.Fill{})
	m.limit = limit
	return m
}

// fillBroker calls publish with 0, 1, 2, … until the broker is full, and returns the number of
// successful publishes.
func fillBroker(t *testing.T, publish func(i int) error) (n int) {
	t.Helper()
	for ; ; n++ {
		err := publish(n)
		switch {
		case errors.Is(err, source.ErrFull) && strings.Contains(err.Error(), "--redis-url"):
			return n
		case err != nil:
			t.Fatal(err)
		case n > 1<<20:
			t.Fatal("the broker did not get full")
		}
	}
}

// The count of the broker is close to its real memory, which is never far above the limit.
func TestMemory_BoundsItsMemory(t *testing.T) {
	const limit = 16 << 20
	letters := bytes.Repeat([]byte("x"), 1000)
	stream := event.Literal(event.Stream, "s")
	long := strings.Repeat("n", 10<<10)
	for _, tt := range []struct {
		name    string
		publish func(m *Broker, i int) error
	}{
		{"small entries", func(m *Broker, _ int) error {
			_, err := m.Publish(t.Context(), stream, source.Message{Data: letters[:1]})
			return err
		}},
		{"large entries", func(m *Broker, _ int) error {
			_, err := m.Publish(t.Context(), stream, source.Message{Data: letters})
			return err
		}},
		{"types that are substrings of long texts", func(m *Broker, i int) error {
			_, err := m.Publish(t.Context(), stream, source.Message{Type: fmt.Sprint(i, long)[:8]})
			return err
		}},
		{"streams", func(m *Broker, i int) error {
			_, err := m.Publish(t.Context(), event.Literal(event.Stream, fmt.Sprint(i)), source.Message{})
			return err
		}},
		{"keys", func(m *Broker, i int) error {
			_, err := m.Publish(t.Context(), event.Literal(event.Key, fmt.Sprint(i)), source.Message{Data: letters})
			return err
		}},
		{"long names", func(m *Broker, i int) error {
			_, err := m.Publish(t.Context(), event.Literal(event.Key, fmt.Sprint(i, long)), source.Message{Data: letters})
			return err
		}},
		{"idempotency keys", func(m *Broker, i int) error {
			_, err := m.Publish(t.Context(), stream, source.Message{MaxLen: 1, IdempotencyKey: fmt.Sprint(i), Fingerprint: fmt.Sprintf("%064d", i)})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := smallBroker(limit)
			before := heapBytes()
			n := fillBroker(t, func(i int) error { return tt.publish(m, i) })
			grown := heapBytes() - before
			t.Logf("%d publishes, %d MiB", n, grown>>20)
			if grown < limit/4 || grown > limit*5/4 {
				t.Errorf("after %d publishes: got %d bytes, want about %d", n, grown, limit)
			}
			if used := m.used.streams + m.used.keys + m.answers.size; used > limit {
				t.Errorf("got a count of %d bytes, want at most %d", used, limit)
			}
			runtime.KeepAlive(m)
		})
	}
}

func heapBytes() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestMemory_FullBrokerLosesNothing(t *testing.T) {
	t.Parallel()
	m := smallBroker(64 << 10)
	stream, key := event.Literal(event.Stream, "s"), event.Literal(event.Key, "k")
	var entries, values countingSink
	m.Follow(stream, &entries)
	m.Follow(key, &values)
	kilobyte := make([]byte, 1<<10)
	if _, err := m.Publish(t.Context(), key, source.Message{Data: kilobyte}); err != nil {
		t.Fatal(err)
	}
	n := fillBroker(t, func(int) error {
		_, err := m.Publish(t.Context(), stream, source.Message{Data: kilobyte})
		return err
	})
	used := m.used
	batch := []source.Message{{Data: []byte("1"), IdempotencyKey: "i", Fingerprint: "f"}, {Data: kilobyte}}
	if err := m.PublishAll(t.Context(), stream, batch); !errors.Is(err, source.ErrFull) {
		t.Errorf("batch: got error %v", err)
	}
	if _, err := m.Publish(t.Context(), key, source.Message{Data: make([]byte, 2<<10)}); !errors.Is(err, source.ErrFull) {
		t.Errorf("larger value: got error %v", err)
	}
	page, err := m.Range(t.Context(), stream, source.Range{UpTo: event.MaxStreamID, Count: n + 10})
	if err != nil || len(page.Entries) != n || entries.events != n {
		t.Errorf("got %d entries in the stream and %d delivered, want %d: %v", len(page.Entries), entries.events, n, err)
	}
	if values.events != 2 || len(m.values["k"].data) != 1<<10 { // key.deleted, then the value
		t.Errorf("got %d values, the last of %d bytes", values.events, len(m.values["k"].data))
	}
	if m.used != used || len(m.answers.order) != 0 {
		t.Errorf("rejected publishes changed the memory from %+v to %+v", used, m.used)
	}

	// Publishes that need no more memory succeed.
	for _, tt := range []struct {
		topic event.Topic
		msg   source.Message
	}{
		{event.Literal(event.Channel, "c"), source.Message{Data: kilobyte}},
		{key, source.Message{Data: kilobyte[:1]}},
		{stream, source.Message{Data: kilobyte, MaxLen: int64(n)}},
		{stream, source.Message{Data: kilobyte, MaxLen: int64(n / 2)}},
		{stream, source.Message{Data: kilobyte}},
	} {
		if _, err := m.Publish(t.Context(), tt.topic, tt.msg); err != nil {
			t.Errorf("%s: %v", tt.topic, err)
		}
	}
}

// countingSink counts events.
type countingSink struct{ events int }

func (s *countingSink) Begin(source.Position)              {}
func (s *countingSink) Event(event.Event, source.Position) { s.events++ }
func (s *countingSink) Gap(source.Gap)                     {}

func TestMemory_CountsTrimmedAndReplaced(t *testing.T) {
	t.Parallel()
	m := smallBroker(1 << 20)
	stream, key := event.Literal(event.Stream, "s"), event.Literal(event.Key, "k")
	for i := range 1000 {
		data := bytes.Repeat([]byte("é\n"), i%100)
		batch := []source.Message{{Data: data, MaxLen: 3}, {Type: "t", Data: data, MaxLen: 3}}
		if err := m.PublishAll(t.Context(), stream, batch[:1+i%2]); err != nil {
			t.Fatal(err)
		}
		if err := m.PublishAll(t.Context(), key, batch); err != nil {
			t.Fatal(err)
		}
	}
	want := use{streamSize("s"), keySize(key, m.values["k"].data)}
	for _, e := range m.streams["s"].entries {
		want.streams += entrySize(e.Type, e.Data)
	}
	if m.used != want || len(m.streams["s"].entries) != 3 {
		t.Errorf("got a count of %+v, want %+v", m.used, want)
	}
	five := slices.Repeat([]source.Message{{Data: make([]byte, 300<<10), MaxLen: 2}}, 5)
	if err := m.PublishAll(t.Context(), stream, five); err != nil {
		t.Errorf("batch of which two entries remain: got error %v", err)
	}
}

func TestMemory_SubscriptionsCreateNoStreams(t *testing.T) {
	t.Parallel()
	m := New(source.Fill{Events: 1, Bytes: 1})
	f := m.Follow(event.Literal(event.Stream, "s"), new(countingSink))
	f.Close()
	page, err := m.Range(t.Context(), event.Literal(event.Stream, "s"), source.Range{UpTo: event.MaxStreamID, Count: 1})
	if err != nil || page.State.Exists || len(m.streams) != 0 {
		t.Errorf("stream without a publish: got state %+v, error %v", page.State, err)
	}
}

func TestMemory_GlobsStaySubscribable(t *testing.T) {
	t.Parallel()
	all := event.Topic{Kind: event.Key, Pattern: "*"}
	check := func(t *testing.T, m *Broker, n int) {
		t.Helper()
		var sink countingSink
		f := m.Follow(all, &sink)
		defer f.Close()
		if err := f.Live(t.Context()); err != nil || sink.events != n {
			t.Errorf("got %d of %d keys of a glob, error %v", sink.events, n, err)
		}
		if _, err := m.Publish(t.Context(), event.Literal(event.Key, "0"), source.Message{Data: []byte("1")}); err != nil {
			t.Errorf("existing key: got error %v", err)
		}
	}
	t.Run("at most MaxKeys", func(t *testing.T) {
		t.Parallel()
		m := New(source.Fill{})
		n := fillBroker(t, func(i int) error {
			_, err := m.Publish(t.Context(), event.Literal(event.Key, fmt.Sprint(i)), source.Message{})
			return err
		})
		if n != source.MaxKeys {
			t.Errorf("got %d keys in the broker", n)
		}
		check(t, m, n)
	})
	t.Run("at most KeyBytes", func(t *testing.T) {
		t.Parallel()
		m := New(source.Fill{})
		m.KeyBytes = 1 << 20
		lines := bytes.Repeat([]byte("\n"), 10<<10) // seven bytes each on the wire
		n := fillBroker(t, func(i int) error {
			_, err := m.Publish(t.Context(), event.Literal(event.Key, fmt.Sprint(i)), source.Message{Data: lines})
			return err
		})
		if n != 14 {
			t.Errorf("got %d keys of 70 KiB in the broker", n)
		}
		check(t, m, n)
	})
}

func TestMemory_ExpiredAnswersFreeMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := smallBroker(16 << 10)
		publish := func(i int) error {
			_, err := m.Publish(t.Context(), event.Literal(event.Stream, "s"), source.Message{MaxLen: 1, IdempotencyKey: fmt.Sprint(i)})
			return err
		}
		n := fillBroker(t, publish)
		if err := publish(n - 1); err != nil {
			t.Errorf("retry in a full broker: got error %v", err)
		}
		time.Sleep(source.IdempotencyTime)
		if again := fillBroker(t, func(i int) error { return publish(n + i) }); again != n {
			t.Errorf("after %s: got %d successful publishes, want %d", source.IdempotencyTime, again, n)
		}
	})
}
