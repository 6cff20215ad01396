// Package source says how changes in Redis become events: the contract between hub, which
// follows topics, and its two implementations, package redis for a Redis server and package
// memory for the broker inside this process.
package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"sluice/internal/event"
	"sluice/internal/source/marker"
)

var (
	// ErrUnavailable is wrapped by errors that end when Redis can be reached again.
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
	// ErrFull is wrapped by the error of a publish that exceeds a bound of the embedded broker.
	ErrFull = errors.New("the embedded broker is full")
	// ErrKeyReused is returned by a publish whose idempotency key belongs to another request.
	ErrKeyReused = errors.New("the idempotency key was used for another publish")
	// ErrUnsupported is wrapped by the error of following a topic of a kind for which this
	// Redis, or a proxy before it, lacks a command.
	ErrUnsupported = errors.New("redis does not support it")
)

// MaxKeys bounds the keys that one glob may match.
const MaxKeys = 10_000

// MaxValueBytes bounds the values of keys that are read and delivered.
const MaxValueBytes = 8 << 20

// DefaultMaxLen is the number of entries that the demo feeds and cmd/publisher keep.
const DefaultMaxLen = 10_000

// IdempotencyTime is the time for which a repeated publish gets the first answer.
const IdempotencyTime = 10 * time.Minute

// ExistsAge bounds the age of the answer of [Following.Exists], so any number of subscribers need
// a bounded number of reads.
const ExistsAge = 50 * time.Millisecond

// Fill bounds how much of a stream's history is read when it is first followed.
type Fill struct {
	Events int
	Bytes  int
}

// Sink receives the events of one topic, in order and from one goroutine at a time. Its
// methods must return soon, since they delay other topics.
type Sink interface {
	// Begin reports the position after which every event of the topic is delivered. It is
	// called once, before Event and Gap.
	Begin(at Position)
	// Event delivers one event and the position after it. The sink must not keep e.Data.
	// Events before the topic is live are its recent history (streams) or its present
	// state (keys).
	Event(e event.Event, at Position)
	// Gap reports that events may be missing between the last call of Event and the next.
	Gap(g Gap)
}

// Position is a position in a topic that other gateways can find too.
type Position struct {
	ID      event.StreamID // stream: entries after this id follow
	Ordinal uint64         // stream: number of entries that were added up to here; 0 if unknown
	Markers *marker.View   // channel: the markers from here on, for Begin and Gap only; may be nil
}

// Gap is a position at which a source may have missed events.
type Gap struct {
	Reason event.GapReason
	Lost   int64    // number of events, or [event.LostUnknown]
	At     Position // where the topic continues
	Failed error    // not nil if the topic ends here; the source delivers nothing more
}

// Source follows topics and publishes to them. Its methods may be called from any
// goroutine.
type Source interface {
	// Follow begins to follow a topic. It does not block; [Following.Live] waits until the
	// topic is followed. A topic may be followed once at a time.
	Follow(topic event.Topic, sink Sink) Following
	// Range returns entries of a stream.
	Range(ctx context.Context, topic event.Topic, r Range) (Page, error)
	// Publish writes to a literal topic what any Redis client would write. It returns the
	// id of a stream's entry.
	Publish(ctx context.Context, topic event.Topic, m Message) (event.StreamID, error)
	// PublishAll writes messages to a literal topic in one transaction: all of them, or none if
	// it returns an error. If the connection breaks before the answer, either may be the case.
	// The idempotency key and the fingerprint of the first message apply to all of them.
	PublishAll(ctx context.Context, topic event.Topic, messages []Message) error
	// Ready returns nil while published messages reach this source. In a cluster, one master is
	// enough; topics in the unserved slots, for example "0-5460,10923", cannot be followed or
	// published to.
	Ready(ctx context.Context) (unserved string, err error)
	// Reconnects returns how often a connection that receives events was established again.
	Reconnects() int64
	// Close stops following all topics. No Sink is called after it has returned.
	Close() error
}

// Following is one followed topic. Its methods may be called from any goroutine.
type Following interface {
	// Live waits until everything that is published from now on will reach the sink. It
	// returns an error that wraps [ErrUnavailable] if Redis is known to be unavailable. A
	// channel also waits, at most two seconds, for the first marker.
	Live(ctx context.Context) error
	// Exists reports whether the key of a stream exists, as of at most [ExistsAge] before the
	// call. It may wait for Redis. It is true for other kinds.
	Exists(ctx context.Context) (bool, error)
	// Sync waits until everything that was published before the call has reached the sink.
	Sync(ctx context.Context) error
	// Close stops following. It does not block. An event in progress may still reach the sink.
	Close()
}

// Message is a message to publish.
type Message struct {
	Data []byte
	// TTL is the time after which the key of a stream or key topic expires. 0 does not change the
	// expiry of a stream, and sets a key without expiry.
	TTL time.Duration
	// For streams only.
	Type           string // event type, empty for none
	MaxLen         int64  // keep about this many entries; all if 0
	IdempotencyKey string // not empty: add once only for this key, and answer the same each time
	Fingerprint    string // of the request; another one under the same key is ErrKeyReused
}

// IdempotencySum returns the hash of an idempotency key of a stream.
func IdempotencySum(stream, key string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strconv.Quote(stream) + key))
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
	More    bool // the range may have more entries
}

// Entry is an entry of a stream as an event; the topic is left out.
type Entry struct {
	ID   event.StreamID
	Type string
	Data []byte
}

// StreamState is the state of a stream as Redis reports it.
type StreamState struct {
	Exists  bool
	First   event.StreamID // of the oldest entry; zero without entries
	Last    event.StreamID // the newest that was ever given
	Length  uint64         // entries
	Added   uint64         // entries that were ever added
	Deleted event.StreamID // the newest that was deleted from the middle
}

// TrimmedBefore returns the number of entries that were added before the oldest one that is
// left, and whether this number is exact.
func (s StreamState) TrimmedBefore() (uint64, bool) {
	return s.Added - s.Length, s.Added >= s.Length && (s.Length == 0 || s.Deleted.Before(s.First))
}

// Continuity returns the id after which nothing was trimmed.
func (s StreamState) Continuity() event.StreamID {
	if s.Length == 0 {
		return s.Last
	}
	return s.First.Prev()
}
