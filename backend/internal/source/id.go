package source

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// ID is the id of a stream's entry. The zero ID comes before all entries.
type ID struct {
	Millis, Seq uint64
}

// MaxID comes after all entries.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// ParseID reads "1763820000000-0", or "1763820000000" for its first.
func ParseID(s string) (ID, bool) {
	millis, seq, found := strings.Cut(s, "-")
	if !found {
		seq = "0"
	}
	m, err1 := strconv.ParseUint(millis, 10, 64)
	q, err2 := strconv.ParseUint(seq, 10, 64)
	return ID{m, q}, err1 == nil && err2 == nil
}

// String returns the id as Redis writes it.
func (id ID) String() string {
	b := make([]byte, 0, 24)
	b = strconv.AppendUint(b, id.Millis, 10)
	b = append(b, '-')
	return string(strconv.AppendUint(b, id.Seq, 10))
}

// Compare orders ids as Redis does.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Millis, other.Millis), cmp.Compare(id.Seq, other.Seq))
}

// Before reports whether id comes before other.
func (id ID) Before(other ID) bool {
	return id.Compare(other) < 0
}

// Prev returns the greatest id before id; that of the zero ID is itself.
func (id ID) Prev() ID {
	switch {
	case id.Seq > 0:
		return ID{id.Millis, id.Seq - 1}
	case id.Millis > 0:
		return ID{id.Millis - 1, math.MaxUint64}
	}
	return id
}

// Next returns the least id after id; that of [MaxID] is itself.
func (id ID) Next() ID {
	switch {
	case id.Seq < math.MaxUint64:
		return ID{id.Millis, id.Seq + 1}
	case id.Millis < math.MaxUint64:
		return ID{id.Millis + 1, 0}
	}
	return id
}

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool {
	return id == ID{}
}
