// Package hub follows topics on behalf of subscribers. It follows a topic from its first
// subscriber until some time after its last one, keeps a journal of it, and turns a client's
// cursor into a position. It does not know about connections or HTTP.
package hub

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

var (
	// ErrClosed is returned by Subscribe after Close.
	ErrClosed = errors.New("hub is closed")
	// ErrFull is returned by Subscribe if the limit of topics with subscribers is reached, or
	// if the values of keys need all memory that they may.
	ErrFull = errors.New("no room for another topic")
	// ErrFinished is returned by Subscribe if the client has received the end of all topics.
	ErrFinished = errors.New("all topics have ended")
)

// Metrics counts events and gaps. Its methods may be called from any goroutine and must not
// block.
type Metrics interface {
	// EventReceived counts an event from a source, once for each followed topic.
	EventReceived(event.Kind)
	// GapAnnounced counts a gap: once for the interruption of a topic, and once for each
	// subscriber whose position was lost.
	GapAnnounced(event.GapReason)
	// ReplayRead counts a page of a replay that was read from Redis.
	ReplayRead()
}

// Options are the settings of a [Hub].
type Options struct {
	Node      string         // this process, among all on the same Redis
	History   journal.Limits // of each topic
	Linger    time.Duration  // how long a topic without subscribers is still followed
	MaxTopics int            // limit of followed topics; 0 for none
	KeyBytes  int            // limit of the values of one key topic; 0 for none
}

// Hub follows topics on behalf of subscribers. Its methods may be called from any
// goroutine.
type Hub struct {
	source  source.Source
	options Options
	metrics Metrics

	mu        sync.Mutex
	closed    bool
	logs      map[event.Topic]*topicLog
	lingering *list.List // of the logs without users, the oldest first

	replaying chan struct{}      // holds one for each read of a replay
	reads     singleflight.Group // of replays
}

// New returns a hub that follows topics on src.
func New(src source.Source, options Options, metrics Metrics) *Hub {
	return &Hub{
		source:    src,
		options:   options,
		metrics:   metrics,
		logs:      make(map[event.Topic]*topicLog),
		lingering: list.New(),

		replaying: make(chan struct{}, maxReplays),
	}
}

// Follow follows topics until Close, also without subscribers. A client can then resume here
// that was connected to another node.
func (h *Hub) Follow(topics []event.Topic) error {
	_, err := h.acquire(distinct(topics))
	return err
}

// Request is what a subscriber asks for.
type Request struct {
	Topics []event.Topic // at least one
	IDs    []string      // ids of the last events that the client has; empty ones are ignored
	Last   int           // number of recent events of each topic that the ids do not cover
	Start  bool          // streams that the ids do not cover start with their oldest entry
	Every  time.Duration // interval of a conflated subscription; 0 for all events
}

