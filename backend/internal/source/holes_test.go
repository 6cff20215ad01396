package source

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/internal/event"
)

// streamModel is a stream that also records what Redis does not report: all ids that were ever
// added.
type streamModel struct {
	all   []event.StreamID
	left  []event.StreamID
	state StreamState
}

func (m *streamModel) add(n int) {
	for range n {
		id := m.state.Last.Next()
		if rand.IntN(3) > 0 {
			id = event.StreamID{Millis: m.state.Last.Millis + 1 + rand.Uint64N(3)}
		}
		m.all, m.left = append(m.all, id), append(m.left, id)
		m.state.Last = id
		m.state.Added++
	}
}

func (m *streamModel) delete(n int) {
	for ; n > 0 && len(m.left) > 0; n-- {
		i := rand.IntN(len(m.left))
		if m.state.Deleted.Before(m.left[i]) {
			m.state.Deleted = m.left[i]
		}
		m.left = slices.Delete(m.left, i, i+1)
	}
}

func (m *streamModel) trim(n int) {
	m.left = m.left[min(n, len(m.left)):]
}

// page returns up to n entries between two ordinals.
func (m *streamModel) page(after, upTo, n int) Page {
	s := m.state
	s.Exists, s.Length, s.First = true, uint64(len(m.left)), event.StreamID{}
	if len(m.left) > 0 {
		s.First = m.left[0]
	}
	p := Page{State: s}
	for _, id := range m.left {
		if i := slices.Index(m.all, id); i < after || i >= upTo {
			continue
		}
		if len(p.Entries) == n {
			p.More = true
			break
		}
		p.Entries = append(p.Entries, Entry{ID: id})
	}
	return p
}

// at returns the position after the first n entries that were ever added.
func (m *streamModel) at(n int) Position {
	if n == 0 {
		return Position{}
	}
	return Position{ID: m.all[n-1], Ordinal: uint64(n)}
}

// Walk reports a gap at each missing entry, with exact counts, and no gap if no entry of the range
// is missing.
func TestPage_WalkReportsEveryGap(t *testing.T) {
	t.Parallel()
	for round := range 20_000 {
		var m streamModel
		for range 1 + rand.IntN(4) {
			m.add(1 + rand.IntN(8))
			m.delete(max(rand.IntN(4)-1, 0))
			if rand.IntN(4) == 0 {
				m.trim(rand.IntN(4))
			}
		}
		after := rand.IntN(len(m.all))
		upTo := after + 1 + rand.IntN(len(m.all)-after)
		page := m.page(after, upTo, 1+rand.IntN(len(m.all)))
		prev, end := m.at(after), m.at(upTo)
		if rand.IntN(4) == 0 && after > 0 {
			prev.Ordinal = 0 // as for an id without an ordinal
		}
		checkWalk(t, fmt.Sprintf("round %d: of %v, %v left, after %d up to %d", round, m.all, m.left, after, upTo), &m, page, prev, end, after)
		if t.Failed() {
			return
		}
	}
}

func checkWalk(t *testing.T, what string, m *streamModel, page Page, prev, end Position, after int) {
	t.Helper()
	next, gap := after, int64(0)
	reach := func(i int) {
		missing := int64(i - next)
		switch {
		case missing > 0 && gap == 0:
			t.Errorf("%s: %d entries are missing without a gap", what, missing)
		case gap > 0 && gap != missing:
			t.Errorf("%s: got a gap of %d, want %d", what, gap, missing)
		}
		gap = 0
	}
	missing := page.Missing(prev, end)
	lost := 0
	page.Walk(prev, end, missing, func(n int64, _ Position) {
		gap = n
		lost++
	}, func(e Entry, at Position) {
		i := slices.Index(m.all, e.ID)
		reach(i)
		next = i + 1
		if at.Ordinal > 0 && at.Ordinal != uint64(next) {
			t.Errorf("%s: entry %d: got ordinal %d", what, next, at.Ordinal)
		}
	})
	if !page.More {
		reach(slices.Index(m.all, end.ID) + 1)
		if missing > 0 && lost == 0 || missing == 0 && lost > 0 {
			t.Errorf("%s: %d entries are missing, got gaps of %d", what, missing, lost)
		}
	}
}
