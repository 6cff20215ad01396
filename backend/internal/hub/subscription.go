package hub

import (
	"sluice/internal/event"
	"sluice/internal/journal"
)

// Subscription is one subscriber's place among its topics. Its methods are for one
// goroutine at a time.
type Subscription struct {
	hub    *Hub
	topics []event.Topic // in the order of the request
	feeds  []*feed       // of the topics; in the order of the bundle's vector if there are several
	bundle *bundle       // of the feeds if there are several, else nil

	// What Next gives out: control frames, then what the feeds held before the place in
	// the common journal, then that journal.
	pending []byte
	replays []replay
	pos     uint64
	reached vector // with a bundle: how far the client has come while replays last
	last    []byte // the cursor of the last frame given out
}

// replay is the part of one feed's journal that a subscriber to several gets first.
type replay struct {
	index    int // of the feed
	from, to uint64
}

// A page is what is encoded at once for one subscriber.
const (
	pageFrames = 64
	pageBytes  = 64 << 10
)

func newSubscription(h *Hub, topics []event.Topic, feeds []*feed) *Subscription {
	s := &Subscription{hub: h, topics: topics, feeds: feeds}
	if len(feeds) > 1 {
		s.bundle = h.joinBundle(feeds)
		s.feeds = s.bundle.feeds
	}
	return s
}

// begin finds the first position, and prepares what the client is told before its
// first event.
func (s *Subscription) begin(req Request) {
	locate := func(f *feed) place { return f.fresh(req.Last) }
	if req.Cursor != "" {
		locate = resumeAt(req.Cursor)
	}
	before, gaps := s.seek(locate)
	resumed := req.Cursor != "" && len(gaps) == 0
	s.pending = event.AppendID(nil, s.qualifier(s.topics[0]), before)
	s.pending = event.AppendOpenBody(s.pending, s.topics, resumed, s.hub.options.Node)
	s.pending = append(s.pending, gaps...)
}

// fellBehind goes on where the client left off although the journal does not hold that
// place any more: just as if it had come back with its last cursor.
func (s *Subscription) fellBehind() {
	resume := resumeAt(string(s.last))
	_, s.pending = s.seek(func(f *feed) place {
		p := resume(f)
		if p.gap != nil {
			p.gap.Reason = event.SlowConsumer
		}
		return p
	})
}

// resumeAt returns how to find each feed's place for a client that has an id.
func resumeAt(id string) func(*feed) place {
	_, cursor := event.SplitID(id)
	positions, several := parseVector(cursor)
	return func(f *feed) place {
		if !several {
			return f.resume(cursor)
		}
		own, known := positions.of(f.topic)
		if !known {
			return f.fresh(0) // the client did not follow this topic before
		}
		return f.resume(own)
	}
}

// seek moves the subscription to the places that locate finds, and returns the cursor
// that holds until the client has seen the gaps, and the frames that announce them.
func (s *Subscription) seek(locate func(*feed) place) (before, gaps []byte) {
	// While all feeds are held up, their journals and the bundle's are at one place.
	unlock := lockAll(s.feeds)
	defer unlock()
	places := make([]place, len(s.feeds))
	s.reached = make(vector, len(s.feeds))
	for i, f := range s.feeds {
		places[i] = locate(f)
		s.reached[i] = component{tag(f.topic), places[i].before}
	}
	before = []byte(s.cursor())
	for i, p := range places {
		s.reached[i].cursor = p.cursor
		if p.gap != nil {
			gaps = s.appendGap(gaps, *p.gap)
		}
	}
	s.last = []byte(s.cursor())
	if s.bundle == nil {
		s.pos = places[0].pos
		return before, gaps
	}
	s.pos, _ = s.bundle.log.Head()
	s.replays = s.replays[:0]
	for i, f := range s.feeds {
		if head, _ := f.log.Head(); places[i].pos < head {
			s.replays = append(s.replays, replay{i, places[i].pos, head})
		}
	}
	return before, gaps
}

// cursor returns the text of s.reached.
func (s *Subscription) cursor() string {
	if s.bundle == nil {
		return s.reached[0].cursor
	}
	return s.reached.String()
}

// qualifier returns what stands before the cursor in the ids of a topic.
func (s *Subscription) qualifier(t event.Topic) string {
	if s.bundle == nil && !s.topics[0].IsGlob() {
		return ""
	}
	return event.Qualifier(t)
}

func (s *Subscription) appendGap(dst []byte, gap event.Gap) []byte {
	s.hub.metrics.GapAnnounced(gap.Reason)
	dst = event.AppendID(dst, s.qualifier(gap.Topic), []byte(s.cursor()))
	return event.AppendGapBody(dst, gap)
}

// Next returns what the client gets next, an empty batch if there is nothing now.
func (s *Subscription) Next() journal.Batch {
	for {
		switch {
		case len(s.pending) > 0:
			b := journal.Batch{Bytes: s.pending}
			s.pending = nil
			return b
		case len(s.replays) > 0:
			if b := s.nextPage(); b.Frames > 0 {
				return b
			}
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
			return b
		}
	}
}

// nextPage encodes a page of the first replay, with ids that cover all topics.
func (s *Subscription) nextPage() journal.Batch {
	r := &s.replays[0]
	f := s.feeds[r.index]
	frames, ok := f.log.Frames(r.from, r.to, pageFrames)
	if !ok {
		s.fellBehind()
		return journal.Batch{}
	}
	var b journal.Batch
	for _, frame := range frames {
		s.reached[r.index].cursor = string(frame.Cursor)
		r.from = frame.Next
		qualifier := frame.Qualifier
		if qualifier == "" {
			qualifier = event.Qualifier(f.topic)
		}
		b.Bytes = event.AppendID(b.Bytes, qualifier, []byte(s.cursor()))
		b.Bytes = append(b.Bytes, frame.Body...)
		b.Frames++
		if len(b.Bytes) >= pageBytes {
			break
		}
	}
	s.last = []byte(s.cursor())
	if r.from >= r.to || len(frames) == 0 {
		s.replays = s.replays[1:]
	}
	return b
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
