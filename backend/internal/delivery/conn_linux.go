package delivery

import (
	"bytes"
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

// unsent is data that is sent first when the socket is writable again, in this order.
type unsent struct {
	rest        []byte            // of a frame
	shared      []byte            // more of the same frame, in memory that the journal has
	close       []byte            // stream.close
	closeReason event.CloseReason // in close; empty if the connection continues
}

// minShared is the number of bytes above which the rest of a frame is shared with the journal, so a
// large message is in memory once for all clients. A shorter one is copied, since it could keep a
// whole segment.
const minShared = 16 << 10

// unsentFrame returns the rest of a frame as unsent data. The bytes of the frame must not change.
func unsentFrame(rest []byte) *unsent {
	if len(rest) > minShared {
		return &unsent{shared: rest}
	}
	return &unsent{rest: bytes.Clone(rest)}
}

func (c *conn) close(reason event.CloseReason) {
	c.shard.post(func(m *mailbox) { m.closing = append(m.closing, closing{c, reason}) })
}

// hasEnded reports whether the shard has released the connection.
func (c *conn) hasEnded() bool {
	return c.members == nil
}

// isClosing reports whether stream.close is unsent.
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
