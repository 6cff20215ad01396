package event

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// StreamID is the id of an entry of a Redis stream. The zero StreamID is less than all ids.
type StreamID struct {
	Millis, Seq uint64
}

// MaxStreamID is the greatest possible id.
var MaxStreamID = StreamID{math.MaxUint64, math.MaxUint64}

// ParseStreamID parses "1763820000000-0", or "1763820000000" for the id with sequence number 0.
// It accepts decimal digits only, without signs.
func ParseStreamID(s string) (StreamID, bool) {
	millis, seq, found := strings.Cut(s, "-")
	if !found {
		seq = "0"
	}
	m, err1 := strconv.ParseUint(millis, 10, 64)
	q, err2 := strconv.ParseUint(seq, 10, 64)
	return StreamID{m, q}, err1 == nil && err2 == nil
}

// String returns the id as Redis writes it.
func (id StreamID) String() string {
	return string(id.AppendTo(make([]byte, 0, 24)))
}

// AppendTo appends the text that String returns.
func (id StreamID) AppendTo(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.Millis, 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, id.Seq, 10)
}

// Compare orders ids as Redis does.
func (id StreamID) Compare(other StreamID) int {
	return cmp.Or(cmp.Compare(id.Millis, other.Millis), cmp.Compare(id.Seq, other.Seq))
}

// Before reports whether id is less than other.
func (id StreamID) Before(other StreamID) bool {
	return id.Compare(other) < 0
}

// Prev returns the greatest id before id. The zero StreamID has none and returns itself.
func (id StreamID) Prev() StreamID {
	switch {
	case id.Seq > 0:
		return StreamID{id.Millis, id.Seq - 1}
	case id.Millis > 0:
		return StreamID{id.Millis - 1, math.MaxUint64}
	}
	return id
}

// Next returns the least id after id. [MaxStreamID] has none and returns itself.
func (id StreamID) Next() StreamID {
	switch {
	case id.Seq < math.MaxUint64:
		return StreamID{id.Millis, id.Seq + 1}
	case id.Millis < math.MaxUint64:
		return StreamID{id.Millis + 1, 0}
	}
	return id
}

// IsZero reports whether id is the zero StreamID.
func (id StreamID) IsZero() bool {
	return id == StreamID{}
}
