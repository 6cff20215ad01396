package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
)

// boundedGateway returns a gateway over a new broker, with a bound for the values of keys.
func boundedGateway(t *testing.T, keyBytes int) gateway {
	t.Helper()
	broker := memory.New(source.Fill{Events: 10, Bytes: 1 << 20})
	h := hub.New(broker, hub.Options{Node: "n", History: history(100), Linger: time.Hour, KeyBytes: keyBytes}, noMetrics{})
	t.Cleanup(h.Close)
	return gateway{h, broker}
}

// readUntilError reads until the subscription ends and returns its error.
func readUntilError(t *testing.T, s *testClient) error {
	t.Helper()
	for {
		b, err := s.sub.Next(t.Context())
		if err != nil {
			return err
		}
		s.got = append(s.got, frames(t, b.Bytes)...)
		if len(b.Bytes) == 0 {
			select {
			case <-s.wake:
			case <-time.After(testTimeout):
				t.Fatalf("the subscription has not ended after %d frames", len(s.got))
			}
		}
	}
}

func checkEnded(t *testing.T, s *testClient, cause error) {
	t.Helper()
	err := readUntilError(t, s)
	var failed *hub.FailedError
	if !errors.As(err, &failed) || !errors.Is(err, cause) || failed.CloseReason() != event.Overloaded {
		t.Errorf("got error %v at the end of the subscription", err)
	}
	if last := s.got[len(s.got)-1]; !last.isGap() {
		t.Errorf("got last frame %+v, want a gap", last)
	}
}

// unboundedKeys is a broker that accepts any number of keys: events of keys that the broker rejects
// still reach the sink of a glob.
type unboundedKeys struct {
	source.Source
	glob string
	sink source.Sink
}

func (u *unboundedKeys) Follow(topic event.Topic, sink source.Sink) source.Following {
	if topic.Pattern == u.glob {
		u.sink = sink
	}
	return u.Source.Follow(topic, sink)
}

func (u *unboundedKeys) Publish(ctx context.Context, topic event.Topic, m source.Message) (event.StreamID, error) {
	id, err := u.Source.Publish(ctx, topic, m)
	if errors.Is(err, source.ErrFull) {
		u.sink.Event(event.Event{Topic: topic, Data: m.Data}, source.Position{})
		err = nil
	}
	return id, err
}

func TestKeyGlob_TooManyKeysLaterEndsTopic(t *testing.T) {
	t.Parallel()
	broker := &unboundedKeys{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 20}), glob: "g:*"}
	h := hub.New(broker, hub.Options{Node: "n", History: history(100), Linger: time.Hour, KeyBytes: 1 << 30}, noMetrics{})
	t.Cleanup(h.Close)
	g := gateway{h, broker}
	other := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:1")})
	defer other.close()
	alone := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	defer alone.close()
	mixed := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*", "key:other")})
	defer mixed.close()
	paced := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), Every: time.Hour})
	defer paced.close()
	for i := range source.MaxKeys + 1 {
		publish(t, g.source, fmt.Sprint("key:g:", i), "x")
	}
	for _, s := range []*testClient{alone, mixed, paced} {
		checkEnded(t, s, source.ErrTooManyKeys)
	}
	publish(t, g.source, "key:g:1", "y")
	other.awaitData("y")
	if n := len(other.gaps()); n != 0 {
		t.Errorf("another topic has %d gaps", n)
	}
}

func TestKeyGlob_TooManyBytesIsError(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	g := boundedGateway(t, limit)
	publish(t, g.source, "key:g:1", string(make([]byte, limit/2)))
	s := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	defer s.close()
	if n := g.Stats().KeyBytes; n < limit/2 || n > limit {
		t.Errorf("got a count of %d bytes", n)
	}
	publish(t, g.source, "key:g:2", string(make([]byte, limit/2)))
	checkEnded(t, s, hub.ErrKeyBytes)
	if _, err := g.trySubscribe(t, hub.Request{Topics: topics(t, "key:g:*")}); !errors.Is(err, hub.ErrKeyBytes) {
		t.Errorf("next subscriber: got error %v", err)
	}
	fits := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:1")})
	fits.close()
}

