package audit

import (
	"cmp"
	"slices"

	"sluice/internal/event"
)

// checker checks the events of one topic that one subscriber received. Its methods are called
// by one goroutine at a time.
type checker interface {
	// opened records that the topic is live: messages published after the call must be received.
	opened()
	// received records a message by its number.
	received(n int64)
	// deleted records that a key has no value.
	deleted()
	// gap records an announced gap, with the number of lost events or [event.LostUnknown].
	gap(lost int64)
	// complete reports whether the newest confirmed message was received.
	complete() bool
	// result returns the result if the audit ended now: confirmed messages that were not
	// received count as missing. It does not change the checker.
	result() Result
}

func newChecker(p *Publication) checker {
	if p.Topic.Kind == event.Key {
		return &latest{published: p}
	}
	return &sequence{published: p}
}

// sequence checks a channel or a stream: all numbers are received in order, except for numbers
// that are missing directly at a gap.
type sequence struct {
	published *Publication
	counts    Result

	first   int64 // first number received; 0 before it
	next    int64 // next expected number; 0 before the topic is live
	skipped []span
	gaps    pendingGaps
}

// span is a range of skipped numbers, [from, to).
type span struct {
	from, to  int64
	announced bool // by a gap
}

// pendingGaps sums up the gaps announced since the last number.
type pendingGaps struct {
	announced bool // at least one gap was announced
	lost      int64
	unknown   bool // at least one gap had no number of lost events
}

func (s *sequence) opened() {
	if s.next == 0 {
		s.next = s.published.Begun() + 1
	}
}

func (s *sequence) gap(lost int64) {
	s.counts.Gaps++
	s.gaps.announced = true
	if lost == event.LostUnknown {
		s.gaps.unknown = true
	} else {
		s.gaps.lost += lost
	}
}

func (s *sequence) deleted() {}

func (s *sequence) received(n int64) {
	s.counts.Received++
	switch {
	case s.first > 0 && n < s.next:
		s.late(n)
		return
	case s.next == 0 || n < s.next:
		// Published before the topic was live: allowed, and the sequence starts here.
		s.gaps = pendingGaps{}
	default:
		s.skip(n)
	}
	s.first, s.next = cmp.Or(s.first, n), n+1
}

// skip counts the numbers from next up to but not including n.
func (s *sequence) skip(n int64) {
	skipped := n - s.next
	least := skipped - s.published.doubtfulBetween(s.next, n)
	most := skipped
	if s.first == 0 {
		most = n - 1 // the server may have opened the topic long before stream.open was received
	}
	g := s.gaps
	s.gaps = pendingGaps{}
	s.counts.addMissing(least, g.announced)
	if g.announced && !g.unknown && (g.lost < least || g.lost > most) {
		s.counts.WrongCounts++
	}
	if skipped > 0 {
		s.skipped = append(s.skipped, span{s.next, n, g.announced})
	}
}

// late counts a number below next: a duplicate, or one that is out of order.
func (s *sequence) late(n int64) {
	i := slices.IndexFunc(s.skipped, func(sp span) bool { return sp.from <= n && n < sp.to })
	switch {
	case i < 0 && n < s.first:
		s.counts.OutOfOrder++
		return
	case i < 0:
		s.counts.Duplicates++
		return
	}
	sp := s.skipped[i]
	s.skipped[i].to = n
	s.skipped = append(s.skipped, span{n + 1, sp.to, sp.announced})
	if !s.published.isDoubtful(n) {
		s.counts.addMissing(-1, sp.announced)
		s.counts.OutOfOrder++
	}
}

func (s *sequence) complete() bool {
	return s.next > 0 && s.next > s.published.Confirmed()
}

func (s *sequence) result() Result {
	t := s.counts
	end := s.published.Confirmed() + 1
	if s.next == 0 || s.next >= end {
		return t
	}
	t.addMissing(end-s.next-s.published.doubtfulBetween(s.next, end), s.gaps.announced)
	return t
}

// latest checks a key: numbers only increase, and the last value received is the last one
// written.
type latest struct {
	published *Publication
	counts    Result

	value     int64 // number of the current value; zero if the key has no value
	newest    int64 // highest number received
	mayRepeat bool  // newest may be received again, because of a gap or a deletion
}

func (l *latest) opened() {}

func (l *latest) gap(int64) {
	l.counts.Gaps++
	l.mayRepeat = true
}

func (l *latest) deleted() {
	l.value = 0
	l.mayRepeat = true
}

func (l *latest) received(n int64) {
	l.counts.Received++
	switch {
	case n > l.newest, l.published.isDoubtful(n):
	case n < l.newest:
		l.counts.OutOfOrder++
	case !l.mayRepeat:
		l.counts.Duplicates++
	}
	l.mayRepeat = false
	l.value = n
	l.newest = max(l.newest, n)
}

func (l *latest) complete() bool {
	return l.value == l.published.Confirmed()
}

func (l *latest) result() Result {
	t := l.counts
	if !l.complete() {
		t.WrongFinal = 1
	}
	return t
}
