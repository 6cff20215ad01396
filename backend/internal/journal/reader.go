package journal

import (
	"bytes"
	"sort"
	"time"

	"sluice/internal/event"
)

// BatchReader is what a live connection reads from. Its methods are for one goroutine at a time.
type BatchReader interface {
	// Next returns the next batch, see [Reader.Next]. It does not block.
	Next() (Batch, bool)
	// Due returns the time after which Next may return events although no journal has grown, or
	// the zero time; see [Reader.Due].
	Due() time.Time
	// Unread shortens the last batch to the end of the frame in which an offset in its bytes
	// lies, and moves the reader back to there. It does nothing if the reader is conflated.
	Unread(b *Batch, offset int)
	// Finished reports whether nothing follows the last batch.
	Finished() bool
	// Behind reports whether Next would return false: events are lost, or nothing follows.
	Behind() bool
	// Journals returns the journals that Next reads. Next may return events after one of them has
	// grown.
	Journals() []*Journal
}

// Reader is a position in a journal and the cursor of that position. A conflated reader
// delivers at most one event of each topic in an interval. Its methods are for one
// goroutine at a time.
type Reader struct {
	log        *Journal
	pos        uint64
	cursor     []byte      // of pos
	conflation *conflation // nil if the reader delivers every event
	encode     Encoder     // nil if frames are delivered as they are in the journal
}

// Encoder appends a frame to dst, with an id that differs from that in the journal.
type Encoder func(dst []byte, qualifier string, cursor, body []byte) []byte

// NewReader returns a reader at the first position. If every is not zero the reader is
// conflated; single says then that all events are of one topic. If encode is not nil, it
// encodes all frames. Close must be called.
func NewReader(log *Journal, every time.Duration, single bool, encode Encoder) Reader {
	r := Reader{log: log, pos: First, encode: encode}
	if every > 0 {
		r.conflation = newConflation(every, single)
		if !single {
			log.retainLatest()
		}
	}
	return r
}

// Close releases the reader.
func (r *Reader) Close() {
	if r.conflation != nil && !r.conflation.single {
		r.log.releaseLatest()
	}
}

// Journal returns the journal of the reader.
func (r *Reader) Journal() *Journal { return r.log }

// Pos returns the position of the next frame to read.
func (r *Reader) Pos() uint64 { return r.pos }

// Cursor returns the cursor of the position. It is valid until the reader moves.
func (r *Reader) Cursor() []byte { return r.cursor }

// Conflated reports whether the reader is conflated.
func (r *Reader) Conflated() bool { return r.conflation != nil }

// Shared reports whether the reader delivers the batches of [Journal.Read].
func (r *Reader) Shared() bool { return r.conflation == nil && r.encode == nil }

// Append appends a frame as the reader delivers it.
func (r *Reader) Append(dst []byte, qualifier string, cursor, body []byte) []byte {
	if r.encode != nil {
		return r.encode(dst, qualifier, cursor, body)
	}
	return append(event.AppendID(dst, qualifier, cursor), body...)
}

// Seek moves the reader to a position with a cursor.
func (r *Reader) Seek(pos uint64, cursor string) {
	r.pos = pos
	r.cursor = append(r.cursor[:0], cursor...)
	if c := r.conflation; c != nil && c.held == 0 {
		c.safe = append(c.safe[:0], cursor...)
	}
}

// Advance moves a reader to the end of a batch that [Journal.Read] returned.
func (r *Reader) Advance(b *Batch) {
	r.pos = b.Next
	r.cursor = append(r.cursor[:0], b.Cursor...)
}

// Next returns the next batch and moves the reader to its end. The batch of a conflated
// reader may be empty before the head: Next does a bounded amount of work, and AtHead
// reports whether more is left. Next returns false if events are lost that the reader has
// not delivered: see [Reader.Behind].
func (r *Reader) Next() (Batch, bool) {
	switch {
	case r.conflation != nil:
		return r.nextConflated()
	case r.encode != nil:
		return r.nextEncoded()
	}
	b, ok := r.log.Read(r.pos)
	if ok && b.Frames > 0 {
		r.Advance(&b)
	}
	return b, ok
}

// maxEncoded bounds the bytes of a batch that are encoded for one reader. The body of a larger
// frame is shared.
const maxEncoded = 64 << 10

// idSpace is the space for an id that is longer than that in the journal.
const idSpace = 256

