// Package memory is a broker inside this process, for a gateway that has no Redis.
package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// Broker is a [source.Source] without Redis, with the semantics of Redis for the three kinds.
// Publish delivers a message to all sinks before it returns. The memory of a broker is bounded: a
// publish that exceeds the bound returns an error that wraps [source.ErrFull] and changes nothing.
type Broker struct {
	// KeyBytes bounds the memory of the values of all keys, counted as a glob that matches all
	// of them counts it. Only the bound of the broker applies if it is 0. It must not change
	// after the first use.
	KeyBytes int

	fill  source.Fill
	limit int // bytes that streams, keys and idempotency answers may need together

	mu        sync.Mutex
	following map[*following]struct{}
	streams   map[string]*stream
	values    map[string]*keyValue
	answers   answers
	used      use
}

type following struct {
	broker *Broker
	topic  event.Topic
	glob   event.Glob
	sink   source.Sink
}

type stream struct {
	name    string
	entries []source.Entry
	last    event.StreamID
	added   uint64
	expiry  *time.Timer // nil if it does not expire
}

// keyValue is the value of a key.
type keyValue struct {
	data   []byte
	expiry *time.Timer // nil if it does not expire
}

// at returns the position after the n'th of the entries, counted from the oldest.
func (s *stream) at(n int) source.Position {
	at := source.Position{ID: s.last, Ordinal: s.added - uint64(len(s.entries)-n)}
	switch {
	case at.Ordinal == 0:
		at.ID = event.StreamID{}
	case n > 0:
		at.ID = s.entries[n-1].ID
	case n < len(s.entries):
		at.ID = s.entries[n].ID.Prev()
	}
	return at
}

// New returns an empty broker.
func New(fill source.Fill) *Broker {
	return &Broker{
		fill:      fill,
		limit:     limitBytes,
		following: make(map[*following]struct{}),
		streams:   make(map[string]*stream),
		values:    make(map[string]*keyValue),
		answers:   newAnswers(),
	}
}

// Follow implements [source.Source].
func (m *Broker) Follow(topic event.Topic, sink source.Sink) source.Following {
	f := &following{m, topic, event.CompileGlob(topic.Pattern), sink}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.following[f] = struct{}{}
	switch topic.Kind {
	case event.Stream:
		m.beginStream(f)
	case event.Key:
		f.sink.Begin(source.Position{})
		m.showKeys(f)
	default:
		f.sink.Begin(source.Position{})
	}
	return f
}

// beginStream delivers the newest entries of a stream to a new sink.
func (m *Broker) beginStream(f *following) {
	s := m.streams[f.topic.Name()]
	if s == nil {
		s = new(stream) // only a publish creates a stream
	}
	first, bytes := len(s.entries), 0
	for first > 0 && len(s.entries)-first < m.fill.Events && bytes < m.fill.Bytes {
		first--
		bytes += len(s.entries[first].Data)
	}
	f.sink.Begin(s.at(first))
	for i, e := range s.entries[first:] {
		f.sink.Event(event.Event{Topic: f.topic, Type: e.Type, Data: e.Data}, s.at(first+i+1))
	}
}

// showKeys delivers the present values to a new sink.
func (m *Broker) showKeys(f *following) {
	if !f.topic.IsGlob() {
		e := event.Event{Topic: f.topic, Type: event.KeyDeleted, Data: []byte("null")}
		if v, ok := m.values[f.topic.Name()]; ok {
			e.Type, e.Data = "", v.data
		}
		f.sink.Event(e, source.Position{})
		return
	}
	for name, v := range m.values {
		if f.glob.Match(name) {
			f.sink.Event(event.Event{Topic: event.Literal(event.Key, name), Data: v.data}, source.Position{})
		}
	}
}

// Live implements [source.Following]: a topic is live when Follow returns.
func (f *following) Live(context.Context) error {
	f.broker.mu.Lock()
	defer f.broker.mu.Unlock()
	return f.broker.checkType(f.topic)
}

