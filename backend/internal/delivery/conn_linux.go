package delivery

import (
	"time"

	"sluice/internal/event"
)

// conn is a live connection: a socket and a position. Its size is most of the memory of an
// idle connection.
type conn struct {
	shard      *shard
	members    []member // one for each journal; nil after the end
	fd         int32
	serial     int32   // distinguishes connections that had the same descriptor
	full       bool    // the send buffer of the socket is full
	timerIndex int32   // index in the queue of timers plus one, or zero
	queued     bool    // requeued for another batch
	unsent     *unsent // nil if the socket accepted all data
	sent       instant // time of the last data that the socket accepted
	progress   progress
	expires    expiry // end of the client's permission
	stream     Stream
	ended      func(*End)
}

// member is the membership of a connection in the group of a journal.
type member struct {
	group *group
	index int32 // index in group.conns
}

// unsent is data that is sent first when the socket is writable again: the rest of a frame,
// and stream.close.
type unsent struct {
	bytes       []byte
	closeReason event.CloseReason // reason to close the connection after bytes, or empty
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

// isClosing reports whether stream.close is in unsent.
func (c *conn) isClosing() bool {
	return c.unsent != nil && c.unsent.closeReason != ""
}

// expiry is the end of a permission in Unix milliseconds, rounded down. Zero is never.
type expiry int64

func toExpiry(t time.Time) expiry {
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
