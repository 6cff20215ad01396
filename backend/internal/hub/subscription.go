package hub

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// Subscription is one subscriber's position in its topics. Its methods are for one goroutine
// at a time. There may be very many, so it holds little while it is live.
type Subscription struct {
	hub     *Hub
	logs    []*topicLog    // in the order of the topics' names
	reader  journal.Reader // of the only topic
	list    *listReader    // of several topics, else nil
	catchUp *catchUp       // precedes what the reader returns; nil if the subscription is live
	revoke  func()         // see OnRevoke
}

// catchUp is what Next returns before the reader: control frames, and then replays.
type catchUp struct {
	pending []byte
	replays []topicReplay
	gap     bool           // a journal has one after the position where the reader starts
	failed  error          // reason why the subscription ends after pending, or nil
	page    *journal.Lease // memory of the page that Next has returned, or nil
}

// topicReplay is a replay of one of the topics.
type topicReplay struct {
	index int
	replay
}

func newSubscription(h *Hub, logs []*topicLog, every time.Duration) *Subscription {
	// Sorted, so the ids of equal lists are equal.
	logs = slices.SortedFunc(slices.Values(logs), func(a, b *topicLog) int {
		return strings.Compare(a.topic.String(), b.topic.String())
	})
	s := &Subscription{hub: h, logs: logs, revoke: func() {}}
	if len(logs) > 1 {
		s.list = newListReader(logs, every)
	} else {
		s.reader = journal.NewReader(logs[0].log, every, !logs[0].topic.IsGlob(), nil)
	}
	return s
}

// begin finds the start positions, and prepares the frames before the first event. The request
// names each topic once.
func (s *Subscription) begin(ctx context.Context, req Request) error {
	id := parseIDs(req.IDs, req.Topics)
	absent, err := missing(ctx, s.logs, id)
	if err != nil {
		return err
	}
	starts, err := prepare(ctx, s.logs, id, req)
	if err != nil {
		return err
	}
	open, gaps := s.seek(starts, "", req.Topics[0])
	if s.Reader().Finished() {
		return ErrFinished
	}
	resumed := (id.unknown || len(id.cursors) > 0) && len(gaps) == 0 && !s.catchUp.gap
	for i := 0; resumed && i < len(s.catchUp.replays); i++ {
		gap, err := s.catchUp.replays[i].hasGap(ctx)
		if err != nil {
			return err
		}
		resumed = !gap
	}
	open = event.AppendOpenBody(open, req.Topics, absent, resumed, s.hub.options.Node)
	s.catchUp.pending = slices.Concat(open, gaps)
	return nil
}

func (s *Subscription) readerOf(i int) *journal.Reader {
	if s.list == nil {
		return &s.reader
	}
	return &s.list.topics[i].Reader
}

func (s *Subscription) seekTopic(i int, pos uint64, cursor string) {
	s.readerOf(i).Seek(pos, cursor)
	if s.list != nil {
		s.list.topics[i].cursor = append(s.list.topics[i].cursor[:0], cursor...)
	}
}

// appendID appends the id line of a control frame of a topic, with the present cursors.
func (s *Subscription) appendID(dst []byte, t event.Topic) []byte {
	if s.list == nil {
		return event.AppendID(dst, s.logs[0].qualifier(t), s.reader.Cursor())
	}
	return s.list.appendID(dst, event.Qualifier(t))
}

// announceLost announces held events that are lost, and resumes if a journal no longer
// holds the reader's position. It returns [io.EOF] if all topics have ended.
func (s *Subscription) announceLost(ctx context.Context) error {
	if s.Reader().Finished() {
		return io.EOF
	}
	s.catchUp = &catchUp{pending: s.appendLost(nil)}
	if s.Reader().Behind() {
		return s.fellBehind(ctx, event.SlowConsumer)
	}
	return nil
}

