// Package tracking reports changes of Redis keys by client-side caching: Redis sends an
// invalidation for each change of a key that a connection tracks. The package knows keys
// and prefixes; values are read by its callers.
package tracking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnavailable is wrapped by errors that pass when Redis can be reached again.
	ErrUnavailable = errors.New("key tracking is unavailable")
	// ErrForbidden is wrapped by errors of commands that the ACL of the Redis user forbids.
	ErrForbidden = errors.New("redis does not allow key tracking")
	// ErrUnsupported is wrapped by errors of servers and proxies without CLIENT TRACKING.
	ErrUnsupported = errors.New("redis does not support key tracking")
)

// Watcher receives the changes of one key, or of the keys with one prefix. Its methods must
// not block. A call in progress may still arrive after a watch was closed.
type Watcher interface {
	// Invalidated reports that a key may have changed.
	Invalidated(key string)
	// All reports that every watched key may have changed. It is called first when the watch
	// becomes live.
	All()
}

// Master is a Redis server that accepts writes.
type Master struct {
	ID, Addr string
	// Tag is a hash tag of a slot that the master owns, empty if it is not part of a cluster.
	Tag string
}

// Options are the settings of a [Tracker].
type Options struct {
	// ProbePrefix begins the names of the keys that prove the path. No other process uses it on the
	// same Redis.
	ProbePrefix string
	// Connection returns the settings of connections to an address.
	Connection func(addr string) *redis.Options
	// Reconnects counts the broken sessions that were replaced.
	Reconnects *atomic.Int64
	// Refresh is called when a master does not own a key. It must not block.
	Refresh func()
	Log     *slog.Logger
}

// Tracker holds a session per master, opened for its first watch. Its methods do no network
// I/O and may be called from any goroutine.
type Tracker struct {
	options Options
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session
	owner    func(key string) (id string, ok bool) // nil before SetMasters
	watches  map[*Watch]struct{}
}

// Watch is the watching of one key or prefix.
type Watch struct {
	tracker *Tracker
	watcher Watcher
	name    string
	prefix  bool // name is a prefix

	// Guarded by tracker.mu.
	nodes   map[*session]*nodeState
	changed chan struct{} // closed when any of this changes
}

// nodeState is the state of a watch on one master.
type nodeState struct {
	live bool
	err  error // of the key alone
}

// New returns a tracker without masters.
func New(options Options) *Tracker {
	return &Tracker{options: options, sessions: make(map[string]*session), watches: make(map[*Watch]struct{})}
}

// SetMasters replaces the masters. owner returns the id of the one among them that owns a key.
// Every watch of a prefix reports All, as does each key that has a new owner.
func (t *Tracker) SetMasters(masters []Master, owner func(key string) (id string, ok bool)) {
	t.mu.Lock()
	t.owner = owner
	old := t.sessions
	t.sessions = make(map[string]*session, len(masters))
	for _, m := range masters {
		s := old[m.ID]
		if s == nil || s.addr != m.Addr {
			s = newSession(t, m.Addr)
		} else {
			delete(old, m.ID)
		}
		s.tag = m.Tag
		t.sessions[m.ID] = s
	}
	var watchers []Watcher
	for w := range t.watches {
		t.place(w)
		if w.prefix {
			watchers = append(watchers, w.watcher)
		}
	}
	t.mu.Unlock()
	for _, s := range old {
		s.stop()
	}
	for _, w := range watchers {
		w.All()
	}
}

// WatchKey watches one key.
func (t *Tracker) WatchKey(key string, watcher Watcher) *Watch {
	return t.watch(&Watch{watcher: watcher, name: key})
}

// WatchPrefix watches all keys that begin with a prefix. The watcher may receive others too.
func (t *Tracker) WatchPrefix(prefix string, watcher Watcher) *Watch {
	return t.watch(&Watch{watcher: watcher, name: prefix, prefix: true})
}

func (t *Tracker) watch(w *Watch) *Watch {
	w.tracker, w.nodes, w.changed = t, make(map[*session]*nodeState), make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watches[w] = struct{}{}
	t.place(w)
	return w
}

// place puts a watch on the masters that have its keys. mu must be held.
func (t *Tracker) place(w *Watch) {
	if t.closed {
		return
	}
	var wanted []*session
	if w.prefix {
		wanted = slices.Collect(maps.Values(t.sessions))
	} else if t.owner != nil {
		if id, ok := t.owner(w.name); ok {
			wanted = append(wanted, t.sessions[id])
		}
	}
	for s := range w.nodes {
		if !slices.Contains(wanted, s) {
			delete(w.nodes, s)
			s.remove(w)
		}
	}
	for _, s := range wanted {
		if w.nodes[s] == nil {
			w.nodes[s] = new(nodeState)
			s.add(w)
		}
	}
	w.signal()
}

// signal wakes the callers of Live. The mutex of the tracker must be held.
func (w *Watch) signal() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Live waits until Redis tracks the watch on every master that has its keys. It returns an
// error that wraps one of this package, or the context's.
func (w *Watch) Live(ctx context.Context) error {
	for {
		live, changed, err := w.state()
		if live || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *Watch) state() (live bool, changed <-chan struct{}, err error) {
	t := w.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.watches[w]; !open || t.closed {
		return false, nil, fmt.Errorf("%w: the watch is closed", ErrUnavailable)
	}
	if t.owner != nil && len(w.nodes) == 0 {
		return false, nil, fmt.Errorf("%w: no master has the key", ErrUnavailable)
	}
	live = len(w.nodes) > 0
	for s, n := range w.nodes {
		if n.live {
			continue
		}
		live = false
		if err = cmp.Or(n.err, s.err); err != nil {
			break
		}
	}
	return live, w.changed, err
}

// Close ends the watch.
func (w *Watch) Close() {
	t := w.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.watches, w)
	for s := range w.nodes {
		s.remove(w)
	}
	w.nodes = nil
	w.signal()
}

// Sync returns when every change of a watched prefix that Redis made before the call has
// been reported.
func (t *Tracker) Sync(ctx context.Context) error {
	t.mu.Lock()
	var waiting []chan error
	for _, s := range t.sessions {
		if s.cancel != nil {
			waiting = append(waiting, s.sync())
		}
	}
	t.mu.Unlock()
	for _, done := range waiting {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends all sessions. No watcher is called after it has returned.
func (t *Tracker) Close() {
	t.mu.Lock()
	t.closed = true
	for _, s := range t.sessions {
		s.stop()
	}
	for w := range t.watches {
		w.signal()
	}
	t.mu.Unlock()
	t.running.Wait()
}

// classify wraps an error of Redis in one of this package.
func classify(err error) error {
	answer, isAnswer := errors.AsType[redis.Error](err)
	if !isAnswer {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	text := answer.Error()
	switch {
	case strings.HasPrefix(text, "NOPERM"):
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	case strings.HasPrefix(text, "ERR unknown"), strings.HasPrefix(text, "ERR Unknown"),
		strings.HasPrefix(text, "ERR syntax"), strings.Contains(text, "not supported"), strings.Contains(text, "unsupported"):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
