package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis/reconnect"
	"sluice/internal/source/redis/tracking"
)

// keys follows the values of keys. Redis reports a change without the new value, so a key is
// read again after each; all changes during a read cost one more read. Each topic has its own
// reader, so a large value delays no other topic.
type keys struct {
	client     redis.UniversalClient
	tracker    *tracking.Tracker
	unreadable func() // see [Options.KeyUnreadable]
	log        *slog.Logger
	ctx        context.Context // of the readers
	cancel     context.CancelFunc
	running    sync.WaitGroup

	mu     sync.Mutex // held while a reader starts
	closed bool
}

// keyWork is the set of keys to read for one topic.
type keyWork struct {
	all   bool // every key that matches, and every key that did
	names map[string]struct{}
	done  []chan struct{} // closed after the read
}

type keyFollowing struct {
	owner  *keys
	topic  event.Topic
	glob   event.Glob
	sink   source.Sink
	watch  *tracking.Watch
	cancel context.CancelFunc
	wake   chan struct{} // signals that there is work

	mu     sync.Mutex
	work   keyWork
	round  int           // counts the calls of All
	shown  int           // the round whose state was delivered
	ready  chan struct{} // closed when shown reaches round, or failed is set
	failed error         // why the topic is not live

	// Used by the reader alone.
	begun     bool
	values    map[string]value // that were delivered, by name
	forbidden int              // keys of the glob that Redis did not let this user read
	stale     staleKeys
}

// staleKeys are keys of a glob that Redis forbids since their value was delivered. They are read
// again until that is allowed, since there may be no other change.
type staleKeys struct {
	names map[string]struct{}
	wait  *backoff.ExponentialBackOff
	due   <-chan time.Time // of the next attempt; nil without stale keys
}

const (
	staleFirst  = time.Second
	staleAtMost = 30 * time.Second
)

func newStaleKeys() staleKeys {
	s := staleKeys{names: make(map[string]struct{}), wait: backoff.NewExponentialBackOff()}
	s.wait.InitialInterval, s.wait.MaxInterval = staleFirst, staleAtMost
	return s
}

// schedule sets the time of the next attempt.
func (s *staleKeys) schedule() {
	switch {
	case len(s.names) == 0:
		s.due = nil
		s.wait.Reset()
	case s.due == nil:
		s.due = time.After(s.wait.NextBackOff())
	}
}

func newKeys(client redis.UniversalClient, tracker *tracking.Tracker, unreadable func(), log *slog.Logger) *keys {
	k := &keys{client: client, tracker: tracker, unreadable: unreadable, log: log}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

func (k *keys) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.running.Wait()
}

func (k *keys) follow(topic event.Topic, sink source.Sink) source.Following {
	ctx, cancel := context.WithCancel(k.ctx)
	f := &keyFollowing{
		owner: k, topic: topic, glob: event.CompileGlob(topic.Pattern), sink: sink, cancel: cancel,
		wake: make(chan struct{}, 1), ready: make(chan struct{}),
		work: newKeyWork(), values: make(map[string]value), stale: newStaleKeys(),
	}
	if topic.IsGlob() {
		f.watch = k.tracker.WatchPrefix(literalPrefix(topic.Pattern), f)
	} else {
		f.watch = k.tracker.WatchKey(topic.Name(), f)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.running.Go(func() { f.run(ctx) })
	}
	return f
}

// literalPrefix returns the text with which all names begin that match a glob.
func literalPrefix(pattern string) string {
	var prefix []byte
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*', '?', '[':
			return string(prefix)
		case '\\':
			if i++; i == len(pattern) {
				return string(prefix)
			}
		}
		prefix = append(prefix, pattern[i])
	}
	return string(prefix)
}

func newKeyWork() keyWork {
	return keyWork{names: make(map[string]struct{})}
}

// All implements [tracking.Watcher].
func (f *keyFollowing) All() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return
	}
	if f.shown == f.round && f.round > 0 {
		f.ready = make(chan struct{})
	}
	f.round++
	f.work.all = true
	f.signal()
}

