package delivery

import (
	"time"

	"sluice/internal/event"
)

// conn is a live connection: a socket and a position. Its size is most of the memory of an
// idle connection.
type conn struct {
	shard    *shard
	members  []member // one for each journal; nil after the end
	fd       int32
	serial   int32   // distinguishes connections that had the same descriptor
	full     bool    // the send buffer of the socket is full
	alarm    int32   // index of its alarm in the queue plus one, or zero
	queued   bool    // waits for another turn
	unsent   *unsent // nil if the socket accepted everything
	sent     instant // of the last data that the socket accepted
	progress progress
	expires  expiry // of the client's permission
	stream   Stream
	ended    func(*End)
}

// member is the membership of a connection in the group of a journal.
type member struct {
	group *group
	index int32 // in the group's list
}

// unsent is data that is sent first when the socket is writable again: the rest of a frame,
// and stream.close.
type unsent struct {
	bytes  []byte
	leaves event.CloseReason // reason for the end of the connection after bytes, or empty
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

// isLeaving reports whether stream.close was enqueued.
func (c *conn) isLeaving() bool {
	return c.unsent != nil && c.unsent.leaves != ""
}

// expiry is the end of a permission in Unix milliseconds, as tokens state it. Zero is never.
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
