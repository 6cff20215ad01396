package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis/reconnect"
)

const (
	// streamBlock bounds the wait for news, and is the interval of the checks of streams
	// without news.
	streamBlock = time.Second
	// streamChecks bounds the streams of one check.
	streamChecks = 256
	// streamGrace is the time that the wait for news is delayed for reads in progress. Most
	// reads end within it, and then the wait need not be interrupted for their streams.
	streamGrace = 2 * time.Millisecond
)

// The reads in progress of a [streams] are bounded by class, so reads of history, slow reads and
// failing reads never delay live streams. In a cluster, each stream has its own, so the streams of
// one server never delay those of another.
const (
	liveReads = iota
	historyReads
	failingReads
	readClasses
)

var readLimits = [readClasses]int{liveReads: 8, historyReads: 4, failingReads: 2}

// streams follows streams. It waits for news of all streams without a read in progress.
// One goroutine per stream with news reads it, so no stream waits for another.
type streams struct {
	streamReader
	news     streamNews
	log      *slog.Logger
	cancel   context.CancelFunc
	running  sync.WaitGroup // run, reads and checks
	checking atomic.Bool    // a check is in progress
	slots    [readClasses]chan struct{}

	mu        sync.Mutex
	following map[string]*streamFollowing
	changed   chan struct{} // holds one if the streams to wait for changed
	away      error         // why the wait for news fails; nil if it does not
	awaySet   chan struct{} // closed while away is set

	// Used by run only.
	checked time.Time
	check   int // where the next check starts

	checkSize pageSize // used by the check in progress
}

// streamNews reports where there may be new entries.
type streamNews interface {
	// wait blocks until some of the streams may have entries after those that were read,
	// and returns them. It returns none after streamBlock or when the set of streams changed.
	wait(ctx context.Context, followed []*streamFollowing, changed <-chan struct{}) ([]*streamFollowing, error)
	// close releases the resources of wait.
	close()
}

// streamFollowing implements [source.Following]. It delivers the new entries of one stream, and finds
// the holes.
type streamFollowing struct {
	owner *streams
	topic event.Topic
	name  string
	sink  source.Sink

	// Guarded by the owner's mutex.
	reading bool            // a goroutine reads the stream
	pending bool            // it must be read
	live    bool            // the position is fixed
	failed  error           // of the last read
	exists  bool            // in the last successful read
	readAt  time.Time       // when that began
	slow    bool            // the last read took longer than readTimeout
	settled chan struct{}   // closed when live or failed changes
	waiting []chan struct{} // closed after a read that starts from now on
	syncing []chan struct{} // closed after the read in progress

	// Used by the reading goroutine; without one, guarded by the owner's mutex.
	retry   *backoff.ExponentialBackOff
	begun   bool
	told    bool // a gap of unknown size was reported at the position
	there   bool // the stream existed when it was read last
	behind  bool // there may be more entries
	size    pageSize
	deleted *streamLife // not nil if the stream was deleted, and the gap was reported
	streamLife
}

func newStreams(reader streamReader, news streamNews, log *slog.Logger) *streams {
	ctx, cancel := context.WithCancel(context.Background())
	s := &streams{
		streamReader: reader,
		news:         news,
		log:          log,
		cancel:       cancel,
		following:    make(map[string]*streamFollowing),
		changed:      make(chan struct{}, 1),
		awaySet:      make(chan struct{}),
		checked:      time.Now(),
	}
	for i, n := range readLimits {
		s.slots[i] = make(chan struct{}, n)
	}
	s.running.Go(func() { s.run(ctx) })
	return s
}

func (s *streams) close() {
	s.cancel()
	signal(s.changed)
	s.running.Wait()
}

func (s *streams) follow(topic event.Topic, sink source.Sink) source.Following {
	f := &streamFollowing{
		owner: s, topic: topic, name: topic.Name(), sink: sink,
		pending: true, settled: make(chan struct{}), retry: reconnect.Delays(), size: firstPage,
	}
	s.mu.Lock()
	s.following[f.name] = f
	s.mu.Unlock()
	signal(s.changed)
	return f
}