// Invalidated implements [tracking.Watcher].
func (f *keyFollowing) Invalidated(name string) {
	if strings.HasPrefix(name, source.InternalPrefix) || !f.matches(name) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.work.names[name] = struct{}{}
	f.signal()
}

func (f *keyFollowing) matches(name string) bool {
	if f.topic.IsGlob() {
		return f.glob.Match(name)
	}
	return name == f.topic.Name()
}

// signal wakes the reader.
func (f *keyFollowing) signal() {
	select {
	case f.wake <- struct{}{}:
	default: // it is awake
	}
}

// Close implements [source.Following].
func (f *keyFollowing) Close() {
	f.watch.Close()
	f.cancel()
}

// Live implements [source.Following].
func (f *keyFollowing) Live(ctx context.Context) error {
	if err := f.watch.Live(ctx); err != nil {
		return trackingError(err)
	}
	f.mu.Lock()
	ready, failed := f.ready, f.failed
	f.mu.Unlock()
	if failed != nil {
		return failed
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// trackingError wraps an error of key tracking in the one of this package.
func trackingError(err error) error {
	switch {
	case errors.Is(err, tracking.ErrForbidden):
		return fmt.Errorf("%w: %w", source.ErrForbidden, err)
	case errors.Is(err, tracking.ErrUnsupported):
		return fmt.Errorf("%w: key topics need CLIENT TRACKING with REDIRECT, which this server or proxy refuses: %w", source.ErrUnsupported, err)
	case errors.Is(err, tracking.ErrUnavailable):
		return fmt.Errorf("%w: %w", source.ErrUnavailable, err)
	}
	return err
}

// Exists implements [source.Following].
func (*keyFollowing) Exists(context.Context) (bool, error) { return true, nil }

// Sync implements [source.Following]. A literal key is read again. A glob waits for Redis's report of
// the keys that changed before the call, and reads these.
func (f *keyFollowing) Sync(ctx context.Context) error {
	if f.topic.IsGlob() {
		if err := f.owner.tracker.Sync(ctx); err != nil {
			return trackingError(err)
		}
	}
	done := make(chan struct{})
	f.mu.Lock()
	if f.failed != nil {
		f.mu.Unlock()
		return f.failed
	}
	if !f.topic.IsGlob() {
		f.work.names[f.topic.Name()] = struct{}{}
	}
	f.work.done = append(f.work.done, done)
	f.signal()
	f.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run reads keys until the context ends.
func (f *keyFollowing) run(ctx context.Context) {
	wait := reconnect.Delays()
	failed := false
	for ctx.Err() == nil {
		attempt := false
		select {
		case <-f.wake:
		case <-f.stale.due:
			f.stale.due, attempt = nil, true
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		w := f.work
		f.work = newKeyWork()
		f.mu.Unlock()
		if attempt {
			maps.Copy(w.names, f.stale.names)
		}
		if !f.begun {
			f.begun = true
			f.sink.Begin(source.Position{})
		}
		err := f.show(ctx, &w)
		if err == nil {
			for _, done := range w.done {
				close(done)
			}
			if f.ended() {
				return
			}
			failed = false
			wait.Reset()
			f.stale.schedule()
			continue
		}
		if !failed && ctx.Err() == nil {
			f.owner.log.Warn("keys cannot be read; trying again", "topic", f.topic.String(), "error", err)
		}
		failed = true
		f.putBack(w)
		reconnect.Wait(ctx, wait.NextBackOff())
	}
}

// ended reports whether the topic failed.
func (f *keyFollowing) ended() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed != nil
}

// putBack returns work that failed.
func (f *keyFollowing) putBack(w keyWork) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.work.all = f.work.all || w.all
	f.work.done = append(f.work.done, w.done...)
	for name := range w.names {
		f.work.names[name] = struct{}{}
	}
	f.signal()
}
