package hub_test

import (
	"context"
	"sync"
	"testing"

	"sluice/internal/event"
	"sluice/internal/source"
)

// fakeSource is a source whose events and faults the test controls.
type fakeSource struct {
	away     error // error of Live
	never    bool  // Live blocks until its context ends
	begin    source.Position
	onExists func() // called by Exists, if set
	onSync   func() // called by Sync, if set

	mu    sync.Mutex
	sinks map[string]source.Sink
}

func newFakeSource() *fakeSource {
	return &fakeSource{sinks: make(map[string]source.Sink)}
}

type fakeFollowing struct {
	src   *fakeSource
	topic string
}

func (s *fakeSource) Follow(topic event.Topic, sink source.Sink) source.Following {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sinks[topic.String()] != nil {
		panic(topic.String() + " is followed twice")
	}
	s.sinks[topic.String()] = sink
	if s.away == nil && !s.never {
		sink.Begin(s.begin)
	}
	return &fakeFollowing{s, topic.String()}
}

func (s *fakeSource) Publish(context.Context, event.Topic, source.Message) (event.StreamID, error) {
	return event.StreamID{}, nil
}

func (s *fakeSource) PublishAll(context.Context, event.Topic, []source.Message) error {
	return nil
}

func (s *fakeSource) Range(context.Context, event.Topic, source.Range) (source.Page, error) {
	return source.Page{}, nil
}

func (s *fakeSource) Ready(context.Context) (string, error) { return "", nil }
func (s *fakeSource) Reconnects() int64                     { return 0 }
func (s *fakeSource) Close() error                          { return nil }

func (f *fakeFollowing) Sync(context.Context) error {
	if f.src.onSync != nil {
		f.src.onSync()
	}
	return nil
}

func (f *fakeFollowing) Exists(context.Context) (bool, error) {
	if f.src.onExists != nil {
		f.src.onExists()
	}
	return true, nil
}

func (f *fakeFollowing) Live(ctx context.Context) error {
	if f.src.never {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.src.away
}

func (f *fakeFollowing) Close() {
	f.src.mu.Lock()
	defer f.src.mu.Unlock()
	if f.src.sinks[f.topic] == nil {
		panic(f.topic + " is closed twice")
	}
	delete(f.src.sinks, f.topic)
}

func (s *fakeSource) followed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sinks)
}

func (s *fakeSource) sink(t *testing.T, topic string) source.Sink {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	sink := s.sinks[topic]
	if sink == nil {
		t.Fatalf("%s is not followed", topic)
	}
	return sink
}

// event sends an event of a channel to a followed topic.
func (s *fakeSource) event(t *testing.T, topic, channel, data string) {
	t.Helper()
	s.sink(t, topic).Event(event.Event{Topic: event.Literal(event.Channel, channel), Data: []byte(data)}, source.Position{})
}