// nextEncoded returns a batch in new memory.
func (r *Reader) nextEncoded() (Batch, bool) {
	j := r.log
	j.mu.RLock()
	defer j.mu.RUnlock()
	if r.pos < j.tail || j.endedAt(r.pos) {
		return Batch{}, false
	}
	b := Batch{AtHead: !j.ended, From: r.pos}
	for i, k := j.find(r.pos); i < len(j.segments); i, k = i+1, 0 {
		for s := j.segments[i]; k < len(s.recs); k++ {
			f := s.frame(k)
			if len(b.Bytes) > 0 && len(b.Bytes)+f.size() > maxEncoded {
				b.AtHead = false
				return b, true
			}
			isLarge := f.size() > maxEncoded
			if isLarge {
				b.Body, f.Body = f.Body, nil
			}
			if b.Bytes == nil {
				rest := min(len(s.buf)-s.recs[k].start, maxEncoded)
				if isLarge {
					rest = f.size()
				}
				b.Bytes = make([]byte, 0, rest+idSpace)
			}
			b.Bytes = r.encode(b.Bytes, f.Qualifier, f.Cursor, f.Body)
			b.Frames++
			b.ends = append(b.ends, len(b.Bytes))
			r.pos = f.readOn()
			r.cursor = append(r.cursor[:0], f.Cursor...)
			if f.Final || isLarge {
				b.AtHead = false
				return b, true
			}
		}
	}
	return b, true
}

// Unread implements [BatchReader].
func (r *Reader) Unread(b *Batch, offset int) {
	if len(b.ends) == 0 {
		return
	}
	last := sort.SearchInts(b.ends, offset)
	j := r.log
	j.mu.RLock()
	defer j.mu.RUnlock()
	i, k := j.find(b.From)
	for range last {
		if k++; i < len(j.segments) && k == len(j.segments[i].recs) {
			i, k = i+1, 0
		}
	}
	if b.From < j.tail || i == len(j.segments) { // the frames were evicted after Next
		return
	}
	f := j.segments[i].frame(k)
	r.pos = f.readOn()
	r.cursor = append(r.cursor[:0], f.Cursor...)
	if last+1 < b.Frames {
		b.Body = nil
	}
	b.Bytes, b.Frames, b.ends = b.Bytes[:b.ends[last]], last+1, b.ends[:last+1]
}

// Finished implements [BatchReader]. A reader is finished after a final frame.
func (r *Reader) Finished() bool { return r.pos == Finished }

// Behind implements [BatchReader].
func (r *Reader) Behind() bool {
	if r.conflation != nil && len(r.conflation.lost) > 0 {
		return true
	}
	r.log.mu.RLock()
	defer r.log.mu.RUnlock()
	return r.start() < r.log.tail || r.log.endedAt(r.pos)
}

// start returns the position at which the reader continues. A conflated reader of one topic skips
// all events except the newest, unless they contain a gap or a final frame. log.mu must be held.
func (r *Reader) start() uint64 {
	j := r.log
	if c := r.conflation; c == nil || !c.single || r.pos >= j.head || r.pos <= max(j.gap, j.final) || len(j.segments) == 0 {
		return r.pos
	}
	recs := j.segments[len(j.segments)-1].recs
	return recs[len(recs)-1].seq
}

// maxFrames bounds the frames that a conflated reader reads, and those that it delivers, in one
// call of Next.
const maxFrames = 256

// maxDelivered returns how many frames a conflated reader may deliver in one call of Next: about
// maxEncoded bytes, since they are copied. log.mu must be held.
func (r *Reader) maxDelivered() int {
	j := r.log
	return min(max(maxEncoded*max(j.frames, 1)/max(j.bytes, 1), 1), maxFrames)
}

// nextConflated returns the next batch of a conflated reader. It reads the journal under one lock,
// so it cannot miss a gap that is appended between two reads.
func (r *Reader) nextConflated() (Batch, bool) {
	c, j := r.conflation, r.log
	now := time.Now()
	j.mu.RLock()
	defer j.mu.RUnlock()
	from := r.start()
	if len(c.lost) > 0 || from < j.tail || j.endedAt(r.pos) {
		return Batch{}, false
	}
	special, more := r.scan(from, now)
	var b Batch
	switch {
	case special == nil:
		r.deliver(&b, c.due(now, r.maxDelivered()), now, false)
		more = more || len(c.ready) > 0 || len(c.lost) > 0
	case c.held > 0: // events from before it precede it
		r.deliver(&b, c.oldest(r.maxDelivered()), now, special.Final)
	default:
		b.Bytes = r.Append(b.Bytes, special.Qualifier, special.Cursor, special.Body)
		b.Frames++
		r.pos = special.readOn()
		r.cursor = append(r.cursor[:0], special.Cursor...)
	}
	r.updateSafe(c.front)
	b.AtHead = !more && !j.ended
	return b, true
}

