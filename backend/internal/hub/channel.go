package hub

import (
	"context"
	"errors"
	"slices"
	"sort"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/marker"
)

// channelCursors names positions in a channel, or a glob of channels, to which Redis gives no
// ids. On this node a position is the number of an event in the journal. On all nodes it is
// the newest marker before the position and the number of events after the marker: every
// node that follows the channel without interruption since the marker counts the same.
type channelCursors struct {
	topicLog *topicLog
	epoch    epoch

	view   *marker.View  // since the newest gap; nil if the source has no markers
	seen   uint64        // ordinal of the newest marker that is in the index
	newest marker.Marker // before the newest event, since the newest gap; zero without one
	count  uint64        // events since newest
	index  markerIndex
}

func newChannelCursors(t *topicLog) *channelCursors {
	c := &channelCursors{topicLog: t, epoch: newEpoch()}
	t.log.Rebase(journalCursor{epoch: c.epoch, pos: journal.First}.String())
	return c
}

func (c *channelCursors) begin(at source.Position) {
	c.view = at.Markers
}

func (c *channelCursors) event(dst []byte, e event.Event, _ source.Position, number uint64) []byte {
	if c.indexMarkers(number) {
		c.newest, c.count = marker.Marker{}, 0
		if m, _, ok := c.view.Newest(); ok {
			c.newest = m
		}
	}
	c.count++
	cursor := journalCursor{epoch: c.epoch, pos: number + 1}
	if c.newest != (marker.Marker{}) {
		cursor.marker, cursor.count, cursor.check = c.newest, c.count, checkOf(e.Type, e.Data)
	}
	return cursor.appendTo(dst)
}

func (c *channelCursors) gap(g source.Gap, number, next uint64) string {
	c.indexMarkers(number)
	c.index.addGap(number)
	c.newest, c.count = marker.Marker{}, 0
	if g.At.Markers != nil {
		c.view, c.seen = g.At.Markers, 0
	}
	return journalCursor{epoch: c.epoch, pos: next}.String()
}

// indexMarkers adds the markers that arrived after the last event and before the event with
// a number. It reports whether there were any.
func (c *channelCursors) indexMarkers(number uint64) bool {
	if c.view == nil {
		return false
	}
	added := false
	c.seen = c.view.Since(c.seen, func(m marker.Marker, floor uint64) {
		c.index.add(m, floor, number)
		added = true
	})
	if added && c.index.wantsEviction() {
		tail, _ := c.topicLog.view.Tail()
		c.index.evict(tail, c.view.Knows)
	}
	return added
}

// head names the head by the newest marker of all, so a client that waits long for an event
// has a cursor that other nodes know.
func (c *channelCursors) head() string {
	pos := c.topicLog.view.Head()
	if c.view != nil {
		if m, ordinal, ok := c.view.Newest(); ok && ordinal > c.seen {
			return journalCursor{epoch: c.epoch, pos: pos, marker: m}.String()
		}
	}
	return c.topicLog.view.CursorAt(pos)
}

// prepare implements [cursors]. If the client may have received more than this node, prepare
// waits until this node has received the same. Then it has the client's position, or the client
// starts after a gap at a position that is not older. If that fails, it is an error. A node whose
// probes Redis refuses can never wait, so its clients start after a gap instead of being rejected
// until Redis allows the probes.
func (c *channelCursors) prepare(ctx context.Context, cc clientCursor) (func() startPosition, error) {
	if cc.known && c.mayBeBehind(cc.text) {
		if err := c.topicLog.sync(ctx); err != nil && !errors.Is(err, source.ErrForbidden) {
			return nil, err
		}
	}
	return func() startPosition {
		if cc.known {
			return c.resume(cc.text)
		}
		pos, _ := c.topicLog.view.Back(journal.First, cc.last)
		return c.topicLog.atNumber(pos, "")
	}, nil
}

// mayBeBehind reports whether a client may have received more than this node: this node does not
// find the position of the cursor, which a node can have sent.
func (c *channelCursors) mayBeBehind(text string) bool {
	c.topicLog.lock()
	defer c.topicLog.unlock()
	if _, _, found := c.find(text); found {
		return false
	}
	_, ok := parseJournalCursor(text)
	return ok || text == lostCursor
}

func (c *channelCursors) resume(text string) startPosition {
	cursor, pos, ok := c.find(text)
	if !ok {
		return c.topicLog.unknown()
	}
	p := c.topicLog.atNumber(pos, text)
	if p.gap == nil && pos < c.topicLog.view.Head() && cursor.marker != (marker.Marker{}) {
		// The client's marker may be newer than that of this journal's own cursor.
		cursor.epoch, cursor.pos = c.epoch, pos
		p.cursor, p.before = cursor.String(), cursor.String()
	}
	return p
}

// find parses a cursor and returns the number of the event after it.
func (c *channelCursors) find(text string) (cursor journalCursor, pos uint64, ok bool) {
	cursor, ok = parseJournalCursor(text)
	head := c.topicLog.view.Head()
	if !ok || cursor.epoch == c.epoch {
		return cursor, cursor.pos, ok && cursor.pos <= head
	}
	start, ok := c.findMarker(cursor.marker)
	pos = start + cursor.count
	if !ok || pos < start || pos > head || c.index.hasGap(start, pos) {
		return cursor, 0, false
	}
	return cursor, pos, cursor.count == 0 || c.checks(pos, cursor.check)
}

