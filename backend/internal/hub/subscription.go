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
	hub     *Hub
	logs    []*topicLog    // of the topics; in the order of the merged's vector if there are several
	merged  *mergedJournal // of the logs if there are several, else nil
	catchUp *catchUp       // precedes the common journal; nil if the subscription is live
	reader  journal.Reader // of the common journal
}

// catchUp is what Next gives out before it comes to the common journal: control frames, and
// then replays.
type catchUp struct {
	pending []byte
	replays []topicReplay
	reached vector // how far the client has come
	gap     bool   // the journals have one behind the cursors where they are entered
	failed  error  // why the subscription ends after pending, or nil
}

// topicReplay is a replay of one of the logs.
type topicReplay struct {
	index int
	replay
}

func newSubscription(h *Hub, logs []*topicLog, every time.Duration) *Subscription {
	s := &Subscription{hub: h, logs: logs}
	if len(logs) > 1 {
		s.merged = h.joinMerged(logs)
		s.logs = s.merged.logs
	}
	s.reader = journal.NewReader(s.journal(), every, s.single())
	return s
}

// begin finds the first position, and prepares what the client is told before its
// first event. The topics are those of the request, each once.
func (s *Subscription) begin(ctx context.Context, req Request, topics []event.Topic) error {
	id := parseIDs(req.IDs, topics)
	starts, err := prepare(ctx, s.logs, id, req.Last)
	if err != nil {
		return err
	}
	before, gaps := s.seek(starts, "")
	resumed := !id.empty() && len(gaps) == 0 && !s.catchUp.gap
	open := event.AppendID(nil, s.qualifier(topics[0]), before)
	open = event.AppendOpenBody(open, topics, resumed, s.hub.options.Node)
	s.catchUp.pending = slices.Concat(open, gaps)
	return nil
}

// announceLost announces held events that are lost, and resumes if the journal no longer
// holds the reader's position.
func (s *Subscription) announceLost(ctx context.Context) error {
	s.catchUp = &catchUp{pending: s.appendLost(nil)}
	defer s.dropCatchUp()
	if s.reader.Behind() {
		return s.fellBehind(ctx, event.SlowConsumer)
	}
	return nil
}

// fellBehind resumes as if the client had reconnected with its last cursor, after a gap if
// events are lost. The gap has the reason, if there is one.
func (s *Subscription) fellBehind(ctx context.Context, reason event.GapReason) error {
	if err := s.failure(); err != nil {
		s.fail(err)
		return nil
	}
	var pending []byte
	if s.catchUp != nil {
		pending = s.catchUp.pending
	}
	pending = s.appendLost(append(pending, s.reader.Flush()...)) // held events precede the gap
	starts, err := prepare(ctx, s.logs, lastID{cursors: s.lastCursors()}, 0)
	if err != nil {
		return err
	}
	_, gaps := s.seek(starts, reason)
	s.catchUp.pending = slices.Concat(pending, gaps)
	s.dropCatchUp()
	return nil
}

// appendLost appends a gap for each topic of which the reader held back events that are
// gone.
func (s *Subscription) appendLost(dst []byte) []byte {
	qualifiers, cursor := s.reader.Lost()
	lost := make([]int64, len(s.logs))
	for _, q := range qualifiers {
		lost[s.logIndex(q)]++
	}
	for i, n := range lost {
		if n > 0 {
			gap := event.Gap{Topic: s.logs[i].topic, Reason: event.SlowConsumer, Lost: n}
			s.hub.metrics.GapAnnounced(gap.Reason)
			dst = event.AppendID(dst, s.qualifier(gap.Topic), cursor)
			dst = event.AppendGapBody(dst, gap)
		}
	}
	return dst
}

