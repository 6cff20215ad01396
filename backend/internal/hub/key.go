package hub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// ErrKeyBytes is wrapped by the error of a key topic whose values need more memory than
// [Options].KeyBytes.
var ErrKeyBytes = errors.New("the values of the keys are too large")

// keyPlaces holds the present values of a key, or of the keys of a glob. There is no
// history: a client receives the values that differ from those it has. The cursor of a
// single key is a checksum of its value, which every node knows; that of a glob is a number
// that this node knows.
type keyPlaces struct {
	feed   *feed
	epoch  journal.Epoch
	limit  int                 // bytes of all values
	values map[string]keyValue // by the topic's text
	bytes  atomic.Int64        // of values

	// Deletions are remembered for clients that resume, until there are too many.
	deleted   int    // how many are in values
	forgotten uint64 // number after the newest one that is not remembered
}

// keyValue is the newest event of a key.
type keyValue struct {
	topic   event.Topic
	number  uint64
	cursor  string // of the place of a client that has this value, for a single key
	body    []byte
	deleted bool
}

// keyOverhead is about how many bytes a value needs besides its name and body.
const keyOverhead = 160

// bytes returns the memory of a value, 0 if there is none.
func (v keyValue) bytes() int64 {
	if v.body == nil {
		return 0
	}
	return int64(keyOverhead + len(v.topic.Pattern) + len(v.body))
}

// maxDeleted bounds the deletions that are remembered.
const maxDeleted = 4096

// nothing is the cursor of a client that has no value of a single key yet.
const nothing = "none"

// partial ends the cursor of a client that has some values of a glob, but not all yet.
const partial = "_"

func newKeyPlaces(f *feed, limit int) *keyPlaces {
	return &keyPlaces{feed: f, epoch: journal.NewEpoch(), limit: limit, values: make(map[string]keyValue)}
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
	k.bytes.Add(v.bytes() - k.values[name].bytes())
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
			k.bytes.Add(-v.bytes())
		}
	}
	k.deleted, k.forgotten = 0, number
}

// exceeded returns an error if the topic has more keys or bytes than one may have.
func (k *keyPlaces) exceeded() error {
	switch t := k.feed.topic; {
	case len(k.values)-k.deleted > source.MaxKeys:
		return fmt.Errorf("%w: %s matches more than %d; use a narrower glob", source.ErrTooManyKeys, t, source.MaxKeys)
	case k.limit > 0 && k.bytes.Load() > int64(k.limit):
		return fmt.Errorf("%w: %s needs more than %d bytes; use a narrower glob, or a larger --key-bytes", ErrKeyBytes, t, k.limit)
	}
	return nil
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
		return k.changedSince(keyStart{}, nothing)
	}
	return k.everything()
}

// everything returns the place of a client that receives all values of a glob. A client
// that resumes before it has all needs the deletions from now on.
func (k *keyPlaces) everything() place {
	head := k.feed.log.Next()
	return k.changedSince(keyStart{deletions: head}, k.numbered(head)+partial)
}

func (k *keyPlaces) resume(cursor string) place {
	if !k.feed.topic.IsGlob() {
		return k.resumeValue(cursor)
	}
	if start, ok := k.start(cursor); ok {
		return k.changedSince(start, cursor)
	}
	return k.afterGap(k.everything()) // the keys deleted in between are not known
}

// keyStart is where a client resumes in a glob: the numbers of the first value and of the
// first deletion that it lacks.
type keyStart struct {
	values, deletions uint64
}

// start reads the cursor of a glob. It reports false unless this node issued the cursor and
// remembers all deletions since.
func (k *keyPlaces) start(cursor string) (s keyStart, ok bool) {
	number, isPartial := strings.CutSuffix(cursor, partial)
	c, ok := journal.ParseCursor(number)
	s = keyStart{c.Pos, c.Pos}
	if isPartial {
		s.values = 0
	}
	return s, ok && c.Epoch == k.epoch && c.Pos >= max(k.forgotten, journal.First) && c.Pos <= k.feed.log.Next()
}

// afterGap returns the place of a client that receives all values again.
func (k *keyPlaces) afterGap(p place) place {
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
		return k.changedSince(keyStart{}, cursor)
	}
	return k.afterGap(k.changedSince(keyStart{}, nothing))
}

// changed reports whether a client may have another value than this node: of a single key
// it says so, of many any client of another node may.
func (k *keyPlaces) changed(cursor string) bool {
	if k.feed.topic.IsGlob() {
		_, ours := k.start(cursor)
		return !ours
	}
	return cursor != nothing && cursor != k.head()
}

// changedSince returns the place at the head, with the values and deletions from a start on
// as a replay.
func (k *keyPlaces) changedSince(start keyStart, cursor string) place {
	head := k.feed.log.Next()
	p := place{pos: head, cursor: cursor, before: cursor}
	var keys []replayedKey
	for name, v := range k.values {
		if !v.deleted && v.number >= start.values || v.deleted && v.number >= start.deletions {
			keys = append(keys, replayedKey{name, v.deleted})
		}
	}
	if len(keys) > 0 {
		slices.SortFunc(keys, func(a, b replayedKey) int { return strings.Compare(a.name, b.name) })
		p.replay = &keyReplay{places: k, keys: keys, head: head, started: cursor, ends: k.head()}
	} else {
		p.cursor, p.before = k.head(), k.head()
	}
	return p
}
