package event

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

// GapReason says why events may be missing.
type GapReason string

// The reasons for a gap.
const (
	HistoryExpired    GapReason = "history-expired"    // they are no longer held
	UnknownCursor     GapReason = "unknown-cursor"     // the cursor cannot be placed
	SourceInterrupted GapReason = "source-interrupted" // the connection to Redis was lost
	SlowConsumer      GapReason = "slow-consumer"      // the client took them too slowly
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
