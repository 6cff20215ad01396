package event

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Event is an event from a source, before it is appended to a journal.
type Event struct {
	// Topic is the literal topic of the event. On a subscription to a glob, it is the topic
	// that matched.
	Topic Topic
	// Type is the event type from the publisher; empty if it has none.
	Type string
	// Data is the publisher's payload, unchanged. The receiver must not keep it.
	Data []byte
}

// Event types of keys that have no value, or a value of a Redis type that is not supported.
const (
	KeyDeleted     = "key.deleted"
	KeyUnsupported = "key.unsupported"
)

// StreamEnd is the type of the event that ends a stream.
const StreamEnd = "stream.end"

// CheckType returns an error if a publisher may not use an event type. Types that begin with
// "stream." or "key." are reserved for Sluice. "open" and "error" would trigger the handlers for
// the connection in a browser. The format cannot represent line breaks and NUL.
func CheckType(eventType string) error {
	switch {
	case strings.HasPrefix(eventType, "stream."), strings.HasPrefix(eventType, "key."), eventType == "open", eventType == "error":
		return fmt.Errorf("the event type %q is reserved; types must not begin with stream. or key., or be open or error", eventType)
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
	UnknownCursor     GapReason = "unknown-cursor"     // the cursor has no known position
	SourceInterrupted GapReason = "source-interrupted" // the connection to Redis was lost
	SlowConsumer      GapReason = "slow-consumer"      // the client read too slowly
	TooLarge          GapReason = "too-large"          // an event exceeds the size limit
)

// LostUnknown is the Lost of a [Gap] of unknown size.
const LostUnknown = -1

// Gap is a position in a topic at which events may be missing.
type Gap struct {
	Topic  Topic
	Reason GapReason
	Lost   int64 // number of lost events, or LostUnknown
}

// CloseReason says why the server closes a connection.
type CloseReason string

// The reasons for closing.
const (
	Draining     CloseReason = "draining"      // the server is shutting down
	TokenExpired CloseReason = "token-expired" // the permission to subscribe has expired
	Unavailable  CloseReason = "unavailable"   // Redis cannot be reached
	Overloaded   CloseReason = "overloaded"    // a limit of the server is reached
)

// Sum returns a hash of the type and the data of an event. It is the same on every node.
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
