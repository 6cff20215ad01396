package hub

import (
	"context"
	"errors"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// streamReplay reads the entries between two positions of a stream from Redis.
type streamReplay struct {
	cursors *streamCursors
	life    uint64          // at the beginning
	at      streamCursor    // of the last entry that was read, or the position before the first
	upTo    source.Position // after the last entry
	count   int             // entries of the next page
	// The removals when a client without a cursor subscribed, or nil. It had no entry before, so
	// these are not a gap.
	fresh *removals

	// The number of missing entries in the range, if it is unknown for a single page.
	missing int64 // less those that were announced
	counted removals
	counts  int // how often missing was counted
}

// removals show whether entries were removed between two reads of a stream.
type removals struct {
	number  uint64
	deleted event.StreamID // the newest id
}

func removalsOf(s source.StreamState) *removals {
	return &removals{s.Added - s.Length, s.Deleted}
}

// maxCounts bounds how often the missing entries of a range are counted, which takes a read of the
// range. After that, their number is unknown.
const maxCounts = 8

func (r *streamReplay) next(ctx context.Context) ([]journal.Frame, bool, error) {
	page, err := r.read(ctx, r.at, r.count)
	if err != nil {
		return nil, false, err
	}
	missing, err := r.missingFrom(ctx, page)
	if err != nil {
		return nil, false, err
	}
	isFresh := r.fresh != nil && *removalsOf(page.State) == *r.fresh
	var frames []journal.Frame
	ended := false
	page.Walk(r.at.position(), r.upTo, missing, func(lost int64, at source.Position) {
		if isFresh || ended {
			return
		}
		if lost > 0 && r.missing > 0 {
			r.missing -= lost
		}
		frames = append(frames, r.gap(event.HistoryExpired, lost, positionCursor(at), false))
	}, func(e source.Entry, at source.Position) {
		if ended {
			return
		}
		ended = e.Type == event.StreamEnd
		r.at = entryCursor(at, e.Type, e.Data)
		if len(e.Data) > maxEvent {
			frames = append(frames, r.gap(event.TooLarge, 1, r.at, ended))
			return
		}
		frames = append(frames, journal.Frame{Cursor: r.at.appendTo(nil), Body: event.AppendBody(nil, e.Type, e.Data), Final: ended})
	})
	r.count = nextCount(r.count, page.Entries)
	return frames, ended || !page.More, nil
}

// missingFrom returns the number of missing entries after the present position, or -1 if it is
// unknown. The page answers the range from there.
func (r *streamReplay) missingFrom(ctx context.Context, page source.Page) (int64, error) {
	prev := r.at.position()
	missing := page.Missing(prev, r.upTo)
	if missing >= 0 || !prev.Counted() || r.upTo.Ordinal == 0 {
		return missing, nil
	}
	if removed := *removalsOf(page.State); r.counts == 0 || removed != r.counted {
		if r.counts == maxCounts {
			return -1, nil
		}
		r.counts++
		r.counted = removed
		if err := r.countMissing(ctx); err != nil {
			return -1, err
		}
	}
	return r.missing, nil
}

func (r *streamReplay) hasGap(ctx context.Context) (bool, error) {
	if r.fresh != nil {
		return false, nil
	}
	page, err := r.read(ctx, r.at, 1)
	if errors.Is(err, errRemoved) || errors.Is(err, errInterrupted) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	missing, err := r.missingFrom(ctx, page)
	return missing != 0, err
}

// read reads the entries after a cursor. The entry of the cursor is read again, or the one that it
// precedes: its presence shows that the stream is the same. Without such an entry, the gateway reads
// the stream after the page, and so finds out whether its life has ended.
func (r *streamReplay) read(ctx context.Context, at streamCursor, count int) (source.Page, error) {
	q := source.Range{After: at.id, UpTo: r.upTo.ID, Count: count}
	if at.isEntry() {
		q.After, q.Count = at.id.Prev(), count+1
	}
	page, err := r.cursors.topicLog.readRange(ctx, q)
	if err != nil {
		return page, err
	}
	_, isBefore := at.nextCheck()
	if !at.isEntry() && !isBefore {
		if err := r.cursors.topicLog.sync(ctx); err != nil {
			return page, err
		}
	}
	switch {
	case page.State.Last.Before(r.upTo.ID), r.cursors.currentLife() != r.life:
		return page, errInterrupted
	case isBefore && (len(page.Entries) == 0 || page.Entries[0].ID != at.id.Next()):
		return page, errRemoved
	case isBefore && !at.precedes(page.Entries[0]):
		return page, errInterrupted
	case !at.isEntry():
		return page, nil
	case len(page.Entries) == 0 || page.Entries[0].ID != at.id:
		return page, errRemoved
	case at.check != "" && at.check != checkOf(page.Entries[0].Type, page.Entries[0].Data):
		return page, errInterrupted
	}
	page.Entries = page.Entries[1:]
	return page, nil
}

// countMissing counts the missing entries up to the end of the range, since entries were
// deleted in it.
func (r *streamReplay) countMissing(ctx context.Context) error {
	r.missing = -1
	at, count := r.at, r.count
	missing := int64(r.upTo.Ordinal) - int64(at.ordinal)
	for {
		page, err := r.read(ctx, at, count)
		if err != nil {
			return err
		}
		if n := len(page.Entries); n > 0 {
			e := page.Entries[n-1]
			at = entryCursor(source.Position{ID: e.ID}, e.Type, e.Data)
			missing -= int64(n)
		}
		if !page.More {
			r.missing = max(missing, -1)
			return nil
		}
		count = nextCount(count, page.Entries)
	}
}

// gap returns the frame of a gap, after which the stream continues at a cursor.
func (r *streamReplay) gap(reason event.GapReason, lost int64, at streamCursor, final bool) journal.Frame {
	t := r.cursors.topicLog
	body := t.hub.appendGapBody(nil, event.Gap{Topic: t.topic, Reason: reason, Lost: lost})
	return journal.Frame{Cursor: at.appendTo(nil), Body: body, Lost: lost, Final: final}
}

// nextCount returns the number of entries of the next page, which then has about pageBytes. count
// was the number for the last page.
func nextCount(count int, entries []source.Entry) int {
	bytes := 1
	for _, e := range entries {
		bytes += len(e.Data)
	}
	return min(max(pageBytes*len(entries)/bytes, 1), count*pageGrowth, pageFrames-1)
}