func (f *streamFollowing) Close() {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if f.owner.following[f.name] == f {
		delete(f.owner.following, f.name) // run sees it when the wait returns
	}
}

func (f *streamFollowing) Live(ctx context.Context) error {
	for {
		f.owner.mu.Lock()
		away, awaySet := f.owner.away, f.owner.awaySet
		live, failed, settled, reading := f.live, f.failed, f.settled, f.reading
		f.owner.mu.Unlock()
		switch {
		case isRefusal(failed) && !reading: // else Redis may allow it again
			return fmt.Errorf("%s: %w", f.topic, failed)
		case away != nil:
			return fmt.Errorf("%w: %w", source.ErrUnavailable, away)
		case failed != nil && !isRefusal(failed):
			return fmt.Errorf("%w: %w", source.ErrUnavailable, failed)
		case live && failed == nil:
			return nil
		}
		select {
		case <-settled:
		case <-awaySet:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *streamFollowing) Exists(ctx context.Context) (bool, error) {
	exists, recent := f.existed()
	if !recent {
		if err := f.Sync(ctx); err != nil {
			return false, fmt.Errorf("%w: %w", source.ErrUnavailable, err)
		}
		exists, _ = f.existed()
	}
	return exists, nil
}

// existed returns the result of the last read, and whether it is recent.
func (f *streamFollowing) existed() (exists, recent bool) {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	return f.exists, time.Since(f.readAt) < source.ExistsAge
}

func (f *streamFollowing) Sync(ctx context.Context) error {
	done := make(chan struct{})
	f.owner.mu.Lock()
	f.waiting = append(f.waiting, done)
	f.pending = true
	f.owner.mu.Unlock()
	signal(f.owner.changed)
	return await(ctx, done)
}

// isRefusal reports whether an error concerns one stream only, and lasts until Redis is changed.
func isRefusal(err error) bool {
	return errors.Is(err, source.ErrForbidden) || errors.Is(err, source.ErrWrongType)
}

// run waits for news and starts reads until the context ends.
func (s *streams) run(ctx context.Context) {
	defer s.news.close()
	retry := reconnect.Delays()
	var refused []*streamFollowing // the streams of the last wait if Redis refused it
	var pause <-chan time.Time     // fires when the wait may be repeated; nil if it may be now
	for ctx.Err() == nil {
		idle := s.dispatch(ctx)
		if s.anyRefused(refused) {
			refused, pause = nil, nil // the next wait is without that stream
		}
		if len(idle) == 0 {
			s.setAway(ctx, nil) // no wait would find that Redis is back
		}
		if len(idle) == 0 || pause != nil {
			select {
			case <-s.changed:
			case <-pause:
				pause = nil
			case <-ctx.Done():
			}
			continue
		}
		news, err := s.news.wait(ctx, idle, s.changed)
		if isRefusal(err) {
			s.setAway(ctx, nil)
			s.mark(idle...) // the reads find out which stream Redis refuses
			// If Redis refuses none of the reads, it would also refuse the next wait.
			refused, pause = idle, time.After(retry.NextBackOff())
			continue
		}
		refused = nil
		s.setAway(ctx, err)
		if err != nil {
			reconnect.Wait(ctx, retry.NextBackOff())
			continue
		}
		retry.Reset()
		s.mark(news...)
		if time.Since(s.checked) >= streamBlock {
			s.checked = time.Now()
			s.startCheck(ctx, idle)
		}
	}
}

// anyRefused reports whether Redis refused the last read of one of the streams.
func (s *streams) anyRefused(followed []*streamFollowing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(followed, func(f *streamFollowing) bool { return isRefusal(f.failed) })
}

// mark marks streams to be read.
func (s *streams) mark(followed ...*streamFollowing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range followed {
		f.pending = true
	}
}

// dispatch starts the reads of the marked streams, waits for them for a short time, and
// returns the streams without a read in progress.
func (s *streams) dispatch(ctx context.Context) []*streamFollowing {
	s.mu.Lock()
	started := false
	for _, f := range s.following {
		if f.pending && !f.reading {
			f.pending, f.reading, started = false, true, true
			f.waiting, f.syncing = nil, append(f.syncing, f.waiting...)
			s.running.Go(func() { s.read(ctx, f) })
		}
	}
	s.mu.Unlock()
	for grace := time.After(streamGrace); ; {
		idle, busy, pending := s.idle()
		if pending {
			signal(s.changed)
		}
		if pending || !busy || !started {
			return idle
		}
		select {
		case <-s.changed:
		case <-grace:
			started = false
		case <-ctx.Done():
			return nil
		}
	}
}

// idle returns the streams that can be waited for, in the order of their names, and whether there
// are others with a read in progress, or that wait for a read to start.
func (s *streams) idle() (idle []*streamFollowing, busy, pending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.following)) {
		switch f := s.following[name]; {
		case f.reading:
			busy = true
		case f.pending:
			pending = true
		case f.live && f.failed == nil:
			idle = append(idle, f)
		}
	}
	return idle, busy, pending
}

