package hub

import (
	"context"
	"slices"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// Sync waits until every message that was published to a followed channel or to one of the topics
// before the call is in the journals.
func (h *Hub) Sync(ctx context.Context, topics ...event.Topic) error {
	h.mu.Lock()
	var logs []*topicLog
	for t, l := range h.logs {
		if t.Kind == event.Channel || slices.Contains(topics, t) {
			logs = append(logs, l)
		}
	}
	h.mu.Unlock()
	for _, l := range logs {
		if err := l.following.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ReadRange reads a part of a stream as a replay does.
func (h *Hub) ReadRange(ctx context.Context, t event.Topic, r source.Range) (source.Page, error) {
	return (&topicLog{hub: h, topic: t}).readRange(ctx, r)
}

// Watch calls w.Wake after every append to a journal of a reader until Unwatch.
func Watch(r journal.BatchReader, w journal.Waker) {
	for _, j := range r.Journals() {
		j.Watch(w)
	}
}

// Unwatch ends Watch.
func Unwatch(r journal.BatchReader, w journal.Waker) {
	for _, j := range r.Journals() {
		j.Unwatch(w)
	}
}
