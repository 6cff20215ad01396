package source

import (
	"sort"

	"sluice/internal/event"
)

// hole is a position in a page at which entries of the stream are missing.
type hole struct {
	before int   // index of the entry after the hole; len(Entries) for a hole after the last
	lost   int64 // number of missing entries, or [event.LostUnknown]
}

// Counted reports whether the ordinal of a position in a stream is known.
func (p Position) Counted() bool {
	return p.Ordinal > 0 || p.ID.IsZero()
}

// Missing returns the number of entries between two positions that were added and are no longer
// there, or [event.LostUnknown]. The page is the reply for the range between the positions, or the
// first part of it.
func (p Page) Missing(prev, end Position) int64 {
	s := p.State
	removed := int64(s.Added) - int64(s.Length)
	trimmed, exact := s.TrimmedBefore()
	missing := int64(event.LostUnknown)
	switch {
	case removed == 0, !prev.ID.Before(s.Deleted) && !prev.ID.Before(s.Continuity()):
		return 0
	case prev.Counted() && !p.More && end.Ordinal > 0:
		missing = int64(end.Ordinal) - int64(prev.Ordinal) - int64(len(p.Entries))
	case prev.Counted() && exact && prev.ID.Before(s.First):
		missing = int64(trimmed) - int64(prev.Ordinal)
	case removed == 1 && end.ID.Before(s.Deleted):
		return 0
	case removed == 1 && prev.ID.Before(s.Deleted):
		missing = 1
	}
	return max(missing, event.LostUnknown)
}

// Walk goes through the entries between two positions and the holes among them. It calls entry
// with each entry and the position after it, and gap with each hole: the number of missing
// entries, or [event.LostUnknown], and the position where the stream continues. missing is the
// result of [Page.Missing].
func (p Page) Walk(prev, end Position, missing int64, gap func(lost int64, at Position), entry func(e Entry, at Position)) {
	holes := p.holes(prev, end, missing)
	ordinals := p.ordinals(prev, end, holes)
	for i, e := range p.Entries {
		if len(holes) > 0 && holes[0].before == i {
			at := Position{ID: e.ID.Prev()}
			if ordinals[i] > 0 {
				at.Ordinal = ordinals[i] - 1
			}
			gap(holes[0].lost, at)
			holes = holes[1:]
		}
		entry(e, Position{ID: e.ID, Ordinal: ordinals[i]})
	}
	if len(holes) > 0 {
		gap(holes[0].lost, end)
	}
}

// holes returns the positions in the page at which entries are missing. Redis reports only the
// newest id that was deleted. So if it is unknown which entries are missing, every position
// before that id is a hole.
func (p Page) holes(prev, end Position, missing int64) []hole {
	if missing == 0 {
		return nil
	}
	last := prev.ID
	if n := len(p.Entries); n > 0 {
		last = p.Entries[n-1].ID
	}
	reached := !p.More || p.State.Deleted.Before(last) // no hole after the page that is not in it
	if missing == 1 && prev.ID.Before(p.State.Deleted) && !end.ID.Before(p.State.Deleted) {
		if !reached {
			return nil
		}
		at := sort.Search(len(p.Entries), func(i int) bool { return p.State.Deleted.Before(p.Entries[i].ID) })
		return []hole{{at, 1}}
	}
	var holes []hole
	before := prev.ID
	for i, e := range p.Entries {
		if before.Next() != e.ID && p.State.mayLack(before) {
			holes = append(holes, hole{i, event.LostUnknown})
		}
		before = e.ID
	}
	if !p.More && before != end.ID && p.State.mayLack(before) {
		holes = append(holes, hole{len(p.Entries), event.LostUnknown})
	}
	if len(holes) == 1 && missing > 0 && reached {
		holes[0].lost = missing
	}
	return holes
}

// mayLack reports whether the entry after an id may have been removed.
func (s StreamState) mayLack(id event.StreamID) bool {
	trimmed, exact := s.TrimmedBefore()
	return id.Before(s.Deleted) || id.Before(s.Continuity()) && !(exact && trimmed == 0)
}

// ordinals returns the ordinals of the entries, 0 for unknown ones.
func (p Page) ordinals(prev, end Position, holes []hole) []uint64 {
	ordinals := make([]uint64, len(p.Entries))
	lost := make([]int64, len(p.Entries)+1)
	for _, h := range holes {
		lost[h.before] = h.lost
	}
	ordinal, known := prev.Ordinal, prev.Counted()
	for i, e := range p.Entries {
		if trimmed, exact := p.State.TrimmedBefore(); exact && e.ID == p.State.First {
			ordinal, known = trimmed, true
		} else if lost[i] == event.LostUnknown {
			known = false
		} else {
			ordinal += uint64(lost[i])
		}
		if ordinal++; known {
			ordinals[i] = ordinal
		}
	}
	if p.More || end.Ordinal == 0 {
		return ordinals
	}
	ordinal = end.Ordinal
	for i := len(p.Entries); i > 0 && lost[i] != event.LostUnknown && ordinal > uint64(lost[i]); i-- {
		ordinal -= uint64(lost[i])
		ordinals[i-1] = ordinal
		ordinal--
	}
	return ordinals
}
