package hub

import (
	"bytes"
	"slices"
	"time"

	"sluice/internal/journal"
)

// conflation lets at most one event of each topic through in an interval, the newest.
// Topics are told apart by the qualifiers of their ids, so that each key and each
// channel of a glob counts for itself.
type conflation struct {
	every  time.Duration
	sent   map[string]time.Time // when the newest event of a topic went out
	held   []heldFrame          // at most one a topic, in the order in which they came
	cursor []byte               // of the last frame that was taken
}

// heldFrame waits until its topic may send again.
type heldFrame struct {
	journal.Frame
	before []byte // the cursor before it
}

func newConflation(every time.Duration) *conflation {
	return &conflation{every: every, sent: make(map[string]time.Time)}
}

// take takes the frames behind a cursor and returns those that go out now. A client that comes back with the
// cursor of one of them gets all that is still held then.
func (c *conflation) take(cursor []byte, frames []journal.Frame, now time.Time) []journal.Frame {
	c.cursor = bytes.Clone(cursor)
	var out []journal.Frame
	for _, f := range frames {
		if f.Lost != 0 { // a gap goes out in its place, behind all that came before it
			out = append(out, c.release(now, true)...)
			out = append(out, f)
			c.cursor = f.Cursor
			continue
		}
		c.hold(f)
	}
	return append(out, c.release(now, false)...)
}

// hold keeps a frame instead of an earlier one of its topic.
func (c *conflation) hold(f journal.Frame) {
	c.held = slices.DeleteFunc(c.held, func(h heldFrame) bool { return h.Qualifier == f.Qualifier })
	before := c.cursor
	f.Cursor, f.Body = bytes.Clone(f.Cursor), bytes.Clone(f.Body) // so that the journal can let go of them
	c.held = append(c.held, heldFrame{f, before})
	c.cursor = f.Cursor
}

// release returns the frames whose topics may send again, or all, with cursors that do
// not pass any that are still held.
func (c *conflation) release(now time.Time, all bool) []journal.Frame {
	var kept []heldFrame
	var out []journal.Frame
	var released []int // their places among the held
	for i, h := range c.held {
		if !all && now.Before(c.sent[h.Qualifier].Add(c.every)) {
			kept = append(kept, h)
			continue
		}
		released = append(released, i)
		out = append(out, h.Frame)
		c.sent[h.Qualifier] = now
	}
	// Walking back, oldest is the oldest frame that the client does not have yet.
	oldest, safe := len(c.held), c.cursor
	if len(kept) > 0 {
		oldest = slices.IndexFunc(c.held, func(h heldFrame) bool { return h.Qualifier == kept[0].Qualifier })
		safe = kept[0].before
	}
	for i := len(out) - 1; i >= 0; i-- {
		out[i].Cursor = safe
		if at := released[i]; at < oldest {
			oldest, safe = at, c.held[at].before
		}
	}
	c.held = kept
	c.forget(now)
	return out
}

// forget drops topics that may send at once.
func (c *conflation) forget(now time.Time) {
	for topic, at := range c.sent {
		if !now.Before(at.Add(c.every)) {
			delete(c.sent, topic)
		}
	}
}

// due returns when the next held frame may go out, the zero time if none is held.
func (c *conflation) due() time.Time {
	var first time.Time
	for _, h := range c.held {
		if at := c.sent[h.Qualifier].Add(c.every); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// rests returns until when no topic may send that has sent, the zero time if all may.
func (c *conflation) rests() time.Time {
	var last time.Time
	for _, at := range c.sent {
		if end := at.Add(c.every); end.After(last) {
			last = end
		}
	}
	return last
}
