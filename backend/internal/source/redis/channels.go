package redis

import (
	"context"

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
	slot, names := pubsub.SlotOf(source.InternalPrefix), []pubsub.Subscription{{Form: pubsub.Glob, Name: topic.Pattern}}
	if !topic.IsGlob() {
		name := topic.Name()
		slot, names = pubsub.SlotOf(name), []pubsub.Subscription{{Form: pubsub.Literal, Name: name}}
		if c.sharded {
			names = append(names, pubsub.Subscription{Form: pubsub.Sharded, Name: name})
		}
	}
	return channelFollowing{c.router.Follow(slot, channelReceiver{topic, sink}, names...)}
}

// channelFollowing implements [source.Following] with the errors of this package.
type channelFollowing struct {
	*pubsub.Route
}

func (f channelFollowing) Live(ctx context.Context) error {
	return sourceError(f.Route.Live(ctx))
}

func (f channelFollowing) Sync(ctx context.Context) error {
	return sourceError(f.Route.Sync(ctx))
}

func (channelFollowing) Exists(context.Context) (bool, error) { return true, nil }

// channelReceiver is a [pubsub.Receiver] that delivers messages to the sink of a channel or of a glob
// of channels.
type channelReceiver struct {
	topic event.Topic
	sink  source.Sink
}

func (c channelReceiver) Confirmed(again bool, view *marker.View) {
	at := source.Position{Markers: view}
	if again {
		c.sink.Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, At: at})
	} else {
		c.sink.Begin(at)
	}
}

func (c channelReceiver) Message(channel, payload string) {
	if c.topic.IsGlob() && source.Hidden(channel, c.topic.Pattern) {
		return
	}
	c.sink.Event(event.Event{Topic: event.Literal(event.Channel, channel), Data: []byte(payload)}, source.Position{})
}
