package hub

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/internal/event"
)

// syncPatience bounds how long a client that resumes waits until this node has received what
// the node of its last connection had received.
const syncPatience = 2 * time.Second

// lastID holds the cursors of a client.
type lastID struct {
	cursors vector // the earlier one counts if two are of one topic
	unknown bool   // there was also an id that no gateway can have sent
}

// parseIDs parses the ids of a client. If two cover a topic, the later one counts.
func parseIDs(ids []string, topics []event.Topic) lastID {
	var cursors vector
	unknown := false
	for _, id := range ids {
		if id == "" {
			continue
		}
		if v, ok := parseID(id, topics); ok {
			cursors = append(v, cursors...)
		} else {
			unknown = true
		}
	}
	return lastID{cursors, unknown}
}

func (id lastID) empty() bool {
	return !id.unknown && len(id.cursors) == 0
}

// of returns the client's cursor of a topic.
func (id lastID) of(t *topicLog, last int) clientCursor {
	if text, known := id.cursors.of(t.topic); known {
		return clientCursor{text: text, known: true}
	}
	return clientCursor{text: lostCursor, known: id.unknown, last: last}
}

// prepare prepares the start of a client in all topics at once. The returned functions
// return the start positions. A client without a cursor of a topic gets up to last events.
func prepare(ctx context.Context, logs []*topicLog, id lastID, last int) ([]func() startPosition, error) {
	starts := make([]func() startPosition, len(logs))
	all, ctx := errgroup.WithContext(ctx)
	for i, t := range logs {
		all.Go(func() (err error) {
			starts[i], err = t.cursors.prepare(ctx, id.of(t, last))
			return err
		})
	}
	return starts, all.Wait()
}
