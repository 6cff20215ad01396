package event

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Event is one thing that happened in Redis, before it has a place in a journal.
type Event struct {
	// Topic is the literal topic that it came from; on a subscription to a glob,
	// the one that matched.
	Topic Topic
	// Type is the event type that the publisher gave; empty for none.
	Type string
	// Data is the publisher's payload, unchanged. The receiver must not keep it.
	Data []byte
}

// KeyDeleted and KeyUnsupported are the types of the events of a key that has no
// value, or one that cannot be shown.
const (
	KeyDeleted     = "key.deleted"
	KeyUnsupported = "key.unsupported"
)

// StreamEnd is the type of the event that ends a stream.
const StreamEnd = "stream.end"

// CheckType returns an error where a publisher may not use an event type: types that
// begin with "stream." or "key." are Sluice's own, "open" and "error" would fire a
// page's own handlers, and a line break or NUL cannot be written.
func CheckType(eventType string) error {
	switch {
	case strings.HasPrefix(eventType, "stream."), strings.HasPrefix(eventType, "key."), eventType == "open", eventType == "error":
		return fmt.Errorf("the event type %q is reserved; types must not begin with stream. or key., nor be open or error", eventType)
	case strings.ContainsAny(eventType, "\r\n\x00"), !utf8.ValidString(eventType):
		return fmt.Errorf("the event type %q has a line break or a NUL, or is not valid UTF-8", eventType)
	}
	return nil
}

// GapReason says why events may be missing.
type GapReason string

// The reasons for a gap.
const (
	HistoryExpired    GapReason = "history-expired"    // they are no longer held
	UnknownCursor     GapReason = "unknown-cursor"     // the cursor cannot be placed
	SourceInterrupted GapReason = "source-interrupted" // the connection to Redis was lost
	SlowConsumer      GapReason = "slow-consumer"      // the client took them too slowly
	TooLarge          GapReason = "too-large"          // an event is larger than the gateway delivers
)

// LostUnknown is the Lost of a [Gap] whose size cannot be known.
const LostUnknown = -1

// Gap says that events of a topic may be missing at this place.
type Gap struct {
	Topic  Topic
	Reason GapReason
	Lost   int64 // how many events, or LostUnknown
}

// CloseReason says why the server ends a connection.
type CloseReason string

// The reasons for closing.
const (
	Draining     CloseReason = "draining"      // this server is going away
	TokenExpired CloseReason = "token-expired" // the right to subscribe ended
	Unavailable  CloseReason = "unavailable"   // Redis cannot be reached
	Overloaded   CloseReason = "overloaded"    // no room for another connection
)

// Sum returns a hash of an event's type and data, the same on every node.
func Sum(eventType string, data []byte) uint64 {
	if eventType == "" {
		return xxhash.Sum64(data)
	}
	d := xxhash.New()
	_, _ = d.WriteString(eventType) // never fails
	_, _ = d.WriteString("\n")
	_, _ = d.Write(data)
	return d.Sum64()
}
