package hub

import (
	"context"
	"errors"
	"slices"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// Subscription is one subscriber's position in its topics. Its methods are for one
// goroutine at a time. There may be very many, so it holds little when it is live.
type Subscription struct {
	hub    *Hub
	feeds  []*feed        // of the topics; in the order of the bundle's vector if there are several
	bundle *bundle        // of the feeds if there are several, else nil
	ahead  *ahead         // precedes the common journal; nil if the subscription is live
	reader journal.Reader // of the common journal
}

// ahead is what Next gives out before it comes to the common journal: control frames, and
// then replays.
type ahead struct {
	pending []byte
	replays []feedReplay
	reached vector // how far the client has come
	gap     bool   // the journals have one behind the places where they are entered
	failed  error  // why the subscription ends after pending, or nil
}

// feedReplay is a replay of one of the feeds.
type feedReplay struct {
	index int
	replay
}

func newSubscription(h *Hub, feeds []*feed, every time.Duration) *Subscription {
	s := &Subscription{hub: h, feeds: feeds}
	if len(feeds) > 1 {
		s.bundle = h.joinBundle(feeds)
		s.feeds = s.bundle.feeds
	}
	s.reader = journal.NewReader(s.journal(), every, s.single())
	return s
}

// begin finds the first position, and prepares what the client is told before its
// first event. The topics are those of the request, each once.
func (s *Subscription) begin(ctx context.Context, req Request, topics []event.Topic) error {
	id := parseIDs(req.IDs, topics)
	locate, err := s.hub.resume(ctx, s.feeds, id, req.Last)
	if err != nil {
		return err
	}
	before, gaps := s.seek(locate)
	resumed := !id.empty() && len(gaps) == 0 && !s.ahead.gap
	open := event.AppendID(nil, s.qualifier(topics[0]), before)
	open = event.AppendOpenBody(open, topics, resumed, s.hub.options.Node)
	s.ahead.pending = slices.Concat(open, gaps)
	return nil
}

// announceLost announces held events that are gone, and resumes if the journal does not
// hold the reader's position any more.
func (s *Subscription) announceLost() {
	pending := s.appendLost(nil)
	s.ahead = &ahead{pending: pending}
	if s.reader.Behind() {
		s.fellBehind()
	}
	s.dropAhead()
}

// fellBehind resumes as if the client had returned with its last cursor, since a journal
// does not hold its position any more.
func (s *Subscription) fellBehind() {
	if err := s.failure(); err != nil {
		s.fail(err)
		return
	}
	var pending []byte
	if s.ahead != nil {
		pending = s.ahead.pending
	}
	pending = s.appendLost(append(pending, s.reader.Flush()...)) // held events precede the gap
	id := newLastID(s.lastCursors(), false)
	_, gaps := s.seek(func(f *feed) place {
		p := id.locate(f)
		if p.gap != nil {
			p.gap.Reason = event.SlowConsumer
		}
		return p
	})
	s.ahead.pending = slices.Concat(pending, gaps)
	s.dropAhead()
}

// appendLost appends a gap for each topic of which the reader held back events that are
// gone.
func (s *Subscription) appendLost(dst []byte) []byte {
	qualifiers, cursor := s.reader.Lost()
	lost := make([]int64, len(s.feeds))
	for _, q := range qualifiers {
		lost[s.feedIndex(q)]++
	}
	for i, n := range lost {
		if n > 0 {
			gap := event.Gap{Topic: s.feeds[i].topic, Reason: event.SlowConsumer, Lost: n}
			s.hub.metrics.GapAnnounced(gap.Reason)
			dst = event.AppendID(dst, s.qualifier(gap.Topic), cursor)
			dst = event.AppendGapBody(dst, gap)
		}
	}
	return dst
}

// feedIndex returns the index of the feed that an event with a qualifier came from.
func (s *Subscription) feedIndex(qualifier string) int {
	topic, _ := event.SplitID(qualifier)
	return max(slices.IndexFunc(s.feeds, func(f *feed) bool { return f.topic.Covers(topic) }), 0)
}

// FailedError is returned by Next after the last event of a topic that has ended.
type FailedError struct {
	Topic event.Topic
	Err   error
}

func (e *FailedError) Error() string { return e.Topic.String() + " has ended: " + e.Err.Error() }

func (e *FailedError) Unwrap() error { return e.Err }

// CloseReason returns the reason that the client receives.
func (e *FailedError) CloseReason() event.CloseReason {
	if errors.Is(e.Err, source.ErrTooManyKeys) || errors.Is(e.Err, ErrKeyBytes) {
		return event.Overloaded
	}
	return event.Unavailable
}

func (s *Subscription) failure() *FailedError {
	for _, f := range s.feeds {
		if err := f.failure(); err != nil {
			return &FailedError{f.topic, err}
		}
	}
	return nil
}

// fail makes Next return an error, after the held events and a gap if the client has not
// received that of the failed topic.
func (s *Subscription) fail(err *FailedError) {
	var pending []byte
	if s.ahead != nil {
		pending = s.ahead.pending
	}
	pending = s.appendLost(append(pending, s.reader.Flush()...))
	if !s.journal().Ended(s.reader.Pos()) {
		s.hub.metrics.GapAnnounced(event.SourceInterrupted)
		pending = event.AppendID(pending, s.qualifier(err.Topic), s.reader.Cursor())
		pending = event.AppendGapBody(pending, event.Gap{Topic: err.Topic, Reason: event.SourceInterrupted, Lost: event.LostUnknown})
	}
	s.ahead = &ahead{pending: pending, failed: err}
}

// dropAhead forgets what is ahead of the common journal once all of it was given out.
func (s *Subscription) dropAhead() {
	if s.ahead != nil && s.ahead.failed == nil && len(s.ahead.pending) == 0 && len(s.ahead.replays) == 0 {
		s.ahead = nil
	}
}

// seek moves the subscription to the places that locate finds, and returns the cursor
// that holds until the client has seen the gaps, and the frames that announce them.
func (s *Subscription) seek(locate func(*feed) place) (before, gaps []byte) {
	// While all feeds are held up, their journals and the bundle's are at one place.
	unlock := lockAll(s.feeds)
	defer unlock()
	places := make([]place, len(s.feeds))
	s.ahead = &ahead{reached: make(vector, len(s.feeds))}
	for i, f := range s.feeds {
		places[i] = locate(f)
		s.ahead.reached[i] = component{tag(f.topic), places[i].before}
	}
	before = []byte(s.cursor())
	for i, p := range places {
		s.ahead.reached[i].cursor = p.cursor
		if p.gap != nil {
			gaps = s.appendGap(gaps, *p.gap)
		}
		if p.replay != nil {
			s.ahead.replays = append(s.ahead.replays, feedReplay{i, p.replay})
		}
	}
	s.ahead.gap = slices.ContainsFunc(s.feeds, func(f *feed) bool {
		return f.log.GapFrom(places[slices.Index(s.feeds, f)].pos)
	})
	if s.bundle == nil {
		s.reader.Seek(places[0].pos, s.cursor())
		return before, gaps
	}
	s.reader.Seek(s.bundle.log.Next(), s.cursor())
	for i, f := range s.feeds {
		if head := f.log.Next(); places[i].pos < head {
			s.ahead.replays = append(s.ahead.replays, feedReplay{i, &journalReplay{f, places[i].pos, head}})
		}
	}
	return before, gaps
}

// cursor returns the text of s.ahead.reached.
func (s *Subscription) cursor() string {
	if s.bundle == nil {
		return s.ahead.reached[0].cursor
	}
	return s.ahead.reached.String()
}

// lastCursors returns the cursor of each topic at the position of the reader.
func (s *Subscription) lastCursors() vector {
	if s.bundle == nil {
		return vector{{tag(s.feeds[0].topic), string(s.reader.Cursor())}}
	}
	v, _ := parseVector(string(s.reader.Cursor()))
	return v
}

// qualifier returns the part of the ids of a topic that precedes the cursor.
func (s *Subscription) qualifier(t event.Topic) string {
	if s.bundle == nil {
		return s.feeds[0].qualifier(t)
	}
	return event.Qualifier(t)
}

func (s *Subscription) appendGap(dst []byte, gap event.Gap) []byte {
	s.hub.metrics.GapAnnounced(gap.Reason)
	dst = event.AppendID(dst, s.qualifier(gap.Topic), []byte(s.cursor()))
	return event.AppendGapBody(dst, gap)
}

// Next returns what the client gets next, an empty batch if there is nothing now. It
// reads from Redis where the journals do not hold what the client missed; the error
// wraps [source.ErrUnavailable] if that fails.
func (s *Subscription) Next(ctx context.Context) (journal.Batch, error) {
	for {
		switch {
		case s.ahead != nil:
			b, err := s.nextAhead(ctx)
			if err != nil || len(b.Bytes) > 0 {
				return b, err
			}
		default:
			b, ok := s.reader.Next()
			switch {
			case !ok:
				s.announceLost()
			case len(b.Bytes) > 0 || b.AtHead:
				return b, nil
			}
		}
	}
}

// nextAhead returns the next of what is ahead of the common journal, which may be nothing.
func (s *Subscription) nextAhead(ctx context.Context) (journal.Batch, error) {
	defer s.dropAhead()
	if pending := s.ahead.pending; len(pending) > 0 {
		s.ahead.pending = nil
		return journal.Batch{Bytes: pending}, nil
	}
	if s.ahead.failed != nil {
		return journal.Batch{}, s.ahead.failed
	}
	frames, err := s.nextPage(ctx)
	if err != nil {
		return journal.Batch{}, err
	}
	return s.encode(frames), nil
}

// Reader returns the reader of the journal from which all events are delivered once the
// subscription is live.
func (s *Subscription) Reader() *journal.Reader {
	return &s.reader
}

// Live reports whether Next returns nothing but what the reader returns.
func (s *Subscription) Live() bool {
	return s.ahead == nil && !s.reader.Behind()
}

// single reports whether all events are of one topic.
func (s *Subscription) single() bool {
	return s.bundle == nil && !s.feeds[0].topic.IsGlob()
}

// nextPage returns a page of the first replay, with ids that cover all topics.
func (s *Subscription) nextPage(ctx context.Context) ([]journal.Frame, error) {
	r := s.ahead.replays[0]
	frames, done, err := r.next(ctx, s.hub)
	if errors.Is(err, errBehind) {
		s.fellBehind()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range frames {
		f := &frames[i]
		s.ahead.reached[r.index].cursor = string(f.Cursor)
		f.Cursor = []byte(s.cursor())
		switch {
		case f.Qualifier == "":
			f.Qualifier = s.qualifier(s.feeds[r.index].topic)
		case s.bundle != nil:
			f.Qualifier = withoutTag(f.Qualifier)
		}
	}
	if done {
		s.ahead.replays = s.ahead.replays[1:]
	}
	return frames, nil
}

// encode returns replayed frames as bytes, or those that are due if the subscription is
// conflated.
func (s *Subscription) encode(frames []journal.Frame) journal.Batch {
	if s.reader.Conflated() {
		return s.reader.Replay(frames)
	}
	b := journal.Batch{Frames: len(frames)}
	for _, f := range frames {
		b.Bytes = append(event.AppendID(b.Bytes, f.Qualifier, f.Cursor), f.Body...)
	}
	if n := len(frames); n > 0 {
		s.reader.Seek(s.reader.Pos(), string(frames[n-1].Cursor))
	}
	return b
}

func (s *Subscription) journal() *journal.Journal {
	if s.bundle != nil {
		return s.bundle.log
	}
	return s.feeds[0].log
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.reader.Close()
	if s.bundle != nil {
		s.hub.leaveBundle(s.bundle)
	}
	s.hub.release(s.feeds)
}
