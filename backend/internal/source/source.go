// Package source turns what happens in Redis into events: one implementation of
// [Source] for Redis itself, one for the embedded broker that stands in for it. It
// does not know who listens, nor what becomes of the events.
//
// Of Redis, a router has each channel and each kind of notification followed on the
// servers that bring them, over one Pub/Sub connection to each; a single server is the
// case in which that is always the same one. Streams and keys are read with commands,
// which go-redis's client brings to the server in charge.
package source

import (
	"context"
	"errors"

	"sluice/internal/event"
)

var (
	// ErrUnavailable is wrapped by every error that will pass when Redis can be reached
	// again.
	ErrUnavailable = errors.New("redis is unavailable")
	// ErrWrongType is wrapped by the error of a publish to a key that holds something
	// else.
	ErrWrongType = errors.New("the key holds another type")
	// ErrForbidden is wrapped by the error of following, or publishing to, a topic that Redis
	// does not let this gateway use.
	ErrForbidden = errors.New("redis does not allow it")
	// ErrTooManyKeys is wrapped by the error of following a glob that matches more than
	// [MaxKeys] keys.
	ErrTooManyKeys = errors.New("too many keys")
	// ErrFull is wrapped by the error of a publish for which the embedded broker has no memory.
	ErrFull = errors.New("the embedded broker is full")
	// ErrKeyReused is returned by a publish whose idempotency key belongs to another request.
	ErrKeyReused = errors.New("the idempotency key was used for another publish")
	// ErrUnsupported is wrapped by the error of following a topic of a kind for which this
	// Redis, or a proxy before it, lacks a command.
	ErrUnsupported = errors.New("redis does not support it")
)

// MaxKeys bounds the keys that one glob may match.
const MaxKeys = 10_000

// DefaultMaxLen is the number of entries that the demo feeds and cmd/publisher keep.
const DefaultMaxLen = 10_000

// Sink takes what a source sees of one topic, in order and from one goroutine at a
// time. Its methods must return soon: they hold up other topics.
type Sink interface {
	// Begin says that the topic is taken up; of a stream, that every entry after that id
	// comes as an event. It is called once, before anything else.
	Begin(after event.StreamID)
	// Event takes one event. It must not keep e.Data. Events that come before the topic
	// is live are its recent history (of a stream) or its present state (of keys).
	Event(e event.Event)
	// Gap says that events may be missing between the last and the next call of Event.
	Gap(g Gap)
}

// Gap is a place at which a source may have missed events.
type Gap struct {
	Reason event.GapReason
	Lost   int64          // how many, or [event.LostUnknown]
	After  event.StreamID // of a stream: it goes on after this id
	Mark   *Mark          // of a channel: the newest where it goes on
	Failed error          // not nil if the topic ends here: the source delivers nothing more
}

// Source follows topics and publishes to them. Its methods may be called from any
// goroutine.
type Source interface {
	// Follow begins to follow a topic and returns at once; [Following.Live] tells when
	// that has taken effect. A topic may be followed once at a time.
	Follow(topic event.Topic, sink Sink) Following
	// Sync returns when what happened before the call to all channels, if the topic is one,
	// or to its keys has reached its sinks. For streams it does nothing.
	Sync(ctx context.Context, topic event.Topic) error
	// Mark returns the newest mark at the present place of a channel that is followed, nil
	// if there has been none since it is. Called by a sink's Event, it is the newest one
	// before that event; while the channel is interrupted, the newest one before that.
	Mark(topic event.Topic) *Mark
	// FindMark returns the mark with that token, nil if this source does not remember one
	// that came while it followed the channel, or was interrupted.
	FindMark(topic event.Topic, token string) *Mark
	// Range returns entries of a stream.
	Range(ctx context.Context, topic event.Topic, r Range) (Page, error)
	// Publish writes to a literal topic what any Redis client would write. It returns the
	// id of a stream's entry.
	Publish(ctx context.Context, topic event.Topic, m Message) (event.StreamID, error)
	// PublishAll writes messages to a literal topic, in order and with nothing of others
	// between them: all of them, or none if it returns an error. Only where the connection
	// breaks before the answer, nobody knows which. The idempotency key and the fingerprint
	// of the first message apply to all of them together.
	PublishAll(ctx context.Context, topic event.Topic, messages []Message) error
	// Ready returns nil while what is published reaches this source, else the reason
	// why not.
	Ready(ctx context.Context) error
	// Reconnects returns how often a connection that brings messages was cut off, and came
	// back.
	Reconnects() int64
	// Close ends everything. No Sink is called after it has returned.
	Close() error
}

// Following is one followed topic.
type Following interface {
	// Live waits until whatever is published from now on will reach the sink. It
	// returns an error that wraps [ErrUnavailable] when Redis is known to be away, and
	// the context's when that ends first. What was live before an interruption is
	// live again only when Redis has confirmed it again.
	Live(ctx context.Context) error
	// Close stops following. An event that is under way may still arrive.
	Close()
}

// Mark is a message that all gateways on one Redis see, at the same place among all
// messages of all channels that they follow on the same server. A place in a channel can
// be named by the mark before it and the number of messages since: that holds on every
// node, whatever the messages are.
type Mark struct {
	Ordinal uint64 // counts the marks that this source saw, from 1
	Token   string // the same on every node, never used twice, and by no two servers
}

// Message is what is published.
type Message struct {
	Data []byte
	// For streams only.
	Type           string // event type, empty for none
	MaxLen         int64  // keep about this many entries; all if 0
	IdempotencyKey string // not empty: add once only for this key, and answer the same each time
	Fingerprint    string // of the request; another one under the same key is ErrKeyReused
}

// Range says which entries of a stream to read: the oldest ones first, or the newest.
type Range struct {
	After  event.StreamID // exclusive
	UpTo   event.StreamID // inclusive
	Count  int
	Newest bool // the newest Count entries, newest first, instead of the oldest
}

// Page is an answer to a [Range], with the state of the stream at the same moment.
type Page struct {
	Entries []Entry
	State   StreamState
	More    bool // there may be further entries in the range
}

// Entry is an entry of a stream as an event; the topic is left out.
type Entry struct {
	ID   event.StreamID
	Type string
	Data []byte
}

// StreamState is what Redis tells of a stream as a whole.
type StreamState struct {
	Exists  bool
	First   event.StreamID // of the oldest entry; zero if there is none
	Last    event.StreamID // the newest that was ever given
	Length  uint64         // entries
	Added   uint64         // entries that were ever added
	Deleted event.StreamID // the newest that was deleted from the middle
}

// TrimmedBefore returns how many entries were added before the oldest one that is left,
// and whether that can be known.
func (s StreamState) TrimmedBefore() (uint64, bool) {
	return s.Added - s.Length, s.Added >= s.Length && (s.Length == 0 || s.Deleted.Before(s.First))
}

// TrimmedAfter reports whether entries behind an id may have been taken away from the
// beginning of the stream.
func (s StreamState) TrimmedAfter(id event.StreamID) bool {
	if n, exact := s.TrimmedBefore(); exact && n == 0 {
		return false
	}
	return id.Before(s.Continuity())
}

// Continuity returns the id behind which nothing was taken away from the beginning.
func (s StreamState) Continuity() event.StreamID {
	if s.Length == 0 {
		return s.Last
	}
	return s.First.Prev()
}