// logIndex returns the index of the topicLog that an event with a qualifier came from.
func (s *Subscription) logIndex(qualifier string) int {
	topic, _ := event.SplitID(qualifier)
	return max(slices.IndexFunc(s.logs, func(f *topicLog) bool { return f.topic.Covers(topic) }), 0)
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
	for _, f := range s.logs {
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
	if s.catchUp != nil {
		pending = s.catchUp.pending
	}
	pending = s.appendLost(append(pending, s.reader.Flush()...))
	if !s.journal().Ended(s.reader.Pos()) {
		s.hub.metrics.GapAnnounced(event.SourceInterrupted)
		pending = event.AppendID(pending, s.qualifier(err.Topic), s.reader.Cursor())
		pending = event.AppendGapBody(pending, event.Gap{Topic: err.Topic, Reason: event.SourceInterrupted, Lost: event.LostUnknown})
	}
	s.catchUp = &catchUp{pending: pending, failed: err}
}

// dropCatchUp forgets what is catchUp of the common journal once all of it was given out.
func (s *Subscription) dropCatchUp() {
	if s.catchUp != nil && s.catchUp.failed == nil && len(s.catchUp.pending) == 0 && len(s.catchUp.replays) == 0 {
		s.catchUp = nil
	}
}

// seek moves the subscription to its start positions. It returns the cursor that the client
// has until it receives the gaps, and the frames of the gaps. Gaps get the reason, if there
// is one.
func (s *Subscription) seek(starts []func() startPosition, reason event.GapReason) (before, gaps []byte) {
	// While the locks are held, the journals and the merged journal are at one position.
	unlock := lockAll(s.logs)
	defer unlock()
	positions := make([]startPosition, len(s.logs))
	s.catchUp = &catchUp{reached: make(vector, len(s.logs))}
	for i, t := range s.logs {
		p := starts[i]()
		if p.gap != nil && reason != "" {
			p.gap.Reason = reason
		}
		positions[i] = p
		s.catchUp.reached[i] = component{tag(t.topic), p.before}
		s.catchUp.gap = s.catchUp.gap || t.log.GapFrom(p.pos)
	}
	before = []byte(s.cursor())
	for i, p := range positions {
		s.catchUp.reached[i].cursor = p.cursor
		if p.gap != nil {
			gaps = s.appendGap(gaps, *p.gap)
		}
		if p.replay != nil {
			s.catchUp.replays = append(s.catchUp.replays, topicReplay{i, p.replay})
		}
	}
	if s.merged == nil {
		s.reader.Seek(positions[0].pos, s.cursor())
		return before, gaps
	}
	s.reader.Seek(s.merged.log.Next(), s.cursor())
	for i, t := range s.logs {
		if head := t.log.Next(); positions[i].pos < head {
			s.catchUp.replays = append(s.catchUp.replays, topicReplay{i, &journalReplay{t, positions[i].pos, head}})
		}
	}
	return before, gaps
}

// cursor returns the text of s.catchUp.reached.
func (s *Subscription) cursor() string {
	if s.merged == nil {
		return s.catchUp.reached[0].cursor
	}
	return s.catchUp.reached.String()
}

// lastCursors returns the cursor of each topic at the position of the reader.
func (s *Subscription) lastCursors() vector {
	if s.merged == nil {
		return vector{{tag(s.logs[0].topic), string(s.reader.Cursor())}}
	}
	v, _ := parseVector(string(s.reader.Cursor()))
	return v
}

// qualifier returns the part of the ids of a topic that precedes the cursor.
func (s *Subscription) qualifier(t event.Topic) string {
	if s.merged == nil {
		return s.logs[0].qualifier(t)
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
		case s.catchUp != nil:
			b, err := s.nextCatchUp(ctx)
			if err != nil || len(b.Bytes) > 0 {
				return b, err
			}
		default:
			b, ok := s.reader.Next()
			switch {
			case !ok:
				if err := s.announceLost(ctx); err != nil {
					return journal.Batch{}, err
				}
			case len(b.Bytes) > 0 || b.AtHead:
				return b, nil
			}
		}
	}
}

// nextCatchUp returns the next of what is catchUp of the common journal, which may be nothing.
func (s *Subscription) nextCatchUp(ctx context.Context) (journal.Batch, error) {
	defer s.dropCatchUp()
	if pending := s.catchUp.pending; len(pending) > 0 {
		s.catchUp.pending = nil
		return journal.Batch{Bytes: pending}, nil
	}
	if s.catchUp.failed != nil {
		return journal.Batch{}, s.catchUp.failed
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
	return s.catchUp == nil && !s.reader.Behind()
}

// single reports whether all events are of one topic.
func (s *Subscription) single() bool {
	return s.merged == nil && !s.logs[0].topic.IsGlob()
}

// nextPage returns a page of the first replay, with ids that cover all topics.
func (s *Subscription) nextPage(ctx context.Context) ([]journal.Frame, error) {
	r := s.catchUp.replays[0]
	frames, done, err := r.next(ctx, s.hub)
	switch {
	case errors.Is(err, errBehind):
		return nil, s.fellBehind(ctx, event.SlowConsumer)
	case errors.Is(err, errInterrupted):
		return nil, s.fellBehind(ctx, event.SourceInterrupted)
	case errors.Is(err, errRemoved):
		return nil, s.fellBehind(ctx, "")
	}
	if err != nil {
		return nil, err
	}
	for i := range frames {
		f := &frames[i]
		s.catchUp.reached[r.index].cursor = string(f.Cursor)
		f.Cursor = []byte(s.cursor())
		switch {
		case f.Qualifier == "":
			f.Qualifier = s.qualifier(s.logs[r.index].topic)
		case s.merged != nil:
			f.Qualifier = withoutTag(f.Qualifier)
		}
	}
	if done {
		s.catchUp.replays = s.catchUp.replays[1:]
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
	if s.merged != nil {
		return s.merged.log
	}
	return s.logs[0].log
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.reader.Close()
	if s.merged != nil {
		s.hub.leaveMerged(s.merged)
	}
	s.hub.release(s.logs)
}
