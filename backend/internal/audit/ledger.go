package audit

import (
	"sluice/internal/event"
)

// ledger keeps the account of one subscriber and one topic. One goroutine at a time
// may use it.
type ledger interface {
	// opened says that the topic is live: what is published from now on must come.
	opened()
	// received takes the number of an event.
	received(n int64)
	// deleted takes the event of a key that has no value.
	deleted()
	// gap takes the announcement that events may be missing here, and how many, or
	// [event.LostUnknown].
	gap(lost int64)
	// complete reports whether the newest confirmed message is there.
	complete() bool
	// tally closes the account as of now: what should have come by now and did not is
	// missing. It changes nothing.
	tally() Tally
}

func newLedger(p *Publication) ledger {
	if p.topic.Kind == event.Key {
		return &latest{published: p}
	}
	return &sequence{published: p}
}

// sequence is the ledger of a channel or a stream: every number in order, except that
// some may be missing directly at a gap.
type sequence struct {
	published *Publication
	sums      Tally

	live    bool  // the first number that must come is known
	started bool  // a number came
	first   int64 // the first that came
	next    int64 // the one that is due
	skipped []span
	gaps    pendingGaps
}

// span is a run of numbers that were skipped.
type span struct {
	from, to  int64 // inclusive, exclusive
	announced bool
}

// pendingGaps are those that were announced since the last number.
type pendingGaps struct {
	count   int
	lost    int64
	unknown bool // one of them did not give a number
}

func (s *sequence) opened() {
	if !s.live {
		s.live = true
		s.next = s.published.Begun() + 1
	}
}

func (s *sequence) gap(lost int64) {
	s.sums.Gaps++
	s.gaps.count++
	if lost == event.LostUnknown {
		s.gaps.unknown = true
	} else {
		s.gaps.lost += lost
	}
}

func (s *sequence) deleted() {}

func (s *sequence) received(n int64) {
	s.sums.Received++
	switch {
	case !s.started && (!s.live || n < s.next):
		// Published before the topic was live, and welcome.
		s.started, s.live, s.first, s.next = true, true, n, n+1
		s.gaps = pendingGaps{}
	case n < s.next:
		s.late(n)
	default:
		s.skip(n)
		if !s.started {
			s.started, s.first = true, n
		}
		s.next = n + 1
	}
}

// skip accounts for the numbers from the one that is due up to n.
func (s *sequence) skip(n int64) {
	skipped := n - s.next
	least := skipped - s.published.doubtfulBetween(s.next, n)
	most := skipped
	if !s.started {
		most = n - 1 // the server may have opened the topic well before that was known here
	}
	g := s.gaps
	s.gaps = pendingGaps{}
	if g.count > 0 {
		s.sums.Announced += least
		if !g.unknown && (g.lost < least || g.lost > most) {
			s.sums.WrongCounts++
		}
	} else {
		s.sums.Lost += least
	}
	if skipped > 0 {
		s.skipped = append(s.skipped, span{s.next, n, g.count > 0})
	}
}

// late accounts for a number below the one that is due.
func (s *sequence) late(n int64) {
	for i := len(s.skipped) - 1; i >= 0; i-- {
		sp := s.skipped[i]
		if n < sp.from || n >= sp.to {
			continue
		}
		s.skipped[i].to = n
		s.skipped = append(s.skipped, span{n + 1, sp.to, sp.announced})
		if s.published.isDoubtful(n) {
			return
		}
		s.sums.OutOfOrder++
		if sp.announced {
			s.sums.Announced--
		} else {
			s.sums.Lost--
		}
		return
	}
	if n < s.first {
		s.sums.OutOfOrder++
	} else {
		s.sums.Duplicates++
	}
}

func (s *sequence) complete() bool {
	return s.live && s.next > s.published.Confirmed()
}

func (s *sequence) tally() Tally {
	t := s.sums
	end := s.published.Confirmed() + 1
	if !s.live || s.next >= end {
		return t
	}
	missing := end - s.next - s.published.doubtfulBetween(s.next, end)
	if s.gaps.count > 0 {
		t.Announced += missing
	} else {
		t.Lost += missing
	}
	return t
}

// latest is the ledger of a key: numbers only grow, and the last one is the last that
// was written.
type latest struct {
	published *Publication
	sums      Tally

	value  int64 // the present one, 0 if there is none
	newest int64 // the greatest that was seen
	excuse bool  // the value may be shown again: there was a gap, or it was deleted
}

func (l *latest) opened() {}

func (l *latest) gap(int64) {
	l.sums.Gaps++
	l.excuse = true
}

func (l *latest) deleted() {
	l.value = 0
	l.excuse = true
}

func (l *latest) received(n int64) {
	l.sums.Received++
	switch {
	case n > l.newest, l.published.isDoubtful(n):
	case n < l.newest:
		l.sums.OutOfOrder++
	case !l.excuse:
		l.sums.Duplicates++
	}
	l.excuse = false
	l.value = n
	l.newest = max(l.newest, n)
}

func (l *latest) complete() bool {
	return l.value == l.published.Confirmed()
}

func (l *latest) tally() Tally {
	t := l.sums
	if !l.complete() {
		t.WrongFinal = 1
	}
	return t
}
