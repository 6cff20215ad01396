package source

import (
	"strings"
	"sync"

	"sluice/internal/event"
)

const (
	// internalPrefix begins the names of channels and keys that gateways use among
	// themselves.
	internalPrefix = "__sluice__:"
	// marksChannel carries the marks of all gateways to all gateways. In a cluster, the
	// order of marks and messages is a matter of each server, so that it has a channel of
	// its own; its id follows the name.
	marksChannel = internalPrefix + "marks"
)

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

// IsInternal reports whether a topic is one that gateways use among themselves, so that
// nobody else may follow it or write to it.
func IsInternal(t event.Topic) bool {
	return !t.IsGlob() && strings.HasPrefix(t.Name(), internalPrefix)
}

// channels follows channels, and globs of channels.
type channels struct {
	router  *router
	sharded bool // it is a cluster, which has channels of its shards too

	mu        sync.RWMutex
	following map[event.Topic]*channelFollowing
}

type channelFollowing struct {
	*route
	owner *channels
	topic event.Topic
}

func newChannels(router *router, sharded bool) *channels {
	return &channels{router: router, sharded: sharded, following: make(map[event.Topic]*channelFollowing)}
}

// follow follows a literal channel where its slot is, so that all gateways see one order,
// by both ways on which messages come. Messages of PUBLISH, which is all that a glob can
// follow, come to every server of a cluster; so all globs are followed on the same one.
func (c *channels) follow(topic event.Topic, sink Sink) Following {
	r := channelReceiver{topic, sink}
	f := &channelFollowing{owner: c, topic: topic}
	switch {
	case topic.IsGlob():
		f.route = c.router.route(c.slot(topic), r, subscription{glob, topic.Pattern})
	case c.sharded:
		f.route = c.router.route(c.slot(topic), r, subscription{literal, topic.Name()}, subscription{sharded, topic.Name()})
	default:
		f.route = c.router.route(c.slot(topic), r, subscription{literal, topic.Name()})
	}
	c.mu.Lock()
	c.following[topic] = f
	c.mu.Unlock()
	f.start()
	return f
}

func (c *channels) slot(topic event.Topic) int {
	if topic.IsGlob() {
		return slotOf(marksChannel)
	}
	return slotOf(topic.Name())
}

// Close implements [Following].
func (f *channelFollowing) Close() {
	f.owner.mu.Lock()
	if f.owner.following[f.topic] == f {
		delete(f.owner.following, f.topic)
	}
	f.owner.mu.Unlock()
	f.route.Close()
}

// of returns the following of a topic, nil if there is none.
func (c *channels) of(topic event.Topic) *channelFollowing {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.following[topic]
}

// channelReceiver passes messages on to the sink of a channel or of a glob of channels.
type channelReceiver struct {
	topic event.Topic
	sink  Sink
}

func (c channelReceiver) confirmed(again bool, mark *Mark) {
	if again {
		c.sink.Gap(Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, Mark: mark})
	} else {
		c.sink.Begin(event.StreamID{})
	}
}

func (c channelReceiver) message(channel, payload string) {
	if c.topic.IsGlob() && hidden(channel, c.topic.Pattern) {
		return
	}
	c.sink.Event(event.Event{Topic: event.Literal(event.Channel, channel), Data: []byte(payload)})
}
