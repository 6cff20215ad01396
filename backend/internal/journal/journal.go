// Package journal holds the recent events of a topic as the bytes that clients receive:
// encoded once, in contiguous segments, bounded in number and size. A subscriber is a
// position in a journal. The package does not know about sources, connections or topics.
package journal

import (
	"math"
	"sync"
	"time"
)

// Limits bounds the contents of a journal. The newest frame is always held, even if it exceeds the
// limits. After a frame that uses a large part of the bytes, the journal exceeds Bytes for a time,
// so connected clients can read this frame and those after it.
type Limits struct {
	Events int     // number of frames
	Bytes  int     // bytes of frames
	Memory *Memory // of all journals together, or nil
}

const (
	// largePart defines large frames: their size is more than 1/largePart of Limits.Bytes.
	largePart = 4
	// largeTime is the time after a large frame for which a journal may exceed Limits.Bytes.
	largeTime = 10 * time.Second
)

// Frame is one encoded block of an event stream, in its parts. The bytes belong to the journal
// that returned the frame, or to the caller of Append. They must not be changed.
type Frame struct {
	Qualifier string // topic in the id, with its separator; empty if the id has none
	Cursor    []byte // the position after this frame
	Body      []byte // everything after the id line
	Lost      int64  // for a gap: the number of lost events, or -1; else 0
	Final     bool   // readers deliver nothing after this frame
	Next      uint64 // the position after this frame; set by reads
}

// Span returns the number of events that the frame stands for. The difference of two positions is
// the number of events between them, including lost ones.
func (f *Frame) Span() uint64 {
	return uint64(max(f.Lost, 1))
}

// readOn returns the position of a reader that has delivered the frame.
func (f *Frame) readOn() uint64 {
	if f.Final {
		return Finished
	}
	return f.Next
}

// Waker is a watcher of a journal.
type Waker interface {
	// Wake is called after frames were appended. It must not block or call the journal.
	Wake()
}

// Journal is a bounded log of frames. Events are numbered from 1. A position is the number of the
// next event. Any number of goroutines may read while one appends.
type Journal struct {
	limits Limits

	mu       sync.RWMutex
	segments []*segment // the oldest first
	frames   int        // number of frames held
	bytes    int        // size of the frames held
	tail     uint64     // number of the oldest event held, or head
	head     uint64     // number of the next event
	base     []byte     // cursor of the position tail
	unknown  uint64     // number after the newest evicted gap of unknown size
	gap      uint64     // number of the newest gap
	final    uint64     // number of the newest final frame, 0 if there was none
	latest   latest     // newest event of each topic, for conflated readers
	ended    bool       // no more frames will be appended
	large    time.Time  // time of the newest large frame
	held     int        // bytes in memory: segments and latest

	watch    sync.Mutex
	watchers map[Waker]struct{}
}

const (
	// First is the first position of every journal.
	First = 1
	// Finished is the position of a reader that has delivered a final frame.
	Finished = math.MaxUint64
)

// New returns an empty journal; base is the cursor of its [First] position. Close must be called.
func New(limits Limits, base string) *Journal {
	j := &Journal{limits: limits, head: First, tail: First, base: []byte(base), latest: latest{limit: latestLimit}, watchers: make(map[Waker]struct{})}
	limits.Memory.register(j)
	return j
}

// Close ends the accounting of the journal's memory. Readers may still read it.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.limits.Memory != nil {
		j.limits.Memory.unregister(j)
		j.limits.Memory.account(-j.held)
		j.limits.Memory, j.held = nil, 0
	}
}

// footprint returns the number of bytes in memory.
func (j *Journal) footprint() int {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.held
}

// shorten evicts the oldest frames until the journal has at most a number of bytes in memory, or
// only the newest frame.
func (j *Journal) shorten(bytes int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.frames > 1 && j.held > bytes {
		segments := len(j.segments)
		j.evict()
		if len(j.segments) < segments {
			j.accountHeld()
		}
	}
	j.accountHeld()
}

// accountHeld counts the bytes in memory again and reports the difference to Limits.Memory. mu must be
// held.
func (j *Journal) accountHeld() {
	held := j.latest.bytes
	for _, s := range j.segments {
		held += cap(s.buf) + cap(s.recs)*recordSize
	}
	j.limits.Memory.account(held - j.held)
	j.held = held
}

