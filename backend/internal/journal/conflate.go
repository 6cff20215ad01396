package journal

import (
	"cmp"
	"slices"
	"time"
)

// conflation delivers at most one event of each topic in an interval, the newest. Topics
// are distinguished by the qualifiers of their ids: each key and each channel of a glob
// counts for itself. Every operation costs O(1) per event; an event in the journal is held
// by its position.
type conflation struct {
	every  time.Duration
	single bool // all events are of one topic

	topics      map[string]*topicState // topics with a held event, or within their interval
	intervals   []intervalEnd          // the earliest first
	ready       []*topicState          // topics whose held events may be delivered now
	front, back *topicState            // list of the held events in the order of arrival
	held        int                    // number of held events
	heldBytes   int                    // size of the bodies that are not in the journal
	order       uint64                 // order of the newest held event
	safe        []byte                 // cursor that passes no held event
	lost        []string               // qualifiers of held events that the journal no longer has
}

// heldEvent is an event that waits for the end of its topic's interval.
type heldEvent struct {
	qualifier string
	pos       uint64 // in the journal
	body      []byte // nil if the event is in the journal
	before    []byte // cursor before the event; nil if body is nil
}

// topicState is a topic that has delivered an event in this interval, or holds one.
type topicState struct {
	heldEvent
	order      uint64    // order of the event among all, until it is delivered; zero without one
	until      time.Time // end of the interval; zero if the topic is not in an interval
	isReady    bool
	prev, next *topicState
}

// intervalEnd is the end of an interval of a topic. It is stale if the topic has another end.
type intervalEnd struct {
	topic *topicState
	until time.Time
}

const (
	// maxTopics bounds the topics of one reader that are within their interval. Beyond it
	// the oldest interval ends early.
	maxTopics = 1 << 16
	// maxHeldBytes bounds the bodies that one reader holds of events from a replay. Beyond it
	// the oldest held events are delivered early.
	maxHeldBytes = 1 << 20
)

func newConflation(every time.Duration, single bool) *conflation {
	return &conflation{every: every, single: single, topics: make(map[string]*topicState)}
}

// hold holds an event in place of the held event of its topic.
func (c *conflation) hold(e heldEvent, now time.Time) {
	t := c.topics[e.qualifier]
	if t == nil {
		t = new(topicState)
		c.topics[e.qualifier] = t
	} else if t.order != 0 {
		c.unlink(t)
	}
	t.heldEvent = e
	c.heldBytes += len(e.body)
	c.order++
	t.order = c.order
	t.prev, t.next = c.back, nil
	if c.back == nil {
		c.front = t
	} else {
		c.back.next = t
	}
	c.back = t
	c.held++
	if !now.Before(t.until) {
		c.markReady(t)
	}
}

// endInterval makes the held event of a topic ready.
func (c *conflation) endInterval(t *topicState) {
	t.until = time.Time{}
	c.markReady(t)
}

func (c *conflation) markReady(t *topicState) {
	if !t.isReady {
		t.isReady = true
		c.ready = append(c.ready, t)
	}
}

// unlink removes the held event of a topic from the list.
func (c *conflation) unlink(t *topicState) {
	if t.prev == nil {
		c.front = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		c.back = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
	c.heldBytes -= len(t.body)
	c.held--
}

// due removes and returns up to limit held events that may be delivered now, in the order of
// arrival.
func (c *conflation) due(now time.Time, limit int) []*topicState {
	for len(c.intervals) > 0 {
		end := c.intervals[0]
		if end.until.After(now) && len(c.topics) <= maxTopics {
			break
		}
		c.intervals[0] = intervalEnd{}
		c.intervals = c.intervals[1:]
		switch t := end.topic; {
		case !t.until.Equal(end.until):
		case t.order != 0:
			c.endInterval(t)
		default:
			c.forget(t, end.until)
		}
	}
	excess := c.heldBytes - maxHeldBytes
	for t := c.front; t != nil && excess > 0; t = t.next {
		excess -= len(t.body)
		c.endInterval(t)
	}
	n := min(len(c.ready), limit)
	out := make([]*topicState, 0, n)
	for _, t := range c.ready[:n] {
		t.isReady = false
		if t.order != 0 && !t.until.After(now) { // else the event was delivered before a gap
			out = append(out, t)
		}
	}
	clear(c.ready[:n])
	if c.ready = c.ready[n:]; len(c.ready) == 0 {
		c.ready = nil
	}
	return c.remove(out)
}

// oldest removes and returns up to limit held events, in the order of arrival.
func (c *conflation) oldest(limit int) []*topicState {
	var out []*topicState
	for t := c.front; t != nil && len(out) < limit; t = t.next {
		out = append(out, t)
	}
	return c.remove(out)
}

func (c *conflation) remove(events []*topicState) []*topicState {
	slices.SortFunc(events, func(a, b *topicState) int { return cmp.Compare(a.order, b.order) })
	for _, t := range events {
		c.unlink(t)
	}
	return events
}

// startInterval forgets the held event of a topic, which is delivered now, and starts the topic's
// interval.
func (c *conflation) startInterval(t *topicState, now time.Time) {
	t.heldEvent = heldEvent{qualifier: t.qualifier}
	t.order = 0
	t.until = now.Add(c.every)
	c.intervals = append(c.intervals, intervalEnd{t, t.until})
}

// forget drops the event of a topic, and the topic if its interval has ended.
func (c *conflation) forget(t *topicState, now time.Time) {
	t.heldEvent = heldEvent{qualifier: t.qualifier}
	t.order = 0
	if !t.until.After(now) {
		t.until = time.Time{}
		delete(c.topics, t.qualifier)
	}
}

// next returns the earliest time at which a held event may be due, or the zero time if no event is
// held.
func (c *conflation) next() time.Time {
	if c.held == 0 {
		return time.Time{}
	}
	for len(c.intervals) > 0 && !c.intervals[0].topic.until.Equal(c.intervals[0].until) {
		c.intervals = c.intervals[1:]
	}
	if len(c.intervals) == 0 {
		return time.Time{}
	}
	return c.intervals[0].until
}
