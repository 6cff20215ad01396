package event

import (
	"net/url"
	"strings"
)

// An id on the wire is a cursor, or, where one subscription follows more than one
// literal topic, "<topic>@<cursor>". Cursors hold no @, and topics hold theirs
// percent-encoded, so the first @ is the separator.

const upperHex = "0123456789ABCDEF"

// Qualifier returns the topic with its @, as it stands before the cursor in an id:
// percent-encoded where it holds %, @, or anything outside printable ASCII.
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

// SplitID separates an id into the topic that it names, zero if it names none,
// and the cursor. The topic is zero too where it cannot be read, since only the
// cursor decides where a subscription resumes.
func SplitID(id string) (Topic, string) {
	name, cursor, qualified := strings.Cut(id, "@")
	if !qualified {
		return Topic{}, id
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		return Topic{}, cursor
	}
	topic, err := ParseTopic(name)
	if err != nil {
		return Topic{}, cursor
	}
	return topic, cursor
}