// fellBehind resumes as if the client had reconnected with its last cursors, after a gap if
// events are lost. The gap has the reason, if there is one.
func (s *Subscription) fellBehind(ctx context.Context, reason event.GapReason) error {
	for _, t := range s.logs {
		if err := t.open(); err != nil {
			s.fail(&FailedError{t.topic, err})
			return nil
		}
	}
	pending := s.flush()
	cursors := make(vector, len(s.logs))
	for i, t := range s.logs {
		cursors[i] = component{tag(t.topic), string(s.readerOf(i).Cursor())}
	}
	starts, err := prepare(ctx, s.logs, knownCursors{cursors: cursors}, Request{})
	if err != nil {
		return err
	}
	_, gaps := s.seek(starts, reason, s.logs[0].topic)
	s.catchUp.pending = slices.Concat(pending, gaps)
	return nil
}

// flush returns the pending frames, and after them all held events and a gap for those that
// are lost. It releases the last page.
func (s *Subscription) flush() []byte {
	s.releasePage()
	var pending []byte
	if s.catchUp != nil {
		pending = s.catchUp.pending
	}
	for i := range s.logs {
		pending = append(pending, s.readerOf(i).Flush()...)
	}
	return s.appendLost(pending)
}

// appendLost appends a gap for each topic of which the reader held back events that are
// lost.
func (s *Subscription) appendLost(dst []byte) []byte {
	for i, t := range s.logs {
		qualifiers, cursor := s.readerOf(i).Lost()
		if len(qualifiers) == 0 {
			continue
		}
		gap := event.Gap{Topic: t.topic, Reason: event.SlowConsumer, Lost: int64(len(qualifiers))}
		dst = s.readerOf(i).Append(dst, t.qualifier(t.topic), cursor, s.hub.appendGapBody(nil, gap))
	}
	return dst
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
	if errors.Is(e.Err, source.ErrTooManyKeys) || errors.Is(e.Err, ErrKeyBytes) || errors.Is(e.Err, ErrFull) {
		return event.Overloaded
	}
	return event.Unavailable
}

// fail makes Next return an error, after the held events and a gap if the client has not
// received that of the failed topic.
func (s *Subscription) fail(err *FailedError) {
	pending := s.flush()
	for i, t := range s.logs {
		if t.topic == err.Topic && !t.log.Ended(s.readerOf(i).Pos()) {
			gap := event.Gap{Topic: t.topic, Reason: event.SourceInterrupted, Lost: event.LostUnknown}
			pending = s.hub.appendGapBody(s.appendID(pending, t.topic), gap)
		}
	}
	s.catchUp = &catchUp{pending: pending, failed: err}
}

// dropCatchUp ends the catching up once the client has received all of it.
func (s *Subscription) dropCatchUp() {
	if s.catchUp != nil && s.catchUp.failed == nil && len(s.catchUp.pending) == 0 && len(s.catchUp.replays) == 0 {
		s.releasePage()
		s.catchUp = nil
	}
}

// seek moves the subscription to its start positions. It returns the id line of a topic that
// the client has until it receives the gaps, and the frames of the gaps. Gaps get the reason,
// if there is one.
func (s *Subscription) seek(starts []func() startPosition, reason event.GapReason, topic event.Topic) (id, gaps []byte) {
	s.catchUp = new(catchUp)
	positions := make([]startPosition, len(s.logs))
	for i, t := range s.logs {
		t.lock()
		p := starts[i]()
		s.catchUp.gap = s.catchUp.gap || t.view.GapFrom(p.pos)
		t.unlock()
		if p.gap != nil && reason != "" {
			p.gap.Reason = reason
		}
		positions[i] = p
		s.seekTopic(i, p.pos, p.before)
	}
	id = s.appendID(nil, topic)
	for i, p := range positions {
		s.seekTopic(i, p.pos, p.cursor)
		if p.gap != nil {
			gaps = s.hub.appendGapBody(s.appendID(gaps, p.gap.Topic), *p.gap)
		}
		if p.replay != nil {
			s.catchUp.replays = append(s.catchUp.replays, topicReplay{i, p.replay})
		}
	}
	return id, gaps
}

