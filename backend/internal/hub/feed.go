package hub

import (
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// feed is one followed topic with its journal. It is the sink of its source.
type feed struct {
	topic     event.Topic
	epoch     journal.Epoch
	log       *journal.Journal
	metrics   Metrics
	following source.Following

	// Guarded by the hub's mutex.
	users  int
	expiry *time.Timer // runs while there are no users

	// mu is held while an event goes into the journal and the bundles, so that whoever
	// holds it sees all of them at the same place.
	mu      sync.Mutex
	bundles []*bundle
	body    []byte // scratch
}

// keepScratch bounds the scratch buffer that a feed keeps after a large event.
const keepScratch = 16 << 10

func newFeed(topic event.Topic, limits journal.Limits, metrics Metrics) *feed {
	f := &feed{topic: topic, epoch: journal.NewEpoch(), metrics: metrics}
	f.log = journal.New(limits, f.cursor(journal.First))
	return f
}

func (f *feed) cursor(pos uint64) string {
	return journal.Cursor{Epoch: f.epoch, Pos: pos}.String()
}

// Event implements [source.Sink].
func (f *feed) Event(e event.Event) {
	f.metrics.EventReceived()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.body = event.AppendBody(f.body[:0], e.Type, e.Data)
	f.append(e.Topic, journal.Frame{Body: f.body})
	if cap(f.body) > keepScratch {
		f.body = nil
	}
}

// Gap implements [source.Sink].
func (f *feed) Gap(reason event.GapReason, lost int64) {
	f.metrics.GapAnnounced(reason)
	f.mu.Lock()
	defer f.mu.Unlock()
	gap := event.Gap{Topic: f.topic, Reason: reason, Lost: lost}
	f.append(f.topic, journal.Frame{Body: event.AppendGapBody(nil, gap), Lost: lost})
}

// append gives the frame its id and adds it to the journal and to the bundles.
// It needs f.mu.
func (f *feed) append(origin event.Topic, frame journal.Frame) {
	head, _ := f.log.Head()
	frame.Next = head + frame.Span()
	frame.Cursor = []byte(f.cursor(frame.Next))
	if f.topic.IsGlob() {
		frame.Qualifier = event.Qualifier(origin)
	}
	f.log.Append(frame)
	if len(f.bundles) == 0 {
		return
	}
	frame.Qualifier = event.Qualifier(origin)
	for _, b := range f.bundles {
		b.append(f, frame)
	}
}

// place is where a subscriber begins in a feed.
type place struct {
	pos    uint64
	cursor string     // of pos
	before string     // the cursor that a client may keep until it has seen gap; cursor if there is none
	gap    *event.Gap // what the client is told before anything else
}

// lostCursor is the cursor of a client whose own one cannot be read. It cannot be
// read either, so that a client that loses its line before it has seen the gap is
// told of it again.
const lostCursor = "lost"

// fresh returns the place of a subscriber that has seen nothing: up to last events
// back.
func (f *feed) fresh(last int) place {
	pos, cursor := f.log.Back(last)
	return place{pos: pos, cursor: cursor, before: cursor}
}

// resume returns the place that a cursor names, or, where events behind it are no
// longer held, the nearest place after a gap.
func (f *feed) resume(text string) place {
	head, headCursor := f.log.Head()
	c, ok := journal.ParseCursor(text)
	if !ok || c.Epoch != f.epoch || c.Pos > head {
		gap := event.Gap{Topic: f.topic, Reason: event.UnknownCursor, Lost: event.LostUnknown}
		return place{pos: head, cursor: headCursor, before: lostCursor, gap: &gap}
	}
	tail, tailCursor := f.log.Tail()
	if lost := f.log.Lost(c.Pos); lost != 0 {
		gap := event.Gap{Topic: f.topic, Reason: event.HistoryExpired, Lost: lost}
		return place{pos: tail, cursor: tailCursor, before: c.String(), gap: &gap}
	}
	return place{pos: c.Pos, cursor: c.String(), before: c.String()}
}
