package tracking

import (
	"context"
	"sync"
	"time"

	"sluice/internal/source/redis/reconnect"
)

// session tracks the keys of one master.
type session struct {
	tracker *Tracker
	addr    string
	cancel  context.CancelFunc // nil before the first watch
	work    chan struct{}      // signals that there is something to do

	// Guarded by tracker.mu.
	tag     string // of the [Master]
	err     error  // of the last failed connection; nil before the first attempt
	up      bool   // the first probe has returned
	keys    map[string]*key
	globs   map[*Watch]struct{}
	queue   []*key
	probe   probe
	waiting []waiter // of Sync

	established bool // there has been a connection
}

// key is a literal key on one master.
type key struct {
	name    string
	watches map[*Watch]struct{}
	queued  bool
	refused bool // by the last answer
}

func newSession(t *Tracker, addr string) *session {
	return &session{
		tracker: t, addr: addr, work: make(chan struct{}, 1),
		keys: make(map[string]*key), globs: make(map[*Watch]struct{}),
	}
}

// add adds a watch, and starts the session if it is the first. The mutex of the tracker
// must be held, as for all methods up to run.
func (s *session) add(w *Watch) {
	if w.prefix {
		s.globs[w] = struct{}{}
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

func (s *session) stop() {
	if s.cancel != nil {
		s.cancel()
	}
}

// run keeps a connection until the context ends.
func (s *session) run(ctx context.Context) {
	delays := reconnect.Delays()
	for ctx.Err() == nil {
		err := s.serve(ctx)
		if s.down(ctx, err) {
			delays.Reset()
		}
		reconnect.Wait(ctx, delays.NextBackOff())
	}
	s.down(ctx, ctx.Err())
}

// serve opens a connection and works on it until it breaks.
func (s *session) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var receiving sync.WaitGroup
	defer receiving.Wait()
	c := &connection{settings: s.tracker.options.Connection(s.addr)}
	defer c.close() // ends receiveAll
	if err := c.open(ctx); err != nil {
		return err
	}
	receiving.Go(func() { cancel(s.receiveAll(ctx, c)) })
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
			return context.Cause(ctx)
		}
	}
}

// step sends the commands that are due. It tracks nothing before the first probe has returned, so
// a watch is live only if the path works.
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

// reachable notes that the path works. The mutex of the tracker must be held.
func (s *session) reachable() {
	if s.up {
		return
	}
	if s.established {
		s.tracker.options.Reconnects.Add(1)
	}
	s.established = true
	s.up, s.err = true, nil
	for _, k := range s.keys {
		s.enqueue(k)
	}
}

// down records the loss of the connection, and reports whether there was a connection.
func (s *session) down(ctx context.Context, err error) (wasUp bool) {
	t := s.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	wasUp, first := s.up, s.err == nil
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
	if ctx.Err() == nil && first {
		t.options.Log.Warn("redis key tracking is interrupted; trying again", "error", s.err)
	}
	return wasUp
}

func (s *session) interrupt(w *Watch) {
	w.nodes[s].live = false
	w.signal()
}
