package hub

import (
	"slices"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// keyPlaces holds the present values of a key, or of the keys of a glob. There is no
// history: a client is told what differs from what it has. The place in a single key is
// named by its value, which every node knows; among many, by a number that this one
// knows.
type keyPlaces struct {
	feed   *feed
	epoch  journal.Epoch
	values map[string]keyValue // by the topic's text

	// Deletions are remembered, so that a client that comes back learns of them, until
	// there are too many.
	deleted   int    // how many are in values
	forgotten uint64 // number behind the newest that is not
}

// keyValue is the newest event of a key.
type keyValue struct {
	topic   event.Topic
	number  uint64
	cursor  string // of the place of a client that has this value, for a single key
	body    []byte
	deleted bool
}

// maxDeleted bounds the deletions that are remembered.
const maxDeleted = 4096

// nothing is the cursor of a client that has no value of a single key yet.
const nothing = "none"

func newKeyPlaces(f *feed) *keyPlaces {
	return &keyPlaces{feed: f, epoch: journal.NewEpoch(), values: make(map[string]keyValue)}
}

func (k *keyPlaces) begin(event.StreamID) {}

func (k *keyPlaces) event(dst []byte, e event.Event, number uint64) []byte {
	name := e.Topic.Pattern
	cursor := k.numbered(number + 1)
	if !k.feed.topic.IsGlob() {
		cursor = journal.SumCursor(e.Type, e.Data)
	}
	v := keyValue{
		topic: e.Topic, number: number, cursor: cursor,
		body:    slices.Clone(k.feed.body),
		deleted: e.Type == event.KeyDeleted,
	}
	if k.values[name].deleted {
		k.deleted--
	}
	if v.deleted {
		k.deleted++
	}
	k.values[name] = v
	if k.deleted > maxDeleted {
		k.forgetDeletions(number + 1)
	}
	return append(dst, cursor...)
}

// forgetDeletions drops all deletions, whose numbers are below the given one.
func (k *keyPlaces) forgetDeletions(number uint64) {
	for name, v := range k.values {
		if v.deleted {
			delete(k.values, name)
		}
	}
	k.deleted, k.forgotten = 0, number
}

func (k *keyPlaces) gap(_ source.Gap, _, next uint64) string {
	return k.numbered(next)
}

func (k *keyPlaces) numbered(pos uint64) string {
	return journal.Cursor{Epoch: k.epoch, Pos: pos}.String()
}

func (k *keyPlaces) head() string {
	if !k.feed.topic.IsGlob() {
		return k.values[k.feed.topic.Pattern].cursor
	}
	return k.numbered(k.feed.log.Next())
}

func (k *keyPlaces) fresh(int) place {
	if !k.feed.topic.IsGlob() {
		return k.changedSince(0, nothing)
	}
	return k.changedSince(0, k.numbered(0))
}

func (k *keyPlaces) resume(cursor string) place {
	if !k.feed.topic.IsGlob() {
		return k.resumeValue(cursor)
	}
	if number, ok := k.number(cursor); ok {
		return k.changedSince(number, k.numbered(number))
	}
	return k.afterGap(k.numbered(0)) // which keys were deleted meanwhile cannot be known
}

// number returns what a place among many keys is named by, if this node gave that name and
// remembers all deletions since.
func (k *keyPlaces) number(cursor string) (n uint64, ok bool) {
	c, ok := journal.ParseCursor(cursor)
	known := ok && c.Epoch == k.epoch && c.Pos <= k.feed.log.Next()
	return c.Pos, known && (c.Pos == 0 || c.Pos >= k.forgotten)
}

// afterGap returns the place of a client that is shown everything anew.
func (k *keyPlaces) afterGap(cursor string) place {
	p := k.changedSince(0, cursor)
	p.before = lostCursor
	p.gap = &event.Gap{Topic: k.feed.topic, Reason: event.UnknownCursor, Lost: event.LostUnknown}
	return p
}

// resumeValue finds the place of a client that has a value of a single key.
func (k *keyPlaces) resumeValue(cursor string) place {
	switch {
	case cursor == k.head():
		pos := k.feed.log.Next()
		return place{pos: pos, cursor: cursor, before: cursor}
	case cursor == nothing, journal.IsSumCursor(cursor):
		return k.changedSince(0, cursor)
	}
	return k.afterGap(nothing)
}

// changed reports whether a client may have another value than this node: of a single key
// it says so, of many any client of another node may.
func (k *keyPlaces) changed(cursor string) bool {
	if k.feed.topic.IsGlob() {
		_, ours := k.number(cursor)
		return !ours
	}
	return cursor != nothing && cursor != k.head()
}

// changedSince returns the place at the head, with what changed from a number on as a
// replay.
func (k *keyPlaces) changedSince(number uint64, cursor string) place {
	head := k.feed.log.Next()
	p := place{pos: head, cursor: cursor, before: cursor}
	var names []string
	for name, v := range k.values {
		// To a client without anything, the deletion of one key among many is no news.
		if v.number >= number && !(v.deleted && number == 0 && k.feed.topic.IsGlob()) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		p.replay = &keyReplay{places: k, names: names, head: head, started: cursor, ends: k.head()}
	} else {
		p.cursor, p.before = k.head(), k.head()
	}
	return p
}
