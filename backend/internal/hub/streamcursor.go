package hub

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// streamCursor is a cursor of a stream: <entry id>[.<ordinal>-<check>][.end]. The ordinal and
// the check distinguish the lives of a stream in which ids occur again.
type streamCursor struct {
	id      event.StreamID
	ordinal uint64 // entries added up to here, 0 if unknown
	check   string // of the entry, empty for a bare id; positions have positionCheck, one of startOf or one of beforeEntry
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

	// startSumBits is the size of the checksum of startOf. The time has the other bits of the number.
	startSumBits = 22
	// maxStartLag is the time, in milliseconds, by which one node may see a life begin after another. It
	// allows for the difference of their clocks.
	maxStartLag = 2000
)

// startOf returns the cursor of the position at which a life begins, after a position on this node.
// Other lives can begin at the same position, so the check has the time at which the node saw the
// beginning, in milliseconds, and a checksum of what was before it in startSumBits bits. If the life
// before began within maxStartLag, other nodes could confuse the two, so the checksum is random.
func startOf(at source.Position, before, lifeBefore streamCursor, now time.Time) streamCursor {
	if !before.isEntry() {
		before = positionCursor(before.position())
	}
	milliseconds := uint64(now.UnixMilli())
	sum := event.Sum("", []byte(before.String()))
	if seen, _, ok := lifeBefore.start(); ok && milliseconds <= seen+maxStartLag {
		sum = rand.Uint64()
	}
	c := positionCursor(at)
	c.check = string(appendNumber([]byte(positionCheck), milliseconds<<startSumBits|sum>>(64-startSumBits)))
	return c
}

// start returns the time, in milliseconds, and the checksum of a cursor of startOf.
func (c streamCursor) start() (seen, sum uint64, ok bool) {
	text, ok := strings.CutPrefix(c.check, positionCheck)
	if !ok {
		return 0, 0, false
	}
	number, ok := parseNumber(text)
	return number >> startSumBits, number & (1<<startSumBits - 1), ok
}

// isSameStart reports whether a cursor of any node is at the beginning of the same life as one of
// this node. This node must not have seen the beginning much later, since it could have missed a
// whole life between.
func (c streamCursor) isSameStart(here streamCursor) bool {
	seen, sum, ok := c.start()
	seenHere, sumHere, okHere := here.start()
	return c == here || ok && okHere && c.position() == here.position() && sum == sumHere && seenHere <= seen+maxStartLag
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
	_, _, isStart := c.start()
	return c, check == positionCheck || isCheck(check) || isStart || isBefore
}

func (c streamCursor) isEntry() bool {
	return !c.id.IsZero() && (c.check == "" || isCheck(c.check))
}

func (c streamCursor) position() source.Position {
	return source.Position{ID: c.id, Ordinal: c.ordinal}
}
