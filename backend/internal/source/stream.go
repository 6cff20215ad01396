package source

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/internal/event"
)

const (
	// streamBlock bounds the wait for news. In between, streams are looked at for what no
	// news shows.
	streamBlock = time.Second
	// streamChecks bounds the quiet streams that are looked at after one wait.
	streamChecks = 256
)

// streams follows streams: it waits until there may be something new, and reads that. On
// a single server, one reader follows all of them.
type streams struct {
	streamReader
	news   streamNews
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	following map[string]*streamFollowing
	changed   chan struct{} // tells the reader that the set of streams changed
	away      error
	awaySet   chan struct{}

	// Of the reader alone: when streams without news were looked at, and where the next
	// look begins.
	checked time.Time
	check   int
}

// streamNews tells where there may be something new.
type streamNews interface {
	// wait blocks until some of the streams may have entries behind those that were read,
	// and returns them. It returns none when the time is over or the set of streams changed.
	wait(ctx context.Context, followed []*streamFollowing, changed <-chan struct{}) ([]*streamFollowing, error)
	// close gives up what wait keeps.
	close()
}

type streamFollowing struct {
	owner *streams
	topic event.Topic
	name  string
	sink  Sink

	ready  chan struct{} // closed once live: a position, unlike a subscription, is not lost again
	failed error         // set before ready is closed: why it will never be live

	// Of the reader alone.
	begun bool
	last  event.StreamID   // the newest that was read
	count uint64           // entries that had been added up to last
	told  bool             // that an unknown number is missing behind last
	gone  bool             // the stream was deleted, and that has been told
	wrong bool             // the key holds another type now
	seen  []event.StreamID // the newest, and some of those before; by them a stream is known again
}

func newStreams(reader streamReader, news streamNews, log *slog.Logger) *streams {
	ctx, cancel := context.WithCancel(context.Background())
	s := &streams{
		streamReader: reader,
		news:         news,
		log:          log,
		cancel:       cancel,
		done:         make(chan struct{}),
		following:    make(map[string]*streamFollowing),
		changed:      make(chan struct{}, 1),
		awaySet:      make(chan struct{}),
	}
	go s.run(ctx)
	return s
}

func (s *streams) close() {
	s.cancel()
	s.interrupt()
	<-s.done
}

func (s *streams) follow(topic event.Topic, sink Sink) Following {
	f := &streamFollowing{owner: s, topic: topic, name: topic.Name(), sink: sink, ready: make(chan struct{})}
	s.mu.Lock()
	s.following[f.name] = f
	s.mu.Unlock()
	s.interrupt()
	return f
}

// Close implements [Following].
func (f *streamFollowing) Close() {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	delete(f.owner.following, f.name) // the reader finds out when it next returns
}

// Live implements [Following].
func (f *streamFollowing) Live(ctx context.Context) error {
	f.owner.mu.Lock()
	away, awaySet := f.owner.away, f.owner.awaySet
	f.owner.mu.Unlock()
	if away != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, away)
	}
	select {
	case <-f.ready:
		return f.failed
	case <-awaySet:
		return f.Live(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interrupt makes the reader look at the set of streams again.
func (s *streams) interrupt() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run reads until the context ends.
func (s *streams) run(ctx context.Context) {
	defer close(s.done)
	defer s.news.close()
	wait := newBackoff()
	for ctx.Err() == nil {
		followed := s.snapshot()
		if len(followed) == 0 {
			s.setAway(ctx, nil) // nobody would find out that Redis is back
			select {
			case <-s.changed:
			case <-ctx.Done():
			}
			continue
		}
		err := s.round(ctx, followed)
		s.setAway(ctx, err)
		if err == nil {
			wait.Reset()
			continue
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

func (s *streams) snapshot() []*streamFollowing {
	s.mu.Lock()
	defer s.mu.Unlock()
	followed := slices.Collect(maps.Values(s.following))
	slices.SortFunc(followed, func(a, b *streamFollowing) int { return strings.Compare(a.name, b.name) })
	return followed
}

func (s *streams) setAway(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && s.away == nil:
		s.log.Warn("redis streams cannot be read; trying again", "error", err)
		s.away = err
		close(s.awaySet)
	case err == nil && s.away != nil:
		s.log.Info("redis streams are read again")
		s.away = nil
		s.awaySet = make(chan struct{})
	}
}

// round waits until there is something new, and reads it.
func (s *streams) round(ctx context.Context, followed []*streamFollowing) error {
	for _, f := range followed {
		if !f.begun && f.failed == nil {
			if err := f.begin(ctx, s.streamReader); err != nil {
				return err
			}
		}
	}
	news, err := s.news.wait(ctx, followed, s.changed)
	if err != nil {
		return err
	}
	if time.Since(s.checked) >= streamBlock || len(news) == 0 {
		s.checked = time.Now()
		for range min(streamChecks, len(followed)) {
			news = append(news, followed[s.check%len(followed)])
			s.check++
		}
	}
	for _, f := range news {
		if err := f.read(ctx, s.streamReader); err != nil {
			return err
		}
	}
	return nil
}
