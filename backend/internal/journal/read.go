package journal

import (
	"slices"
	"sort"
)

// Batch is a contiguous run of frames in the format that clients receive.
type Batch struct {
	Bytes  []byte // shared; must not be changed
	Body   []byte // rest of the last frame, if it is large and Bytes was encoded for the reader; shared
	Frames int
	From   uint64 // position of the first frame; not set by Split and for conflated readers
	Next   uint64 // position after the frames
	Cursor []byte // cursor of Next; shared, must not be changed
	AtHead bool   // the journal had no frame after the batch, and had not ended

	recs []record // records of the frames, if Bytes is a part of a segment
	ends []int    // ends of the encoded frames in Bytes
}

// Split returns the part of a batch of Read up to the end of the frame in which an offset
// lies. The offset must be between 1 and the length of Bytes.
func (b *Batch) Split(offset int) Batch {
	start := b.recs[0].start
	k := sort.Search(len(b.recs), func(k int) bool { return b.recs[k].start-start >= offset }) - 1
	end := len(b.Bytes)
	if k+1 < len(b.recs) {
		end = b.recs[k+1].start - start
	}
	r := &b.recs[k]
	return Batch{
		Bytes:  b.Bytes[:end],
		Frames: k + 1,
		Next:   r.readOn(),
		Cursor: b.Bytes[r.start-start+idField+len(r.qualifier) : r.body-start-newline],
		recs:   b.recs[:k+1],
	}
}

// Read returns the frames from a position on that are contiguous in memory, up to a final one,
// or an empty batch at the head. It returns false if the position is before the tail or
// [Finished], and at the head of a journal that has ended.
func (j *Journal) Read(from uint64) (Batch, bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if from < j.tail || j.endedAt(from) {
		return Batch{}, false
	}
	i, k := j.find(from)
	if i == len(j.segments) {
		return Batch{From: from, Next: from, AtHead: true}, true
	}
	s := j.segments[i]
	last := len(s.recs) - 1
	if from <= j.final {
		if n := slices.IndexFunc(s.recs[k:], func(r record) bool { return r.final }); n >= 0 {
			last = k + n
		}
	}
	newest := s.frame(last)
	end := s.end(last)
	return Batch{
		Bytes:  s.buf[s.recs[k].start:end:end],
		Frames: last + 1 - k,
		From:   from,
		Next:   newest.readOn(),
		Cursor: newest.Cursor,
		AtHead: i == len(j.segments)-1 && !j.ended && !newest.Final,
		recs:   s.recs[k : last+1 : last+1],
	}, true
}
