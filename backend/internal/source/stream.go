package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

const (
	// streamBlock bounds one blocking read. In between, streams are looked at for what
	// such a read does not show.
	streamBlock = time.Second
	// streamBatch bounds the entries that are read from one stream at once.
	streamBatch = 512
	// fillPage bounds the entries that are read at once to fill a journal.
	fillPage = 64
	// streamChecks bounds the quiet streams that are looked at after one blocking read.
	streamChecks = 256
	// rememberedIDs is how many of the newest ids of a stream are remembered, and about how
	// many of those before, ever more sparsely.
	rememberedIDs = 64
	// unblockPause is the time between two attempts to end a blocking read.
	unblockPause = 5 * time.Millisecond
)

// Fill bounds how much of a stream's history is read when it is first followed.
type Fill struct {
	Events int
	Bytes  int
}

// streams follows all streams with one blocking reader. A blocking XREAD says only that
// there is something new; it is then read together with the state of the stream, in one
// transaction, since only that shows whether entries were trimmed before they were read.
type streams struct {
	client *redis.Client
	fill   Fill
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	following map[string]*streamFollowing
	changed   chan struct{} // tells the reader that the set of streams changed
	away      error
	awaySet   chan struct{}

	// What follows is the reader's alone. The connection that it blocks on, and Redis's
	// number for it.
	conn   *redis.Conn
	connID int64
	// When streams without news were looked at, and where the next look begins.
	checked time.Time
	check   int
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
	last  ID     // the newest that was read
	count uint64 // entries that had been added up to last
	told  bool   // that an unknown number is missing behind last
	gone  bool   // the stream was deleted, and that has been told
	wrong bool   // the key holds another type now
	seen  []ID   // the newest, and some of those before; by them a stream is known again
}

