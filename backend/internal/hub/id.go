package hub

import (
	"encoding/base64"
	"hash/fnv"
	"slices"
	"strings"

	"sluice/internal/event"
)

// An id covers a whole subscription. For one literal topic it is the cursor alone. For
// several topics or a glob it is "<topic>@<vector>": the topic of the event, and the
// cursor of each topic of the subscription by the tag of that topic.

// vector holds a cursor for each of some topics.
type vector []component

type component struct {
	tag    string
	cursor string
}

const (
	// tagBytes makes it unlikely that two topics of one client share a tag. If two do, a
	// channel's epoch and a stream's checksum still distinguish their cursors.
	tagBytes = 5
	// maxComponents is the most topics of one subscription.
	maxComponents = 64
	// maxCursor is more than the length of the longest cursor.
	maxCursor = 256
)

// tag returns a short name for a topic that is the same on every node.
func tag(t event.Topic) string {
	h := fnv.New64a()
	h.Write([]byte(t.String()))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:tagBytes])
}

// parseVector parses a text as [listReader] encodes it: tag=cursor, separated by commas. Each tag occurs once.
func parseVector(text string) (vector, bool) {
	if strings.Count(text, ",") >= maxComponents {
		return nil, false
	}
	var v vector
	for part := range strings.SplitSeq(text, ",") {
		t, cursor, _ := strings.Cut(part, "=")
		sum, err := base64.RawURLEncoding.Strict().DecodeString(t)
		if err != nil || len(sum) != tagBytes || !isCursor(t) || !isCursor(cursor) {
			return nil, false
		}
		if slices.ContainsFunc(v, func(c component) bool { return c.tag == t }) {
			return nil, false
		}
		v = append(v, component{t, cursor})
	}
	return v, true
}

// isCursor reports whether the text consists of the characters of cursors.
func isCursor(text string) bool {
	return text != "" && len(text) <= maxCursor && !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
	})
}

// of returns the cursor of a topic.
func (v vector) of(t event.Topic) (cursor string, ok bool) {
	name := tag(t)
	for _, c := range v {
		if c.tag == name {
			return c.cursor, true
		}
	}
	return "", false
}

// parseID returns the cursors in an id, for a request for the given topics. It reports
// false if no gateway can have sent the id to a subscriber of such topics.
func parseID(id string, topics []event.Topic) (vector, bool) {
	if !strings.Contains(id, "@") {
		if len(topics) != 1 || topics[0].IsGlob() || !isCursor(id) {
			return nil, false
		}
		return vector{{tag(topics[0]), id}}, true
	}
	topic, text := event.SplitID(id)
	if topic == (event.Topic{}) {
		return nil, false
	}
	if !topic.IsGlob() && isCursor(text) { // a client may name the topic of a cursor
		return vector{{tag(topic), text}}, true
	}
	v, ok := parseVector(text)
	if !ok {
		return nil, false
	}
	if topic.IsGlob() || topic.Kind == event.Stream { // those of other events may belong to a glob
		_, ok = v.of(topic)
	}
	return v, ok
}

// qualifier returns the part of an id that precedes the cursors, empty if the events of
// the topicLog name no topic. It precedes the cursor of a glob's own journal.
func (t *topicLog) qualifier(origin event.Topic) string {
	if !t.topic.IsGlob() {
		return ""
	}
	return event.Qualifier(origin) + tag(t.topic) + "="
}