// checkType returns an error that wraps [source.ErrWrongType] for a stream whose name is that of a
// key: they share one name space, as in Redis. m.mu must be held.
func (m *Broker) checkType(topic event.Topic) error {
	if topic.Kind == event.Stream && m.values[topic.Name()] != nil {
		return fmt.Errorf("%w: %s is not a stream", source.ErrWrongType, topic)
	}
	return nil
}

// Exists implements [source.Following].
func (f *following) Exists(context.Context) (bool, error) {
	f.broker.mu.Lock()
	defer f.broker.mu.Unlock()
	return f.topic.Kind != event.Stream || f.broker.streams[f.topic.Name()] != nil, nil
}

// Sync implements [source.Following]. Publish has delivered everything.
func (f *following) Sync(context.Context) error {
	return nil
}

func (f *following) Close() {
	f.broker.mu.Lock()
	defer f.broker.mu.Unlock()
	delete(f.broker.following, f)
}

// Publish implements [source.Source].
func (m *Broker) Publish(_ context.Context, topic event.Topic, msg source.Message) (event.StreamID, error) {
	return m.publishOnce(topic, []source.Message{msg})
}

// PublishAll implements [source.Source].
func (m *Broker) PublishAll(_ context.Context, topic event.Topic, messages []source.Message) error {
	_, err := m.publishOnce(topic, messages)
	return err
}

// publishOnce publishes messages unless they were published before under the same
// idempotency key. It returns the id of the newest entry of a stream.
func (m *Broker) publishOnce(topic event.Topic, messages []source.Message) (id event.StreamID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := messages[0]
	once := topic.Kind == event.Stream && first.IdempotencyKey != ""
	var key [sha256.Size]byte
	m.answers.expire(time.Now())
	if once {
		key = source.IdempotencySum(topic.Name(), first.IdempotencyKey)
		if id, known, err := m.answers.find(key, first.Fingerprint); known || err != nil {
			return id, err
		}
	}
	if err := m.checkType(topic); err != nil {
		return id, err
	}
	if err := m.checkRoom(topic, messages, once); err != nil {
		return id, err
	}
	if s := m.streams[topic.Name()]; s != nil && topic.Kind == event.Key {
		m.removeStream(s)
	}
	for _, msg := range messages {
		id = m.publish(topic, msg)
	}
	if once {
		m.answers.add(key, id, first.Fingerprint)
	}
	return id, nil
}

func (m *Broker) publish(topic event.Topic, msg source.Message) event.StreamID {
	e := event.Event{Topic: topic, Data: msg.Data}
	var at source.Position
	switch topic.Kind {
	case event.Channel: // nothing is kept
	case event.Stream:
		at = m.add(topic.Name(), msg)
		e.Type = msg.Type
	case event.Key:
		if !m.set(topic, msg) {
			return event.StreamID{}
		}
	}
	m.deliver(topic, func(sink source.Sink) { sink.Event(e, at) })
	return at.ID
}

// deliver calls a function for the sink of each topic that covers a literal topic.
func (m *Broker) deliver(topic event.Topic, call func(source.Sink)) {
	for f := range m.following {
		if f.topic.Kind == topic.Kind && f.glob.Match(topic.Name()) {
			call(f.sink)
		}
	}
}

// add appends an entry with the next id to a stream, and trims it. It returns the position
// after the entry.
func (m *Broker) add(name string, msg source.Message) source.Position {
	s := m.streams[name]
	if s == nil {
		s = &stream{name: strings.Clone(name)} // name may be a part of a long request
		m.streams[s.name] = s
		m.used.streams += streamSize(name)
	}
	id := event.StreamID{Millis: uint64(time.Now().UnixMilli())}
	if !s.last.Before(id) {
		id = s.last.Next()
	}
	s.entries = append(s.entries, source.Entry{ID: id, Type: strings.Clone(msg.Type), Data: slices.Clone(msg.Data)})
	s.last = id
	s.added++
	m.used.streams += entrySize(msg.Type, msg.Data)
	if msg.TTL > 0 {
		if s.expiry != nil {
			s.expiry.Stop()
		}
		s.expiry = time.AfterFunc(msg.TTL, func() { m.expireStream(s) })
	}
	if extra := len(s.entries) - int(msg.MaxLen); msg.MaxLen > 0 && extra > 0 {
		m.used.streams -= s.trim(extra)
	}
	return s.at(len(s.entries))
}

