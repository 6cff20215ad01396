package tracking

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"
)

const (
	// probeInterval is the time between two probes, and between two attempts to track a key
	// that Redis refused.
	probeInterval = 2 * time.Second
	// probePatience bounds the time in which a probe must return.
	probePatience = 3 * probeInterval
	// trackBatch bounds the keys of one pipeline.
	trackBatch = 512
	// syncProbes is how many probes must return before earlier changes have been reported:
	// Redis sends the changes of one moment in the order of their prefixes.
	syncProbes = 2

	reconnectFirst  = 100 * time.Millisecond
	reconnectAtMost = 2 * time.Second
)

var errNoProbe = errors.New("no invalidation arrived for a key that was written")

// session tracks the keys of one master.
type session struct {
	tracker *Tracker
	cancel  context.CancelFunc // nil before the first watch
	work    chan struct{}      // signals that there is something to do

	// Guarded by tracker.mu.
	master   Master
	err      error // why there is no connection; nil before the first attempt
	up       bool  // the first probe has returned
	keys     map[string]*key
	globs    map[*Watch]struct{}
	queue    []*key
	unread   bool // globs has watches that are not live
	probe    probe
	waiting  []waiter // of Sync
	reported bool     // err was logged

	established bool // there has been a connection
}

// key is a literal key on one master.
type key struct {
	name    string
	watches map[*Watch]struct{}
	queued  bool
	refused bool // by the last answer
}

// probe is the state of the path: a key of the literal tracker and one of the glob tracker
// are written together, and both must return.
type probe struct {
	sent          time.Time // zero if none is under way
	last          time.Time // when the last one was sent
	literal, glob bool      // returned
}

// waiter is a call of Sync.
type waiter struct {
	probes int // that must still return
	done   chan error
}

func newSession(t *Tracker, m Master) *session {
	return &session{
		tracker: t, master: m, work: make(chan struct{}, 1),
		keys: make(map[string]*key), globs: make(map[*Watch]struct{}),
	}
}

// add adds a watch, and starts the session if it is the first. The mutex of the tracker
// must be held, as for all methods up to run.
func (s *session) add(w *Watch) {
	if w.prefix {
		s.globs[w] = struct{}{}
		s.unread = true
	} else {
		k := s.keys[w.name]
		if k == nil {
			k = &key{name: w.name, watches: make(map[*Watch]struct{})}
			s.keys[w.name] = k
		}
		k.watches[w] = struct{}{}
		s.enqueue(k)
	}
	if s.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		s.tracker.running.Go(func() { s.run(ctx) })
	}
	s.signal()
}

func (s *session) remove(w *Watch) {
	delete(s.globs, w)
	if k := s.keys[w.name]; k != nil && !w.prefix {
		delete(k.watches, w)
		if len(k.watches) == 0 {
			delete(s.keys, w.name)
		}
	}
}

func (s *session) enqueue(k *key) {
	if !k.queued {
		k.queued = true
		s.queue = append(s.queue, k)
	}
}

func (s *session) signal() {
	select {
	case s.work <- struct{}{}:
	default: // the session is about to look
	}
}

// sync returns a channel that receives the result of a [Tracker.Sync] on this master. A
// probe that is under way may have been sent before the call.
func (s *session) sync() chan error {
	w := waiter{probes: syncProbes, done: make(chan error, 1)}
	switch {
	case s.err != nil:
		w.done <- s.err
		return w.done
	case !s.probe.sent.IsZero():
		w.probes++
	}
	s.waiting = append(s.waiting, w)
	s.signal()
	return w.done
}

func (s *session) stop() {
	if s.cancel != nil {
		s.cancel()
	}
}

// names returns the keys of the probe. That of the literal tracker sorts first, so that a
// glob of all keys, which reports both, reports it no later.
func (s *session) names() (literal, glob string) {
	prefix := s.probePrefix()
	if s.master.Tag != "" {
		prefix += "{" + s.master.Tag + "}"
	}
	return prefix + ":a", prefix + ":b"
}

func (s *session) probePrefix() string {
	return s.tracker.options.ProbePrefix + s.tracker.options.Node + ":"
}

// run keeps a connection until the context ends.
func (s *session) run(ctx context.Context) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = reconnectFirst, reconnectAtMost
	for ctx.Err() == nil {
		err := s.serve(ctx)
		if s.down(ctx, err) {
			wait.Reset()
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
	s.down(ctx, ctx.Err())
}

// serve opens a connection and works on it until it breaks.
func (s *session) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := s.tracker
	c, err := connect(ctx, t.options.Connection(s.address()))
	if err != nil {
		return err
	}
	defer c.close()
	received := make(chan error, 1)
	go func() {
		received <- s.receiveAll(ctx, c)
		cancel()
	}()
	defer func() {
		_ = c.target.Close() // ends receiveAll
		<-received           //nolint:errcheck // the error of a connection that this closed
	}()
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for tidy := true; ; {
		if err := s.step(ctx, c, tidy); err != nil {
			return err
		}
		tidy = false
		select {
		case <-s.work:
		case <-tick.C:
			tidy = true
			s.retryRefused()
		case <-ctx.Done():
			select {
			case err := <-received:
				received <- err
				return err
			default:
				return ctx.Err()
			}
		}
	}
}

