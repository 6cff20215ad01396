package redis

import (
	"context"
	"errors"
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

	mu sync.Mutex // held while a reader starts and while the context is canceled
}

// keyWork is the set of keys to read for one topic.
type keyWork struct {
	all   bool // every key that matches, and every key that did
	names map[string]struct{}
	done  []chan struct{} // closed after the read
}

// keyFollowing implements [source.Following] and [tracking.Watcher].
type keyFollowing struct {
	owner  *keys
	topic  event.Topic
	glob   event.Glob
	sink   source.Sink
	watch  *tracking.Watch
	cancel context.CancelFunc
	wake   chan struct{} // signals that there is work

	mu      sync.Mutex
	work    keyWork
	ready   chan struct{} // closed while isReady is set
	isReady bool          // the state since the last call of All was delivered, or failed is set
	failed  error         // why the topic is not live

	// Used by the reader alone.
	shown     bool              // a state was delivered
	values    map[string]uint64 // hashes of the delivered values, by name
	forbidden int               // keys of the glob that Redis did not let this user read
	stale     staleKeys
}

// staleKeys are keys of a glob that Redis forbids since their value was delivered. They are read
// again until that is allowed, since there may be no other change.
type staleKeys struct {
	names map[string]struct{}
	wait  *backoff.ExponentialBackOff
	due   <-chan time.Time // of the next attempt; nil without stale keys
}

func newStaleKeys() staleKeys {
	s := staleKeys{names: make(map[string]struct{}), wait: backoff.NewExponentialBackOff()}
	s.wait.InitialInterval, s.wait.MaxInterval = time.Second, 30*time.Second
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
	k.cancel()
	k.mu.Unlock()
	k.running.Wait()
}

func (k *keys) follow(topic event.Topic, sink source.Sink) source.Following {
	ctx, cancel := context.WithCancel(k.ctx)
	f := &keyFollowing{
		owner: k, topic: topic, glob: event.CompileGlob(topic.Pattern), sink: sink, cancel: cancel,
		wake: make(chan struct{}, 1), ready: make(chan struct{}),
		work: newKeyWork(), values: make(map[string]uint64), stale: newStaleKeys(),
	}
	if topic.IsGlob() {
		f.watch = k.tracker.WatchPrefix(literalPrefix(topic.Pattern), f)
	} else {
		f.watch = k.tracker.WatchKey(topic.Name(), f)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() == nil {
		k.running.Go(func() { f.run(ctx) })
	}
	return f
}

// literalPrefix returns the text with which all names begin that match a glob.
func literalPrefix(pattern string) string {
	var prefix []byte
	for i := 0; i < len(pattern) && !strings.ContainsRune("*?[", rune(pattern[i])); i++ {
		if pattern[i] == '\\' && i+1 < len(pattern) {
			i++
		}
		prefix = append(prefix, pattern[i])
	}
	return string(prefix)
}

func newKeyWork() keyWork {
	return keyWork{names: make(map[string]struct{})}
}

func (w *keyWork) finish() {
	for _, done := range w.done {
		close(done)
	}
}

func (f *keyFollowing) All() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return
	}
	if f.isReady {
		f.isReady, f.ready = false, make(chan struct{})
	}
	f.work.all = true
	signal(f.wake)
}

func (f *keyFollowing) Invalidated(name string) {
	if strings.HasPrefix(name, source.InternalPrefix) || !f.glob.Match(name) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.work.names[name] = struct{}{}
	signal(f.wake)
}

func (f *keyFollowing) Close() {
	f.watch.Close()
	f.cancel()
}

func (f *keyFollowing) Live(ctx context.Context) error {
	if err := f.watch.Live(ctx); err != nil {
		return sourceError(err)
	}
	f.mu.Lock()
	ready := f.ready
	f.mu.Unlock()
	if err := await(ctx, ready); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (*keyFollowing) Exists(context.Context) (bool, error) { return true, nil }

// Sync reads a literal key again. A glob waits for Redis's report of the keys that changed before the
// call, and reads these.
func (f *keyFollowing) Sync(ctx context.Context) error {
	if f.topic.IsGlob() {
		if err := f.owner.tracker.Sync(ctx); err != nil {
			return sourceError(err)
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
	signal(f.wake)
	f.mu.Unlock()
	return await(ctx, done)
}

// run reads keys until the context ends.
func (f *keyFollowing) run(ctx context.Context) {
	wait := reconnect.Delays()
	failed := false
	f.sink.Begin(source.Position{})
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
		err := f.show(ctx, &w)
		switch {
		case err == nil:
			w.finish()
			failed = false
			wait.Reset()
			f.stale.schedule()
			continue
		case errors.Is(err, source.ErrTooManyKeys), errors.Is(err, source.ErrForbidden):
			f.fail(err)
			w.finish()
			return
		case !failed && ctx.Err() == nil:
			f.owner.log.Warn("keys cannot be read; trying again", "topic", f.topic.String(), "error", err)
		}
		failed = true
		f.putBack(w)
		reconnect.Wait(ctx, wait.NextBackOff())
	}
}

// putBack returns work that failed.
func (f *keyFollowing) putBack(w keyWork) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.work.all = f.work.all || w.all
	f.work.done = append(f.work.done, w.done...)
	maps.Copy(f.work.names, w.names)
	signal(f.wake)
}
