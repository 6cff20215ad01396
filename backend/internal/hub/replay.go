package hub

import (
	"context"
	"errors"
	"fmt"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// replay is what one subscriber gets of a topic before it reads the common journal.
type replay interface {
	// next returns some frames, and whether they are the last ones. Their cursors are the
	// topic's own, as is the qualifier of those that come from a glob.
	next(ctx context.Context, h *Hub) (frames []journal.Frame, done bool, err error)
}

// errBehind says that the journal gave up what a replay wanted to read.
var errBehind = errors.New("fell behind the journal")

const (
	// pageFrames bounds the frames of a page.
	pageFrames = 64
	// pageBytes is the size that a page aims at.
	pageBytes = 64 << 10
	// firstReplayPage bounds the first page of a stream, before the size of its entries is
	// known.
	firstReplayPage = 16
	// maxReplays bounds the pages that are read from Redis at the same time.
	maxReplays = 16
)

// journalReplay is a part of a topic's journal.
type journalReplay struct {
	topicLog *topicLog
	from, to uint64
}

func (r *journalReplay) next(context.Context, *Hub) ([]journal.Frame, bool, error) {
	frames, ok := r.topicLog.log.Frames(r.from, r.to, pageFrames)
	if !ok {
		return nil, false, errBehind
	}
	if len(frames) == 0 {
		return nil, true, nil
	}
	r.from = frames[len(frames)-1].Next
	return frames, r.from >= r.to, nil
}

// streamReplay reads entries from Redis up to where the journal begins.
type streamReplay struct {
	topicLog    *topicLog
	after, upTo event.StreamID
	count       int
}

func (r *streamReplay) next(ctx context.Context, h *Hub) ([]journal.Frame, bool, error) {
	page, err := h.readRange(ctx, r.topicLog.topic, source.Range{After: r.after, UpTo: r.upTo, Count: r.count})
	if err != nil {
		return nil, false, err
	}
	var frames []journal.Frame
	if !page.State.Exists || page.State.TrimmedAfter(r.after) {
		frames = append(frames, r.gap(h, page.State))
	}
	bytes := 0
	for _, e := range page.Entries {
		body := event.AppendBody(nil, e.Type, e.Data)
		frames = append(frames, journal.Frame{Cursor: []byte(e.ID.String()), Body: body})
		bytes += len(body)
		r.after = e.ID
	}
	done := len(page.Entries) < r.count
	if n := len(page.Entries); n > 0 {
		r.count = min(max(pageBytes*n/bytes, 1), pageFrames)
	}
	return frames, done, nil
}

// gap returns the frame that tells of entries that were trimmed before they were read.
func (r *streamReplay) gap(h *Hub, state source.StreamState) journal.Frame {
	h.metrics.GapAnnounced(event.HistoryExpired)
	goesOn := r.upTo
	if c := state.Continuity(); state.Exists && c.Before(goesOn) {
		goesOn = c
	}
	body := event.AppendGapBody(nil, event.Gap{Topic: r.topicLog.topic, Reason: event.HistoryExpired, Lost: event.LostUnknown})
	return journal.Frame{Cursor: []byte(goesOn.String()), Body: body, Lost: event.LostUnknown}
}

// readRange reads from Redis on behalf of one subscriber, when it is its turn.
func (h *Hub) readRange(ctx context.Context, t event.Topic, r source.Range) (source.Page, error) {
	select {
	case h.replaying <- struct{}{}:
		defer func() { <-h.replaying }()
	case <-ctx.Done():
		return source.Page{}, ctx.Err()
	}
	h.metrics.ReplayRead()
	page, err := h.source.Range(ctx, t, r)
	if err != nil {
		return page, fmt.Errorf("reading %s: %w", t, err)
	}
	return page, nil
}
