package event

import (
	"net/url"
	"strings"
)

// An id is a cursor. If a subscription follows more than one literal topic, the id is
// "<topic>@<cursor>". Cursors contain no @, and an @ in the topic is percent-encoded, so the first @
// is the separator.

const upperHex = "0123456789ABCDEF"

// Qualifier returns the part of an id before the cursor: the topic and an @. In the topic, %, @, and
// all bytes outside printable ASCII are percent-encoded.
func Qualifier(t Topic) string {
	s := t.String()
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == '%' || c == '@' || c <= ' ' || c >= 0x7f {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('@')
	return b.String()
}

// SplitID splits an id into its topic and its cursor. The topic is that of an event, so its name may
// be one that no subscription may contain. It is zero if the id has none, or one that is not valid.
func SplitID(id string) (Topic, string) {
	name, cursor, qualified := strings.Cut(id, "@")
	if !qualified {
		return Topic{}, id
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		return Topic{}, cursor
	}
	topic, err := parseTopic(name, newAnyTopic)
	if err != nil {
		return Topic{}, cursor
	}
	return topic, cursor
}
