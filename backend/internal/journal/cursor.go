package journal

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Epoch tells one journal's numbers from those of every other journal, on this node or
// another, before a restart or after.
type Epoch uint64

// NewEpoch returns an epoch that no other journal has: 64 random bits.
func NewEpoch() Epoch {
	return Epoch(rand.Uint64())
}

// Cursor is a position in the journal of a topic that has no ids of its own, as a client
// keeps it. The journal that gave it finds the position by its number. Every other
// journal of the same topic finds it by a mark, a message that all of them saw at the
// same place, and the number of events behind that.
type Cursor struct {
	Epoch Epoch
	Pos   uint64
	Mark  string // empty where there was none
	Count uint64 // events between the mark and the position
	Check string // of the event before the position, empty if Count is 0
}

// The parts of a cursor's text are separated by dots, and left out from the end where
// they are empty.
const separator = "."

// AppendTo appends the cursor's text: printable ASCII without @, "," or "=".
func (c Cursor) AppendTo(dst []byte) []byte {
	dst = appendNumber(dst, uint64(c.Epoch))
	dst = append(dst, separator...)
	dst = strconv.AppendUint(dst, c.Pos, 36)
	if c.Mark == "" {
		return dst
	}
	dst = append(dst, separator...)
	dst = append(dst, c.Mark...)
	dst = append(dst, separator...)
	dst = strconv.AppendUint(dst, c.Count, 36)
	if c.Count > 0 {
		dst = append(dst, separator...)
		dst = append(dst, c.Check...)
	}
	return dst
}

// String returns what AppendTo appends.
func (c Cursor) String() string {
	return string(c.AppendTo(nil))
}

// ParseCursor reads what AppendTo wrote.
func ParseCursor(s string) (c Cursor, ok bool) {
	if strings.ContainsFunc(s, notInCursor) {
		return Cursor{}, false
	}
	parts := strings.Split(s, separator)
	if len(parts) < 2 || len(parts) == 3 || len(parts) > 5 {
		return Cursor{}, false
	}
	epoch, ok := parseNumber(parts[0])
	if !ok {
		return Cursor{}, false
	}
	c.Epoch = Epoch(epoch)
	if c.Pos, ok = parseCount(parts[1]); !ok {
		return Cursor{}, false
	}
	if len(parts) == 2 {
		return c, true
	}
	c.Mark = parts[2]
	if c.Count, ok = parseCount(parts[3]); !ok {
		return Cursor{}, false
	}
	if len(parts) == 5 {
		c.Check = parts[4]
	}
	return c, c.Mark != "" && (c.Count > 0) == (c.Check != "")
}

// notInCursor reports characters that no cursor has. Cursors come back from clients, and
// are written out again.
func notInCursor(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
}

// checkBytes is the length of a check, which only guards against what should not happen.
const checkBytes = 3

// Check returns what tells an event from most others.
func Check(eventType string, data []byte) string {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], Sum(eventType, data))
	return base64.RawURLEncoding.EncodeToString(sum[:checkBytes])
}

// Sum returns a hash of an event, the same on every node.
func Sum(eventType string, data []byte) uint64 {
	if eventType == "" {
		return xxhash.Sum64(data)
	}
	d := xxhash.New()
	_, _ = d.WriteString(eventType) // a hash takes everything
	_, _ = d.WriteString("\n")
	_, _ = d.Write(data)
	return d.Sum64()
}

func appendNumber(dst []byte, n uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return base64.RawURLEncoding.AppendEncode(dst, b[:])
}

func parseNumber(s string) (uint64, bool) {
	if strings.ContainsFunc(s, notInCursor) { // the decoder would pass over line breaks
		return 0, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// parseCount parses a number as AppendTo writes it, with no other spelling.
func parseCount(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 36, 64)
	return n, err == nil && strconv.FormatUint(n, 36) == s
}

// SumCursor returns the cursor of a value, for topics that have no history: the place of
// a client that has that value.
func SumCursor(eventType string, data []byte) string {
	return string(appendNumber(nil, Sum(eventType, data)))
}

// IsSumCursor reports whether a text is a cursor that SumCursor may have made.
func IsSumCursor(s string) bool {
	_, ok := parseNumber(s)
	return ok
}
