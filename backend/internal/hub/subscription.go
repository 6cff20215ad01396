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

// Subscription is one subscriber's place among its topics. Its methods are for one
// goroutine at a time. There may be very many, so that it holds little when it is live.
type Subscription struct {
	hub       *Hub
	feeds     []*feed     // of the topics; in the order of the bundle's vector if there are several
	bundle    *bundle     // of the feeds if there are several, else nil
	ahead     *ahead      // of the place in the common journal; nil when that is all there is
	pos       uint64      // of the next frame in it
	last      []byte      // the cursor of the last frame that was taken
	conflated *conflation // nil if every event is to go out
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
	if every > 0 {
		s.conflated = newConflation(every)
	}
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

// fellBehind goes on where the client left off although the journal does not hold that
// place any more: just as if it had come back with its last cursor.
func (s *Subscription) fellBehind() {
	if err := s.failure(); err != nil {
		s.fail(err)
		return
	}
	var held []byte
	if s.conflated != nil { // what waits goes out before a gap
		held = appendFrames(nil, s.conflated.release(time.Now(), true))
	}
	id := parseIDs([]string{string(s.last)}, nil)
	_, gaps := s.seek(func(f *feed) place {
		p := id.locate(f)
		if p.gap != nil {
			p.gap.Reason = event.SlowConsumer
		}
		return p
	})
	s.ahead.pending = slices.Concat(held, gaps)
	s.dropAhead()
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

// fail makes Next return an error, after a gap if the client has not received that of the
// failed topic.
func (s *Subscription) fail(err *FailedError) {
	s.ahead = &ahead{failed: err}
	if s.journal().Ended(s.pos) {
		return
	}
	gap := event.Gap{Topic: err.Topic, Reason: event.SourceInterrupted, Lost: event.LostUnknown}
	s.hub.metrics.GapAnnounced(gap.Reason)
	s.ahead.pending = event.AppendGapBody(event.AppendID(nil, s.qualifier(gap.Topic), s.last), gap)
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
	s.last = []byte(s.cursor())
	s.ahead.gap = slices.ContainsFunc(s.feeds, func(f *feed) bool {
		return f.log.GapBehind(places[slices.Index(s.feeds, f)].pos)
	})
	if s.bundle == nil {
		s.pos = places[0].pos
		return before, gaps
	}
	s.pos = s.bundle.log.Next()
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

// qualifier returns what stands before the cursor in the ids of a topic.
func (s *Subscription) qualifier(t event.Topic) string {
	if s.single() {
		return ""
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
		case s.conflated != nil:
			b, ok := s.Take()
			if !ok {
				s.fellBehind()
				continue
			}
			return b, nil
		default:
			b, ok := s.journal().Read(s.pos)
			if !ok {
				s.fellBehind()
				continue
			}
			if b.Frames > 0 {
				s.pos = b.Next
				s.last = append(s.last[:0], b.Cursor...)
			}
			return b, nil
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

// Live returns the journal and the position from which the rest comes, and whether there
// is nothing else to give out first.
func (s *Subscription) Live() (*journal.Journal, uint64, bool) {
	return s.journal(), s.pos, s.ahead == nil
}

// Paced reports whether the subscription has an interval, so that what goes out of the
// journal is what Take returns.
func (s *Subscription) Paced() bool {
	return s.conflated != nil
}

// Take is Next for a subscription that is live and paced. It reports false where the
// journal does not hold the place any more, so that only Next can go on.
func (s *Subscription) Take() (journal.Batch, bool) {
	for {
		frames, ok := s.unread()
		if !ok {
			return journal.Batch{}, false
		}
		if b := s.encode(frames); b.Frames > 0 || len(frames) == 0 {
			return b, true
		}
	}
}

// unread returns what the journal has for conflation to look at, a page at a time. Of a
// single topic that is its newest event and nothing else, and nothing while it may not
// send: a subscriber that asks for one event a second costs no more when there are
// thousands.
func (s *Subscription) unread() ([]journal.Frame, bool) {
	log := s.journal()
	if log.Ended(s.pos) {
		return nil, false
	}
	if !s.single() || log.GapBehind(s.pos) {
		return log.Frames(s.pos, log.Next(), pageFrames)
	}
	if time.Now().Before(s.conflated.rests()) {
		return nil, true
	}
	return log.Newest(s.pos), true
}

// single reports whether all events are of one topic.
func (s *Subscription) single() bool {
	return s.bundle == nil && !s.feeds[0].topic.IsGlob()
}

// FellBehind says that the journal does not hold the client's place any more: the position
// to which it has come, with its cursor, where it read the journal without Take; no cursor
// if it has not come any further. Next gives out what follows.
func (s *Subscription) FellBehind(pos uint64, cursor []byte) {
	if len(cursor) > 0 {
		s.pos = pos
		s.last = append(s.last[:0], cursor...)
	}
	s.fellBehind()
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
		if f.Qualifier == "" {
			f.Qualifier = s.qualifier(s.feeds[r.index].topic)
		}
		f.Next = s.pos // it comes before the common journal
	}
	if done {
		s.ahead.replays = s.ahead.replays[1:]
	}
	return frames, nil
}

// encode takes frames and returns what of them goes out now, as bytes.
func (s *Subscription) encode(frames []journal.Frame) journal.Batch {
	before := s.last
	if n := len(frames); n > 0 {
		s.pos = frames[n-1].Next
		s.last = slices.Clone(frames[n-1].Cursor)
	}
	if s.conflated != nil {
		frames = s.conflated.take(before, frames, time.Now())
	}
	return journal.Batch{Frames: len(frames), Bytes: appendFrames(nil, frames)}
}

func appendFrames(dst []byte, frames []journal.Frame) []byte {
	for _, f := range frames {
		dst = event.AppendID(dst, f.Qualifier, f.Cursor)
		dst = append(dst, f.Body...)
	}
	return dst
}

// Due returns when Next or Take may have something although no Waker was woken, the zero
// time if they will not.
func (s *Subscription) Due() time.Time {
	switch {
	case s.conflated == nil:
		return time.Time{}
	case s.single() && s.pos < s.journal().Next():
		return s.conflated.rests()
	default:
		return s.conflated.due()
	}
}

func (s *Subscription) journal() *journal.Journal {
	if s.bundle != nil {
		return s.bundle.log
	}
	return s.feeds[0].log
}

// Watch has w woken whenever Next may have something, until Unwatch.
func (s *Subscription) Watch(w journal.Waker) {
	s.journal().Watch(w)
}

// Unwatch ends Watch.
func (s *Subscription) Unwatch(w journal.Waker) {
	s.journal().Unwatch(w)
}

// Close ends the subscription.
func (s *Subscription) Close() {
	if s.bundle != nil {
		s.hub.leaveBundle(s.bundle)
	}
	s.hub.release(s.feeds)
}
