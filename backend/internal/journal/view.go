package journal

import (
	"iter"
	"slices"
	"sort"
)

// View is a consistent view of a journal: nothing is appended or evicted before Close. The goroutine
// that opens a view must close it soon, and must not call methods of the journal before that.
type View struct{ j *Journal }

// View opens a view. It blocks while a frame is appended or evicted.
func (j *Journal) View() View {
	j.mu.RLock()
	return View{j}
}

// Close ends a view.
func (v View) Close() { v.j.mu.RUnlock() }

// Head returns the position after the newest event, which is the number of the next one.
func (v View) Head() uint64 { return v.j.head }

// Tail returns the position of the oldest event held, and its cursor.
func (v View) Tail() (uint64, string) { return v.j.tail, string(v.j.base) }

// Back returns the position of the oldest of the newest n events, and the number of these events,
// which is lower if fewer are held after the position from. Gaps do not count, except final ones.
func (v View) Back(from uint64, n int) (pos uint64, events int) {
	pos = v.j.head
	for _, s := range slices.Backward(v.j.segments) {
		for k := len(s.recs) - 1; k >= s.first; k-- {
			if events == n || s.recs[k].seq < from {
				return pos, events
			}
			if s.recs[k].lost == 0 || s.recs[k].final {
				pos = s.recs[k].seq
				events++
			}
		}
	}
	return pos, events
}

// GapFrom reports whether there is a gap at a position or after it.
func (v View) GapFrom(from uint64) bool {
	return from <= v.j.gap
}

// EndsFinal reports whether the newest frame is final.
func (v View) EndsFinal() bool { return v.j.final != 0 && v.j.final == v.j.head-1 }

// Lost returns the number of events between a position and the tail, which are no longer
// held, or -1 if a gap of unknown size was among them.
func (v View) Lost(from uint64) int64 {
	switch {
	case from >= v.j.tail:
		return 0
	case from < v.j.unknown:
		return -1
	}
	return int64(v.j.tail - from)
}

// CursorAt returns the cursor of a position between tail and head.
func (v View) CursorAt(pos uint64) string { return string(v.j.cursorBefore(pos)) }

// CursorAfter returns the cursor after the frame with a number. The journal must hold the frame.
func (v View) CursorAfter(number uint64) string {
	i, k := v.j.find(number)
	return string(v.j.segments[i].frame(k).Cursor)
}

// Between returns the frames in [from, to) that are held.
func (v View) Between(from, to uint64) iter.Seq[Frame] {
	return func(yield func(Frame) bool) {
		for i, k := v.j.find(max(from, v.j.tail)); i < len(v.j.segments); i, k = i+1, 0 {
			for s := v.j.segments[i]; k < len(s.recs); k++ {
				if s.recs[k].seq >= to || !yield(s.frame(k)) {
					return
				}
			}
		}
	}
}

// Search returns the first position at or after from for whose frame beyond returns true, or the
// head. If beyond returns true for a frame, it must return true for all later frames.
func (v View) Search(from uint64, beyond func(Frame) bool) uint64 {
	from = max(from, v.j.tail)
	first, skip := v.j.find(from)
	for i := first; i < len(v.j.segments); i, skip = i+1, 0 {
		s := v.j.segments[i]
		last := len(s.recs) - 1
		if !beyond(s.frame(last)) {
			continue
		}
		k := skip + sort.Search(last-skip, func(k int) bool { return beyond(s.frame(skip + k)) })
		return s.recs[k].seq
	}
	return v.j.head
}
