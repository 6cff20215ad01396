package source

import (
	"slices"
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

// keyPrefixes begin the names of the channels in which Redis notifies of changes of keys,
// as the gateway has it do.
var keyPrefixes = []string{"__keyspace@", "__keyevent@"}

// tellsOfKeys reports whether a channel, or a glob that begins like one, is for
// notifications.
func tellsOfKeys(pattern string) bool {
	return slices.ContainsFunc(keyPrefixes, func(prefix string) bool { return strings.HasPrefix(pattern, prefix) })
}

// hidden reports whether a glob does not show a channel that it matches: what gateways say
// to each other never, notifications unless it asks for them by name.
func hidden(channel, pattern string) bool {
	return strings.HasPrefix(channel, internalPrefix) || tellsOfKeys(channel) && !tellsOfKeys(pattern)
}

// Needed returns the topics that somebody must be allowed to follow in order to follow one:
// itself, and all keys besides where it tells which of them are written.
func Needed(t event.Topic) []event.Topic {
	needed := []event.Topic{t}
	if t.Kind == event.Channel && tellsOfKeys(t.Pattern) {
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
