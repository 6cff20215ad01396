// Package marker records the markers that gateways publish: messages that all of them
// receive at the same point of every channel on one Redis node.
package marker

import (
	"container/list"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// nodeLength is the length of the id in a marker.
	nodeLength = 8
	// maxNodes and maxAge bound the gateways that a log holds.
	maxNodes = 1024
	maxAge   = 24 * time.Hour
)

// Marker is one message of a gateway. Its text is node.sequence.
type Marker struct {
	Node     string // random id of the gateway, 8 characters
	Sequence uint64 // counts the markers of that node from 1
}

// String returns the text of m.
func (m Marker) String() string {
	return string(m.AppendTo(nil))
}

// AppendTo appends the text of m.
func (m Marker) AppendTo(dst []byte) []byte {
	dst = append(dst, m.Node...)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, m.Sequence, 36)
}

// Parse parses the text that String returns, and no other spelling.
func Parse(text string) (m Marker, ok bool) {
	node, number, _ := strings.Cut(text, ".")
	sequence, err := strconv.ParseUint(number, 36, 64)
	m = Marker{node, sequence}
	ok = err == nil && sequence > 0 && isNode(node) && m.String() == text
	return m, ok
}

// isNode reports whether text can be the id of a gateway.
func isNode(text string) bool {
	return len(text) == nodeLength && !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
	})
}

// Log holds the newest marker of each gateway that one connection received. Its methods may
// be called from any goroutine.
type Log struct {
	ordinal atomic.Uint64 // number of markers received; written under mu

	mu       sync.Mutex
	byNode   map[string]*list.Element
	recent   *list.List // of *record, the newest last
	snapshot *snapshot  // of the present state, nil if it is not made yet
}

type record struct {
	Marker
	first   uint64 // sequence of the node's first marker on this connection
	ordinal uint64 // of the newest marker
	seen    time.Time
}

// snapshot is an immutable copy of a log, shared by all views of the same state.
type snapshot struct {
	ordinal uint64
	records map[string]record
}

// NewLog returns an empty log.
func NewLog() *Log {
	return &Log{byNode: make(map[string]*list.Element), recent: list.New()}
}

// Add records the next marker. A marker that is not newer than the last of its node is
// ignored.
func (l *Log) Add(m Marker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	e := l.byNode[m.Node]
	switch {
	case e == nil:
		e = l.recent.PushBack(&record{first: m.Sequence})
		l.byNode[m.Node] = e
	case m.Sequence <= e.Value.(*record).Sequence:
		return
	default:
		l.recent.MoveToBack(e)
	}
	l.snapshot = nil
	r := e.Value.(*record)
	r.Marker, r.ordinal, r.seen = m, l.ordinal.Load()+1, now
	l.ordinal.Store(r.ordinal)
	for oldest := l.recent.Front(); l.recent.Len() > maxNodes || now.Sub(oldest.Value.(*record).seen) > maxAge; oldest = l.recent.Front() {
		delete(l.byNode, l.recent.Remove(oldest).(*record).Node)
	}
}

// freeze returns a copy of the present state. mu must be held.
func (l *Log) freeze() *snapshot {
	if l.snapshot == nil {
		records := make(map[string]record, len(l.byNode))
		for node, e := range l.byNode {
			records[node] = *e.Value.(*record)
		}
		l.snapshot = &snapshot{l.ordinal.Load(), records}
	}
	return l.snapshot
}

// View is the part of a log in which one topic was followed without interruption. Its
// methods may be called from any goroutine.
type View struct {
	log   *Log
	start *snapshot
	end   atomic.Pointer[snapshot] // nil while the topic is followed; written under log.mu
}

// View returns a view that begins now.
func (l *Log) View() *View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &View{log: l, start: l.freeze()}
}

// End ends the view. It does not contain later markers.
func (v *View) End() {
	v.log.mu.Lock()
	defer v.log.mu.Unlock()
	if v.end.Load() == nil {
		v.end.Store(v.log.freeze())
	}
}

// Newest returns the newest marker in the view and its ordinal. It returns false if the
// view contains none, or has ended.
func (v *View) Newest() (m Marker, ordinal uint64, ok bool) {
	v.log.mu.Lock()
	defer v.log.mu.Unlock()
	e := v.log.recent.Back()
	if e == nil || v.end.Load() != nil {
		return Marker{}, 0, false
	}
	r := e.Value.(*record)
	return r.Marker, r.ordinal, r.ordinal > v.start.ordinal
}

// Since calls yield for the newest marker m of each node that published one after the
// marker with an ordinal. The markers of the node with sequences in (floor, m.Sequence] are
// inside the view. It returns the ordinal of the newest marker. yield must not use the view.
func (v *View) Since(ordinal uint64, yield func(m Marker, floor uint64)) uint64 {
	ordinal = max(ordinal, v.start.ordinal)
	if v.end.Load() == nil && v.log.ordinal.Load() == ordinal {
		return ordinal
	}
	v.log.mu.Lock()
	defer v.log.mu.Unlock()
	if end := v.end.Load(); end != nil {
		for _, r := range end.records {
			if r.ordinal > ordinal {
				yield(r.Marker, v.floor(&r))
			}
		}
		return max(ordinal, end.ordinal)
	}
	for e := v.log.recent.Back(); e != nil && e.Value.(*record).ordinal > ordinal; e = e.Prev() {
		r := e.Value.(*record)
		yield(r.Marker, v.floor(r))
	}
	return v.log.ordinal.Load()
}

// Find looks for a marker in the view. It returns the newest ordinal of the marker's node,
// and false if the view does not contain the marker.
func (v *View) Find(m Marker) (ordinal uint64, ok bool) {
	v.log.mu.Lock()
	defer v.log.mu.Unlock()
	var r record
	known, end := false, v.end.Load()
	if end != nil {
		r, known = end.records[m.Node]
	} else if e := v.log.byNode[m.Node]; e != nil {
		r, known = *e.Value.(*record), true
	}
	if !known || m.Sequence > r.Sequence {
		return 0, false
	}
	return r.ordinal, m.Sequence > v.floor(&r)
}

// Knows reports whether the view's connection has received a marker of a node recently.
func (v *View) Knows(node string) bool {
	v.log.mu.Lock()
	defer v.log.mu.Unlock()
	return v.log.byNode[node] != nil
}

// floor returns the newest sequence of a node that is before the view.
func (v *View) floor(r *record) uint64 {
	if before, ok := v.start.records[r.Node]; ok && before.first == r.first {
		return before.Sequence
	}
	return r.first - 1
}
