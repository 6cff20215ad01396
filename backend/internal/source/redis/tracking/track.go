package tracking

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// trackBatch bounds the keys of one pipeline.
const trackBatch = 512

// trackGlobs tracks the prefixes of all globs. Prefixes without a watch are dropped if tidy
// is set.
func (s *session) trackGlobs(ctx context.Context, c *connection, tidy bool) error {
	t := s.tracker
	t.mu.Lock()
	prefixes := []string{t.options.ProbePrefix}
	var fresh []*Watch
	missing := false
	for w := range s.globs {
		prefixes = append(prefixes, w.name)
		missing = missing || !covered(w.name, c.prefixes)
		if s.up && !w.nodes[s].live {
			fresh = append(fresh, w)
		}
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
	t.mu.Lock()
	fresh = slices.DeleteFunc(fresh, func(w *Watch) bool { return w.nodes[s] == nil }) // closed since
	for _, w := range fresh {
		w.nodes[s].live = true
	}
	t.mu.Unlock()
	t.announce(fresh)
	return nil
}

// announce reports to watches that they have become live, and then wakes the callers of Live.
func (t *Tracker) announce(watches []*Watch) {
	for _, w := range watches {
		w.watcher.All()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range watches {
		w.signal()
	}
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
	if _, isAnswer := errors.AsType[redis.Error](err); err != nil && !isAnswer {
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
	t.announce(fresh)
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

// isRouting reports whether an answer means that another master owns the key, or that
// currently none does.
func isRouting(err error) bool {
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	return moved || ask || redis.IsTryAgainError(err) || redis.IsClusterDownError(err)
}
