package redis

import (
	"context"
	"errors"
	"fmt"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/marker"
	"sluice/internal/source/redis/pubsub"
)

// channels follows channels, and globs of channels.
type channels struct {
	router  *pubsub.Router
	sharded bool // a cluster, which has channels of its shards too
}

// follow follows a literal channel on the server that owns its slot, so all gateways receive
// the same order, with SUBSCRIBE and SSUBSCRIBE. Every server of a cluster receives the
// messages of PUBLISH, which are all that a glob matches, so one server has all globs.
func (c *channels) follow(topic event.Topic, sink source.Sink) source.Following {
	name, slot := topic.Pattern, pubsub.SlotOf(source.InternalPrefix)
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

// channelFollowing implements [source.Following] with the errors of this package.
type channelFollowing struct {
	*pubsub.Route
}

// Live implements [source.Following].
func (f channelFollowing) Live(ctx context.Context) error {
	return channelError(f.Route.Live(ctx))
}

// Sync implements [source.Following].
func (f channelFollowing) Sync(ctx context.Context) error {
	return channelError(f.Route.Sync(ctx))
}

// Exists implements [source.Following].
func (channelFollowing) Exists(context.Context) (bool, error) { return true, nil }

// channelError wraps an error of package pubsub in the error of this package.
func channelError(err error) error {
	switch {
	case errors.Is(err, pubsub.ErrUnavailable):
		return fmt.Errorf("%w: %w", source.ErrUnavailable, err)
	case errors.Is(err, pubsub.ErrForbidden):
		return fmt.Errorf("%w: %w", source.ErrForbidden, err)
	}
	return err
}

// channelReceiver delivers messages to the sink of a channel or of a glob of channels.
type channelReceiver struct {
	topic event.Topic
	sink  source.Sink
}

// Confirmed implements [pubsub.Receiver].
func (c channelReceiver) Confirmed(again bool, view *marker.View) {
	at := source.Position{Markers: view}
	if again {
		c.sink.Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, At: at})
	} else {
		c.sink.Begin(at)
	}
}

// Message implements [pubsub.Receiver].
func (c channelReceiver) Message(channel, payload string) {
	if c.topic.IsGlob() && source.Hidden(channel, c.topic.Pattern) {
		return
	}
	c.sink.Event(event.Event{Topic: event.Literal(event.Channel, channel), Data: []byte(payload)}, source.Position{})
}
