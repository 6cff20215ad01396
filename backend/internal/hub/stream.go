package hub

import (
	"context"
	"slices"
	"strings"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// streamCursors names positions in a stream by the ids of Redis. Entries that the journal does
// not hold are read from Redis.
type streamCursors struct {
	topicLog *topicLog
	last     source.Position // of the head

	// Ids grow during one life of the stream. The present life begins with a gap, except the first.
	life    uint64         // number of the gap, 0 in the first life
	start   streamCursor   // the journal holds, or held, every entry of the life after this position
	first   event.StreamID // the first id of the life, zero until it is reported
	earlier event.StreamID // the newest id of earlier lives
	bottom  event.StreamID // Redis has no entry up to this id, inclusive
}

func (s *streamCursors) begin(at source.Position) {
	s.start, s.last = positionCursor(at), at
	s.topicLog.log.Rebase(s.start.String())
}

func (s *streamCursors) event(dst []byte, e event.Event, at source.Position, _ uint64) []byte {
	s.last = at
	if s.first.IsZero() {
		s.first = at.ID
	}
	return entryCursor(at, e.Type, e.Data).appendTo(dst)
}

func (s *streamCursors) gap(g source.Gap, number, _ uint64) string {
	cursor := positionCursor(g.At)
	if g.Reason == event.SourceInterrupted {
		before, _ := parseStreamCursor(s.head())
		cursor = startOf(g.At, before, s.start, time.Now())
		s.life, s.start, s.first, s.bottom = number, cursor, event.StreamID{}, event.StreamID{}
		if s.earlier.Before(s.last.ID) {
			s.earlier = s.last.ID
		}
	} else if s.first.IsZero() {
		s.first = g.At.ID
	}
	s.last = g.At
	return cursor.String()
}

func (s *streamCursors) head() string {
	view := s.topicLog.view
	return view.CursorAt(view.Head())
}

// tail returns the oldest number from which the journal holds the whole life, and the position
// before it.
func (s *streamCursors) tail() (number uint64, after source.Position) {
	number, cursor := s.topicLog.view.Tail()
	if number <= s.life {
		return s.life, s.start.position()
	}
	c, _ := parseStreamCursor(cursor)
	return number, c.position()
}

// prepare implements [cursors]. It reads Redis if the journal does not hold what the client
// needs.
func (s *streamCursors) prepare(ctx context.Context, c clientCursor) (func() startPosition, error) {
	switch {
	case !c.known && c.start:
		c.text = startCursor
	case !c.known:
		return s.prepareFresh(ctx, c.last)
	}
	cursor, ok := parseStreamCursor(c.text)
	if !ok {
		return s.topicLog.unknown, nil
	}
	if cursor.ended {
		return func() startPosition { return finished(c.text) }, nil
	}
	s.topicLog.lock()
	p, held := s.find(cursor)
	life := s.life
	earlier := p.pos <= life
	s.topicLog.unlock()
	if held {
		return func() startPosition {
			if p, ok := s.find(cursor); ok {
				return p
			}
			if cursor != (streamCursor{}) && (s.life != life || earlier) {
				return s.topicLog.unknown() // of an earlier life
			}
			return s.startAfter(cursor) // evicted since
		}, nil
	}
	return s.prepareResume(ctx, cursor, c.text, true)
}

// finished returns the start position of a client that has received the end of the stream.
func finished(cursor string) startPosition {
	return startPosition{pos: journal.Finished, cursor: cursor, before: cursor}
}

// prepareFresh prepares the start of a client that gets up to last recent entries.
func (s *streamCursors) prepareFresh(ctx context.Context, last int) (func() startPosition, error) {
	older, err := s.older(ctx, last)
	if err != nil {
		return nil, err
	}
	return func() startPosition {
		if older == nil {
			if s.topicLog.view.EndsFinal() {
				last = max(last, 1) // the end of a stream is not history
			}
			tail, _ := s.tail()
			number, _ := s.topicLog.view.Back(tail, last)
			return s.startAt(number)
		}
		p := s.startAfter(older.start)
		if r, ok := p.replay.(*streamReplay); ok {
			r.fresh = removalsOf(older.state)
		}
		return p
	}, nil
}

// startAt returns the start position of a client that has nothing before a number. All lives of a
// stream can have the same position, so the cursor names the entry that follows; so it does after the
// end of the stream, since it is not that of a client that has the end.
func (s *streamCursors) startAt(number uint64) startPosition {
	view := s.topicLog.view
	cursor := view.CursorAt(number)
	if c, _ := parseStreamCursor(cursor); number < view.Head() && (!c.isEntry() || c.ended) {
		if next, _ := parseStreamCursor(view.CursorAfter(number)); next.isEntry() {
			cursor = beforeEntry(next.id, next.check).String()
		}
	}
	return startPosition{pos: number, cursor: cursor, before: cursor}
}

// prepareResume prepares the start of a client whose cursor is not in the journal.
func (s *streamCursors) prepareResume(ctx context.Context, c streamCursor, text string, again bool) (func() startPosition, error) {
	r := source.Range{After: c.id.Prev(), UpTo: c.id, Count: 1}
	if _, isBefore := c.nextCheck(); isBefore {
		r.After, r.UpTo = c.id, c.id.Next()
	} else if c == (streamCursor{}) {
		r.UpTo = event.MaxStreamID
	}
	life := s.currentLife()
	page, err := s.topicLog.readRange(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := s.topicLog.sync(ctx); err != nil && (ctx.Err() != nil || s.isBehind(c, page)) {
		return nil, err
	}
	if again && s.currentLife() != life {
		return s.prepareResume(ctx, c, text, false) // the page may be of the life before
	}
	return func() startPosition {
		if p, ok := s.find(c); ok {
			return p
		}
		if s.life != life && c == (streamCursor{}) {
			return s.startAfter(c) // of any life
		}
		if s.life != life || page.State.Last.Before(c.id) || s.last.ID.Before(c.id) {
			return s.topicLog.unknown()
		}
		start, gap := s.verify(c, page)
		if start.ended && page.State.Last == c.id {
			return finished(start.String())
		}
		start.ended = false // entries follow, which a client without the mark of the end gets
		p := s.startAfter(start)
		if gap != nil {
			gap.Topic = s.topicLog.topic
			p.gap, p.before = gap, text
		}
		return p
	}, nil
}

func (s *streamCursors) currentLife() uint64 {
	s.topicLog.lock()
	defer s.topicLog.unlock()
	return s.life
}

// isBehind reports whether Redis has the entry of a cursor that this node has not read yet. The page
// answers the range of the cursor's id.
func (s *streamCursors) isBehind(c streamCursor, page source.Page) bool {
	s.topicLog.lock()
	defer s.topicLog.unlock()
	return s.last.ID.Before(c.id) && !page.State.Last.Before(c.id)
}

// verify returns the cursor from which a client continues, and the gap before it, if entries
// may be missing. The page answers the range of the cursor's id alone, or of the next entry.
func (s *streamCursors) verify(c streamCursor, page source.Page) (streamCursor, *event.Gap) {
	trimmed, exact := page.State.TrimmedBefore()
	oldest := source.Position{ID: page.State.Continuity()}
	if exact {
		oldest.Ordinal = trimmed
	}
	unknown := &event.Gap{Reason: event.UnknownCursor, Lost: event.LostUnknown}
	expired := &event.Gap{Reason: event.HistoryExpired, Lost: event.LostUnknown}
	switch {
	case c == streamCursor{} && len(page.Entries) > 0:
		e := page.Entries[0]
		return beforeEntry(e.ID, checkOf(e.Type, e.Data)), nil
	case c == streamCursor{}: // the start of the stream; trimmed entries are not a gap
		if trimmed == 0 || trimmed == 1 && !exact {
			return c, nil // none was trimmed; at most one was deleted
		}
		return positionCursor(oldest), nil
	case len(page.Entries) > 0 && c.precedes(page.Entries[0]):
		return c, nil
	case c.isEntry() && len(page.Entries) > 0:
		e := page.Entries[0]
		found := entryCursor(source.Position{ID: e.ID, Ordinal: s.ordinal(e.ID, page.State)}, e.Type, e.Data)
		switch {
		case c.check != "" && c.check != found.check, c.ordinal > 0 && found.ordinal > 0 && c.ordinal != found.ordinal, c.ordinal > page.State.Added:
			return positionCursor(source.Position{ID: c.id}), unknown // of another life
		case found.ordinal == 0:
			found.ordinal = c.ordinal
		}
		if s.isOld(c.id) && !s.getsStart(c.id) { // a stream that is restored has the entries of an earlier life
			return found, unknown
		}
		return found, nil
	case s.isOfOtherLife(c):
		start := positionCursor(source.Position{ID: c.id})
		if c.id == s.start.id || c.id.IsZero() && s.start.ordinal > 0 {
			start = s.start
		}
		if start.id.Before(oldest.ID) {
			start = positionCursor(oldest)
		}
		return start, unknown
	case s.continues(c, oldest, exact):
		if _, _, isStart := c.start(); isStart {
			return c, nil // still that of the life that its node saw
		}
		return positionCursor(c.position()), nil
	case c.id.Before(oldest.ID):
		return positionCursor(oldest), expired
	}
	return positionCursor(source.Position{ID: c.id}), expired
}

// isOld reports whether an id may be one of an earlier life.
func (s *streamCursors) isOld(id event.StreamID) bool {
	return s.life > 0 && !s.earlier.Before(id)
}

// isOfOtherLife reports whether a cursor may be that of an earlier life than the present one. The
// journal and Redis do not have its entry.
func (s *streamCursors) isOfOtherLife(c streamCursor) bool {
	return !c.isSameStart(s.start) && (s.isOld(c.id) || s.life > 0 && c.id.Before(s.first))
}

// getsStart reports whether a client that continues after an entry receives the gap at which the
// present life begins.
func (s *streamCursors) getsStart(id event.StreamID) bool {
	tail, _ := s.topicLog.view.Tail()
	return id.Before(s.start.id) && tail <= s.life
}

// ordinal returns the ordinal of an entry that is in Redis, 0 if unknown.
func (s *streamCursors) ordinal(id event.StreamID, state source.StreamState) uint64 {
	tail, _ := s.tail()
	if number := s.search(id); number > tail {
		if c, _ := parseStreamCursor(s.topicLog.view.CursorAt(number)); c.id == id && c.isEntry() {
			return c.ordinal
		}
	}
	if trimmed, exact := state.TrimmedBefore(); exact && state.First == id {
		return trimmed + 1
	}
	return 0
}

// continues reports whether nothing is missing between a position and the next entry, because
// that is the next one that was added. oldest is the position before the oldest entry in
// Redis, whose ordinal is known if exact is true.
func (s *streamCursors) continues(c streamCursor, oldest source.Position, exact bool) bool {
	if _, isBefore := c.nextCheck(); isBefore || c.ordinal == 0 && !c.id.IsZero() {
		return false
	}
	_, tail := s.tail()
	switch {
	case c.id.Before(tail.ID):
		return c.ordinal == tail.Ordinal && tail.Counted() || exact && c.ordinal == oldest.Ordinal && !oldest.ID.Before(c.id)
	case c.id == tail.ID:
		return c.ordinal == tail.Ordinal
	}
	number := s.search(c.id)
	if number == s.topicLog.view.Head() {
		return c.ordinal == s.last.Ordinal
	}
	next, _ := parseStreamCursor(s.topicLog.view.CursorAfter(number))
	return next.ordinal == c.ordinal+1 || !next.isEntry()
}

// startAfter returns the start position after a cursor of the present life of the stream.
func (s *streamCursors) startAfter(c streamCursor) startPosition {
	p := startPosition{cursor: c.String(), before: c.String()}
	tail, after := s.tail()
	if !c.id.Before(after.ID) {
		p.pos = s.search(c.id)
		s.shortenGap(&p, c)
		return p
	}
	p.pos = tail
	p.replay = &streamReplay{cursors: s, life: s.life, at: c, upTo: after, count: firstReplayPage}
	return p
}

// shortenGap passes over a gap at the start position that announces entries up to the cursor
// too, since another node announced these at the cursor. The rest is another gap.
func (s *streamCursors) shortenGap(p *startPosition, c streamCursor) {
	frames := slices.Collect(s.topicLog.view.Between(p.pos, p.pos+1))
	if c.ordinal == 0 || len(frames) == 0 || frames[0].Lost <= 0 {
		return
	}
	g := frames[0]
	at, _ := parseStreamCursor(string(g.Cursor))
	missing := int64(at.ordinal) - int64(c.ordinal)
	if missing < 0 || missing >= g.Lost {
		return
	}
	p.pos, p.cursor = g.Next, at.String()
	if missing == 0 {
		p.before = p.cursor
		return
	}
	p.gap = &event.Gap{Topic: s.topicLog.topic, Reason: event.HistoryExpired, Lost: missing}
}

// find returns the start position after the frame of the journal that has exactly that
// cursor. A bare id has the cursor of its entry, and zero that of the start of the stream.
func (s *streamCursors) find(c streamCursor) (p startPosition, ok bool) {
	matches := func(text string) bool {
		if c.check != "" {
			return strings.TrimSuffix(text, endSuffix) == c.String()
		}
		other, _ := parseStreamCursor(text)
		return other.id == c.id && other.isEntry()
	}
	view := s.topicLog.view
	at := func(number uint64) startPosition {
		cursor := view.CursorAt(number)
		if other, ended := strings.CutSuffix(cursor, endSuffix); ended {
			if other, _ := parseStreamCursor(cursor); number == view.Head() || other.id == s.last.ID {
				return finished(cursor)
			}
			cursor = other // entries follow, which a client without the mark of the end gets
		}
		return startPosition{pos: number, cursor: cursor, before: cursor}
	}
	if c == (streamCursor{}) {
		if _, after := s.tail(); !after.ID.IsZero() {
			return startPosition{}, false
		}
		return s.startAt(s.search(c.id)), true
	}
	if next, isBefore := c.nextCheck(); isBefore {
		number := s.search(c.id)
		if number == view.Head() {
			return startPosition{}, false
		}
		following, _ := parseStreamCursor(view.CursorAfter(number))
		return startPosition{pos: number, cursor: c.String(), before: c.String()}, following.id == c.id.Next() && following.check == next
	}
	tail, base := view.Tail()
	if s.isOld(c.id) {
		for f := range view.Between(tail, s.life+1) { // of earlier lives, and the gap
			if matches(string(f.Cursor)) {
				return at(f.Next), true
			}
		}
	}
	if number := s.search(c.id); number > max(tail, s.life) && matches(view.CursorAt(number)) {
		return at(number), true
	}
	if matches(base) {
		return at(tail), true
	}
	return startPosition{}, false
}

// search returns the number of the first frame of the present life after an id.
func (s *streamCursors) search(id event.StreamID) uint64 {
	tail, _ := s.tail()
	return s.topicLog.view.Search(tail, func(f journal.Frame) bool {
		at, _ := parseStreamCursor(string(f.Cursor))
		return id.Before(at.id)
	})
}

// olderEntries are entries that the journal does not hold, for a fresh subscriber.
type olderEntries struct {
	start streamCursor // before the first of them
	state source.StreamState
}

// older finds the entries for a fresh subscriber that gets more recent entries than the journal
// holds. It returns nil if the journal holds enough.
func (s *streamCursors) older(ctx context.Context, last int) (*olderEntries, error) {
	t := s.topicLog
	t.lock()
	tail, after := s.tail()
	_, held := t.view.Back(tail, max(last, 1))
	nothing := after.ID == s.bottom || after.ID.IsZero()
	t.unlock()
	if nothing || held > 0 && held >= last {
		return nil, nil
	}
	older, err := s.newest(ctx, after.ID, last-held)
	if older == nil && err == nil && last > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		s.bottom = after.ID
	}
	return older, err
}

// newest finds the newest n entries in Redis up to an id; if n is zero, the newest one if it is the
// end of the stream. It returns nil if it finds nothing.
func (s *streamCursors) newest(ctx context.Context, upTo event.StreamID, n int) (older *olderEntries, err error) {
	onlyEnd := n == 0
	n = max(n, 1)
	r := source.Range{UpTo: upTo, Newest: true, Count: firstReplayPage}
	for {
		r.Count = min(n, r.Count)
		page, err := s.topicLog.readRange(ctx, r)
		if err != nil {
			return nil, err
		}
		if count := len(page.Entries); count > 0 {
			if onlyEnd && page.Entries[0].Type != event.StreamEnd {
				return nil, nil
			}
			oldest := page.Entries[count-1]
			start := beforeEntry(oldest.ID, checkOf(oldest.Type, oldest.Data))
			older = &olderEntries{start, page.State}
			r.UpTo = start.id
			n -= count
		}
		if n == 0 || !page.More {
			return older, nil
		}
		r.Count = nextCount(r.Count, page.Entries)
	}
}
