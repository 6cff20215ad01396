package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/internal/event"
	"sluice/internal/source/marker"
	"sluice/internal/source/redis/pubsub"
)

// internalPrefix begins the names of channels and keys that gateways use among
// themselves.
const internalPrefix = "__sluice__:"

// reservedPrefix begins the names of channels and keys that belong to Redis and the gateways: key
// notifications, invalidations, Sentinel, markers.
const reservedPrefix = "__"

// IsReserved reports whether a topic has a name, or a glob, that begins with two underscores. Such
// a channel can report the names of keys, and no client may publish to one.
func IsReserved(t event.Topic) bool {
	return strings.HasPrefix(t.Pattern, reservedPrefix)
}

// hidden reports whether a glob does not show a channel that it matches: never those of the
// gateways, and reserved ones only if the glob begins like them.
func hidden(channel, pattern string) bool {
	return strings.HasPrefix(channel, internalPrefix) ||
		strings.HasPrefix(channel, reservedPrefix) && !strings.HasPrefix(pattern, reservedPrefix)
}

// Needed returns the topics that a client must be allowed to follow in order to follow one: the
// topic itself, and all keys in addition if it is a reserved channel.
func Needed(t event.Topic) []event.Topic {
	needed := []event.Topic{t}
	if t.Kind == event.Channel && IsReserved(t) {
		needed = append(needed, event.Topic{Kind: event.Key, Pattern: "*"})
	}
	return needed
}

// IsInternal reports whether a topic is one that gateways use among themselves. Clients may
// neither follow it nor publish to it.
func IsInternal(t event.Topic) bool {
	return !t.IsGlob() && strings.HasPrefix(t.Name(), internalPrefix)
}

// channels follows channels, and globs of channels.
type channels struct {
	router  *pubsub.Router
	sharded bool // a cluster, which has channels of its shards too
}

// follow follows a literal channel on the server that owns its slot, so all gateways receive
// the same order, with SUBSCRIBE and SSUBSCRIBE. Every server of a cluster receives the
// messages of PUBLISH, which are all that a glob matches, so one server has all globs.
func (c *channels) follow(topic event.Topic, sink Sink) Following {
	name, slot := topic.Pattern, pubsub.SlotOf(internalPrefix)
	form := pubsub.Glob
	if !topic.IsGlob() {
		name, form = topic.Name(), pubsub.Literal
		slot = pubsub.SlotOf(name)
	}
	names := []pubsub.Subscription{{Form: form, Name: name}}
	if c.sharded && !topic.IsGlob() {
		names = append(names, pubsub.Subscription{Form: pubsub.Sharded, Name: name})
	}
	return channelFollowing{c.router.Follow(slot, channelReceiver{topic, sink}, names...)}
}

// channelFollowing implements [Following] with the errors of this package.
type channelFollowing struct {
	*pubsub.Route
}

// Live implements [Following].
func (f channelFollowing) Live(ctx context.Context) error {
	return channelError(f.Route.Live(ctx))
}

// Sync implements [Following].
func (f channelFollowing) Sync(ctx context.Context) error {
	return channelError(f.Route.Sync(ctx))
}

// channelError wraps an error of package pubsub in the error of this package.
func channelError(err error) error {
	switch {
	case errors.Is(err, pubsub.ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, pubsub.ErrForbidden):
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return err
}

// channelReceiver delivers messages to the sink of a channel or of a glob of channels.
type channelReceiver struct {
	topic event.Topic
	sink  Sink
}

// Confirmed implements [pubsub.Receiver].
func (c channelReceiver) Confirmed(again bool, view *marker.View) {
	at := Position{Markers: view}
	if again {
		c.sink.Gap(Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, At: at})
	} else {
		c.sink.Begin(at)
	}
}

// Message implements [pubsub.Receiver].
func (c channelReceiver) Message(channel, payload string) {
	if c.topic.IsGlob() && hidden(channel, c.topic.Pattern) {
		return
	}
	c.sink.Event(event.Event{Topic: event.Literal(event.Channel, channel), Data: []byte(payload)}, Position{})
}
