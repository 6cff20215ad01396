package hub

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/internal/event"
)

// syncPatience bounds how long a client that resumes waits until this node has received what
// the node of its last connection had received.
const syncPatience = 2 * time.Second

// knownCursors holds the cursors of a client, those of later ids first.
type knownCursors struct {
	cursors vector // the first one of a topic counts
	unknown bool   // there was also an id that no gateway can have sent
}

// parseIDs parses the ids of a client. If two cover a topic, the later one counts.
func parseIDs(ids []string, topics []event.Topic) (known knownCursors) {
	for _, id := range ids {
		if id == "" {
			continue
		}
		if v, ok := parseID(id, topics); ok {
			known.cursors = append(v, known.cursors...)
		} else {
			known.unknown = true
		}
	}
	return known
}

// of returns the client's cursor of a topic.
func (id knownCursors) of(t event.Topic, req Request) clientCursor {
	if text, known := id.cursors.of(t); known {
		return clientCursor{text: text, known: true}
	}
	return clientCursor{text: lostCursor, known: id.unknown, last: req.Last, start: req.Start && t.Kind == event.Stream}
}

// hasEnded reports whether the cursor of a topic says that the client has received its end.
func (id knownCursors) hasEnded(t event.Topic) bool {
	text, known := id.cursors.of(t)
	c, ok := parseStreamCursor(text)
	return known && ok && c.ended && t.Kind == event.Stream
}

// Finished reports whether the ids of a request say that the client has received the end of all
// its topics. It does not ask Redis.
func (req Request) Finished() bool {
	id := parseIDs(req.IDs, req.Topics)
	return !slices.ContainsFunc(req.Topics, func(t event.Topic) bool { return !id.hasEnded(t) })
}

// missing returns the streams that do not exist, except those whose end the client has received.
func missing(ctx context.Context, logs []*topicLog, id knownCursors) (topics []event.Topic, err error) {
	exists := make([]bool, len(logs))
	err = each(ctx, logs, func(ctx context.Context, i int, t *topicLog) (err error) {
		if exists[i] = id.hasEnded(t.topic); !exists[i] {
			exists[i], err = t.following.Exists(ctx)
		}
		return err
	})
	for i, t := range logs {
		if !exists[i] {
			topics = append(topics, t.topic)
		}
	}
	return topics, err
}

// prepare prepares the start of a client in all topics at once. The returned functions
// return the start positions.
func prepare(ctx context.Context, logs []*topicLog, id knownCursors, req Request) ([]func() startPosition, error) {
	starts := make([]func() startPosition, len(logs))
	err := each(ctx, logs, func(ctx context.Context, i int, t *topicLog) (err error) {
		starts[i], err = t.cursors.prepare(ctx, id.of(t.topic, req))
		return err
	})
	return starts, err
}

// each calls f for all topics at the same time, and returns the first error. A single topic has
// no goroutine of its own: when many clients connect at once, each switch between goroutines
// holds the memory of their requests longer.
func each(ctx context.Context, logs []*topicLog, f func(ctx context.Context, i int, t *topicLog) error) error {
	if len(logs) == 1 {
		return f(ctx, 0, logs[0])
	}
	all, ctx := errgroup.WithContext(ctx)
	for i, t := range logs {
		all.Go(func() error { return f(ctx, i, t) })
	}
	return all.Wait()
}
