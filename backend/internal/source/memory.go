package source

import (
	"context"
	"sync"

	"sluice/internal/event"
)

// Memory is a broker inside this process, with the semantics of Redis. What is
// published is delivered before Publish returns.
type Memory struct {
	mu        sync.Mutex
	following map[*memoryFollowing]struct{}
}

// NewMemory returns an empty broker.
func NewMemory() *Memory {
	return &Memory{following: make(map[*memoryFollowing]struct{})}
}

type memoryFollowing struct {
	broker *Memory
	topic  event.Topic
	glob   event.Glob
	sink   Sink
}

// Follow implements [Source].
func (m *Memory) Follow(topic event.Topic, sink Sink) Following {
	f := &memoryFollowing{m, topic, event.CompileGlob(topic.Pattern), sink}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.following[f] = struct{}{}
	return f
}

func (f *memoryFollowing) Live(context.Context) error {
	return nil
}

func (f *memoryFollowing) Close() {
	f.broker.mu.Lock()
	defer f.broker.mu.Unlock()
	delete(f.broker.following, f)
}

// Publish implements [Source].
func (m *Memory) Publish(_ context.Context, topic event.Topic, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := topic.Name()
	for f := range m.following {
		if f.topic.Kind == topic.Kind && f.glob.Match(name) {
			f.sink.Event(event.Event{Topic: topic, Data: data})
		}
	}
	return nil
}

// Ready implements [Source].
func (m *Memory) Ready(context.Context) error {
	return nil
}

// Close implements [Source].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.following)
	return nil
}
