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

	topics      map[string]*topicState // with a held event, or within their interval
	resting     []rest                 // the ends of intervals, the earliest first
	ready       []*topicState          // hold an event that may be delivered now
	front, back *topicState            // the held events in the order of arrival
	held        int                    // how many they are
	heldBytes   int                    // of the bodies that are not in the journal
	order       uint64                 // of the newest held event
	safe        []byte                 // cursor that passes no held event
	lost        []string               // qualifiers of held events that are gone
}

// heldEvent is an event that waits for the end of its topic's interval.
type heldEvent struct {
	qualifier string
	pos       uint64 // in the journal
	body      []byte // nil if the event comes from the journal
	before    []byte // cursor before the event, like body
}

// topicState is a topic that has delivered an event in this interval, or holds one.
type topicState struct {
	heldEvent
	order      uint64    // of the held event among all; zero if there is none
	until      time.Time // end of the interval, zero if the topic has delivered nothing
	isReady    bool
	prev, next *topicState
}

// rest is the end of an interval of a topic. It is stale if the topic has another end.
type rest struct {
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

// hold replaces the held event of a topic.
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
	t.prev, t.next, t.order = nil, nil, 0
	c.heldBytes -= len(t.body)
	c.held--
}

// due removes up to limit events from the held ones whose topics may deliver now. They are
// in the order of arrival.
func (c *conflation) due(now time.Time, limit int) []*topicState {
	for len(c.resting) > 0 {
		r := c.resting[0]
		if r.until.After(now) && len(c.topics) <= maxTopics {
			break
		}
		c.resting[0] = rest{}
		c.resting = c.resting[1:]
		switch t := r.topic; {
		case !t.until.Equal(r.until):
		case t.order != 0:
			c.endInterval(t)
		default:
			c.forget(t, r.until)
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
		if t.order != 0 && !t.until.After(now) { // else it was delivered before a gap
			out = append(out, t)
		}
	}
	clear(c.ready[:n])
	if c.ready = c.ready[n:]; len(c.ready) == 0 {
		c.ready = nil
	}
	return c.remove(out)
}

// oldest removes up to limit held events, in the order of arrival.
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
		order := t.order
		c.unlink(t)
		t.order = order // until it is delivered
	}
	return events
}

// rest begins the interval of a topic whose event is delivered.
func (c *conflation) rest(t *topicState, now time.Time) {
	t.heldEvent = heldEvent{qualifier: t.qualifier}
	t.order = 0
	t.until = now.Add(c.every)
	c.resting = append(c.resting, rest{t, t.until})
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

// next returns when a held event may be due, the zero time if none is held.
func (c *conflation) next() time.Time {
	if c.held == 0 {
		return time.Time{}
	}
	for len(c.resting) > 0 && !c.resting[0].topic.until.Equal(c.resting[0].until) {
		c.resting = c.resting[1:]
	}
	if len(c.resting) == 0 {
		return time.Time{}
	}
	return c.resting[0].until
}
