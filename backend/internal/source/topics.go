package source

import (
	"strings"

	"sluice/internal/event"
)

// InternalPrefix begins the names of channels and keys that gateways use among
// themselves.
const InternalPrefix = "__sluice__:"

// reservedPrefix begins the names of channels and keys that belong to Redis and the gateways: key
// notifications, invalidations, Sentinel, markers.
const reservedPrefix = "__"

// IsReserved reports whether a topic has a name, or a glob, that begins with two underscores. Such
// a channel can report the names of keys, and no client may publish to one.
func IsReserved(t event.Topic) bool {
	return strings.HasPrefix(t.Pattern, reservedPrefix)
}

// Hidden reports whether a glob does not show a channel that it matches: never those of the
// gateways, and reserved ones only if the glob begins like them.
func Hidden(channel, pattern string) bool {
	return strings.HasPrefix(channel, InternalPrefix) ||
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

// IsInternal reports whether only gateways may use a topic. Clients cannot follow it or publish to
// it.
func IsInternal(t event.Topic) bool {
	return !t.IsGlob() && strings.HasPrefix(t.Name(), InternalPrefix)
}
