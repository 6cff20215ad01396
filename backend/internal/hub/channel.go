package hub

import (
	"cmp"
	"slices"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// channelPlaces names places in a channel, or a glob of channels, which Redis gives no
// ids. On this node a place is the number of an event in the journal. For all nodes it
// is the newest mark before it, and the number of events since: every node that followed
// the channel without interruption since that mark counts the same.
type channelPlaces struct {
	feed   *feed
	source source.Source
	epoch  journal.Epoch

	broken uint64 // ordinal of the newest mark before the place behind the newest gap

	mark  *source.Mark // the newest before the newest event
	count uint64       // events since

	// index holds, for each mark that was the newest when something came, the number of
	// the first that came; the oldest are forgotten.
	index     []indexEntry
	forgotten uint64 // ordinal of the newest entry that was
}

type indexEntry struct {
	ordinal uint64
	pos     uint64
}

// maxIndex bounds the marks by which an old place can be found: of a busy channel, a
// quarter of an hour for each gateway on the same Redis.
const maxIndex = 512

func newChannelPlaces(f *feed, src source.Source) *channelPlaces {
	c := &channelPlaces{feed: f, source: src, epoch: journal.NewEpoch()}
	f.log.Rebase(journal.Cursor{Epoch: c.epoch, Pos: journal.First}.String())
	return c
}

func ordinalOf(m *source.Mark) uint64 {
	if m == nil {
		return 0
	}
	return m.Ordinal
}

func (c *channelPlaces) begin(event.StreamID) {}

func (c *channelPlaces) event(dst []byte, e event.Event, number uint64) []byte {
	c.noteMark(c.source.Mark(c.feed.topic), number)
	c.count++
	cursor := journal.Cursor{Epoch: c.epoch, Pos: number + 1}
	if ordinalOf(c.mark) > c.broken {
		cursor.Mark, cursor.Count, cursor.Check = c.mark.Token, c.count, journal.Check(e.Type, e.Data)
	}
	return cursor.AppendTo(dst)
}

func (c *channelPlaces) gap(g source.Gap, number, next uint64) string {
	c.noteMark(g.Mark, number)
	c.broken = ordinalOf(c.mark)
	return journal.Cursor{Epoch: c.epoch, Pos: next}.String()
}

// noteMark records that something with that number comes behind the newest mark.
func (c *channelPlaces) noteMark(newest *source.Mark, number uint64) {
	if newest == c.mark {
		return
	}
	c.mark, c.count = newest, 0
	if newest == nil {
		return
	}
	c.index = append(c.index, indexEntry{newest.Ordinal, number})
	if len(c.index) > maxIndex {
		c.forgotten = c.index[0].ordinal
		c.index = slices.Delete(c.index, 0, 1)
	}
}

// head names the head by the newest mark of all, so that a client that waits long for
// an event has a cursor that other nodes still know.
func (c *channelPlaces) head() string {
	pos, cursor := c.feed.log.Head()
	newest := c.source.Mark(c.feed.topic)
	if newest == c.mark || ordinalOf(newest) <= c.broken {
		return cursor
	}
	return journal.Cursor{Epoch: c.epoch, Pos: pos, Mark: newest.Token}.String()
}

func (c *channelPlaces) fresh(last int) place {
	pos, _ := c.feed.log.Back(last)
	return c.feed.atNumber(pos, "")
}

func (c *channelPlaces) resume(text string) place {
	cursor, ok := journal.ParseCursor(text)
	if !ok {
		return c.feed.unknown()
	}
	pos, ok := c.find(cursor)
	if !ok {
		return c.feed.unknown()
	}
	p := c.feed.atNumber(pos, text)
	if p.gap == nil && pos < c.feed.log.Next() && cursor.Mark != "" {
		// The mark may be one that this journal's own cursor of the place does not have.
		cursor.Epoch, cursor.Pos = c.epoch, pos
		p.cursor, p.before = cursor.String(), cursor.String()
	}
	return p
}

// find returns the number of the event behind a cursor.
func (c *channelPlaces) find(cursor journal.Cursor) (pos uint64, ok bool) {
	head := c.feed.log.Next()
	if cursor.Epoch == c.epoch {
		return cursor.Pos, cursor.Pos <= head
	}
	start, ok := c.findMark(cursor.Mark)
	pos = start + cursor.Count
	if !ok || pos > head || !c.feed.log.Unbroken(start, pos) {
		return 0, false
	}
	return pos, cursor.Count == 0 || c.checks(pos, cursor.Check)
}

// findMark returns the number of the first event behind a mark.
func (c *channelPlaces) findMark(token string) (pos uint64, ok bool) {
	m := c.source.FindMark(c.feed.topic, token)
	if ordinalOf(m) <= c.forgotten {
		return 0, false
	}
	i, _ := slices.BinarySearchFunc(c.index, m.Ordinal, func(e indexEntry, ordinal uint64) int {
		return cmp.Compare(e.ordinal, ordinal)
	})
	if i < len(c.index) {
		return c.index[i].pos, true
	}
	return c.feed.log.Next(), true
}

// checks reports whether the event before a position is the one that a cursor saw
// there. One that is no longer held passes.
func (c *channelPlaces) checks(pos uint64, check string) bool {
	if tail, _ := c.feed.log.Tail(); pos <= tail {
		return true
	}
	own, ok := journal.ParseCursor(c.feed.log.CursorAt(pos))
	return ok && (own.Check == "" || own.Check == check)
}

// behind reports whether a cursor may name a place that this node has not come to yet.
func (c *channelPlaces) behind(text string) bool {
	cursor, ok := journal.ParseCursor(text)
	if !ok || cursor.Epoch == c.epoch || cursor.Mark == "" {
		return false
	}
	if c.source.FindMark(c.feed.topic, cursor.Mark) == nil {
		return true
	}
	start, ok := c.findMark(cursor.Mark)
	return ok && start+cursor.Count > c.feed.log.Next()
}
