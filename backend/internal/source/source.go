// Package source turns what happens in Redis into events: one implementation of
// [Source] for Redis itself, one for the embedded broker that stands in for it. It
// does not know who listens, nor what becomes of the events.
package source

import (
	"context"
	"errors"

	"sluice/internal/event"
)

// ErrUnavailable is wrapped by every error that will pass when Redis can be reached
// again.
var ErrUnavailable = errors.New("redis is unavailable")

// Sink takes what a source sees of one topic, in order and from one goroutine at a
// time. Its methods must return soon: they hold up all other topics.
type Sink interface {
	// Event takes one event. It must not keep e.Data.
	Event(e event.Event)
	// Gap says that events may be missing between the last and the next call of
	// Event; lost is their number or [event.LostUnknown].
	Gap(reason event.GapReason, lost int64)
}

// Source follows topics and publishes to them. Its methods may be called from any
// goroutine.
type Source interface {
	// Follow begins to follow a topic and returns at once; [Following.Live] tells when
	// that has taken effect. A topic may be followed once at a time.
	Follow(topic event.Topic, sink Sink) Following
	// Publish writes to a literal topic what any Redis client would write.
	Publish(ctx context.Context, topic event.Topic, data []byte) error
	// Ready returns nil while what is published reaches this source, else the reason
	// why not.
	Ready(ctx context.Context) error
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
