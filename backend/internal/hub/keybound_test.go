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

// boundedGateway is a gateway over a broker of its own, with a bound for the values of keys.
func boundedGateway(t *testing.T, keyBytes int) gateway {
	t.Helper()
	broker := memory.New(source.Fill{Events: 10, Bytes: 1 << 20})
	h := hub.New(broker, hub.Options{Node: "n", History: history(100), Linger: time.Hour, KeyBytes: keyBytes}, noMetrics{})
	t.Cleanup(h.Close)
	return gateway{h, broker}
}

// readUntilError reads until the subscription ends, and returns why.
func readUntilError(t *testing.T, s *seat) error {
	t.Helper()
	for {
		b, err := s.sub.Next(t.Context())
		if err != nil {
			return err
		}
		s.got = append(s.got, blocksOf(t, b.Bytes)...)
		if len(b.Bytes) == 0 {
			select {
			case <-s.wake:
			case <-time.After(longest):
				t.Fatalf("the subscription has not ended after %d blocks", len(s.got))
			}
		}
	}
}

func checkEnded(t *testing.T, s *seat, cause error) {
	t.Helper()
	err := readUntilError(t, s)
	var failed *hub.FailedError
	if !errors.As(err, &failed) || !errors.Is(err, cause) || failed.CloseReason() != event.Overloaded {
		t.Errorf("the subscription ends with %v", err)
	}
	if last := s.got[len(s.got)-1]; !last.isGap() {
		t.Errorf("the last block is %+v, want a gap", last)
	}
}

// unboundedKeys is a broker with any number of keys: the events of those that it refuses
// reach the sink of a glob all the same.
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

func TestKeyGlob_TooManyKeysLaterEndsTheTopicOnly(t *testing.T) {
	t.Parallel()
	broker := &unboundedKeys{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 20}), glob: "g:*"}
	h := hub.New(broker, hub.Options{Node: "n", History: history(100), Linger: time.Hour, KeyBytes: 1 << 30}, noMetrics{})
	t.Cleanup(h.Close)
	g := gateway{h, broker}
	other := g.take(t, hub.Request{Topics: listOf(t, "key:g:1")})
	defer other.leave()
	alone := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	defer alone.leave()
	mixed := g.take(t, hub.Request{Topics: listOf(t, "key:g:*", "key:other")})
	defer mixed.leave()
	paced := g.take(t, hub.Request{Topics: listOf(t, "key:g:*"), Every: time.Hour})
	defer paced.leave()
	for i := range source.MaxKeys + 1 {
		put(t, g.source, fmt.Sprint("key:g:", i), "x")
	}
	for _, s := range []*seat{alone, mixed, paced} {
		checkEnded(t, s, source.ErrTooManyKeys)
	}
	put(t, g.source, "key:g:1", "y")
	other.untilData("y")
	if n := len(other.gaps()); n != 0 {
		t.Errorf("another topic has %d gaps", n)
	}
}

func TestKeyGlob_TooManyBytesIsAnError(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	g := boundedGateway(t, limit)
	put(t, g.source, "key:g:1", string(make([]byte, limit/2)))
	s := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	defer s.leave()
	if n := g.Stats().KeyBytes; n < limit/2 || n > limit {
		t.Errorf("%d bytes are counted", n)
	}
	put(t, g.source, "key:g:2", string(make([]byte, limit/2)))
	checkEnded(t, s, hub.ErrKeyBytes)
	if _, err := g.tryTake(t, hub.Request{Topics: listOf(t, "key:g:*")}); !errors.Is(err, hub.ErrKeyBytes) {
		t.Errorf("the next subscriber gets %v", err)
	}
	fits := g.take(t, hub.Request{Topics: listOf(t, "key:g:1")})
	fits.leave()
}

// A client in a long replay learns of every deletion, or of a gap, although the node forgets
// them meanwhile.
func TestKeyGlob_DeletionsDuringAReplayAreNotForgotten(t *testing.T) {
	t.Parallel()
	const keys, kept = 6000, 1700
	for _, tt := range []struct {
		name string
		back bool // the client loses its connection after the deletions
	}{{"slow", false}, {"back", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := newFakeSource()
			g := gatewayOver(t, src, history(100))
			keep := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
			defer keep.leave()
			write := func(n int, kind, data string) {
				for i := range n {
					topic := event.Literal(event.Key, fmt.Sprintf("g:%04d", i))
					src.sink(t, "key:g:*").Event(event.Event{Topic: topic, Type: kind, Data: []byte(data)}, source.Position{})
				}
			}
			write(keys, "", "x")
			s := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
			for len(s.data()) < keys/2 {
				s.next()
			}
			write(keys-kept, event.KeyDeleted, "null")
			got := s.got
			if tt.back {
				id := s.lastID()
				s.leave()
				s = g.take(t, hub.Request{Topics: listOf(t, "key:g:*"), IDs: []string{id}})
				got = append(got, s.got...)
			}
			before := len(s.got)
			s.drain()
			defer s.leave()
			got = append(got, s.got[before:]...)
			checkDeletions(t, got, kept)
		})
	}
}

// checkDeletions checks that a client which starts again at each gap has the kept keys only.
func checkDeletions(t *testing.T, got []block, kept int) {
	t.Helper()
	has := make(map[string]bool)
	for _, b := range got {
		switch {
		case b.isGap():
			clear(has)
		case b.kind == event.KeyDeleted:
			delete(has, b.origin())
		case b.kind == "":
			has[b.origin()] = true
		}
	}
	if len(has) != kept {
		t.Errorf("the client has %d keys, want %d; gaps: %v", len(has), kept, slices.ContainsFunc(got, block.isGap))
	}
}

// Values never take the memory of journals: the key topic that needs more ends, and channels
// are delivered as before.
func TestKey_MoreThanItsPartOfAllMemoryEndsTheTopicOnly(t *testing.T) {
	t.Parallel()
	limits := history(100)
	limits.Memory = journal.NewMemory(1<<20, time.Minute)
	g := gatewayOver(t, memory.New(source.Fill{Events: 10, Bytes: 1 << 20}), limits)
	key := g.take(t, hub.Request{Topics: listOf(t, "key:k:*")})
	defer key.leave()
	channel := g.take(t, hub.Request{Topics: listOf(t, "channel:c")})
	defer channel.leave()
	value := strings.Repeat("x", 100<<10)
	for n := range 6 {
		put(t, g.source, fmt.Sprint("key:k:", n), value)
	}
	put(t, g.source, "channel:c", series(1, 50)...)
	checkEnded(t, key, hub.ErrKeyBytes)
	channel.drain()
	channel.expect("the channel", series(1, 50), nil)
}
