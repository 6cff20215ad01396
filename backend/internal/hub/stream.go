package hub

import (
	"context"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// streamPlaces names places in a stream by Redis's own ids. What the journal does not
// hold is read from Redis.
type streamPlaces struct {
	feed *feed
	last source.ID // the newest that is in the journal, or that it goes on after

	// Ids grow only until a stream is made anew; then an era begins with a gap.
	era   uint64    // number of its first frame
	start source.ID // every entry of the era after this one is in the journal, or was
}

func (s *streamPlaces) begin(after source.ID) {
	s.era, s.start, s.last = journal.First, after, after
	s.feed.log.Rebase(after.String())
}

func (s *streamPlaces) event(e event.Event, _ uint64) string {
	s.last, _ = source.ParseID(e.ID)
	return e.ID
}

func (s *streamPlaces) gap(g source.Gap, number, _ uint64) string {
	if g.After.Before(s.last) {
		s.era, s.start = number, g.After
	}
	s.last = g.After
	return g.After.String()
}

func (s *streamPlaces) head() string {
	return s.last.String()
}

// tail returns the oldest position from which the journal holds the whole era, and the
// id that it comes after.
func (s *streamPlaces) tail() (pos uint64, after source.ID) {
	pos, cursor := s.feed.log.Tail()
	if pos <= s.era {
		return s.era, s.start
	}
	after, _ = source.ParseID(cursor)
	return pos, after
}

func (s *streamPlaces) fresh(last int) place {
	pos, cursor := s.feed.log.Back(last)
	if head, _ := s.feed.log.Head(); pos == head {
		cursor = s.head()
	}
	return place{pos: pos, cursor: cursor, before: cursor}
}

func (s *streamPlaces) resume(cursor string) place {
	id, ok := source.ParseID(cursor)
	if !ok || s.last.Before(id) {
		return s.feed.atHead(event.UnknownCursor)
	}
	cursor = id.String()
	tail, after := s.tail()
	if id.Before(after) {
		r := &streamReplay{feed: s.feed, after: id, upTo: after, count: firstReplayPage}
		return place{pos: tail, cursor: cursor, before: cursor, replay: r}
	}
	pos := s.feed.log.Search(tail, func(f journal.Frame) bool {
		at, _ := source.ParseID(string(f.Cursor))
		return id.Before(at)
	})
	return place{pos: pos, cursor: cursor, before: cursor}
}

// older returns the cursor of the place of a fresh subscriber that gets more recent
// entries than the journal holds, or none if the journal is enough.
func (h *Hub) older(ctx context.Context, f *feed, s *streamPlaces, last int) (string, error) {
	f.mu.Lock()
	pos, _ := f.log.Back(last)
	tail, after := s.tail()
	missing := last - f.log.Len()
	f.mu.Unlock()
	if pos > tail || missing <= 0 {
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
		return "", nil
	}
	return r.UpTo.String(), nil
}

// holds reports whether the journal alone can answer for a cursor.
func (s *streamPlaces) holds(id source.ID) bool {
	_, after := s.tail()
	return !id.Before(after) && !s.last.Before(id)
}

// verify asks Redis about a cursor for which the journal cannot answer, and returns the
// cursor from which the client goes on and the gap that it is told of before that.
func (h *Hub) verify(ctx context.Context, f *feed, s *streamPlaces, cursor string) (string, *event.Gap, error) {
	id, ok := source.ParseID(cursor)
	if !ok {
		return cursor, nil, nil // resume tells of it
	}
	f.mu.Lock()
	held := s.holds(id)
	f.mu.Unlock()
	if held {
		return cursor, nil, nil
	}
	page, err := h.readRange(ctx, f.topic, source.Range{After: id, UpTo: id, Count: 1})
	if err != nil {
		return "", nil, err
	}
	state := page.State
	gap := &event.Gap{Topic: f.topic, Reason: event.HistoryExpired, Lost: event.LostUnknown}
	switch {
	case state.Last.Before(id):
		return cursor, nil, nil // Redis never gave it, and resume tells of that
	case state.MissingAfter(id):
		if trimmed, exact := state.TrimmedBefore(); exact && id.IsZero() {
			gap.Lost = int64(trimmed)
		}
		return continuity(state).String(), gap, s.reach(ctx, f, continuity(state))
	default:
		return cursor, nil, s.reach(ctx, f, id)
	}
}

// continuity returns the id after which a stream has lost nothing.
func continuity(state source.StreamState) source.ID {
	if state.Length == 0 {
		return state.Last
	}
	return state.First.Prev()
}

// reach waits until the journal has come as far as an id that Redis has given already.
func (s *streamPlaces) reach(ctx context.Context, f *feed, id source.ID) error {
	grown := make(grownSignal, 1)
	f.log.Watch(grown)
	defer f.log.Unwatch(grown)
	for {
		f.mu.Lock()
		there := !s.last.Before(id)
		f.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-grown:
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
