package journal

import "sort"

// Batch is a contiguous run of frames in the format that clients receive.
type Batch struct {
	Bytes  []byte // shared; must not be changed
	Frames int
	Next   uint64 // position after the frames
	Cursor []byte // cursor of Next; shared, must not be changed
	AtHead bool   // the journal had no frame after the batch, and had not ended

	recs []record // records of the frames, if Bytes is a part of a segment
	from uint64   // position of the first frame, if Bytes was encoded for the reader
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
		Next:   r.next(),
		Cursor: b.Bytes[r.start-start+idField+len(r.qualifier) : r.body-start-newline],
		recs:   b.recs[:k+1],
	}
}

// Read returns the frames from a position on that are contiguous in memory, or an empty batch
// at the head. It returns false if the position is before the tail, and at the head of a
// journal that has ended.
func (j *Journal) Read(from uint64) (Batch, bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if from < j.tail || j.endedAt(from) {
		return Batch{}, false
	}
	i, k := j.find(from)
	if i == len(j.segments) {
		return Batch{Next: from, AtHead: true}, true
	}
	s := j.segments[i]
	newest := s.frame(len(s.recs) - 1)
	return Batch{
		Bytes:  s.buf[s.recs[k].start:len(s.buf):len(s.buf)],
		Frames: len(s.recs) - k,
		Next:   newest.Next,
		Cursor: newest.Cursor,
		AtHead: i == len(j.segments)-1 && !j.ended,
		recs:   s.recs[k:len(s.recs):len(s.recs)],
	}, true
}