// Rebase sets the cursor of the first position. It must be called before the first Append.
func (j *Journal) Rebase(base string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.base = []byte(base)
}

// Bytes returns the size of the frames held, and of the events kept for conflated readers.
func (j *Journal) Bytes() int {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.bytes + j.latest.bytes
}

// cursorBefore returns the cursor of a position between tail and head. It refers to memory of the
// journal, so mu must be held until the cursor was used.
func (j *Journal) cursorBefore(pos uint64) []byte {
	if i, k := j.find(pos); k > 0 {
		return j.segments[i].frame(k - 1).Cursor
	} else if i > 0 {
		s := j.segments[i-1]
		return s.frame(len(s.recs) - 1).Cursor
	}
	return j.base
}

// Append adds a frame and returns its number. It must be called by one goroutine at a time.
func (j *Journal) Append(f Frame) uint64 {
	j.mu.Lock()
	seq := j.head
	j.writable(f.size()).append(seq, &f)
	j.latest.add(f.Qualifier, seq, f.Lost)
	j.head += f.Span()
	if f.Lost != 0 {
		j.gap = seq
	}
	if f.Final {
		j.final = seq
	}
	j.frames++
	j.bytes += f.size()
	if f.size() > j.limits.Bytes/largePart {
		j.large = time.Now()
	}
	for j.frames > 1 && (j.frames > j.limits.Events || j.bytes > j.limits.Bytes && !j.keepsLarge()) {
		j.evict()
	}
	j.accountHeld()
	memory := j.limits.Memory
	j.mu.Unlock()
	memory.reclaim()
	j.wakeAll()
	return seq
}

// keepsLarge reports whether the journal may exceed Limits.Bytes because of a large frame. mu must
// be held.
func (j *Journal) keepsLarge() bool {
	return !j.large.IsZero() && time.Since(j.large) < largeTime
}

func (j *Journal) wakeAll() {
	j.watch.Lock()
	defer j.watch.Unlock()
	for w := range j.watchers {
		w.Wake()
	}
}

// End records that no more frames will be appended, and wakes all watchers. Reads at the head return
// false from then on.
func (j *Journal) End() {
	j.mu.Lock()
	j.ended = true
	j.mu.Unlock()
	j.wakeAll()
}

// Ended reports whether no frame is held at a position or after it, and none will be appended.
func (j *Journal) Ended(from uint64) bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.endedAt(from)
}

// endedAt is Ended. mu must be held.
func (j *Journal) endedAt(from uint64) bool {
	return from == Finished || j.ended && from >= j.head
}

// writable returns the newest segment if a frame of the size fits into it, else a new segment. Each
// new segment is larger than the one before, so quiet topics need little memory. mu must be held.
func (j *Journal) writable(size int) *segment {
	capacity := minSegment
	if n := len(j.segments); n > 0 {
		last := j.segments[n-1]
		if cap(last.buf)-len(last.buf) >= size {
			return last
		}
		capacity = min(2*cap(last.buf), maxSegment)
	}
	s := &segment{buf: make([]byte, 0, max(capacity, size))}
	j.segments = append(j.segments, s)
	return s
}

// evict removes the oldest frame, and its segment if it holds no other frame. mu must be held.
func (j *Journal) evict() {
	s := j.segments[0]
	f := s.frame(s.first)
	s.first++
	j.frames--
	j.bytes -= f.size()
	j.latest.evicted(&f, j.tail)
	j.tail += f.Span()
	j.base = append(j.base[:0], f.Cursor...)
	if f.Lost < 0 {
		j.unknown = j.tail
	}
	if s.first == len(s.recs) {
		j.segments[0] = nil // the array of the slice must not keep the segment
		j.segments = j.segments[1:]
	}
}

// Watch calls w.Wake after every append until Unwatch.
func (j *Journal) Watch(w Waker) {
	j.watch.Lock()
	defer j.watch.Unlock()
	j.watchers[w] = struct{}{}
}

// Unwatch ends Watch. w is not called after Unwatch has returned.
func (j *Journal) Unwatch(w Waker) {
	j.watch.Lock()
	defer j.watch.Unlock()
	delete(j.watchers, w)
}