// scan holds the events from a position on, until a gap, a final frame, or maxFrames. It returns
// the gap or final frame, if any, and whether the journal has more. log.mu must be held.
func (r *Reader) scan(from uint64, now time.Time) (special *Frame, more bool) {
	c, j := r.conflation, r.log
	var last *Frame
	read := 0
	for i, k := j.find(from); i < len(j.segments) && !more; i, k = i+1, 0 {
		s := j.segments[i]
		for ; k < len(s.recs) && !more; k++ {
			if read++; read > maxFrames {
				more = true
				continue
			}
			f := s.frame(k)
			if f.Lost != 0 || f.Final {
				special, more = &f, true
				continue
			}
			c.hold(heldEvent{qualifier: f.Qualifier, pos: s.recs[k].seq}, now)
			last = &f
		}
	}
	if last != nil {
		r.pos = last.Next
		r.cursor = append(r.cursor[:0], last.Cursor...)
	}
	return special, more
}

// deliver appends events that are no longer held to a batch, in the order of their
// positions. The cursor in an id never passes an event that is still to be delivered. An event
// that has left the journal is lost if beforeFinal is true, since no newer one of its topic follows.
// log.mu must be held.
func (r *Reader) deliver(b *Batch, events []*topicState, now time.Time, beforeFinal bool) {
	c := r.conflation
	for i, e := range events {
		oldest := c.front
		if i+1 < len(events) && (oldest == nil || events[i+1].order < oldest.order) {
			oldest = events[i+1]
		}
		body, lost := e.body, false
		if body == nil {
			body, lost = r.log.body(e.qualifier, e.pos)
			lost = lost || beforeFinal && body == nil
		}
		if lost {
			c.lost = append(c.lost, e.qualifier)
		}
		r.updateSafe(oldest)
		if body == nil { // lost, or a newer event of the topic follows
			c.forget(e, now)
		} else {
			b.Bytes = r.Append(b.Bytes, e.qualifier, c.safe, body)
			b.Frames++
			c.startInterval(e, now)
		}
	}
}

// updateSafe sets the cursor for ids: the cursor before oldest, the oldest undelivered event, or the
// cursor of the position if oldest is nil. It keeps the previous cursor if the journal no longer has
// the new one, or if lost events have not been announced yet. log.mu must be held.
func (r *Reader) updateSafe(oldest *topicState) {
	c := r.conflation
	switch {
	case len(c.lost) > 0:
	case oldest == nil:
		c.safe = append(c.safe[:0], r.cursor...)
	case oldest.before != nil:
		c.safe = append(c.safe[:0], oldest.before...)
	case oldest.pos >= r.log.tail:
		c.safe = append(c.safe[:0], r.log.cursorBefore(oldest.pos)...)
	}
}

// Replay passes frames that are not in the journal to a conflated reader, and returns the events
// that are due.
func (r *Reader) Replay(frames []Frame) Batch {
	c := r.conflation
	now := time.Now()
	r.log.mu.RLock()
	defer r.log.mu.RUnlock()
	var b Batch
	for i := range frames {
		f := &frames[i]
		if f.Lost != 0 || f.Final {
			r.deliver(&b, c.oldest(c.held), now, f.Final)
			b.Bytes = r.Append(b.Bytes, f.Qualifier, f.Cursor, f.Body)
			b.Frames++
		} else {
			c.hold(heldEvent{qualifier: f.Qualifier, body: bytes.Clone(f.Body), before: bytes.Clone(r.cursor)}, now)
		}
		r.cursor = append(r.cursor[:0], f.Cursor...)
		if f.Final {
			r.pos = Finished
			break
		}
	}
	r.deliver(&b, c.due(now, c.held), now, false)
	r.updateSafe(c.front)
	return b
}

// Flush returns all events that a conflated reader holds, before the end of their intervals. If
// the held event of a single topic has left the journal, Flush moves the cursor to the position
// before it.
func (r *Reader) Flush() []byte {
	c := r.conflation
	if c == nil {
		return nil
	}
	now := time.Now()
	r.log.mu.RLock()
	defer r.log.mu.RUnlock()
	events := c.oldest(c.held)
	if c.single && len(events) > 0 && events[0].body == nil && events[0].pos < r.log.tail {
		r.cursor = append(r.cursor[:0], c.safe...)
		c.forget(events[0], now)
		return nil
	}
	var b Batch
	r.deliver(&b, events, now, false)
	return b.Bytes
}

// Lost returns the qualifiers of events that a conflated reader held back and can no longer
// deliver, and the cursor for the gap that announces them. It forgets them.
func (r *Reader) Lost() (qualifiers []string, cursor []byte) {
	c := r.conflation
	if c == nil || len(c.lost) == 0 {
		return nil, nil
	}
	qualifiers, c.lost = c.lost, nil
	r.log.mu.RLock()
	defer r.log.mu.RUnlock()
	r.updateSafe(c.front)
	return qualifiers, c.safe
}

// Due returns the time after which Next may return events although the journal has not grown, or
// the zero time if no event is held. The time may be too early.
func (r *Reader) Due() time.Time {
	if r.conflation == nil {
		return time.Time{}
	}
	return r.conflation.next()
}

// Journals implements [BatchReader].
func (r *Reader) Journals() []*Journal { return []*Journal{r.log} }