func newStreams(client *redis.Client, fill Fill, log *slog.Logger) *streams {
	ctx, cancel := context.WithCancel(context.Background())
	s := &streams{
		client:    client,
		fill:      fill,
		log:       log,
		cancel:    cancel,
		done:      make(chan struct{}),
		following: make(map[string]*streamFollowing),
		changed:   make(chan struct{}, 1),
		awaySet:   make(chan struct{}),
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
	defer func() {
		if s.conn != nil {
			_ = s.conn.Close()
		}
	}()
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
			if err := s.begin(ctx, f); err != nil {
				return err
			}
		}
	}
	news, err := s.wait(ctx, followed)
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
		if err := s.read(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// wait blocks until one of the streams has entries behind those that were read, and
// returns the ones that have. It returns none when the time is over or the set of
// streams changed.
func (s *streams) wait(ctx context.Context, followed []*streamFollowing) ([]*streamFollowing, error) {
	var names, positions []string
	byName := make(map[string]*streamFollowing, len(followed))
	for _, f := range followed {
		if f.wrong || f.failed != nil {
			continue // one key of another type would fail the command for all
		}
		byName[f.name] = f
		names = append(names, f.name)
		positions = append(positions, f.last.String())
	}
	if len(names) == 0 {
		select {
		case <-time.After(streamBlock):
		case <-s.changed:
		case <-ctx.Done():
		}
		return nil, nil
	}
	found, err := s.block(ctx, &redis.XReadArgs{Count: 1, Block: streamBlock, Streams: append(names, positions...)})
	switch {
	case errors.Is(err, redis.Nil), isWrongType(err):
		return nil, nil // the look at each stream finds out which
	case err != nil:
		return nil, err
	}
	var news []*streamFollowing
	for _, stream := range found {
		news = append(news, byName[stream.Stream])
	}
	return news, nil
}

// block runs a blocking read that ends early when the set of streams changes.
func (s *streams) block(ctx context.Context, args *redis.XReadArgs) (found []redis.XStream, err error) {
	if s.conn == nil {
		conn := s.client.Conn()
		if s.connID, err = conn.ClientID(ctx).Result(); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		s.conn = conn
	}
	finished := make(chan struct{})
	var unblocking sync.WaitGroup
	unblocking.Go(func() { s.unblock(ctx, s.connID, finished) })
	found, err = s.conn.XRead(ctx, args).Result()
	close(finished)
	unblocking.Wait()
	if err != nil && !errors.Is(err, redis.Nil) {
		_ = s.conn.Close() // it is broken, or as good as new in the next round
		s.conn = nil
	}
	return found, err
}

// unblock ends the blocking read of a connection when the set of streams has changed.
// The command does nothing if it comes before the read, so it is repeated.
func (s *streams) unblock(ctx context.Context, id int64, finished <-chan struct{}) {
	select {
	case <-s.changed:
	case <-finished:
		return
	}
	for {
		if err := s.client.ClientUnblock(ctx, id).Err(); err != nil {
			return // not allowed, or Redis is away: the read ends by its own time
		}
		select {
		case <-finished:
			return
		case <-time.After(unblockPause):
		}
	}
}

// begin fixes the position from which a stream is followed, and reads its newest
// entries.
func (s *streams) begin(ctx context.Context, f *streamFollowing) error {
	newest, state, err := s.newest(ctx, f.name)
	if isWrongType(err) {
		f.failed = fmt.Errorf("%w: %s is not a stream", ErrWrongType, f.topic)
		close(f.ready)
		return nil
	}
	if err != nil {
		return err
	}
	after := state.Last
	switch {
	case len(newest) > 0 && newest[0].ID.Compare(state.First) > 0:
		after = newest[0].ID.Prev()
	case state.Added == state.Length && state.Deleted.IsZero():
		after = ID{} // nothing was ever taken away
	case len(newest) > 0:
		after = state.First.Prev()
	}
	f.sink.Begin(after)
	for _, e := range newest {
		f.deliver(e)
	}
	f.last, f.count, f.begun = state.Last, state.Added, true
	close(f.ready)
	return nil
}

// newest returns the newest entries of a stream, oldest first, as many as fill allows,
// and the state of the stream when the last of them was the newest.
func (s *streams) newest(ctx context.Context, name string) ([]Entry, StreamState, error) {
	var state StreamState
	var entries []Entry // newest first
	bytes := 0
	r := Range{UpTo: MaxID, Count: fillPage, Newest: true}
	for {
		page, err := s.page(ctx, name, r)
		if err != nil {
			return nil, state, err
		}
		if r.UpTo == MaxID {
			state = page.State
		}
		for _, e := range page.Entries {
			entries = append(entries, e)
			bytes += len(e.Data)
			r.UpTo = e.ID.Prev()
		}
		if len(page.Entries) < fillPage || len(entries) >= s.fill.Events || bytes >= s.fill.Bytes {
			slices.Reverse(entries)
			return entries, state, nil
		}
	}
}

// read takes what a stream has behind the last entry that was read.
func (s *streams) read(ctx context.Context, f *streamFollowing) error {
	for f.failed == nil {
		// The last entry is read once more: that it is there shows that the stream is the same.
		page, err := s.page(ctx, f.name, Range{After: f.last.Prev(), UpTo: MaxID, Count: streamBatch + 1})
		f.wrong = isWrongType(err)
		if err != nil && !f.wrong {
			return err
		}
		same := !f.last.IsZero() && len(page.Entries) > 0 && page.Entries[0].ID == f.last
		if same {
			page.Entries = page.Entries[1:]
		}
		page.Entries = page.Entries[:min(len(page.Entries), streamBatch)]
		again, err := s.restarted(ctx, f, page.State, same)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		f.take(page)
		if len(page.Entries) < streamBatch {
			break
		}
	}
	return nil
}

// page implements [Source.Range].
func (s *streams) page(ctx context.Context, name string, r Range) (Page, error) {
	var found []redis.XMessage
	state, err := s.transact(ctx, name, func(tx redis.Pipeliner) func() error {
		after := "(" + r.After.String()
		switch r.After {
		case ID{}:
			after = "-"
		case MaxID:
			after = "+" // nothing comes after it, and Redis would not take it as a limit
		}
		cmd := tx.XRangeN(ctx, name, after, r.UpTo.String(), int64(r.Count))
		if r.Newest {
			cmd = tx.XRevRangeN(ctx, name, r.UpTo.String(), after, int64(r.Count))
		}
		return func() (err error) { found, err = cmd.Result(); return err }
	})
	if err != nil {
		return Page{}, err
	}
	page := Page{State: state, Entries: make([]Entry, len(found))}
	for i, m := range found {
		page.Entries[i] = entryOf(m)
	}
	return page, nil
}

// transact runs a read together with XINFO STREAM, at one moment.
func (s *streams) transact(ctx context.Context, name string, read func(redis.Pipeliner) func() error) (StreamState, error) {
	var info *redis.XInfoStreamCmd
	var result func() error
	_, err := s.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		result = read(tx)
		info = tx.XInfoStream(ctx, name)
		return nil
	})
	if isNoSuchKey(info.Err()) {
		return StreamState{}, nil
	}
	if isWrongType(err) {
		return StreamState{}, ErrWrongType
	}
	if err != nil {
		return StreamState{}, fmt.Errorf("reading the stream %q: %w", name, err)
	}
	if err := result(); err != nil {
		return StreamState{}, err
	}
	return stateOf(info.Val()), nil
}
