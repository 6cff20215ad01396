package delivery

import (
	"time"

	"sluice/internal/event"
)

// conn is a connection that is live: a socket and a position. There may be very many, so
// that each of its bytes counts.
type conn struct {
	shard    *shard
	members  []member // one for each journal; nil after the end
	fd       int32
	serial   int32   // tells it from an earlier connection with the same descriptor
	full     bool    // the socket takes nothing more for now
	alarm    int32   // index of its alarm in the queue plus one, or zero
	queued   bool    // for another turn
	unsent   *unsent // nil if there is nothing
	sent     instant // when the socket took something last
	progress progress
	expires  expiry // of the client's right to the stream
	stream   Stream
	ended    func(*End)
}

// member is the membership of a connection in the group of a journal.
type member struct {
	group *group
	index int32 // in the group's list
}

// unsent is what goes out before anything else of a connection, once its socket takes it:
// the rest of a frame, a goodbye.
type unsent struct {
	bytes  []byte
	leaves event.CloseReason // the reason if the connection ends after that, else empty
}

// close implements [closer].
func (c *conn) close(reason event.CloseReason) {
	m := &c.shard.mail
	m.mu.Lock()
	m.closing = append(m.closing, closing{c, reason})
	m.mu.Unlock()
	c.shard.signal()
}

// hasEnded reports whether the shard has released the connection.
func (c *conn) hasEnded() bool {
	return c.members == nil
}

// isLeaving reports whether goodbye was said.
func (c *conn) isLeaving() bool {
	return c.unsent != nil && c.unsent.leaves != ""
}

// expiry is when a right ends, in milliseconds of Unix time: those who gave it know no other
// clock. Zero is never.
type expiry int64

func expiryOf(t time.Time) expiry {
	if t.IsZero() {
		return 0
	}
	return expiry(t.UnixMilli())
}

func (e expiry) time() time.Time {
	if e == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(e))
}
