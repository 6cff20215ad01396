package hub

import (
	"context"
	"errors"
	"fmt"

	"sluice/internal/journal"
	"sluice/internal/source"
)

// replay delivers events of a topic to one subscriber before the subscriber reads the journal.
type replay interface {
	// next returns some frames, and whether they are the last ones. They have the cursors of
	// the topic. Frames of a glob have a qualifier too.
	next(ctx context.Context) (frames []journal.Frame, done bool, err error)
	// hasGap reports whether there is a gap among the frames, as far as that is known before they are
	// read. It is called before next.
	hasGap(ctx context.Context) (bool, error)
}

// Errors of next. The subscriber resumes from its cursor, which gives a gap.
var (
	errRemoved     = errors.New("a part of the replay was removed")
	errInterrupted = errors.New("the stream was created again")
)

const (
	// pageFrames bounds the frames of a page.
	pageFrames = 64
	// pageBytes is the size that a page aims at.
	pageBytes = 64 << 10
	// firstReplayPage is the number of entries of the first page of a stream, before their
	// size is known.
	firstReplayPage = 1
	// pageGrowth bounds the growth from one page to the next.
	pageGrowth = 8
	// maxReplays bounds the pages that are read from Redis at the same time.
	maxReplays = 16
)

// readRange reads from Redis on behalf of subscribers, when it is its turn. Equal reads at the
// same time are one.
func (t *topicLog) readRange(ctx context.Context, r source.Range) (source.Page, error) {
	h := t.hub
	key := fmt.Sprintf("%s %s %s %d %t", t.topic, r.After, r.UpTo, r.Count, r.Newest)
	result := h.reads.DoChan(key, func() (any, error) {
		h.replaying <- struct{}{}
		defer func() { <-h.replaying }()
		h.metrics.ReplayRead()
		page, err := h.source.Range(context.WithoutCancel(ctx), t.topic, r) // for all callers
		if err != nil {
			return page, fmt.Errorf("reading %s: %w", t.topic, err)
		}
		return page, nil
	})
	select {
	case r := <-result:
		return r.Val.(source.Page), r.Err
	case <-ctx.Done():
		return source.Page{}, ctx.Err()
	}
}
