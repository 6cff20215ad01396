package journal

import (
	"sort"

	"sluice/internal/event"
)

// Capacities of segments in bytes. The first segment suits a quiet topic; the largest is the size
// of one write to a client.
const (
	minSegment = 1 << 10
	maxSegment = 64 << 10
)

// segment is a run of frames that is contiguous in memory. Written bytes never change or move, so
// readers use them without a lock while more are appended.
type segment struct {
	buf   []byte
	recs  []record
	first int // index of the oldest record that is still held
}

// record locates a frame in its segment.
type record struct {
	seq       uint64 // number of the event
	lost      int64  // see Frame.Lost
	start     int    // offset of the id line in buf
	body      int    // offset of the body in buf
	final     bool   // see Frame.Final
	qualifier string // see Frame.Qualifier; shared by all frames of a topic
}

// next returns the position after the frame.
func (r *record) next() uint64 {
	return r.seq + uint64(max(r.lost, 1))
}

// readOn returns the position of a reader that has delivered the frame.
func (r *record) readOn() uint64 {
	if r.final {
		return Finished
	}
	return r.next()
}

// recordSize is the size of a record in bytes.
const recordSize = 56

const idField, newline = len("id: "), len("\n")

func (f *Frame) size() int {
	return idField + len(f.Qualifier) + len(f.Cursor) + newline + len(f.Body)
}

func (s *segment) append(seq uint64, f *Frame) {
	start := len(s.buf)
	s.buf = event.AppendID(s.buf, f.Qualifier, f.Cursor)
	body := len(s.buf)
	s.buf = append(s.buf, f.Body...)
	s.recs = append(s.recs, record{seq: seq, lost: f.Lost, start: start, body: body, final: f.Final, qualifier: f.Qualifier})
}

// end returns the offset in buf of the end of frame k.
func (s *segment) end(k int) int {
	if k+1 < len(s.recs) {
		return s.recs[k+1].start
	}
	return len(s.buf)
}

func (s *segment) frame(k int) Frame {
	r := &s.recs[k]
	return Frame{
		Qualifier: r.qualifier,
		Cursor:    s.buf[r.start+idField+len(r.qualifier) : r.body-newline],
		Body:      s.buf[r.body:s.end(k)],
		Lost:      r.lost,
		Final:     r.final,
		Next:      r.next(),
	}
}

// find returns the segment and the record with the first number that is at least pos. For the head
// it returns len(j.segments) and 0. mu must be held.
func (j *Journal) find(pos uint64) (seg, rec int) {
	seg = sort.Search(len(j.segments), func(i int) bool {
		recs := j.segments[i].recs
		return recs[len(recs)-1].seq >= pos
	})
	if seg == len(j.segments) {
		return seg, 0
	}
	recs := j.segments[seg].recs
	return seg, sort.Search(len(recs), func(k int) bool { return recs[k].seq >= pos })
}
