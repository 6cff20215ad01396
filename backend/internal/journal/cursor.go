package journal

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// Epoch tells one journal's numbers from those of every other journal, on this
// node or another, before a restart or after.
type Epoch uint64

// NewEpoch returns an epoch that no other journal has: 64 random bits.
func NewEpoch() Epoch {
	return Epoch(rand.Uint64())
}

// Cursor is a position in the journal of one channel, as a client keeps it.
type Cursor struct {
	Epoch Epoch
	Pos   uint64
}

// String returns the cursor's text: printable ASCII without @, "," or "=".
func (c Cursor) String() string {
	return strconv.FormatUint(uint64(c.Epoch), 36) + "-" + strconv.FormatUint(c.Pos, 36)
}

// ParseCursor reads what String wrote.
func ParseCursor(s string) (Cursor, bool) {
	epoch, pos, _ := strings.Cut(s, "-")
	e, err1 := strconv.ParseUint(epoch, 36, 64)
	p, err2 := strconv.ParseUint(pos, 36, 64)
	return Cursor{Epoch(e), p}, err1 == nil && err2 == nil
}
