package hub

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// topicLog is a followed topic with its journal. It is the [source.Sink] of its source.
type topicLog struct {
	hub       *Hub
	topic     event.Topic
	log       *journal.Journal
	following source.Following

	// Guarded by the hub's mutex.
	users     int
	lingering *list.Element // in the hub's list if users is 0
	expiry    *time.Timer   // ends the lingering

	mu      sync.Mutex   // held while an event is appended to the journal
	view    journal.View // of log; open between lock and unlock
	cursors cursors
	failed  error  // reason why the topic has ended, or nil
	opened  bool   // has had a subscriber since it is live
	body    []byte // scratch
	cursor  []byte // scratch
}

// cursors names the positions in one topic on all nodes, and finds them again. Each kind of
// topic has an implementation. The topicLog must be locked, except by callers of begin, which hold
// its mu alone, and of prepare.
type cursors interface {
	// begin sets the first position.
	begin(at source.Position)
	// event appends the cursor after an event that gets a number.
	event(dst []byte, e event.Event, at source.Position, number uint64) []byte
	// gap returns the cursor after a gap that gets a number, where next is the number after it.
	gap(g source.Gap, number, next uint64) string
	// head returns the cursor of the head.
	head() string
	// prepare reads from Redis, or waits, as the start of a client requires. It returns a
	// function that returns the start position, to be called with the topicLog locked, where
	// nothing blocks.
	prepare(ctx context.Context, c clientCursor) (func() startPosition, error)
}

// clientCursor is what a client has of one topic.
type clientCursor struct {
	text  string
	known bool // the client's ids cover the topic
	last  int  // recent events that a client without a cursor gets
	start bool // a client without a cursor gets all events of a stream
}

// startPosition is where a subscriber starts in a topicLog.
type startPosition struct {
	pos    uint64     // [journal.Finished] if the client has received the end of the stream
	cursor string     // the client's after gap
	before string     // the client's until it has received gap; cursor without a gap
	gap    *event.Gap // sent before everything else, or nil
	replay replay     // sent between cursor and pos, or nil
}

// lostCursor is the cursor of a client whose own cursor is unreadable. It is unreadable too,
// so a client that loses its connection before the gap gets the gap again.
const lostCursor = "lost"

// maxEvent bounds the data of an event in bytes. A larger one is a gap; values of keys are
// never larger.
const maxEvent = 8 << 20

// keepScratch bounds the scratch buffer that is kept after a large event.
const keepScratch = 16 << 10

func newTopicLog(h *Hub, topic event.Topic) *topicLog {
	t := &topicLog{hub: h, topic: topic, log: journal.New(h.options.History, lostCursor)}
	switch topic.Kind {
	case event.Stream:
		t.cursors = &streamCursors{topicLog: t}
	case event.Key:
		t.cursors = newKeyCursors(t)
	default:
		t.cursors = newChannelCursors(t)
	}
	return t
}

// sync waits until the journal has what was published before the call, since the client may have
// received it from another node. The error wraps [source.ErrUnavailable] if that takes longer than
// syncPatience.
func (t *topicLog) sync(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, syncPatience)
	defer cancel()
	err := t.following.Sync(patience)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %s cannot be read: %w", source.ErrUnavailable, t.topic, err)
	}
	return err
}

// lock locks mu and opens the view, so everything that is decided until unlock is decided for
// one state of the topic.
func (t *topicLog) lock() {
	t.mu.Lock()
	t.view = t.log.View()
}

func (t *topicLog) unlock() {
	t.view.Close()
	t.mu.Unlock()
}

func (t *topicLog) Begin(at source.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cursors.begin(at)
}

func (t *topicLog) Event(e event.Event, at source.Position) {
	t.hub.metrics.EventReceived(t.topic.Kind)
	t.lock()
	defer t.unlock()
	if t.failed != nil {
		return
	}
	frame, origin := journal.Frame{Final: t.topic.Kind == event.Stream && e.Type == event.StreamEnd}, e.Topic
	if len(e.Data) > maxEvent { // all nodes count it as an event
		frame.Lost, origin = 1, t.topic
		t.body = t.hub.appendGapBody(t.body[:0], event.Gap{Topic: t.topic, Reason: event.TooLarge, Lost: frame.Lost})
	} else {
		t.body = event.AppendBody(t.body[:0], e.Type, e.Data)
	}
	t.cursor = t.cursors.event(t.cursor[:0], e, at, t.view.Head()) // the value of a key is t.body
	frame.Cursor, frame.Body = t.cursor, t.body
	t.append(origin, frame)
	if cap(t.body) > keepScratch {
		t.body = nil
	}
	if k, ok := t.cursors.(*keyCursors); ok {
		switch err := k.exceeded(); {
		case err != nil:
			t.fail(err)
		case !k.memory.Full():
		case t.opened:
			go t.hub.failLargest()
		default:
			t.fail(errValuesFull)
		}
	}
}

// fail ends the topic with a gap. t must be locked.
func (t *topicLog) fail(err error) {
	t.gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, Failed: err})
}

// open marks the topic as live for a subscriber. It returns the reason why the topic has ended, nil if
// it has not.
func (t *topicLog) open() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened = true
	return t.failed
}

func (t *topicLog) Gap(g source.Gap) {
	t.lock()
	defer t.unlock()
	if t.failed == nil {
		t.gap(g)
	}
}

// gap appends a gap, and ends the topic if it has failed. t must be locked.
func (t *topicLog) gap(g source.Gap) {
	frame := journal.Frame{Lost: g.Lost}
	frame.Body = t.hub.appendGapBody(nil, event.Gap{Topic: t.topic, Reason: g.Reason, Lost: g.Lost})
	number := t.view.Head()
	frame.Cursor = []byte(t.cursors.gap(g, number, number+frame.Span()))
	t.append(t.topic, frame)
	if g.Failed == nil {
		return
	}
	t.failed = g.Failed
	t.view.Close()
	t.log.End()
	t.view = t.log.View()
	go t.hub.fail(t)
}

// close ends the accounting of the topic's memory. Subscribers of a failed topic may still read
// the rest of its journal.
func (t *topicLog) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log.Close()
	if k, ok := t.cursors.(*keyCursors); ok {
		k.close()
	}
}

// append appends a frame to the journal. t must be locked.
func (t *topicLog) append(origin event.Topic, frame journal.Frame) {
	frame.Qualifier = t.qualifier(origin)
	t.view.Close()
	t.log.Append(frame)
	t.view = t.log.View()
}

// unknown returns the start position of a client whose cursor is unreadable: a gap at the
// head.
func (t *topicLog) unknown() startPosition {
	pos := t.view.Head()
	gap := event.Gap{Topic: t.topic, Reason: event.UnknownCursor, Lost: event.LostUnknown}
	return startPosition{pos: pos, cursor: t.cursors.head(), before: lostCursor, gap: &gap}
}

// atNumber returns the start position before the event with a number, or at the tail after a
// gap if the journal no longer holds that event. cursor is the client's.
func (t *topicLog) atNumber(pos uint64, cursor string) startPosition {
	if lost := t.view.Lost(pos); lost != 0 {
		tail, tailCursor := t.view.Tail()
		gap := event.Gap{Topic: t.topic, Reason: event.HistoryExpired, Lost: lost}
		return startPosition{pos: tail, cursor: tailCursor, before: cursor, gap: &gap}
	}
	if pos == t.view.Head() {
		cursor = t.cursors.head()
	} else {
		cursor = t.view.CursorAt(pos)
	}
	return startPosition{pos: pos, cursor: cursor, before: cursor}
}