func (s *session) address() string {
	s.tracker.mu.Lock()
	defer s.tracker.mu.Unlock()
	return s.master.Addr
}

// step sends the commands that are due. Nothing is tracked before the first probe has
// returned, so that a watch is live only on a path that works.
func (s *session) step(ctx context.Context, c *connection, tidy bool) error {
	if err := s.trackGlobs(ctx, c, tidy); err != nil {
		return err
	}
	if err := s.sendProbe(ctx, c); err != nil {
		return err
	}
	for {
		batch := s.nextBatch()
		if len(batch) == 0 {
			return nil
		}
		if err := s.trackKeys(ctx, c, batch); err != nil {
			return err
		}
	}
}

// trackGlobs tracks the prefixes of all globs. Prefixes without a watch are dropped if tidy
// is set.
func (s *session) trackGlobs(ctx context.Context, c *connection, tidy bool) error {
	t := s.tracker
	t.mu.Lock()
	prefixes := []string{s.probePrefix()}
	watches := make([]*Watch, 0, len(s.globs))
	missing := false
	for w := range s.globs {
		prefixes = append(prefixes, w.name)
		watches = append(watches, w)
		missing = missing || !covered(w.name, c.prefixes)
	}
	fresh := s.up && s.unread
	if fresh {
		s.unread = false
	}
	t.mu.Unlock()
	if missing || tidy || len(c.prefixes) == 0 {
		merged := mergePrefixes(prefixes, maxPrefixes)
		if !slices.Equal(merged, c.prefixes) {
			if err := c.setPrefixes(ctx, merged); err != nil {
				return err
			}
		}
	}
	if fresh {
		s.globsLive(watches)
	}
	return nil
}

// globsLive makes watches live that are not.
func (s *session) globsLive(watches []*Watch) {
	var watchers []Watcher
	s.tracker.mu.Lock()
	for _, w := range watches {
		if n := w.nodes[s]; n != nil && !n.live {
			n.live = true
			watchers = append(watchers, w.watcher)
		}
	}
	s.tracker.mu.Unlock()
	for _, w := range watchers {
		w.All()
	}
	s.tracker.mu.Lock()
	for _, w := range watches {
		w.signal()
	}
	s.tracker.mu.Unlock()
}

// sendProbe writes both keys of the probe if one is due, and reports a probe that did not
// return.
func (s *session) sendProbe(ctx context.Context, c *connection) error {
	t := s.tracker
	t.mu.Lock()
	now := time.Now()
	if !s.probe.sent.IsZero() {
		late := now.Sub(s.probe.sent) > probePatience
		t.mu.Unlock()
		if late {
			return errNoProbe
		}
		return nil
	}
	if len(s.waiting) == 0 && now.Sub(s.probe.last) < probeInterval*3/4 {
		t.mu.Unlock()
		return nil
	}
	s.probe = probe{sent: now, last: now}
	literal, glob := s.names()
	t.mu.Unlock()
	_, err := c.literal.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Type(ctx, literal)
		p.Set(ctx, literal, "", 10*probePatience)
		p.Set(ctx, glob, "", 10*probePatience)
		return nil
	})
	if !isRouting(err) {
		return err
	}
	t.options.Refresh() // which brings another tag
	t.mu.Lock()
	s.probe.sent = time.Time{}
	t.mu.Unlock()
	return nil
}

// nextBatch removes keys from the queue.
func (s *session) nextBatch() []*key {
	s.tracker.mu.Lock()
	defer s.tracker.mu.Unlock()
	if !s.up {
		return nil
	}
	var batch []*key
	for len(s.queue) > 0 && len(batch) < trackBatch {
		k := s.queue[0]
		s.queue = s.queue[1:]
		k.queued = false
		if s.keys[k.name] == k {
			batch = append(batch, k)
		}
	}
	return batch
}

// trackKeys reads the types of keys, which makes Redis report their next change, and
// reports the keys as changed.
func (s *session) trackKeys(ctx context.Context, c *connection, batch []*key) error {
	answers := make([]*redis.StatusCmd, len(batch))
	_, err := c.literal.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range batch {
			answers[i] = p.Type(ctx, k.name)
		}
		return nil
	})
	var answer redis.Error
	if err != nil && !errors.As(err, &answer) {
		return err
	}
	routing := false
	for i, k := range batch {
		err := answers[i].Err()
		routing = routing || isRouting(err)
		s.tracked(k, err)
	}
	if routing {
		s.tracker.options.Refresh()
	}
	return nil
}

