package tracking

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// receiveAll reads invalidations until the connection breaks.
func (s *session) receiveAll(ctx context.Context, c *connection) error {
	for {
		message, err := c.target.Receive(ctx)
		if err != nil {
			// go-redis has no message for a null payload; the connection stays usable.
			if !strings.Contains(err.Error(), "unsupported pubsub message payload: <nil>") {
				return err
			}
			s.flushed()
		}
		if m, ok := message.(*redis.Message); ok {
			keys := m.PayloadSlice
			if keys == nil {
				keys = []string{m.Payload}
			}
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
	var watchers []Watcher
	for w := range s.globs {
		if w.nodes[s].live {
			watchers = append(watchers, w.watcher)
		}
	}
	t.mu.Unlock()
	for _, name := range keys {
		for _, w := range watchers {
			w.Invalidated(name)
		}
	}
	s.probed(keys)
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
	if !s.probe.sent.IsZero() {
		s.probe = probe{} // its key is no longer tracked
	}
	s.signal()
	t.mu.Unlock()
	for _, w := range watchers {
		w.All()
	}
}
