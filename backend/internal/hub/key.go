package hub

import (
	"cmp"
	"context"
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

// keyCursors holds the present values of a key, or of the keys of a glob, without history. A
// client receives the values that differ from those it has. The cursor of a single key is a
// checksum of its value, which every node knows. That of a glob is a number that only this node
// knows.
type keyCursors struct {
	topicLog *topicLog
	epoch    epoch
	values   map[string]keyValue // by name
	names    []string            // of values
	sorted   bool                // names are sorted
	bytes    atomic.Int64        // of values
	memory   *journal.Memory     // of all topics; nil after close, or without a limit

	// Deletions are remembered for clients that resume, until there are too many.
	deleted   int    // how many are in values
	forgotten uint64 // number after the newest one that is not remembered
}

// keyValue is the newest event of a key.
type keyValue struct {
	topic   event.Topic
	number  uint64
	cursor  string // of a client that has this value, for a single key
	body    []byte
	deleted bool
}

// keyOverhead is about how many bytes a value needs besides its name and body.
const keyOverhead = 176

// bytes returns the number of bytes that the value takes in memory.
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

func newKeyCursors(t *topicLog) *keyCursors {
	return &keyCursors{topicLog: t, memory: t.hub.options.History.Memory, epoch: newEpoch(), values: make(map[string]keyValue)}
}

func (k *keyCursors) begin(source.Position) {}

func (k *keyCursors) event(dst []byte, e event.Event, _ source.Position, number uint64) []byte {
	name := e.Topic.Pattern
	cursor := k.numbered(number + 1)
	if !k.topicLog.topic.IsGlob() {
		cursor = string(appendNumber(nil, event.Sum(e.Type, e.Data)))
	}
	v := keyValue{
		topic: e.Topic, number: number, cursor: cursor,
		body:    slices.Clone(k.topicLog.body),
		deleted: e.Type == event.KeyDeleted,
	}
	old, found := k.values[name]
	if !found {
		k.names, k.sorted = append(k.names, name), false
	}
	if old.deleted {
		k.deleted--
	}
	if v.deleted {
		k.deleted++
	}
	k.add(v.bytes() - old.bytes())
	k.values[name] = v
	if k.deleted > maxDeleted {
		k.forgetDeletions(number + 1)
	}
	return append(dst, cursor...)
}

// forgetDeletions drops all deletions, whose numbers are below the given one.
func (k *keyCursors) forgetDeletions(number uint64) {
	k.names = slices.DeleteFunc(k.names, func(name string) bool {
		v := k.values[name]
		if v.deleted {
			delete(k.values, name)
			k.add(-v.bytes())
		}
		return v.deleted
	})
	k.deleted, k.forgotten = 0, number
}

// add adds to the bytes of the values.
func (k *keyCursors) add(bytes int64) {
	k.bytes.Add(bytes)
	k.memory.Add(bytes)
}

// close releases the values.
func (k *keyCursors) close() {
	k.add(-k.bytes.Load())
	k.memory = nil
}

// exceeded returns an error if the topic has more keys or bytes than one may have.
func (k *keyCursors) exceeded() error {
	switch t, limit := k.topicLog.topic, k.topicLog.hub.options.KeyBytes; {
	case len(k.values)-k.deleted > source.MaxKeys:
		return fmt.Errorf("%w: %s matches more than %d; use a narrower glob", source.ErrTooManyKeys, t, source.MaxKeys)
	case limit > 0 && k.bytes.Load() > int64(limit):
		return fmt.Errorf("%w: %s needs more than %d bytes; use a narrower glob, or a larger --key-bytes", ErrKeyBytes, t, limit)
	}
	return nil
}

// errValuesFull is returned for a key topic for which the memory of all topics is not sufficient.
var errValuesFull = fmt.Errorf("%w: the values of all keys need more than half of --topic-memory", ErrFull)

func (k *keyCursors) gap(_ source.Gap, _, next uint64) string {
	if !k.topicLog.topic.IsGlob() { // every node knows it, so a client that resumes there has no second gap
		return cmp.Or(k.head(), nothing)
	}
	return k.numbered(next)
}

func (k *keyCursors) numbered(pos uint64) string {
	return journalCursor{epoch: k.epoch, pos: pos}.String()
}

func (k *keyCursors) head() string {
	if !k.topicLog.topic.IsGlob() {
		return k.values[k.topicLog.topic.Pattern].cursor
	}
	return k.numbered(k.topicLog.view.Head())
}

// prepare implements [cursors]. A client of another node may have a newer value than this
// node, so the keys are read again unless the cursor says that nothing changed. If that
// fails, a client would silently return to an older value of a literal key: that is an error.
func (k *keyCursors) prepare(ctx context.Context, c clientCursor) (func() startPosition, error) {
	t := k.topicLog
	if c.known && k.changed(c.text) {
		if err := t.sync(ctx); err != nil && !t.topic.IsGlob() {
			return nil, err
		}
	}
	return func() startPosition {
		switch {
		case c.known:
			return k.resume(c.text)
		case t.topic.IsGlob():
			return k.everything()
		}
		return k.changedSince(keyStart{}, nothing)
	}, nil
}

// everything returns the start position of a client that receives all values of a glob. A client
// that resumes before it has all needs the deletions from now on.
func (k *keyCursors) everything() startPosition {
	head := k.topicLog.view.Head()
	return k.changedSince(keyStart{deletions: head}, k.numbered(head)+partial)
}

func (k *keyCursors) resume(cursor string) startPosition {
	if !k.topicLog.topic.IsGlob() {
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

// needs reports whether the client lacks a value.
func (s keyStart) needs(v keyValue) bool {
	return !v.deleted && v.number >= s.values || v.deleted && v.number >= s.deletions
}

// start reads the cursor of a glob. It reports false unless this node issued the cursor and
// remembers all deletions since.
func (k *keyCursors) start(cursor string) (s keyStart, ok bool) {
	number, isPartial := strings.CutSuffix(cursor, partial)
	c, ok := parseJournalCursor(number)
	s = keyStart{c.pos, c.pos}
	if isPartial {
		s.values = 0
	}
	return s, ok && c.epoch == k.epoch && c.pos >= max(k.forgotten, journal.First) && c.pos <= k.topicLog.view.Head()
}

// afterGap returns the start position of a client that receives all values again.
func (k *keyCursors) afterGap(p startPosition) startPosition {
	p.before = lostCursor
	p.gap = &event.Gap{Topic: k.topicLog.topic, Reason: event.UnknownCursor, Lost: event.LostUnknown}
	return p
}

// resumeValue returns the start position of a client that has a value of a single key.
func (k *keyCursors) resumeValue(cursor string) startPosition {
	_, isSum := parseNumber(cursor)
	switch {
	case cursor == k.head():
		return startPosition{pos: k.topicLog.view.Head(), cursor: cursor, before: cursor}
	case cursor == nothing, isSum:
		return k.changedSince(keyStart{}, cursor)
	}
	return k.afterGap(k.changedSince(keyStart{}, nothing))
}

// changed reports whether a client may have another value than this node: the cursor of a
// literal key says so, and any client of another node may have other values of a glob.
func (k *keyCursors) changed(cursor string) bool {
	k.topicLog.lock()
	defer k.topicLog.unlock()
	if k.topicLog.topic.IsGlob() {
		_, ours := k.start(cursor)
		return !ours
	}
	return cursor != nothing && cursor != k.head()
}

// namesFrom returns the names that are not below a name, in order.
func (k *keyCursors) namesFrom(name string) []string {
	if !k.sorted {
		slices.Sort(k.names)
		k.sorted = true
	}
	i, _ := slices.BinarySearch(k.names, name)
	return k.names[i:]
}

// changedSince returns the start position at the head. Its replay delivers the values and
// deletions from a start on.
func (k *keyCursors) changedSince(start keyStart, cursor string) startPosition {
	head := k.topicLog.view.Head()
	p := startPosition{pos: head, cursor: cursor, before: cursor}
	if slices.ContainsFunc(k.names, func(name string) bool { return start.needs(k.values[name]) }) {
		p.replay = &keyReplay{cursors: k, start: start, head: head, started: cursor, ends: k.head()}
	} else {
		p.cursor, p.before = k.head(), k.head()
	}
	return p
}

// keyReplay delivers the values of keys, in the order of their names. All replays share the topic's
// list of names: a list for each would take much memory while many clients resume.
type keyReplay struct {
	cursors *keyCursors
	start   keyStart
	from    string // no name below it remains
	head    uint64 // values from this number on are in the journal
	started string // the cursor until all have been delivered
	ends    string // the cursor after that
}

func (r *keyReplay) hasGap(context.Context) (bool, error) { return false, nil }

// next returns errRemoved if the topic has evicted deletions that the client lacks.
func (r *keyReplay) next(context.Context) ([]journal.Frame, bool, error) {
	f := r.cursors.topicLog
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.start.deletions < min(r.cursors.forgotten, r.head) {
		return nil, false, errRemoved
	}
	var frames []journal.Frame
	bytes := 0
	for _, name := range r.cursors.namesFrom(r.from) {
		if len(frames) == pageFrames || bytes >= pageBytes {
			return frames, false, nil
		}
		r.from = name + "\x00"
		v := r.cursors.values[name]
		if v.number >= r.head || !r.start.needs(v) {
			continue
		}
		frame := journal.Frame{Cursor: []byte(r.started), Body: v.body}
		if f.topic.IsGlob() {
			frame.Qualifier = f.qualifier(v.topic)
		}
		frames = append(frames, frame)
		bytes += len(v.body)
	}
	if len(frames) > 0 {
		frames[len(frames)-1].Cursor = []byte(r.ends)
	}
	return frames, true, nil
}
