package hub

import (
	"context"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// streamCursors names cursors in a stream by Redis's own ids. What the journal does not
// hold is read from Redis.
type streamCursors struct {
	hub      *Hub
	topicLog *topicLog
	last     event.StreamID // the newest place

	// Ids grow only until a stream is made anew or loses its newest entries; then an era
	// begins with a gap.
	era    uint64         // number of its first frame
	start  event.StreamID // every entry of the era after this one is in the journal, or was
	bottom event.StreamID // known to be the oldest in Redis, so that there is nothing before the journal
}

func (s *streamCursors) begin(at source.Position) {
	s.era, s.start, s.last = journal.First, at.ID, at.ID
	s.topicLog.log.Rebase(at.ID.String())
}

func (s *streamCursors) event(dst []byte, _ event.Event, at source.Position, _ uint64) []byte {
	s.last = at.ID
	return append(dst, at.ID.String()...)
}

func (s *streamCursors) gap(g source.Gap, number, _ uint64) string {
	s.last = g.At.ID
	if g.Reason == event.SourceInterrupted {
		// An id of its own tells clients that have seen the gap from those that left off at
		// the entry before it.
		s.last = g.At.ID.Next()
		s.era, s.start = number, g.At.ID
	}
	return s.last.String()
}

func (s *streamCursors) head() string {
	return s.last.String()
}

// tail returns the oldest position from which the journal holds the whole era, and the
// id that it comes after.
func (s *streamCursors) tail() (pos uint64, after event.StreamID) {
	pos, cursor := s.topicLog.log.Tail()
	if pos <= s.era {
		return s.era, s.start
	}
	after, _ = event.ParseStreamID(cursor)
	return pos, after
}

func (s *streamCursors) fresh(last int) startPosition {
	pos, cursor := s.topicLog.log.Back(last)
	if pos == s.topicLog.log.Next() {
		cursor = s.head()
	}
	return startPosition{pos: pos, cursor: cursor, before: cursor}
}

func (s *streamCursors) resume(cursor string) startPosition {
	id, ok := event.ParseStreamID(cursor)
	if !ok {
		return s.topicLog.unknown()
	}
	cursor = id.String()
	if pos, ok := s.find(id); ok {
		return startPosition{pos: pos, cursor: cursor, before: cursor}
	}
	tail, after := s.tail()
	switch {
	case s.last.Before(id):
		return s.topicLog.unknown()
	case id.Before(after):
		r := &streamReplay{topicLog: s.topicLog, after: id, upTo: after, count: firstReplayPage}
		return startPosition{pos: tail, cursor: cursor, before: cursor, replay: r}
	}
	return startPosition{pos: s.search(id), cursor: cursor, before: cursor}
}

// find returns the position behind the frame that has exactly that id. Those of the
// newest era come first: an id of an earlier one may be in it once more.
func (s *streamCursors) find(id event.StreamID) (pos uint64, ok bool) {
	head := s.topicLog.log.Next()
	tail, tailCursor := s.topicLog.log.Tail()
	cursor := id.String()
	if pos = s.search(id); pos > max(tail, s.era) && s.topicLog.log.CursorAt(pos) == cursor {
		return pos, true
	}
	if tail < s.era {
		for _, f := range s.topicLog.log.Between(tail, min(s.era, head)) {
			if string(f.Cursor) == cursor {
				return f.Next, true
			}
		}
	}
	return tail, tailCursor == cursor
}

// search returns the position of the first frame of the era behind an id.
func (s *streamCursors) search(id event.StreamID) uint64 {
	tail, _ := s.tail()
	return s.topicLog.log.Search(tail, func(f journal.Frame) bool {
		at, _ := event.ParseStreamID(string(f.Cursor))
		return id.Before(at)
	})
}

// prepare implements [cursors]. It reads Redis if the journal does not hold what the client
// needs.
func (s *streamCursors) prepare(ctx context.Context, c clientCursor) (func() startPosition, error) {
	if c.known {
		return s.prepareResume(ctx, c.text)
	}
	older, err := s.older(ctx, c.last)
	if err != nil {
		return nil, err
	}
	return func() startPosition {
		if older != "" {
			return s.resume(older)
		}
		return s.fresh(c.last)
	}, nil
}

func (s *streamCursors) prepareResume(ctx context.Context, text string) (func() startPosition, error) {
	instead, gap, err := s.verify(ctx, text)
	if err != nil {
		return nil, err
	}
	return func() startPosition {
		p := s.resume(instead)
		if gap != nil {
			p.gap, p.before = gap, text
		}
		return p
	}, nil
}

// older returns the cursor of the place of a fresh subscriber that gets more recent
// entries than the journal holds, or none if the journal is enough.
func (s *streamCursors) older(ctx context.Context, last int) (string, error) {
	f := s.topicLog
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
		page, err := s.hub.readRange(ctx, f.topic, r)
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
func (s *streamCursors) verify(ctx context.Context, cursor string) (string, *event.Gap, error) {
	f := s.topicLog
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
	page, err := s.hub.readRange(ctx, f.topic, source.Range{After: id.Prev(), UpTo: id, Count: 1})
	if err != nil {
		return "", nil, err
	}
	state := page.State
	if state.Last.Before(id) {
		return cursor, nil, nil // Redis never gave it, and resume tells of that
	}
	if err := s.reach(ctx, id); err != nil {
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
func (s *streamCursors) reach(ctx context.Context, id event.StreamID) error {
	grown := make(grownSignal, 1)
	s.topicLog.log.Watch(grown)
	defer s.topicLog.log.Unwatch(grown)
	wait := time.NewTimer(syncPatience)
	defer wait.Stop()
	for {
		s.topicLog.mu.Lock()
		there := !s.last.Before(id)
		s.topicLog.mu.Unlock()
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