// findMarker returns the number of the first event after a marker.
func (c *channelCursors) findMarker(m marker.Marker) (pos uint64, ok bool) {
	if c.view == nil || m == (marker.Marker{}) {
		return 0, false
	}
	if pos, ok, newer := c.index.find(m); !newer {
		return pos, ok
	}
	ordinal, ok := c.view.Find(m)
	return c.topicLog.view.Head(), ok && ordinal > c.seen
}

// checks reports whether the event before a position is the one that a cursor names there.
// An event that is no longer in the journal passes.
func (c *channelCursors) checks(pos uint64, check string) bool {
	if tail, _ := c.topicLog.view.Tail(); pos <= tail {
		return true
	}
	own, ok := parseJournalCursor(c.topicLog.view.CursorAt(pos))
	return ok && (own.check == "" || own.check == check)
}

// markerIndex finds the position after a marker. It holds, by node, the markers that arrived
// between two events, as long as a cursor of a position in the journal can contain them.
// The zero value is an empty index.
type markerIndex struct {
	nodes  map[string]*nodeMarkers
	newest uint64   // position of the newest interval
	gaps   []uint64 // numbers of gaps, sorted; of those between two intervals only the first
	size   int      // number of nodes and intervals
	kept   int      // size after the last eviction
}

type nodeMarkers struct {
	last      uint64           // sequence of the newest marker that was added
	intervals []markerInterval // sorted
}

// markerInterval is the set of markers of one node with sequences in (above, last]. The event
// after them has the number pos.
type markerInterval struct {
	above, last uint64
	pos         uint64
}

// minEviction is a size of an index that is too small for an eviction.
const minEviction = 64

// add adds the markers in (floor, m.Sequence] that are newer than those of the last call.
// The event after them has the number pos, which must not decrease between calls.
func (x *markerIndex) add(m marker.Marker, floor, pos uint64) {
	n := x.nodes[m.Node]
	if n == nil {
		if x.nodes == nil {
			x.nodes = make(map[string]*nodeMarkers)
		}
		n = new(nodeMarkers)
		x.nodes[m.Node] = n
		x.size++
	}
	n.intervals = append(n.intervals, markerInterval{max(floor, n.last), m.Sequence, pos})
	n.last = m.Sequence
	x.newest = pos
	x.size++
}

// addGap adds a gap with a number, which must not be less than the position of the last marker.
func (x *markerIndex) addGap(number uint64) {
	if n := len(x.gaps); n == 0 || x.gaps[n-1] < x.newest {
		x.gaps = append(x.gaps, number)
	}
}

// hasGap reports whether a gap is between start, the position of a marker, and pos, so their
// difference is not the number of events between them.
func (x *markerIndex) hasGap(start, pos uint64) bool {
	i, _ := slices.BinarySearch(x.gaps, start)
	return i < len(x.gaps) && x.gaps[i] < pos
}

// wantsEviction reports whether the index has doubled since the last eviction. Evictions
// then cost a constant time per marker.
func (x *markerIndex) wantsEviction() bool {
	return x.size > 2*x.kept+minEviction
}

// evict removes the intervals and gaps that no position in the journal needs, if tail is its first
// position. A cursor contains the newest marker before its position, so these are all
// intervals before the newest one that precedes the tail. A node without intervals is removed
// if knows returns false: its next marker will have a floor that excludes all earlier ones.
func (x *markerIndex) evict(tail uint64, knows func(node string) bool) {
	var oldest uint64
	for _, n := range x.nodes {
		if i := n.search(tail); i > 0 {
			oldest = max(oldest, n.intervals[i-1].pos)
		}
	}
	i, _ := slices.BinarySearch(x.gaps, oldest)
	x.gaps = slices.Clone(x.gaps[i:])
	x.size = 0
	for node, n := range x.nodes {
		// A copy, so the memory of the others is released.
		n.intervals = slices.Clone(n.intervals[n.search(oldest):])
		if len(n.intervals) == 0 && !knows(node) {
			delete(x.nodes, node)
			continue
		}
		x.size += 1 + len(n.intervals)
	}
	x.kept = x.size
}

// search returns the index of the first interval at a position or after it.
func (n *nodeMarkers) search(pos uint64) int {
	return sort.Search(len(n.intervals), func(i int) bool { return n.intervals[i].pos >= pos })
}

// find returns the number of the event after a marker. newer reports that the marker is newer
// than all of its node in the index.
func (x *markerIndex) find(m marker.Marker) (pos uint64, ok, newer bool) {
	n := x.nodes[m.Node]
	if n == nil || m.Sequence > n.last {
		return 0, false, true
	}
	i := sort.Search(len(n.intervals), func(i int) bool { return n.intervals[i].last >= m.Sequence })
	if i == len(n.intervals) || m.Sequence <= n.intervals[i].above {
		return 0, false, false
	}
	return n.intervals[i].pos, true, false
}