// A client in a long replay gets every deletion, or a gap if the node has evicted the deletions.
func TestKeyGlob_KeepsDeletionsDuringReplay(t *testing.T) {
	t.Parallel()
	const keys, kept = 6000, 1700
	for _, tt := range []struct {
		name string
		back bool // the client loses its connection after the deletions
	}{{"slow", false}, {"back", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := newFakeSource()
			g := newGateway(t, src, history(100))
			keep := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
			defer keep.close()
			src.changeKeys(t, 0, keys, "", "x")
			s := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
			for len(s.data()) < keys/2 {
				s.next()
			}
			src.changeKeys(t, 0, keys-kept, event.KeyDeleted, "null")
			got := s.got
			if tt.back {
				id := s.lastID()
				s.close()
				s = g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{id}})
				got = append(got, s.got...)
			}
			before := len(s.got)
			s.read()
			defer s.close()
			got = append(got, s.got[before:]...)
			checkDeletions(t, got, kept)
		})
	}
}

// changeKeys sends an event for each of the keys g:<number> to the followers of key:g:*.
func (s *fakeSource) changeKeys(t *testing.T, from, to int, kind, data string) {
	t.Helper()
	for i := from; i < to; i++ {
		topic := event.Literal(event.Key, fmt.Sprintf("g:%04d", i))
		s.sink(t, "key:g:*").Event(event.Event{Topic: topic, Type: kind, Data: []byte(data)}, source.Position{})
	}
}

// A client whose replay has deletions gets a gap if the node evicts them before it has them.
func TestKeyGlob_DeletionsEvictedDuringReplayAreGap(t *testing.T) {
	t.Parallel()
	const keys, deleted, kept = 6000, 300, 1700
	src := newFakeSource()
	g := newGateway(t, src, history(2*keys))
	keep := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	defer keep.close()
	src.changeKeys(t, 0, keys, "", "x")
	first := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	first.read()
	first.close()
	src.changeKeys(t, 0, deleted, event.KeyDeleted, "null")
	s := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{first.lastID()}})
	defer s.close()
	s.next()
	if n := len(s.got); n == 0 || n >= deleted {
		t.Fatalf("got %d events in the first batch of the replay", n)
	}
	src.changeKeys(t, deleted, keys-kept, event.KeyDeleted, "null")
	s.read()
	s.checkGaps("resumed", "key:g:* unknown-cursor null")
	checkDeletions(t, slices.Concat(first.got, s.got), kept)
}

// checkDeletions checks that a client that clears its state at each gap has the kept keys only.
func checkDeletions(t *testing.T, got []frame, kept int) {
	t.Helper()
	has := make(map[string]bool)
	for _, b := range got {
		switch {
		case b.isGap():
			clear(has)
		case b.name == event.KeyDeleted:
			delete(has, b.origin())
		case b.name == "":
			has[b.origin()] = true
		}
	}
	if len(has) != kept {
		t.Errorf("got %d keys, want %d; gaps: %v", len(has), kept, slices.ContainsFunc(got, frame.isGap))
	}
}

// Values never use the memory of journals: if they exceed their share, the largest key topic ends.
// Channels and smaller key topics are not affected, whichever key changes.
func TestKey_MemoryLimitEndsTopicOnly(t *testing.T) {
	t.Parallel()
	limits := history(100)
	limits.Memory = journal.NewMemory(1<<20, time.Minute)
	g := newGateway(t, memory.New(source.Fill{Events: 10, Bytes: 1 << 20}), limits)
	key := g.subscribe(t, hub.Request{Topics: topics(t, "key:k:*")})
	defer key.close()
	small := g.subscribe(t, hub.Request{Topics: topics(t, "key:small")})
	defer small.close()
	channel := g.subscribe(t, hub.Request{Topics: topics(t, "channel:c")})
	defer channel.close()
	value := strings.Repeat("x", 100<<10)
	for n := range 5 {
		publish(t, g.source, fmt.Sprint("key:k:", n), value)
	}
	key.read()
	publish(t, g.source, "key:new", value)
	if _, err := g.trySubscribe(t, hub.Request{Topics: topics(t, "key:new")}); !errors.Is(err, hub.ErrFull) {
		t.Errorf("a new topic: got error %v, want %v", err, hub.ErrFull)
	}
	publish(t, g.source, "key:small", value)
	publish(t, g.source, "channel:c", numbers(1, 50)...)
	checkEnded(t, key, hub.ErrFull)
	publish(t, g.source, "key:small", "y")
	small.awaitData("y")
	small.checkGaps("the small key")
	channel.read()
	channel.check("the channel", numbers(1, 50), nil)
}
