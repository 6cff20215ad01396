package hub

import (
	"container/list"
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// feed is one followed topic with its journal. It is the sink of its source.
type feed struct {
	topic     event.Topic
	log       *journal.Journal
	metrics   Metrics
	following source.Following

	// Guarded by the hub's mutex.
	users     int
	lingering *list.Element // in the hub's, while there are no users
	expiry    *time.Timer   // runs meanwhile

	// mu is held while an event goes into the journal and the bundles, so that whoever
	// holds it sees all of them at the same place. It guards places, too.
	mu      sync.Mutex
	places  places
	bundles []*bundle
	failed  error  // why the topic has ended, or nil
	onFail  func() // called once, on its own goroutine
	body    []byte // scratch, like cursor
	cursor  []byte
}

// places is what differs between the kinds of topics: how a place among the events is
// named, and found again. The methods are called with the feed's mutex held.
type places interface {
	// begin takes up the topic.
	begin(after event.StreamID)
	// event appends the cursor behind an event that will have that number.
	event(dst []byte, e event.Event, number uint64) []byte
	// gap returns the cursor behind a gap that will have that number, and the next.
	gap(g source.Gap, number, next uint64) string
	// head returns the cursor of the present head.
	head() string
	// fresh returns the place of a subscriber that has seen nothing.
	fresh(last int) place
	// resume returns the place that a cursor names, or the nearest one after a gap.
	resume(cursor string) place
}

// place is where a subscriber begins in a feed.
type place struct {
	pos    uint64
	cursor string     // how far the client has come when it has seen gap
	before string     // the cursor that it may keep until then; cursor if there is no gap
	gap    *event.Gap // what it is told before anything else, or nil
	replay replay     // what it gets between cursor and pos, or nil
}

// lostCursor is the cursor of a client whose own one cannot be read. It cannot be
// read either, so that a client that loses its line before it has seen the gap is
// told of it again.
const lostCursor = "lost"

// keepScratch bounds the scratch buffer that a feed keeps after a large event.
const keepScratch = 16 << 10

func newFeed(topic event.Topic, src source.Source, options Options, metrics Metrics) *feed {
	f := &feed{topic: topic, metrics: metrics, log: journal.New(options.History, lostCursor)}
	switch topic.Kind {
	case event.Stream:
		f.places = &streamPlaces{feed: f}
	case event.Key:
		f.places = newKeyPlaces(f, options.KeyBytes)
	default:
		f.places = newChannelPlaces(f, src)
	}
	return f
}

// Begin implements [source.Sink].
func (f *feed) Begin(after event.StreamID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.places.begin(after)
}

// Event implements [source.Sink].
func (f *feed) Event(e event.Event) {
	f.metrics.EventReceived(f.topic.Kind)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return
	}
	f.body = event.AppendBody(f.body[:0], e.Type, e.Data)
	f.cursor = f.places.event(f.cursor[:0], e, f.log.Next())
	f.append(e.Topic, journal.Frame{Cursor: f.cursor, Body: f.body})
	if cap(f.body) > keepScratch {
		f.body = nil
	}
	if k, ok := f.places.(*keyPlaces); ok {
		if err := k.exceeded(); err != nil {
			f.gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, Failed: err})
		}
	}
}

// Gap implements [source.Sink].
func (f *feed) Gap(g source.Gap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.gap(g)
	}
}

// gap appends a gap, and ends the topic if it has failed. mu must be held.
func (f *feed) gap(g source.Gap) {
	f.metrics.GapAnnounced(g.Reason)
	frame := journal.Frame{Lost: g.Lost}
	frame.Body = event.AppendGapBody(nil, event.Gap{Topic: f.topic, Reason: g.Reason, Lost: g.Lost})
	number := f.log.Next()
	frame.Cursor = []byte(f.places.gap(g, number, number+frame.Span()))
	f.append(f.topic, frame)
	if g.Failed == nil {
		return
	}
	f.failed = g.Failed
	f.log.End()
	for _, b := range f.bundles {
		b.log.End()
	}
	go f.onFail()
}

// failure returns why the topic has ended, nil if it has not.
func (f *feed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// append adds a frame to the journal and to the bundles. It needs f.mu.
func (f *feed) append(origin event.Topic, frame journal.Frame) {
	frame.Qualifier = f.qualifier(origin)
	f.log.Append(frame)
	if len(f.bundles) == 0 {
		return
	}
	frame.Qualifier = event.Qualifier(origin)
	for _, b := range f.bundles {
		b.append(f, frame)
	}
}

// unknown returns the place of a client whose cursor says nothing: a gap, and then what
// comes from now on.
func (f *feed) unknown() place {
	pos := f.log.Next()
	gap := event.Gap{Topic: f.topic, Reason: event.UnknownCursor, Lost: event.LostUnknown}
	return place{pos: pos, cursor: f.places.head(), before: lostCursor, gap: &gap}
}

// atNumber returns the place before the event of that number, or, where that is no
// longer held, at the tail behind a gap. cursor is how the client named the place.
func (f *feed) atNumber(pos uint64, cursor string) place {
	if lost := f.log.Lost(pos); lost != 0 {
		tail, tailCursor := f.log.Tail()
		gap := event.Gap{Topic: f.topic, Reason: event.HistoryExpired, Lost: lost}
		return place{pos: tail, cursor: tailCursor, before: cursor, gap: &gap}
	}
	if pos == f.log.Next() {
		cursor = f.places.head()
	} else {
		cursor = f.log.CursorAt(pos)
	}
	return place{pos: pos, cursor: cursor, before: cursor}
}