// Subscribe follows the topics, waits until all are live, and returns a subscription that
// starts at the request's position. The error wraps [source.ErrUnavailable] if Redis is
// unavailable, and is ErrFull if a limit is reached, or ErrFinished.
func (h *Hub) Subscribe(ctx context.Context, req Request) (*Subscription, error) {
	req.Topics = distinct(req.Topics)
	logs, err := h.acquire(req.Topics)
	if err != nil {
		return nil, err
	}
	for _, f := range logs {
		err := f.following.Live(ctx)
		if err == nil {
			err = f.open()
		}
		if err != nil {
			h.release(logs)
			if !errors.Is(err, source.ErrUnavailable) && ctx.Err() == nil {
				h.expire(f) // it will never be live; the next subscriber follows it again
			}
			return nil, err
		}
	}
	s := newSubscription(h, logs, req.Every)
	if err := s.begin(ctx, req); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// distinct drops repeated topics; the rest keep their order.
func distinct(topics []event.Topic) []event.Topic {
	var out []event.Topic
	for _, t := range topics {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// acquire returns the topicLog of each topic. It follows topics that are not followed.
func (h *Hub) acquire(topics []event.Topic) ([]*topicLog, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	if !h.hasRoom(topics) {
		return nil, ErrFull
	}
	logs := make([]*topicLog, len(topics))
	for i, t := range topics {
		if f := h.logs[t]; f != nil { // first, so open does not close it for the others
			h.awaken(f)
			f.users++
			logs[i] = f
		}
	}
	for i, t := range topics {
		if logs[i] == nil {
			logs[i] = h.open(t)
		}
	}
	return logs, nil
}

// hasRoom reports whether the limits allow users of all the topics.
func (h *Hub) hasRoom(topics []event.Topic) bool {
	inUse := h.inUse()
	for _, t := range topics {
		f := h.logs[t]
		if f == nil && t.Kind == event.Key && h.options.History.Memory.Full() {
			return false
		}
		if f == nil || f.users == 0 {
			inUse++
		}
	}
	return h.options.MaxTopics == 0 || inUse <= h.options.MaxTopics
}

// inUse returns the number of topics with users. The others can be closed for new ones.
func (h *Hub) inUse() int {
	return len(h.logs) - h.lingering.Len()
}

// open follows a topic for its first user. At the limit, it closes the topic that has
// lingered longest.
func (h *Hub) open(t event.Topic) *topicLog {
	if h.options.MaxTopics > 0 && len(h.logs) == h.options.MaxTopics {
		h.close(h.lingering.Front().Value.(*topicLog))
	}
	f := newTopicLog(h, t)
	f.following = h.source.Follow(t, f)
	f.users = 1
	h.logs[t] = f
	return f
}

// awaken stops the expiry of a topic that lingers.
func (h *Hub) awaken(f *topicLog) {
	if f.lingering != nil {
		h.lingering.Remove(f.lingering)
		f.lingering = nil
		f.expiry.Stop()
	}
}

// close stops following a topic.
func (h *Hub) close(f *topicLog) {
	h.awaken(f)
	delete(h.logs, f.topic)
	f.following.Close()
	f.close()
}

// fail closes a topic that has failed. Its subscribers read the rest of its journal.
func (h *Hub) fail(f *topicLog) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.logs[f.topic] == f {
		h.close(f)
	}
}

// failLargest fails the key topic with the most bytes of values, so that a small topic does not end
// because of a large one.
func (h *Hub) failLargest() {
	var largest *topicLog
	var most int64
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.logs {
		if k, ok := f.cursors.(*keyCursors); ok && k.bytes.Load() > most {
			largest, most = f, k.bytes.Load()
		}
	}
	if largest == nil {
		return
	}
	largest.lock()
	defer largest.unlock()
	// A topic that has failed keeps its bytes until it is closed.
	if largest.failed == nil && h.options.History.Memory.Full() {
		largest.fail(errValuesFull)
	}
}

// release ends a use of topics. A topic without users lingers.
func (h *Hub) release(logs []*topicLog) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range logs {
		f.users--
		if f.users == 0 && h.logs[f.topic] == f && !h.closed {
			f.lingering = h.lingering.PushBack(f)
			f.expiry = time.AfterFunc(h.options.Linger, func() { h.expire(f) })
		}
	}
}

// expire closes a topic that still has no users.
func (h *Hub) expire(f *topicLog) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.users == 0 && h.logs[f.topic] == f {
		h.close(f)
	}
}

// appendGapBody appends the body of a gap, and counts the gap.
func (h *Hub) appendGapBody(dst []byte, g event.Gap) []byte {
	h.metrics.GapAnnounced(g.Reason)
	return event.AppendGapBody(dst, g)
}

// Stats are figures of the moment.
type Stats struct {
	Topics       int // followed topics
	TopicsInUse  int // followed topics with users
	JournalBytes int // bytes of the frames in all journals
	TopicBytes   int // memory of journals, values and replays
	KeyBytes     int // bytes of the values of key topics
}

// Stats returns the figures of this moment.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Stats{Topics: len(h.logs), TopicsInUse: h.inUse(), TopicBytes: h.options.History.Memory.Held()}
	for _, f := range h.logs {
		s.JournalBytes += f.log.Bytes()
		if k, ok := f.cursors.(*keyCursors); ok {
			s.KeyBytes += int(k.bytes.Load())
		}
	}
	return s
}

// Close stops following all topics. Open subscriptions deliver nothing more.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, f := range h.logs {
		h.close(f)
	}
}