// Next returns the next batch for the client. It is empty if the client has everything. Next
// reads from Redis if the journals do not hold the events after the client's position. The error
// wraps [source.ErrUnavailable] if that fails, and is [io.EOF] after the end of all topics.
func (s *Subscription) Next(ctx context.Context) (journal.Batch, error) {
	for {
		s.dropCatchUp()
		if s.catchUp != nil {
			b, err := s.nextCatchUp(ctx)
			if err != nil || len(b.Bytes) > 0 {
				return b, err
			}
			continue
		}
		b, ok := s.Reader().Next()
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

// nextCatchUp returns the next part of the catching up, which may be empty.
func (s *Subscription) nextCatchUp(ctx context.Context) (journal.Batch, error) {
	if pending := s.catchUp.pending; len(pending) > 0 {
		s.catchUp.pending = nil
		return journal.Batch{Bytes: pending}, nil
	}
	if s.catchUp.failed != nil {
		return journal.Batch{}, s.catchUp.failed
	}
	frames, done, err := s.nextPage(ctx, s.catchUp.replays[0])
	switch {
	case errors.Is(err, errInterrupted):
		return journal.Batch{}, s.fellBehind(ctx, event.SourceInterrupted)
	case errors.Is(err, errRemoved):
		return journal.Batch{}, s.fellBehind(ctx, "")
	case err != nil:
		return journal.Batch{}, err
	}
	i := s.catchUp.replays[0].index
	if done {
		s.catchUp.replays = s.catchUp.replays[1:]
	}
	return s.encode(i, frames), nil
}

// nextPage returns the next page of a replay. It waits while other replays need the memory.
func (s *Subscription) nextPage(ctx context.Context, r topicReplay) ([]journal.Frame, bool, error) {
	s.releasePage()
	page, err := s.hub.options.History.Memory.Acquire(ctx, pageBytes, s.revoke)
	if err != nil {
		return nil, false, err
	}
	s.catchUp.page = page
	frames, done, err := r.next(ctx)
	bytes := 0
	for _, f := range frames {
		bytes += len(f.Cursor) + len(f.Body)
	}
	page.Resize(int64(bytes))
	return frames, done, err
}

func (s *Subscription) releasePage() {
	if s.catchUp != nil {
		s.catchUp.page.Release()
		s.catchUp.page = nil
	}
}

// encode returns replayed frames of a topic as bytes, or those that are due if the
// subscription is conflated.
func (s *Subscription) encode(i int, frames []journal.Frame) journal.Batch {
	t, reader := s.logs[i], s.readerOf(i)
	for k := range frames {
		if frames[k].Qualifier == "" {
			frames[k].Qualifier = t.qualifier(t.topic)
		}
	}
	if reader.Conflated() {
		return reader.Replay(frames)
	}
	b := journal.Batch{Frames: len(frames)}
	for _, f := range frames {
		b.Bytes = reader.Append(b.Bytes, f.Qualifier, f.Cursor, f.Body)
	}
	if n := len(frames); n > 0 {
		pos := reader.Pos()
		if frames[n-1].Final {
			pos = journal.Finished
		}
		s.seekTopic(i, pos, string(frames[n-1].Cursor))
	}
	return b
}

// OnRevoke sets a function that is called, on any goroutine, if the client has not received the
// last batch of Next for so long that others wait for its memory. It must be set before Next is
// called, must not block, and must make the client's connection end.
func (s *Subscription) OnRevoke(revoke func()) { s.revoke = revoke }

// Reader returns the reader from which all events are delivered once the subscription is
// live.
func (s *Subscription) Reader() journal.BatchReader {
	if s.list != nil {
		return s.list
	}
	return &s.reader
}

// Live reports whether Next returns nothing but what the reader returns. It is called after the
// client has received the last batch.
func (s *Subscription) Live() bool {
	s.dropCatchUp()
	return s.catchUp == nil && !s.Reader().Behind()
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.releasePage()
	for i := range s.logs {
		s.readerOf(i).Close()
	}
	s.hub.release(s.logs)
}