// tracked handles the answer for one key. A key that another master is about to own is
// reported as changed until the masters are known again.
func (s *session) tracked(k *key, err error) {
	t := s.tracker
	var fresh []*Watch
	var watchers []Watcher
	t.mu.Lock()
	k.refused = err != nil
	for w := range k.watches {
		n := w.nodes[s]
		switch {
		case n == nil:
			continue
		case err != nil && !isRouting(err):
			n.live, n.err = false, classify(err)
			w.signal()
		case err == nil && !n.live:
			n.live, n.err = true, nil
			fresh = append(fresh, w)
			continue
		}
		watchers = append(watchers, w.watcher)
	}
	t.mu.Unlock()
	for _, w := range watchers {
		w.Invalidated(k.name)
	}
	for _, w := range fresh {
		w.watcher.All()
	}
	t.mu.Lock()
	for _, w := range fresh {
		w.signal()
	}
	t.mu.Unlock()
}

// retryRefused enqueues the keys that Redis refused.
func (s *session) retryRefused() {
	s.tracker.mu.Lock()
	defer s.tracker.mu.Unlock()
	for _, k := range s.keys {
		if k.refused {
			s.enqueue(k)
		}
	}
}

// isRouting reports whether an answer means that another master owns the key, or none does
// for now.
func isRouting(err error) bool {
	if err == nil {
		return false
	}
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	return moved || ask || redis.IsTryAgainError(err) || redis.IsClusterDownError(err)
}

// receiveAll reads invalidations until the connection breaks.
func (s *session) receiveAll(ctx context.Context, c *connection) error {
	for {
		keys, all, err := c.receive(ctx)
		switch {
		case err != nil:
			return err
		case all:
			s.flushed()
		default:
			s.invalidated(keys)
		}
	}
}

// invalidated reports changes to globs at once, and tracks literal keys again before it
// reports them.
func (s *session) invalidated(keys []string) {
	t := s.tracker
	t.mu.Lock()
	for _, name := range keys {
		if k := s.keys[name]; k != nil {
			s.enqueue(k)
			s.signal()
		}
	}
	watches := make([]*Watch, 0, len(s.globs))
	for w := range s.globs {
		if n := w.nodes[s]; n != nil && n.live {
			watches = append(watches, w)
		}
	}
	t.mu.Unlock()
	for _, name := range keys {
		for _, w := range watches {
			w.watcher.Invalidated(name)
		}
	}
	s.probed(keys)
}

// probed notes the keys of the probe among changed keys.
func (s *session) probed(keys []string) {
	t := s.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	literal, glob := s.names()
	p := &s.probe
	for _, name := range keys {
		p.literal = p.literal || name == literal
		p.glob = p.glob || name == glob
	}
	if p.sent.IsZero() || !p.literal || !p.glob {
		return
	}
	p.sent = time.Time{}
	p.literal, p.glob = false, false
	s.reachable()
	kept := s.waiting[:0]
	for _, w := range s.waiting {
		if w.probes--; w.probes > 0 {
			kept = append(kept, w)
		} else {
			w.done <- nil
		}
	}
	s.waiting = kept
	s.signal()
}

// reachable notes that the path works. The mutex of the tracker must be held.
func (s *session) reachable() {
	if s.up {
		return
	}
	if s.established {
		s.tracker.options.Reconnected()
	}
	s.established = true
	s.up, s.unread, s.err, s.reported = true, true, nil, false
	for _, k := range s.keys {
		s.enqueue(k)
	}
}

// flushed handles the deletion of all keys, with which Redis forgets the keys it tracks.
func (s *session) flushed() {
	t := s.tracker
	t.mu.Lock()
	for _, k := range s.keys {
		s.enqueue(k)
	}
	var watchers []Watcher
	for w := range s.globs {
		watchers = append(watchers, w.watcher)
	}
	p := &s.probe
	if !p.sent.IsZero() { // its key is no longer tracked
		p.sent, p.last = time.Time{}, time.Time{}
		p.literal, p.glob = false, false
	}
	s.signal()
	t.mu.Unlock()
	for _, w := range watchers {
		w.All()
	}
}

// down notes that there is no connection, and reports whether there was one.
func (s *session) down(ctx context.Context, err error) (wasUp bool) {
	t := s.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	wasUp = s.up
	s.up, s.probe, s.err = false, probe{}, classify(err)
	s.queue = nil
	for _, w := range s.waiting {
		w.done <- s.err
	}
	s.waiting = nil
	for _, k := range s.keys {
		k.queued = false
		for w := range k.watches {
			s.interrupt(w)
		}
	}
	for w := range s.globs {
		s.interrupt(w)
	}
	if ctx.Err() == nil && (wasUp || !s.reported) {
		s.reported = true
		t.options.Log.Warn("redis key tracking is interrupted; trying again", "error", s.err)
	}
	return wasUp
}

func (s *session) interrupt(w *Watch) {
	if n := w.nodes[s]; n != nil {
		n.live = false
		w.signal()
	}
}
