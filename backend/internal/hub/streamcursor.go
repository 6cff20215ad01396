package hub

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"sluice/internal/event"
	"sluice/internal/source"
)

// streamCursor is a cursor of a stream: <entry id>[.<ordinal>-<check>][.end]. The ordinal and
// the check distinguish the lives of a stream in which ids occur again.
type streamCursor struct {
	id      event.StreamID
	ordinal uint64 // entries added up to here, 0 if unknown
	check   string // of the entry; positionCheck, a birth check or one before an entry if the cursor is not that of an entry; empty for a bare id
	ended   bool   // the entry ends the stream
}

const (
	// positionCheck is the check of a position that is not that of an entry: it is after a
	// gap, or in an empty stream.
	positionCheck = "g"
	// beforePrefix begins the check of a position before an entry: the check of that entry follows.
	beforePrefix = "b"
	endSuffix    = ".end"
	// startCursor is the cursor of a client that has nothing of a stream.
	startCursor = "0"
)

// newBirthCheck returns the check of the position before the first entry of a life. All lives
// begin at the same position, so the check is random: only the node that issued it finds it.
func newBirthCheck() string {
	return positionCheck + string(appendNumber(nil, rand.Uint64()))
}

func isBirthCheck(s string) bool {
	number, ok := strings.CutPrefix(s, positionCheck)
	if ok {
		_, ok = parseNumber(number)
	}
	return ok
}

// positionCursor returns the cursor of a position that is not that of an entry.
func positionCursor(at source.Position) streamCursor {
	return streamCursor{id: at.ID, ordinal: at.Ordinal, check: positionCheck}
}

// entryCursor returns the cursor after an entry.
func entryCursor(at source.Position, eventType string, data []byte) streamCursor {
	return streamCursor{at.ID, at.Ordinal, checkOf(eventType, data), eventType == event.StreamEnd}
}

// beforeEntry returns the cursor of the position directly before an entry.
func beforeEntry(id event.StreamID, check string) streamCursor {
	return streamCursor{id: id.Prev(), check: beforePrefix + check}
}

// nextCheck returns the check of the next entry, if the cursor has it.
func (c streamCursor) nextCheck() (check string, ok bool) {
	check, ok = strings.CutPrefix(c.check, beforePrefix)
	return check, ok && isCheck(check)
}

// precedes reports whether an entry is the next one that the cursor has the check of.
func (c streamCursor) precedes(e source.Entry) bool {
	check, ok := c.nextCheck()
	return ok && c.id.Next() == e.ID && check == checkOf(e.Type, e.Data)
}

func (c streamCursor) appendTo(dst []byte) []byte {
	dst = c.id.AppendTo(dst)
	if c.check != "" {
		dst = append(dst, '.')
		dst = strconv.AppendUint(dst, c.ordinal, 36)
		dst = append(dst, '-')
		dst = append(dst, c.check...)
	}
	if c.ended {
		dst = append(dst, endSuffix...)
	}
	return dst
}

func (c streamCursor) String() string {
	return string(c.appendTo(nil))
}

// parseStreamCursor parses the text of a cursor. It accepts a bare id without its sequence
// number too.
func parseStreamCursor(text string) (c streamCursor, ok bool) {
	text, c.ended = strings.CutSuffix(text, endSuffix)
	id, life, hasLife := strings.Cut(text, ".")
	if c.id, ok = event.ParseStreamID(id); !ok || !hasLife {
		return c, ok
	}
	ordinal, check, _ := strings.Cut(life, "-")
	if c.ordinal, ok = parseCount(ordinal); !ok {
		return c, false
	}
	c.check = check
	_, isBefore := c.nextCheck()
	return c, check == positionCheck || isCheck(check) || isBirthCheck(check) || isBefore
}

func (c streamCursor) isEntry() bool {
	_, isBefore := c.nextCheck()
	return c.check != positionCheck && !isBefore && !c.id.IsZero()
}

func (c streamCursor) position() source.Position {
	return source.Position{ID: c.id, Ordinal: c.ordinal}
}
