package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// catchUp bounds how long a client that comes back waits for this node to come as far as
// the one that it was connected to before.
const catchUp = 2 * time.Second

// lastID holds the cursors of a client.
type lastID struct {
	cursors vector // the earlier one counts where two are of one topic
	unknown bool   // there was an id besides that no gateway can have sent
	fresh   func(*feed) place
	gaps    map[*feed]*event.Gap // found by asking Redis
	instead map[*feed]string     // the cursors after these gaps
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
	return newLastID(cursors, unknown)
}

func newLastID(cursors vector, unknown bool) lastID {
	return lastID{
		cursors: cursors, unknown: unknown,
		fresh:   func(f *feed) place { return f.places.fresh(0) },
		gaps:    make(map[*feed]*event.Gap),
		instead: make(map[*feed]string),
	}
}

func (id lastID) empty() bool {
	return !id.unknown && len(id.cursors) == 0
}

// of returns the client's cursor of a topic, and whether it has one.
func (id lastID) of(f *feed) (cursor string, known bool) {
	if cursor, known = id.cursors.of(f.topic); known {
		return cursor, true
	}
	return lostCursor, id.unknown
}

// locate returns the client's place in a feed.
func (id lastID) locate(f *feed) place {
	cursor, known := id.of(f)
	if !known {
		return id.fresh(f)
	}
	gap := id.gaps[f]
	if gap == nil {
		return f.places.resume(cursor)
	}
	p := f.places.resume(id.instead[f])
	p.gap, p.before = gap, cursor
	return p
}

// fresh returns how to place a client that has nothing yet. Redis is asked where a
// journal holds fewer recent entries of a stream than are wanted.
func (h *Hub) fresh(ctx context.Context, feeds []*feed, last int) (func(*feed) place, error) {
	older := make(map[*feed]string)
	for _, f := range feeds {
		if places, ok := f.places.(*streamPlaces); ok {
			cursor, err := h.older(ctx, f, places, last)
			if err != nil {
				return nil, err
			}
			older[f] = cursor
		}
	}
	return func(f *feed) place {
		if cursor := older[f]; cursor != "" {
			return f.places.resume(cursor)
		}
		return f.places.fresh(last)
	}, nil
}

// resume returns how to place a client that comes back. It does before what needs time:
// it waits where this node is behind the one that the client came from, and asks Redis
// about entries of streams that the journals do not hold. Topics that the client did not
// follow before begin as fresh ones.
func (h *Hub) resume(ctx context.Context, feeds []*feed, id lastID, last int) (func(*feed) place, error) {
	var added, behind []*feed
	for _, f := range feeds {
		cursor, known := id.of(f)
		switch {
		case !known:
			added = append(added, f)
		case f.isChannel() && slices.ContainsFunc(behind, (*feed).isChannel):
			// One that is waited for is enough for all of them.
		case f.isBehind(cursor):
			behind = append(behind, f)
		}
	}
	if err := h.sync(ctx, behind); err != nil {
		return nil, err
	}
	for _, f := range feeds {
		places, ok := f.places.(*streamPlaces)
		cursor, known := id.of(f)
		if !ok || !known {
			continue
		}
		instead, gap, err := h.verify(ctx, f, places, cursor)
		if err != nil {
			return nil, err
		}
		if gap != nil {
			id.gaps[f], id.instead[f] = gap, instead
		}
	}
	var err error
	if id.fresh, err = h.fresh(ctx, added, last); err != nil {
		return nil, err
	}
	return id.locate, nil
}

func (f *feed) isChannel() bool {
	return f.topic.Kind == event.Channel
}

// isBehind reports whether a client may have seen more of a channel, or of keys, than this
// node.
func (f *feed) isBehind(cursor string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch places := f.places.(type) {
	case *channelPlaces:
		return places.behind(cursor)
	case *keyPlaces:
		return places.changed(cursor)
	default:
		return false // streams have places that Redis knows
	}
}

// sync waits, for all topics at once, until what has happened to them so far has arrived.
// Where that takes too long, places in channels that have not been reached are gaps, as are
// all of those among many keys. But a single key would go back to an older value in
// silence: that is an error.
func (h *Hub) sync(ctx context.Context, feeds []*feed) error {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	failed := make(chan error, len(feeds))
	for _, f := range feeds {
		go func() {
			err := h.source.Sync(ctx, f.topic)
			if err != nil && f.topic.Kind == event.Key && !f.topic.IsGlob() {
				failed <- fmt.Errorf("%w: %s cannot be read: %w", source.ErrUnavailable, f.topic, err)
			} else {
				failed <- nil
			}
		}()
	}
	var err error
	for range feeds {
		err = errors.Join(err, <-failed)
	}
	return err
}
