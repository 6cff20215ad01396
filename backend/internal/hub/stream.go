package hub

import (
	"context"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// streamPlaces names places in a stream by Redis's own ids. What the journal does not
// hold is read from Redis.
type streamPlaces struct {
	feed *feed
	last event.StreamID // the newest place

	// Ids grow only until a stream is made anew or loses its newest entries; then an era
	// begins with a gap.
	era    uint64         // number of its first frame
	start  event.StreamID // every entry of the era after this one is in the journal, or was
	bottom event.StreamID // known to be the oldest in Redis, so that there is nothing before the journal
}

func (s *streamPlaces) begin(after event.StreamID) {
	s.era, s.start, s.last = journal.First, after, after
	s.feed.log.Rebase(after.String())
}

func (s *streamPlaces) event(dst []byte, e event.Event, _ uint64) []byte {
	s.last, _ = event.ParseStreamID(e.ID)
	return append(dst, e.ID...)
}

func (s *streamPlaces) gap(g source.Gap, number, _ uint64) string {
	s.last = g.After
	if g.Reason == event.SourceInterrupted {
		// An id of its own tells clients that have seen the gap from those that left off at
		// the entry before it.
		s.last = g.After.Next()
		s.era, s.start = number, g.After
	}
	return s.last.String()
}

func (s *streamPlaces) head() string {
	return s.last.String()
}

// tail returns the oldest position from which the journal holds the whole era, and the
// id that it comes after.
func (s *streamPlaces) tail() (pos uint64, after event.StreamID) {
	pos, cursor := s.feed.log.Tail()
	if pos <= s.era {
		return s.era, s.start
	}
	after, _ = event.ParseStreamID(cursor)
	return pos, after
}

func (s *streamPlaces) fresh(last int) place {
	pos, cursor := s.feed.log.Back(last)
	if pos == s.feed.log.Next() {
		cursor = s.head()
	}
	return place{pos: pos, cursor: cursor, before: cursor}
}

func (s *streamPlaces) resume(cursor string) place {
	id, ok := event.ParseStreamID(cursor)
	if !ok {
		return s.feed.unknown()
	}
	cursor = id.String()
	if pos, ok := s.find(id); ok {
		return place{pos: pos, cursor: cursor, before: cursor}
	}
	tail, after := s.tail()
	switch {
	case s.last.Before(id):
		return s.feed.unknown()
	case id.Before(after):
		r := &streamReplay{feed: s.feed, after: id, upTo: after, count: firstReplayPage}
		return place{pos: tail, cursor: cursor, before: cursor, replay: r}
	}
	return place{pos: s.search(id), cursor: cursor, before: cursor}
}

// find returns the position behind the frame that has exactly that id. Those of the
// newest era come first: an id of an earlier one may be in it once more.
func (s *streamPlaces) find(id event.StreamID) (pos uint64, ok bool) {
	head := s.feed.log.Next()
	tail, tailCursor := s.feed.log.Tail()
	cursor := id.String()
	if pos = s.search(id); pos > max(tail, s.era) && s.feed.log.CursorAt(pos) == cursor {
		return pos, true
	}
	if tail < s.era {
		for _, f := range s.feed.log.Between(tail, min(s.era, head)) {
			if string(f.Cursor) == cursor {
				return f.Next, true
			}
		}
	}
	return tail, tailCursor == cursor
}

// search returns the position of the first frame of the era behind an id.
func (s *streamPlaces) search(id event.StreamID) uint64 {
	tail, _ := s.tail()
	return s.feed.log.Search(tail, func(f journal.Frame) bool {
		at, _ := event.ParseStreamID(string(f.Cursor))
		return id.Before(at)
	})
}

// older returns the cursor of the place of a fresh subscriber that gets more recent
// entries than the journal holds, or none if the journal is enough.
func (h *Hub) older(ctx context.Context, f *feed, s *streamPlaces, last int) (string, error) {
	f.mu.Lock()
	_, after := s.tail()
	missing := last - f.log.Len()
	nothing := after == s.bottom || after.IsZero()
	f.mu.Unlock()
	if missing <= 0 || nothing {
		return "", nil
	}
	r := source.Range{UpTo: after, Newest: true}
	for missing > 0 {
		r.Count = min(missing, firstReplayPage)
		page, err := h.readRange(ctx, f.topic, r)
		if err != nil {
			return "", err
		}
		for _, e := range page.Entries {
			r.UpTo = e.ID.Prev()
		}
		missing -= len(page.Entries)
		if len(page.Entries) < r.Count {
			break
		}
	}
	if r.UpTo == after {
		f.mu.Lock()
		defer f.mu.Unlock()
		s.bottom = after
		return "", nil
	}
	return r.UpTo.String(), nil
}

// verify asks Redis about a cursor that is not one of the journal's own, and returns the
// cursor from which the client goes on and the gap that it is told of before that.
func (h *Hub) verify(ctx context.Context, f *feed, s *streamPlaces, cursor string) (string, *event.Gap, error) {
	id, ok := event.ParseStreamID(cursor)
	if !ok {
		return cursor, nil, nil // resume tells of it
	}
	f.mu.Lock()
	_, held := s.find(id)
	f.mu.Unlock()
	if held {
		return cursor, nil, nil
	}
	page, err := h.readRange(ctx, f.topic, source.Range{After: id.Prev(), UpTo: id, Count: 1})
	if err != nil {
		return "", nil, err
	}
	state := page.State
	if state.Last.Before(id) {
		return cursor, nil, nil // Redis never gave it, and resume tells of that
	}
	if err := s.reach(ctx, f, id); err != nil {
		return "", nil, err
	}
	gap := &event.Gap{Topic: f.topic, Reason: event.HistoryExpired, Lost: event.LostUnknown}
	switch {
	case state.TrimmedAfter(id):
		if trimmed, exact := state.TrimmedBefore(); exact && id.IsZero() {
			gap.Lost = int64(trimmed)
		}
		return state.Continuity().String(), gap, nil
	case id.Before(state.Deleted), len(page.Entries) == 0 && !id.IsZero() && id != state.Last && id != state.Continuity():
		return cursor, gap, nil // entries were deleted, or it was never one of this stream
	}
	return cursor, nil, nil
}

// reach waits until the journal has come as far as an id that Redis has given already. It
// does not wait long: an id without an entry never comes.
func (s *streamPlaces) reach(ctx context.Context, f *feed, id event.StreamID) error {
	grown := make(grownSignal, 1)
	f.log.Watch(grown)
	defer f.log.Unwatch(grown)
	wait := time.NewTimer(catchUp)
	defer wait.Stop()
	for {
		f.mu.Lock()
		there := !s.last.Before(id)
		f.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-grown:
		case <-wait.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// grownSignal is a [journal.Waker] for a goroutine that waits.
type grownSignal chan struct{}

// Wake implements [journal.Waker].
func (g grownSignal) Wake() {
	select {
	case g <- struct{}{}:
	default:
	}
}
