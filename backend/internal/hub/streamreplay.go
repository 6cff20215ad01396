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
	topicLog *topicLog
	at       streamCursor    // of the last entry that was read, or the position before the first
	upTo     source.Position // after the last entry
	count    int             // entries of the next page
	quiet    bool            // deleted entries are not a gap, since the client had no entry before them

	// The number of missing entries in the range, if it is unknown for a single page.
	missing int64
	deleted event.StreamID // the newest deleted id when missing was counted
}

var (
	// errRemoved is returned by next if the entry of the position is no longer there.
	errRemoved = errors.New("the entry was removed")
	// errInterrupted is returned by next if the stream is not the one that was read.
	errInterrupted = errors.New("the stream was created again")
)

func (r *streamReplay) next(ctx context.Context, h *Hub) ([]journal.Frame, bool, error) {
	page, err := r.read(ctx, h, r.at, r.count)
	if err != nil {
		return nil, false, err
	}
	prev := r.at.position()
	missing := page.Missing(prev, r.upTo)
	if missing < 0 && prev.Counted() && r.upTo.Ordinal > 0 {
		if r.deleted != page.State.Deleted {
			if err := r.countMissing(ctx, h, page.State); err != nil {
				return nil, false, err
			}
		}
		missing = r.missing
	}
	var frames []journal.Frame
	ended := false
	page.Walk(prev, r.upTo, missing, func(lost int64, at source.Position) {
		if r.quiet || ended {
			return
		}
		if lost > 0 && r.missing > 0 {
			r.missing -= lost
		}
		frames = append(frames, r.gap(h, event.HistoryExpired, lost, positionCursor(at), false))
	}, func(e source.Entry, at source.Position) {
		if ended {
			return
		}
		ended = e.Type == event.StreamEnd
		r.at = entryCursor(at, e.Type, e.Data)
		if len(e.Data) > maxEvent {
			frames = append(frames, r.gap(h, event.TooLarge, 1, r.at, ended))
			return
		}
		frames = append(frames, journal.Frame{Cursor: r.at.appendTo(nil), Body: event.AppendBody(nil, e.Type, e.Data), Final: ended})
	})
	r.count = nextCount(r.count, page.Entries)
	return frames, ended || !page.More, nil
}

// read reads the entries after a cursor. The entry of the cursor is read again: its presence
// shows that the stream is the same.
func (r *streamReplay) read(ctx context.Context, h *Hub, at streamCursor, count int) (source.Page, error) {
	q := source.Range{After: at.id, UpTo: r.upTo.ID, Count: count}
	if at.isEntry() {
		q.After, q.Count = at.id.Prev(), count+1
	}
	page, err := h.readRange(ctx, r.topicLog.topic, q)
	if err != nil {
		return page, err
	}
	switch {
	case page.State.Last.Before(r.upTo.ID):
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
func (r *streamReplay) countMissing(ctx context.Context, h *Hub, state source.StreamState) error {
	r.missing, r.deleted = -1, state.Deleted
	at, count := r.at, r.count
	missing := int64(r.upTo.Ordinal) - int64(at.ordinal)
	for {
		page, err := r.read(ctx, h, at, count)
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
func (r *streamReplay) gap(h *Hub, reason event.GapReason, lost int64, at streamCursor, final bool) journal.Frame {
	h.metrics.GapAnnounced(reason)
	body := event.AppendGapBody(nil, event.Gap{Topic: r.topicLog.topic, Reason: reason, Lost: lost})
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