// read reads one page of a stream, or its history if it is new. A failed read is repeated
// after a pause.
func (s *streams) read(ctx context.Context, f *streamFollowing) {
	s.mu.Lock()
	class := liveReads
	switch {
	case f.failed != nil:
		class = failingReads
	case !f.live || f.behind || f.slow:
		class = historyReads
	}
	s.mu.Unlock()
	select {
	case s.slots[class] <- struct{}{}:
	case <-ctx.Done():
		return
	}
	var err error
	started := time.Now()
	if !f.begun {
		err = f.begin(ctx, s.streamReader)
	} else {
		err = f.read(ctx, s.streamReader)
	}
	<-s.slots[class]
	s.finish(ctx, f, started, err)
	signal(s.changed)
}

// finish records the result of a read.
func (s *streams) finish(ctx context.Context, f *streamFollowing, started time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.reading = false
	if ctx.Err() != nil || s.following[f.name] != f {
		return
	}
	f.slow = time.Since(started) > readTimeout
	if err == nil {
		f.exists, f.readAt = f.there, started
		f.pending = f.pending || f.behind
		f.retry.Reset()
		if !f.behind {
			for _, done := range f.syncing {
				close(done)
			}
			f.syncing = nil
		}
	} else {
		if f.failed == nil {
			s.log.Warn("redis stream cannot be read", "stream", f.name, "error", err)
		}
		time.AfterFunc(f.retry.NextBackOff(), func() {
			s.mark(f)
			signal(s.changed)
		})
	}
	if err == nil && f.live && f.failed == nil {
		return
	}
	f.live, f.failed = f.begun, err
	close(f.settled)
	f.settled = make(chan struct{})
}

func (s *streams) setAway(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && s.away == nil:
		s.log.Warn("redis streams cannot be read", "error", err)
		s.away = err
		close(s.awaySet)
	case err == nil && s.away != nil:
		s.log.Info("redis streams are read again")
		s.away = nil
		s.awaySet = make(chan struct{})
	}
}

// startCheck checks some streams for changes that the wait for news does not report, such as a
// deletion. The checks are pipelined and delay no read. startCheck does nothing while another
// check is in progress.
func (s *streams) startCheck(ctx context.Context, idle []*streamFollowing) {
	if !s.checking.CompareAndSwap(false, true) {
		return
	}
	n := min(streamChecks, len(idle))
	some := make([]*streamFollowing, n)
	names := make([]string, n)
	for i := range some {
		some[i] = idle[s.check%len(idle)]
		names[i] = some[i].name
		s.check++
	}
	s.running.Go(func() {
		defer s.checking.Store(false)
		states, errs := s.states(ctx, names, &s.checkSize)
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, f := range some {
			if !f.reading && (errs[i] != nil || f.differs(states[i])) {
				f.pending = true
				signal(s.changed)
			}
		}
	})
}
