package hub

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"strings"

	"sluice/internal/event"
	"sluice/internal/source/marker"
)

// epoch identifies one life of a journal in one process.
type epoch uint64

// newEpoch returns 64 random bits.
func newEpoch() epoch {
	return epoch(rand.Uint64())
}

// journalCursor is a cursor of a topic whose events have no ids in Redis; see [channelCursors].
type journalCursor struct {
	epoch  epoch
	pos    uint64
	marker marker.Marker // the newest before the position; zero if there is none
	count  uint64        // events between the marker and the position
	check  string        // of the event before the position; empty if count is 0
}

// appendTo appends the text epoch.position[.node.sequence.count[.check]].
func (c journalCursor) appendTo(dst []byte) []byte {
	dst = appendNumber(dst, uint64(c.epoch))
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, c.pos, 36)
	if c.marker == (marker.Marker{}) {
		return dst
	}
	dst = append(dst, '.')
	dst = c.marker.AppendTo(dst)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, c.count, 36)
	if c.count > 0 {
		dst = append(dst, '.')
		dst = append(dst, c.check...)
	}
	return dst
}

func (c journalCursor) String() string {
	return string(c.appendTo(nil))
}

// parseJournalCursor parses the text of appendTo, and no other spelling.
func parseJournalCursor(s string) (c journalCursor, ok bool) {
	parts := strings.Split(s, ".")
	if !isCursor(s) || len(parts) != 2 && len(parts) != 5 && len(parts) != 6 {
		return c, false
	}
	number, ok := parseNumber(parts[0])
	if !ok {
		return c, false
	}
	c.epoch = epoch(number)
	if c.pos, ok = parseCount(parts[1]); !ok || len(parts) == 2 {
		return c, ok
	}
	if c.marker, ok = marker.Parse(parts[2] + "." + parts[3]); !ok {
		return c, false
	}
	if c.count, ok = parseCount(parts[4]); !ok {
		return c, false
	}
	if len(parts) == 6 {
		c.check = parts[5]
		return c, c.count > 0 && isCheck(c.check)
	}
	return c, c.count == 0
}

// checkBytes is the length of a check before it is encoded.
const checkBytes = 3

// checkOf returns a short checksum of an event, the same on every node.
func checkOf(eventType string, data []byte) string {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], event.Sum(eventType, data))
	return base64.RawURLEncoding.EncodeToString(sum[:checkBytes])
}

// isCheck reports whether checkOf may have returned a text.
func isCheck(s string) bool {
	return len(s) == base64.RawURLEncoding.EncodedLen(checkBytes) && !strings.Contains(s, ".")
}

func appendNumber(dst []byte, n uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return base64.RawURLEncoding.AppendEncode(dst, b[:])
}

func parseNumber(s string) (uint64, bool) {
	if !isCursor(s) { // the decoder ignores line breaks
		return 0, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// parseCount parses a number in base 36, and no other spelling of it.
func parseCount(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 36, 64)
	return n, err == nil && strconv.FormatUint(n, 36) == s
}