// trim removes the n oldest entries, and returns their size.
func (s *stream) trim(n int) (size int) {
	for _, e := range s.entries[:n] {
		size += entrySize(e.Type, e.Data)
	}
	clear(s.entries[:n]) // the slice's array must not keep them
	s.entries = s.entries[n:]
	if n > len(s.entries) {
		s.entries = slices.Clone(s.entries) // a long array must not remain
	}
	return size
}

// expireStream removes a stream, unless another one has its name since.
func (m *Broker) expireStream(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[s.name] == s {
		m.removeStream(s)
	}
}

// removeStream removes a stream. m.mu must be held.
func (m *Broker) removeStream(s *stream) {
	delete(m.streams, s.name)
	m.used.streams -= streamSize(s.name) + s.trim(len(s.entries))
	m.deliver(event.Literal(event.Stream, s.name), func(sink source.Sink) {
		sink.Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
	})
}

// set sets the value of a key, and reports whether it changed.
func (m *Broker) set(topic event.Topic, msg source.Message) bool {
	name := topic.Name()
	old, exists := m.values[name]
	if exists {
		m.used.keys -= keySize(topic, old.data)
		if old.expiry != nil {
			old.expiry.Stop()
		}
	}
	if !exists || msg.TTL > 0 {
		name = strings.Clone(name) // it may be a part of a long request
	}
	v := &keyValue{data: slices.Clone(msg.Data)}
	if msg.TTL > 0 {
		v.expiry = time.AfterFunc(msg.TTL, func() { m.expireKey(name, v) })
	}
	m.values[name] = v
	m.used.keys += keySize(topic, v.data)
	return !exists || !bytes.Equal(old.data, v.data)
}

// expireKey removes a key, unless it was set since.
func (m *Broker) expireKey(name string, v *keyValue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[name] != v {
		return
	}
	topic := event.Literal(event.Key, name)
	delete(m.values, name)
	m.used.keys -= keySize(topic, v.data)
	e := event.Event{Topic: topic, Type: event.KeyDeleted, Data: []byte("null")}
	m.deliver(topic, func(sink source.Sink) { sink.Event(e, source.Position{}) })
}

// Range implements [source.Source].
func (m *Broker) Range(_ context.Context, topic event.Topic, r source.Range) (source.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.streams[topic.Name()]
	if s == nil {
		return source.Page{}, nil
	}
	page := source.Page{State: source.StreamState{Exists: true, Last: s.last, Length: uint64(len(s.entries)), Added: s.added}}
	if len(s.entries) > 0 {
		page.State.First = s.entries[0].ID
	}
	first := sort.Search(len(s.entries), func(i int) bool { return r.After.Before(s.entries[i].ID) })
	end := sort.Search(len(s.entries), func(i int) bool { return r.UpTo.Before(s.entries[i].ID) })
	entries := s.entries[first:max(first, end)]
	count := min(r.Count, len(entries))
	if r.Newest {
		page.Entries = slices.Clone(entries[len(entries)-count:])
		slices.Reverse(page.Entries)
	} else {
		page.Entries = slices.Clone(entries[:count])
	}
	page.More = len(page.Entries) == r.Count
	return page, nil
}

// Ready implements [source.Source].
func (m *Broker) Ready(context.Context) (string, error) {
	return "", nil
}

// Reconnects implements [source.Source]. It is always 0.
func (m *Broker) Reconnects() int64 {
	return 0
}

// Close implements [source.Source].
func (m *Broker) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.following)
	clear(m.streams) // timers find nothing to expire
	clear(m.values)
	return nil
}
